package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"

	"gonum.org/v1/gonum/mat"
)

// fashion returns the shipped Fashion-MNIST classifier for a preparation and the embedded sample,
// prepared.
func fashion(t *testing.T, prep datasets.Prep) (c *Classifier, train, test *datasets.Images) {
	t.Helper()
	d, err := datasets.Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = LoadClassifier(backendtest.Open(t), d.Name, prep); err != nil {
		t.Fatal(err)
	}
	if train, err = prep.Apply(d.Train); err != nil {
		t.Fatal(err)
	}
	if test, err = prep.Apply(d.Test); err != nil {
		t.Fatal(err)
	}
	return c, train, test
}

func TestShippedClassifier(t *testing.T) {
	for _, prep := range []datasets.Prep{{Size: 32, Method: "pad"}, {Size: 16, Method: "area"}} {
		t.Run(weightsName("fashion-mnist", prep), func(t *testing.T) {
			c, train, test := fashion(t, prep)
			if c.Info.TestAccuracy < 0.88 || c.Info.TestN != 10000 {
				t.Errorf("stated accuracy %g on %d images", c.Info.TestAccuracy, c.Info.TestN)
			}
			// The embedded test images are a balanced tenth of the test split, so their accuracy is that
			// of the split within four standard errors.
			acc, err := c.Accuracy(test)
			if err != nil {
				t.Fatal(err)
			}
			p := c.Info.TestAccuracy
			if se := math.Sqrt(p * (1 - p) / float64(test.N)); math.Abs(acc-p) > 4*se {
				t.Errorf("accuracy %g on the sample, %g stated", acc, p)
			}
			// Features are standardised over the training split; of 6,000 of its images the means are
			// within five standard errors, 5/sqrt(6000) = 0.065, of 0 and the deviations near 1.
			h, err := c.Features(train.Scaled(), train.N)
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewStats(h)
			if err != nil {
				t.Fatal(err)
			}
			for j := range c.Dim() {
				if v := s.Cov.At(j, j); math.Abs(s.Mean[j]) > 0.065 || v < 0.85 || v > 1.15 {
					t.Errorf("feature %d has mean %g and variance %g over training images", j, s.Mean[j], v)
				}
			}
			var eig mat.EigenSym
			if !eig.Factorize(s.Cov, false) {
				t.Fatal("no eigenvalues")
			}
			if smallest := eig.Values(nil)[0]; smallest < 1e-4 {
				t.Errorf("smallest eigenvalue of the covariance is %g: linear features should not be singular", smallest)
			}
		})
	}
}

func TestShippedDescriptions(t *testing.T) {
	backend := backendtest.Open(t)
	want := map[string]int{"fashion-mnist-pad32": 10, "fashion-mnist-area16": 10, "mnist-pad32": 10, "mnist-area16": 10, "cifar-10-pad32": 10, "cifar-10-area16": 10}
	for _, name := range Shipped() {
		c, err := ReadClassifier(backend, os.DirFS("weights"), name)
		if err != nil {
			t.Error(err)
			continue
		}
		i := c.Info
		if c.FileName() != name || i.Config != DefaultTrainConfig(i.Dataset, i.Size) || i.TestAccuracy < 0.7 || i.TestN < 1000 || i.TrainN < 18*i.ValN {
			t.Errorf("%s: %+v; want the weights of the default settings under their own name", name, i)
		}
		if classes, listed := want[name]; listed && len(i.Classes) != classes {
			t.Errorf("%s knows %d classes, want %d", name, len(i.Classes), classes)
		}
		delete(want, name)
		if strings.Contains(i.Backend, "/root") || strings.Contains(i.Backend, "cache") {
			t.Errorf("%s names a path: %q", name, i.Backend)
		}
	}
	for name := range want {
		t.Errorf("%s is not shipped", name)
	}
	// A part of a set is judged by the classifier of the whole.
	for _, dataset := range []string{"fashion-mnist", "fashion-mnist-sample", "mnist", "mnist-10k", "cifar-10"} {
		if _, err := LoadClassifier(backend, dataset, datasets.Prep{Flip: true}); err != nil {
			t.Error(err)
		}
	}
}

func TestClassifierAgainstNumPy(t *testing.T) {
	data, err := os.ReadFile("testdata/classifier.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref []struct {
		Name     string      `json:"name"`
		SHA256   string      `json:"weights_sha256"`
		Size     int         `json:"size"`
		Channels int         `json:"channels"`
		Pixels   []float32   `json:"pixels"`
		Features [][]float64 `json:"features"`
		Logits   [][]float64 `json:"logits"`
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	for _, r := range ref {
		t.Run(r.Name, func(t *testing.T) {
			weights := os.DirFS("weights")
			c, err := ReadClassifier(backendtest.Open(t), weights, r.Name)
			if err != nil {
				t.Fatal(err)
			}
			if c.Info.SHA256 != r.SHA256 || c.Info.Size != r.Size {
				t.Fatalf("testdata/classifier.json is of other weights; make it again with testdata/classifier.py")
			}
			n := len(r.Features)
			h, err := c.Features(r.Pixels, n)
			if err != nil {
				t.Fatal(err)
			}
			_, logits, err := c.forward(r.Pixels, n)
			if err != nil {
				t.Fatal(err)
			}
			// Float32 sums of up to 576 terms against float64: 1e-4 leaves two digits to spare.
			if d := mat.Formatted(h); !mat.EqualApprox(h, dense(r.Features), 1e-4) {
				t.Errorf("features\n%v\nwant\n%v", d, mat.Formatted(dense(r.Features)))
			}
			if !mat.EqualApprox(logits, dense(r.Logits), 1e-3) {
				t.Errorf("logits\n%v\nwant\n%v", mat.Formatted(logits), mat.Formatted(dense(r.Logits)))
			}
		})
	}
}

func TestFeaturesDoNotDependOnTheBatch(t *testing.T) {
	c, _, test := fashion(t, datasets.Prep{Size: 16, Method: "area"})
	pixels, size := test.Scaled(), test.ImageSize()
	n := inferenceBatch + 7
	all, err := c.Features(pixels[:n*size], n)
	if err != nil {
		t.Fatal(err)
	}
	last, err := c.Features(pixels[(n-3)*size:n*size], 3)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.EqualApprox(last, all.Slice(n-3, n, 0, FeatureDim), 1e-5) {
		t.Error("the features of three images change with the images beside them")
	}
	for name, call := range map[string]func() error{
		"none":    func() error { _, err := c.Features(nil, 0); return err },
		"wrong n": func() error { _, err := c.Features(pixels[:2*size], 3); return err },
		"wrong NaN": func() error {
			_, err := c.Features(append([]float32{float32(math.NaN())}, pixels[1:size]...), 1)
			return err
		},
	} {
		if call() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFIDRanksDamage(t *testing.T) {
	// Against one half of the test images: the other half is nearer than the same half with noise,
	// little noise is nearer than much, and a half without two of its classes is far.
	c, _, test := fashion(t, datasets.Prep{Size: 32, Method: "pad"})
	var even, odd, eight []int
	for i, l := range test.Labels {
		if i%2 == 0 {
			even = append(even, i)
			continue
		}
		odd = append(odd, i)
		if l < 8 {
			eight = append(eight, i)
		}
	}
	features := func(im *datasets.Images, noise float64) *mat.Dense {
		rng := rand.New(rand.NewPCG(1, 2))
		pixels := im.Scaled()
		for i := range pixels {
			pixels[i] = float32(max(-1, min(1, float64(pixels[i])+noise*rng.NormFloat64())))
		}
		h, err := c.Features(pixels, im.N)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	ref := features(test.Select(even), 0)
	score := func(im *datasets.Images, noise float64) (fid, kid float64) {
		h := features(im, noise)
		f, err := FID(ref, h, FIDOptions{})
		if err != nil {
			t.Fatal(err)
		}
		k, err := KID(ref, h, KIDOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return f, k.Mean
	}
	half := test.Select(odd)
	cleanFID, cleanKID := score(half, 0)
	littleFID, littleKID := score(half, 0.2)
	muchFID, muchKID := score(half, 0.6)
	eightFID, eightKID := score(test.Select(eight), 0)
	t.Logf("FID clean %.2f, noise 0.2 %.2f, noise 0.6 %.2f, eight classes %.2f", cleanFID, littleFID, muchFID, eightFID)
	t.Logf("KID clean %.4f, noise 0.2 %.4f, noise 0.6 %.4f, eight classes %.4f", cleanKID, littleKID, muchKID, eightKID)
	if !(cleanFID < littleFID && littleFID < muchFID && 2*cleanFID < eightFID) {
		t.Error("FID does not rank the damage")
	}
	if !(math.Abs(cleanKID) < littleKID && littleKID < muchKID && cleanKID < eightKID) {
		t.Error("KID does not rank the damage")
	}
}

func TestLoadClassifierNamesWhatIsShipped(t *testing.T) {
	_, err := LoadClassifier(backendtest.Open(t), "fashion-mnist", datasets.Prep{Size: 64})
	if err == nil || !strings.Contains(err.Error(), "fashion-mnist-pad32") || !strings.Contains(err.Error(), "--size 64") {
		t.Errorf("error %v; want the shipped names and the command", err)
	}
}
