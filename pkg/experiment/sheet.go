package experiment

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"golang.org/x/text/unicode/norm"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/models"
	"palimpsest/pkg/npz"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/words"
)

// Drawn is what [Trained.Draw] draws.
type Drawn struct {
	Images []float32 // [images, H, W, C] in [-1, 1], class by class
	Labels []int     // the class asked for of each
	Note   string    // what to know of them, such as that a class has not been learned yet; "": nothing
}

// drawnOf returns an error, before anything is written, unless drawn are images of this run: whole ones, finite, with one label each that
// is the number of a class. It may be what somebody else made.
func (t *Trained) drawnOf(drawn *Drawn) error {
	if drawn == nil {
		return errors.New("no images were drawn (nil); draw some by Draw")
	}
	b, classes := t.Benchmark, len(t.Benchmark.ClassNames)
	if len(drawn.Images) != len(drawn.Labels)*b.H*b.W*b.C {
		return errors.Errorf("%d values and %d labels; need a label for each image of %d×%d×%d", len(drawn.Images), len(drawn.Labels), b.H, b.W, b.C)
	}
	if i := slices.IndexFunc(drawn.Labels, func(y int) bool { return y < 0 || y >= classes }); i >= 0 {
		return errors.Errorf("image %d has the label %d; need 0 to %d: [%s]", i, drawn.Labels[i], classes-1, words.Some(b.ClassNames, 20))
	}
	if i := slices.IndexFunc(drawn.Images, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }); i >= 0 {
		return metrics.NotFinite{Err: errors.Errorf("value %d of image %d is %g; need finite values in [-1, 1]: did training or the sampler diverge?",
			i%(b.H*b.W*b.C), i/(b.H*b.W*b.C), drawn.Images[i])}
	}
	return nil
}

// CheckDraw reports what [Trained.Draw] refuses of the network of a run of c whose process is p, before one is opened.
func CheckDraw(c Config, p *diffusion.Process, count int, sampler diffusion.SamplerConfig, guidance float64) error {
	if count < 1 || count > mostRows {
		return Refusef("%d images of each class; need 1 to %d", count, mostRows)
	}
	if err := sampler.ValidateFor(p); err != nil {
		return Refused{Err: err}
	}
	if _, err := sampler.Timesteps(p.Schedule); err != nil {
		return Refused{Err: err}
	}
	return c.checkGuidance(guidance)
}

// Draw samples count images of each class, class by class. Without classes it draws all of the benchmark's, task by task. An
// unconditional network is drawn from once a class asked for. A class that the network has not learned at its checkpoint is
// drawn as well, which shows what the network makes of it, and the note says so. Where the network depends on the task at
// sampling ([cl.Info].TaskAtSampling) the class says which task is meant; it is an error to name one that is in several tasks.
func (t *Trained) Draw(ctx context.Context, classes []int, count int, sampler diffusion.SamplerConfig, guidance float64) (*Drawn, error) {
	if err := CheckDraw(t.Config, t.Network.Process, count, sampler, guidance); err != nil {
		return nil, err
	}
	var labels []int32
	var of []int // the task of each label
	add := func(class, task int) {
		for range count {
			labels, of = append(labels, int32(class)), append(of, task)
		}
	}
	for _, class := range classes {
		task, err := t.taskOf(class)
		if err != nil {
			return nil, err
		}
		add(class, task)
	}
	if len(classes) == 0 {
		for k, task := range t.Benchmark.Tasks {
			for _, class := range task.Classes {
				add(class, k)
			}
		}
	}
	b, drawn := t.Benchmark, &Drawn{Note: t.note(labels, len(classes) > 0)}
	for _, y := range labels {
		drawn.Labels = append(drawn.Labels, int(y))
	}
	if !t.loop.Switches() {
		var err error
		drawn.Images, err = diffusion.Sample(ctx, t.Network.Process, t.Denoiser(guidance), b.C, b.H*b.W*b.C, labels, sampler, min(100, len(labels)), nil)
		return drawn, err
	}
	for from := 0; from < len(labels); from += count {
		err := t.AtTask(of[from], func() error {
			seeded := sampler
			seeded.Seed += uint64(from) // rows of one class after another, each from noise of its own
			images, err := diffusion.Sample(ctx, t.Network.Process, t.Denoiser(guidance), b.C, b.H*b.W*b.C, labels[from:from+count], seeded, min(100, count), nil)
			drawn.Images = append(drawn.Images, images...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return drawn, nil
}

// Learned are the classes that the network has trained on so far, in the order of their tasks. Of the task at hand one step
// is enough.
func (t *Trained) Learned() []int {
	p, tasks := t.Position, 0
	switch {
	case p.Total == 0:
	case t.loop.Strategy.Info().Stream == cl.AllTasks:
		tasks = len(t.Benchmark.Tasks)
	case p.Step > 0:
		tasks = min(p.Phase+1, len(t.Benchmark.Tasks))
	default:
		tasks = p.Phase
	}
	var learned []int
	known := map[int]bool{} // domains may share labels
	for _, task := range t.Benchmark.Tasks[:tasks] {
		for _, c := range task.Classes {
			if !known[c] {
				learned, known[c] = append(learned, c), true
			}
		}
	}
	return learned
}

// note is what to know of samples of the given labels; named says that the user asked for these.
func (t *Trained) note(labels []int32, named bool) string {
	if !t.Config.Network.Conditional {
		if named {
			return "the network is unconditional: the images are of no class in particular"
		}
		return ""
	}
	learned := t.Learned()
	origin := models.Info{}
	if name := t.Config.Network.Init; name != "" {
		origin, _ = models.Get(name) // it was there when the run was opened
	}
	var unlearned, before []string
	for i, y := range labels {
		switch {
		case slices.Contains(learned, int(y)) || slices.Contains(labels[:i], y):
		case int(y) < origin.Net.Classes:
			before = append(before, fmt.Sprintf("class %s: %s", t.className(int(y)), knownBefore(origin, int(y))))
		default:
			unlearned = append(unlearned, t.className(int(y)))
		}
	}
	if len(unlearned) == 0 {
		return words.Some(before, 12)
	}
	if len(before) > 0 {
		before = append(before, "")
	}
	var known []string
	for _, y := range learned {
		known = append(known, t.className(y))
	}
	return strings.Join(before, "; ") + fmt.Sprintf("not learned: class %s; at step %d of %d the network has learned the classes [%s], and what it draws for another shows nothing of that class",
		words.Some(unlearned, 12), t.Position.Total, t.loop.TotalSteps(), words.Some(known, 12))
}

// className is a class by number and name.
func (t *Trained) className(class int) string {
	return fmt.Sprintf("%d (%s)", class, t.Benchmark.ClassNames[class])
}

// Classes finds classes by their names, in any case where that is clear, or by their numbers; what is a name is no number. One that the
// run has not is an error.
func (t *Trained) Classes(names []string) ([]int, error) {
	return classesOf(t.Benchmark.ClassNames, names)
}

// CheckClasses is what [Trained.Classes] says of names, before a network is opened: of a run that has stored what its classes are.
func CheckClasses(c Config, dir string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	bench := storedBenchmark(c, dir)
	if bench == nil {
		return nil
	}
	_, err := classesOf(bench.ClassNames, names)
	return err
}

// classesOf are the classes of the given names or numbers among those called all.
func classesOf(all, names []string) ([]int, error) {
	var out []int
	for _, name := range names {
		if strings.TrimSpace(name) == "" {
			return nil, Refusef("a class without a name; the run has %s", words.Some(all, 20))
		}
		class := slices.IndexFunc(all, func(n string) bool { return norm.NFC.String(n) == norm.NFC.String(name) })
		if class < 0 {
			alike := slices.Collect(func(yield func(int) bool) {
				for c, n := range all {
					if strings.EqualFold(n, name) && !yield(c) {
						return
					}
				}
			})
			if len(alike) == 1 {
				class = alike[0]
			}
		}
		if class < 0 {
			number, err := strconv.Atoi(name)
			if err != nil {
				return nil, Refusef("no class is called %.100q%s; the run has %s", name, words.DidYouMean(name, all), words.Some(all, 20))
			}
			class = number
		}
		if err := hasClass(all, class); err != nil {
			return nil, err
		}
		out = append(out, class)
	}
	return out, nil
}

// hasClass reports a class that the run has not.
func hasClass(all []string, class int) error {
	if class < 0 || class >= len(all) {
		return Refusef("class %d; need 0 to %d: [%s]", class, len(all)-1, words.Some(all, 20))
	}
	return nil
}

// taskOf is the task that a class belongs to; of several it is the first, unless the network depends on which.
func (t *Trained) taskOf(class int) (int, error) {
	if err := hasClass(t.Benchmark.ClassNames, class); err != nil {
		return 0, err
	}
	task, found := 0, 0
	for k := len(t.Benchmark.Tasks) - 1; k >= 0; k-- {
		if slices.Contains(t.Benchmark.Tasks[k].Classes, class) {
			task, found = k, found+1
		}
	}
	if t.loop.Switches() && found != 1 {
		return 0, Refusef("class %d is in %d tasks, and the network of %s depends on the task; name no classes to draw those of every task",
			class, found, t.Config.Strategy.Name)
	}
	return task, nil
}

// WriteSheet writes drawn images, count a row, to path as one PNG. Like the other writers it returns an error, and writes nothing, unless
// the images are of this run: a label each, the number of a class, and finite values; and unless they fill whole rows.
func (t *Trained) WriteSheet(path string, drawn *Drawn, count int) error {
	if err := t.drawnOf(drawn); err != nil {
		return err
	}
	if count < 1 || len(drawn.Labels) == 0 || len(drawn.Labels)%count != 0 {
		return errors.Errorf("%s with %d a row; need whole rows, one at least", words.Count(len(drawn.Labels), "image"), count)
	}
	b := t.Benchmark
	grid, err := sheet.New(drawn.Images, len(drawn.Labels)/count, count, b.H, b.W, b.C, 2)
	if err != nil {
		return err
	}
	return sheet.Write(path, grid)
}

// WriteNPZ writes drawn images to path as ADM's evaluator reads them: arr_0 [N, H, W, 3] bytes, grey images in three equal
// channels, and arr_1 [N] labels.
func (t *Trained) WriteNPZ(path string, drawn *Drawn) error {
	if err := t.drawnOf(drawn); err != nil {
		return err
	}
	b := t.Benchmark
	pixels := make([]uint8, len(drawn.Images))
	datasets.Unscale(pixels, drawn.Images)
	if b.C == 1 {
		grey := pixels
		pixels = make([]uint8, 0, 3*len(grey))
		for _, p := range grey {
			pixels = append(pixels, p, p, p)
		}
	}
	labels := make([]int64, len(drawn.Labels))
	for i, y := range drawn.Labels {
		labels[i] = int64(y)
	}
	return npz.WriteFile(path, npz.Array{Name: "arr_0", Shape: []int{len(labels), b.H, b.W, 3}, Data: pixels},
		npz.Array{Name: "arr_1", Shape: []int{len(labels)}, Data: labels})
}

// WriteFeatures writes what the run's extractor sees in drawn images, and in the reference images of their classes, to path as an
// .npz: samples [N, D] and reference [M, D], float32, with samples_labels [N] and reference_labels [M]. FID, PRDC and their like
// compare the two, in any program. Of an unconditional network the reference images are those of all tasks.
func (t *Trained) WriteFeatures(path string, drawn *Drawn) error {
	if err := t.drawnOf(drawn); err != nil {
		return err
	}
	if err := t.withoutImages(); err != nil {
		return err
	}
	b, of := t.Benchmark, map[int]bool{}
	samples := &datasets.Images{N: len(drawn.Labels), H: b.H, W: b.W, C: b.C, Pixels: make([]uint8, len(drawn.Images))}
	datasets.Unscale(samples.Pixels, drawn.Images)
	for _, y := range drawn.Labels {
		of[y] = true
		samples.Labels = append(samples.Labels, int32(y))
	}
	var parts []*datasets.Images
	for _, task := range b.Tasks {
		all, chosen := t.Config.Evaluate.Images(task), []int(nil)
		for i, y := range all.Labels {
			if of[int(y)] || !t.Config.Network.Conditional {
				chosen = append(chosen, i)
			}
		}
		parts = append(parts, all.Select(chosen))
	}
	reference, err := datasets.Concat(parts...)
	if err != nil {
		return err
	}
	var arrays []npz.Array
	for _, set := range []struct {
		name string
		im   *datasets.Images
	}{{"samples", samples}, {"reference", reference}} {
		features, err := t.measure.imageFeatures(set.im)
		if err != nil {
			return err
		}
		rows, dim := features.Dims()
		values := make([]float32, 0, rows*dim)
		for i := range rows {
			for _, v := range features.RawRowView(i) {
				values = append(values, float32(v))
			}
		}
		labels := make([]int64, rows)
		for i, y := range set.im.Labels {
			labels[i] = int64(y)
		}
		arrays = append(arrays, npz.Array{Name: set.name, Shape: []int{rows, dim}, Data: values},
			npz.Array{Name: set.name + "_labels", Shape: []int{rows}, Data: labels})
	}
	return npz.WriteFile(path, arrays...)
}

// CheckNewFolder reports that a folder cannot be made at path, as something is there; "" passes.
func CheckNewFolder(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return Refusef("%s is there already; name a folder that is not", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return Refusef("%s is no folder, so %s cannot be made in it", filepath.Dir(path), path)
	}
	return refuse(atomicfile.CheckFolder(path))
}

// WriteFolder writes drawn images to the new folder path, whole or not at all: PNGs 000000.png, 000001.png, ... and labels.csv,
// a line a file with its label and the name of its class.
func (t *Trained) WriteFolder(path string, drawn *Drawn) error {
	if err := t.drawnOf(drawn); err != nil {
		return err
	}
	if err := CheckNewFolder(path); err != nil {
		return err
	}
	b := t.Benchmark
	size := b.H * b.W * b.C
	return atomicfile.WriteFolder(path, func(temporary string) error {
		var list bytes.Buffer
		table := csv.NewWriter(&list)
		_ = table.Write([]string{"file", "label", "class"})
		for i, y := range drawn.Labels {
			img, err := sheet.New(drawn.Images[i*size:(i+1)*size], 1, 1, b.H, b.W, b.C, 1)
			if err != nil {
				return err
			}
			picture, err := sheet.PNG(img)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%06d.png", i)
			if err := os.WriteFile(filepath.Join(temporary, name), picture, 0o644); err != nil {
				return errors.WithStack(err)
			}
			_ = table.Write([]string{name, strconv.Itoa(y), b.ClassNames[y]})
		}
		table.Flush()
		return atomicfile.Write(filepath.Join(temporary, "labels.csv"), list.Bytes())
	})
}
