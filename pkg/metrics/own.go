package metrics

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"palimpsest/datasets"
	"palimpsest/pkg/kept"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// What [OwnClassifier] takes of large sets, and looks at.
const (
	ownTrain, ownTest = 50_000, 10_000 // images at most
	ownSide           = 32             // pixels a side that the classifier sees at most
	ownBytes          = 1 << 30        // that the folder of classifiers holds
)

// OwnClassifier returns a classifier of sets, by their names or paths, whose labels follow one another, for images prepared by prep: one that an
// earlier call left in the folder dir, or one that it trains, which takes seconds to a minute and writes its progress to out.
// What it is found again by is the sets' content and the preparation, so that all studies of the same images share one.
//
// It learns from at most 50,000 images of the training split, drawn by a fixed seed, and states its accuracy on at most 10,000
// of the test split, which choose nothing. Whatever the size of the images, the network sees 32×32 pixels, of images of at
// most 16×16 pixels 16×16, each the mean of the area that it covers: detail below that does not count.
func OwnClassifier(ctx context.Context, backend compute.Backend, sets []string, prep datasets.Prep, dir string, out io.Writer) (*Shrunk, error) {
	data, err := loadAll(sets, prep)
	if err != nil {
		return nil, err
	}
	return ownClassifier(ctx, backend, data, prep, dir, out)
}

// ownClassifier is [OwnClassifier] of one set.
func ownClassifier(ctx context.Context, backend compute.Backend, data *datasets.Dataset, prep datasets.Prep, dir string, out io.Writer) (*Shrunk, error) {
	prep.Border, prep.Flip = 0, false
	h, w, c, err := prep.Shape(data.Train.H, data.Train.W, data.Train.C)
	if err != nil {
		return nil, err
	}
	s := &Shrunk{h: h, w: w, side: ownSide}
	if max(h, w) <= ownSide/2 {
		s.side = ownSide / 2
	}
	config := ownConfig(data, s.side)
	how, err := json.Marshal(struct {
		Prep        datasets.Prep
		H, W, C     int
		Side        int
		Train, Test int
		Config      TrainConfig
		Classes     []string
	}{prep, h, w, c, s.side, ownTrain, ownTest, config, data.Classes})
	if err != nil {
		return nil, errors.WithStack(err)
	}
	_ = os.MkdirAll(dir, 0o755) // where it cannot be made, nothing is kept
	store := kept.Store{Dir: dir, Most: ownBytes}
	key := kept.Digest([]byte("palimpsest classifier 1"), []byte(data.Hash), how)
	if s.Classifier = readKept(backend, store.Get(key)); s.Classifier != nil {
		return s, nil
	}
	small := *data
	small.Name = nameForFiles(data.Name)
	for split, most := range map[**datasets.Images]int{&small.Train: ownTrain, &small.Test: ownTest} {
		im := *split
		if im.N > most {
			rows := rand.New(rand.NewPCG(config.Seed, 1)).Perm(im.N)[:most]
			slices.Sort(rows)
			im = im.Select(rows)
		}
		if im, err = prep.Apply(im); err == nil {
			*split, err = s.shrink().Apply(im)
		}
		if err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(out, "training the classifier that judges images of %s, once: %d images of %s, seen at %d×%d\n", data.Name, small.Train.N,
		classesWord(len(data.Classes)), s.side, s.side)
	trained, err := TrainClassifier(ctx, backend, &small, datasets.Prep{Method: "none"}, config, out)
	if err != nil {
		return nil, err
	}
	// Another process may have been quicker: all are to be judged by one.
	if first := readKept(backend, store.Get(key)); first != nil {
		trained.Close()
		s.Classifier = first
		return s, nil
	}
	content, err := trained.pack()
	if err != nil {
		return nil, err
	}
	store.Put(key, content)
	s.Classifier = trained
	return s, nil
}

// ownConfig are the settings for a set: at least as many passes as make some 60,000 images, since small sets need them all.
func ownConfig(data *datasets.Dataset, side int) TrainConfig {
	n := min(data.Train.N, ownTrain)
	config := DefaultTrainConfig("", side)
	config.Epochs = min(max(60_000/max(n, 1), 3), 60)
	config.BatchSize = max(1, min(config.BatchSize, n/2))
	config.Flip, config.Shift = false, side/16 // what is written must not be mirrored
	return config
}

// nameForFiles is a name without what file names may not have.
func nameForFiles(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, name)
}

func classesWord(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}

// Shrunk is a [Classifier] that looks at images of any height and width: each is brought to the square that the classifier
// sees, a pixel there being the mean of the area that it covers.
type Shrunk struct {
	*Classifier
	h, w, side int
}

// shrink is how images come to what the classifier sees.
func (s *Shrunk) shrink() datasets.Prep { return datasets.Prep{Method: "area", Size: s.side} }

// Name implements [Extractor].
func (s *Shrunk) Name() string {
	name := "a classifier trained on " + s.Info.Dataset
	if s.h != s.side || s.w != s.side {
		name += fmt.Sprintf(", which sees images of %d×%d at %d×%d", s.h, s.w, s.side, s.side)
	}
	return name
}

// Close frees the classifier, which nothing else holds.
func (s *Shrunk) Close() { s.Classifier.Close() }

// ImageShape implements [Extractor].
func (s *Shrunk) ImageShape() (h, w, channels int) { return s.h, s.w, s.Info.Channels }

// Features implements [Extractor].
func (s *Shrunk) Features(images []float32, n int) (*mat.Dense, error) {
	small, err := s.see(images, n)
	if err != nil {
		return nil, err
	}
	return s.Classifier.Features(small, n)
}

// Judge implements [Labeller].
func (s *Shrunk) Judge(images []float32, n int) (*mat.Dense, []int, error) {
	small, err := s.see(images, n)
	if err != nil {
		return nil, nil, err
	}
	return s.Classifier.Judge(small, n)
}

// see brings n images, which have the 256 levels of real ones, to what the classifier sees, as it saw training images.
func (s *Shrunk) see(images []float32, n int) ([]float32, error) {
	if s.h == s.side && s.w == s.side {
		return images, nil
	}
	if err := checkImages("metrics.Shrunk", images, s.h*s.w*s.Info.Channels); err != nil {
		return nil, err
	}
	im := &datasets.Images{N: n, H: s.h, W: s.w, C: s.Info.Channels, Pixels: make([]uint8, len(images)), Labels: make([]int32, n)}
	datasets.Unscale(im.Pixels, images)
	small, err := s.shrink().Apply(im)
	if err != nil {
		return nil, err
	}
	return small.Scaled(), nil
}

// pack is description and weights as one: the length of the first as uint32, little end first, and both.
func (c *Classifier) pack() ([]byte, error) {
	text, err := json.Marshal(c.Info)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	weights, err := encodeWeights(c.values)
	return slices.Concat(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text, weights), err
}

// readKept reads what pack wrote; nil of anything else.
func readKept(backend compute.Backend, content []byte) *Classifier {
	if len(content) < 4 {
		return nil
	}
	n, rest := binary.LittleEndian.Uint32(content), content[4:]
	if uint64(n) > uint64(len(rest)) {
		return nil
	}
	info, err := parseInfo(rest[:n])
	if err != nil || sha256Hex(rest[n:]) != info.SHA256 {
		return nil
	}
	values, err := decodeWeights(bytes.Clone(rest[n:]), classifierShapes(info.Channels, len(info.Classes)))
	if err != nil {
		return nil
	}
	c, err := newClassifier(backend, info, values)
	if err != nil {
		return nil
	}
	return c
}

// LoadClassifierFile reads a classifier that [Classifier.Save] wrote, by the path of its weights, which end in .safetensors.
func LoadClassifierFile(backend compute.Backend, path string) (*Classifier, error) {
	dir, file := filepath.Split(path)
	return ReadClassifier(backend, os.DirFS(cmp.Or(dir, ".")), strings.TrimSuffix(file, ".safetensors"))
}

// IsClassifierFile says whether the description of a classifier lies beside the weights at path.
func IsClassifierFile(path string) bool {
	base, found := strings.CutSuffix(path, ".safetensors")
	if !found {
		return false
	}
	_, err := os.Stat(base + ".json")
	return err == nil
}
