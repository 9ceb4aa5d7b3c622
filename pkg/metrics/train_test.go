package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// bars is a dataset of two classes that differ in the direction of a bright bar, 16×16.
func bars(n int) *datasets.Dataset {
	rng := rand.New(rand.NewPCG(2, 2))
	split := func(n int) *datasets.Images {
		im := &datasets.Images{N: n, H: 16, W: 16, C: 1, Pixels: make([]uint8, n*256), Labels: make([]int32, n)}
		for i := range n {
			im.Labels[i] = int32(i % 2)
			at, img := 3+rng.IntN(10), im.Image(i)
			for k := range 16 {
				if i%2 == 0 {
					img[at*16+k] = uint8(150 + rng.IntN(100))
				} else {
					img[k*16+at] = uint8(150 + rng.IntN(100))
				}
			}
		}
		return im
	}
	return &datasets.Dataset{Name: "bars", Hash: "h", Classes: []string{"lying", "upright"}, Train: split(n), Test: split(n / 4)}
}

func barsConfig() TrainConfig {
	return TrainConfig{Seed: 1, Epochs: 3, BatchSize: 16, LearningRate: 3e-3, ValFraction: 0.1, Shift: 1}
}

func TestTrainSaveAndRead(t *testing.T) {
	backend := backendtest.Open(t)
	prep := datasets.Prep{Size: 16, Method: "none", Flip: true}
	var progress bytes.Buffer
	c, err := TrainClassifier(context.Background(), backend, bars(320), prep, barsConfig(), &progress)
	if err != nil {
		t.Fatal(err)
	}
	// Two directions of a bar are easy: a network that learned at all tells them apart.
	if c.Info.TestAccuracy < 0.95 || c.Info.ValAccuracy < 0.9 {
		t.Errorf("accuracy %g, validation %g", c.Info.TestAccuracy, c.Info.ValAccuracy)
	}
	if c.Info.TrainN != 288 || c.Info.ValN != 32 || c.Info.TestN != 80 || c.Info.Prep.Flip {
		t.Errorf("info %+v", c.Info)
	}
	if !strings.Contains(progress.String(), "epoch 3 of 3") || !strings.Contains(progress.String(), "test accuracy") {
		t.Errorf("progress %q", progress.String())
	}
	again, err := TrainClassifier(context.Background(), backend, bars(320), prep, barsConfig(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if again.Identity() != c.Identity() {
		t.Errorf("one seed gave weights %s and %s", c.Identity(), again.Identity())
	}
	dir := filepath.Join(t.TempDir(), "new")
	name, err := c.Save(dir)
	if err != nil || name != "bars-none16" || name != c.FileName() {
		t.Fatalf("saved as %q, error %v", name, err)
	}
	back, err := ReadClassifier(backend, os.DirFS(dir), name)
	if err != nil {
		t.Fatal(err)
	}
	images := bars(320).Test.Scaled()
	want, err := c.Features(images, 80)
	if err != nil {
		t.Fatal(err)
	}
	got, err := back.Features(images, 80)
	if err != nil {
		t.Fatal(err)
	}
	if !mat.Equal(got, want) {
		t.Error("features change when the weights are saved and read back")
	}
	weights := filepath.Join(dir, name+".safetensors")
	content, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(weights, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadClassifier(backend, os.DirFS(dir), name); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("changed weights: error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestTrainRefusesAndStops(t *testing.T) {
	backend := backendtest.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TrainClassifier(ctx, backend, bars(320), datasets.Prep{Method: "none"}, barsConfig(), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	if _, err := TrainClassifier(context.Background(), backend, bars(320), datasets.Prep{Size: 20}, barsConfig(), io.Discard); err == nil ||
		!strings.Contains(err.Error(), "multiple of 16") {
		t.Errorf("20×20 images: error %v", err)
	}
	if _, err := TrainClassifier(context.Background(), backend, bars(12), datasets.Prep{Size: 16}, barsConfig(), io.Discard); err == nil {
		t.Error("fewer images than a batch gave no error")
	}
	for name, change := range map[string]func(*TrainConfig){
		"epochs": func(c *TrainConfig) { c.Epochs = 0 }, "batch": func(c *TrainConfig) { c.BatchSize = 0 },
		"rate": func(c *TrainConfig) { c.LearningRate = math.NaN() }, "decay": func(c *TrainConfig) { c.WeightDecay = -1 },
		"fraction": func(c *TrainConfig) { c.ValFraction = 0 }, "shift": func(c *TrainConfig) { c.Shift = -1 },
	} {
		cfg := barsConfig()
		change(&cfg)
		if cfg.Validate() == nil {
			t.Errorf("%s out of range gave no error", name)
		}
	}
	for _, name := range []string{"fashion-mnist", "mnist", "cifar-10"} {
		if err := DefaultTrainConfig(name, 32).Validate(); err != nil {
			t.Error(err)
		}
	}
	if DefaultTrainConfig("mnist-10k", 32).Flip || !DefaultTrainConfig("fashion-mnist", 32).Flip {
		t.Error("digits are mirrored, or clothes are not")
	}
}

func TestInitialise(t *testing.T) {
	one, again, other := initialise(1, 10, 1), initialise(1, 10, 1), initialise(1, 10, 2)
	for name, dims := range classifierShapes(1, 10) {
		if !one[name].Equal(again[name]) {
			t.Errorf("%s differs between two draws of one seed", name)
		}
		if weights := len(dims) > 1; one[name].Equal(other[name]) == weights {
			t.Errorf("%s: equal for two seeds is %v", name, !weights)
		}
	}
	// 36,864 normal values of variance 2/576: the sample variance errs by sqrt(2/36864) = 0.74 %.
	values, err := floatsOf(one[conv3Weights])
	if err != nil {
		t.Fatal(err)
	}
	mean, variance := stat.MeanVariance(values, nil)
	if math.Abs(mean) > 5*math.Sqrt(2.0/576/36864) || math.Abs(variance/(2.0/576)-1) > 5*0.0074 {
		t.Errorf("weights of mean %g and variance %g, want 0 and %g", mean, variance, 2.0/576)
	}
}

func TestShiftImage(t *testing.T) {
	src := []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}
	dst := make([]uint8, 9)
	for _, tc := range []struct {
		dy, dx int
		want   []uint8
	}{
		{0, 0, src},
		{1, 0, []uint8{0, 0, 0, 1, 2, 3, 4, 5, 6}},
		{0, -1, []uint8{2, 3, 0, 5, 6, 0, 8, 9, 0}},
		{-1, 1, []uint8{0, 4, 5, 0, 7, 8, 0, 0, 0}},
	} {
		if shiftImage(dst, src, 3, 3, 1, tc.dy, tc.dx); !bytes.Equal(dst, tc.want) {
			t.Errorf("moved by %d, %d: %v, want %v", tc.dy, tc.dx, dst, tc.want)
		}
	}
}

func TestLearningRate(t *testing.T) {
	near(t, "first step", learningRate(2, 0, 10000), 2.0/200, 1e-12)
	near(t, "end of the warm-up", learningRate(2, 199, 10000), 2, 1e-12)
	near(t, "half way down", learningRate(2, 200+4900, 10000), 1, 1e-12)
	near(t, "last step", learningRate(2, 10000, 10000), 0, 1e-12)
	near(t, "short run, second step", learningRate(2, 1, 20), 2, 1e-12)
}
