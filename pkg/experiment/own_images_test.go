package experiment

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
)

// pictureFolder writes count pictures of unequal sizes and of a colour of its own for each class.
func pictureFolder(t *testing.T, dir string, count int, classes ...string) {
	t.Helper()
	for k, class := range classes {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range count {
			picture := image.NewNRGBA(image.Rect(0, 0, 20+i%5, 18+i%3))
			for y := range picture.Rect.Dy() {
				for x := range picture.Rect.Dx() {
					picture.SetNRGBA(x, y, color.NRGBA{uint8(60 * k), uint8(10*i + x), uint8(13*i + 5*y), 255})
				}
			}
			f, err := os.Create(filepath.Join(dir, class, fmt.Sprintf("%02d.png", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(png.Encode(f, picture), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// README.md's command for one's own images, with its settings as they stand there, comes from a folder of pictures to a training
// step: the pictures are prepared, and the classifier that is to judge them is trained, on the way.
func TestOwnImagesToTheFirstStep(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const named = "/data/flowers"
	command := regexp.MustCompile(`(?m)^go run \. bench .*` + named + `.*$`).FindString(string(readme))
	folder := filepath.Join(t.TempDir(), "flowers")
	var set []string
	for _, s := range regexp.MustCompile(`--set (?:'([^']*)'|(\S+))`).FindAllStringSubmatch(command, -1) {
		set = append(set, strings.Replace(s[1]+s[2], named, folder, 1))
	}
	if len(set) < 2 {
		t.Fatalf("README.md has no command for %s with its settings: %q", named, command)
	}
	pictureFolder(t, folder, 15, "daisy", "lily", "rose", "tulip")
	back := backendtest.Open(t)
	t.Setenv(backend.CacheEnv, t.TempDir())
	c, err := OverrideConfig("", nil, set)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	c.Network.Base, c.Network.Mults = 8, []int{1} // compiles sooner than the command's own, which is every run's
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stepped := false
	var log strings.Builder
	_, err = Run(ctx, c, filepath.Join(t.TempDir(), "run"), Options{Backend: back, Log: &log, Progress: func(p Progress) {
		if p.Step > 0 {
			stepped = true
			stop()
		}
	}})
	if !stepped || !errors.Is(err, context.Canceled) {
		t.Fatalf("the first step was not taken: %v\n%s", err, log.String())
	}
	for _, want := range []string{"training the classifier", "4 classes", "judged by a classifier trained on flowers", "The classifier is right for "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// A study warns once of what its sets have in common, though several runs name them.
func TestStudyWarnsOfSharedPictures(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	one, other := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "other")
	pictureFolder(t, one, 5, "a", "b")
	pictureFolder(t, other, 8, "c")
	c := DefaultConfig()
	c.Benchmark.Datasets = []string{one, other}
	again := c
	again.Seed = 1
	lines, err := Study{Runs: []Config{c, again}}.Warnings()
	if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "have 5 pictures in common") {
		t.Errorf("%q, %v; want one line", lines, err)
	}
}

// Too few test images are told where the set is described, by the words with which its study is refused.
func TestFewTestImagesAreToldBefore(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	for test, want := range map[int]string{1: "task 1 (a + b) has 2 test images", 3: "has 6 test images, fewer than the 64 features", 32: ""} {
		dir := filepath.Join(t.TempDir(), "set")
		pictureFolder(t, filepath.Join(dir, "train"), 4, "a", "b", "c")
		pictureFolder(t, filepath.Join(dir, "test"), 2*test, "c")
		pictureFolder(t, filepath.Join(dir, "test"), test, "a", "b")
		info, err := datasets.Describe(dir)
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig()
		c.Benchmark.Datasets = []string{dir}
		told, refused := FewTestImages(info), c.Check()
		if fmt.Sprint(told) != fmt.Sprint(refused) || (want == "") != (told == nil) || want != "" && !strings.Contains(told.Error(), want) {
			t.Errorf("%d test images a class: the set says %v, its study %v; want %q", test, told, refused, want)
		}
	}
}

// A set of bpd.outside that has fewer images than are measured of the run's own is refused before anything is trained.
func TestOutsideNeedsAsManyImages(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	dir := filepath.Join(t.TempDir(), "set")
	pictureFolder(t, filepath.Join(dir, "train"), 4, "a", "b")
	pictureFolder(t, filepath.Join(dir, "test"), 5, "a", "b")
	c := DefaultConfig()
	c.Benchmark.Prep.Channels, c.Benchmark.Prep.Method, c.Network.Conditional = 1, "area", false
	for images, want := range map[int]string{2: "", 3: "bpd.outside: " + dir + " has 10 test images, and bpd.images is 3 for each of 5 tasks, 15 in all; take at most 2"} {
		c.BPD = BPDConfig{Images: images, Terms: 5, Outside: []string{dir}}
		if err := c.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d images: %v; want %q", images, err, want)
		}
	}
}

// A folder that Go code names by a path from the folder at hand is stored by its full path, as one that the command line names is, and
// the caller's settings stay as they were.
func TestPathFromTheFolderAtHand(t *testing.T) {
	back := backendtest.Open(t)
	judge, err := filepath.Abs("../metrics/weights/fashion-mnist-area16.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(backend.CacheEnv, t.TempDir())
	at := t.TempDir()
	t.Chdir(at)
	pictureFolder(t, "flowers", 15, "a", "b", "c", "d")
	c := DefaultConfig()
	c.Benchmark.Datasets = []string{"flowers"}
	c.Benchmark.Prep.Method, c.Benchmark.Prep.Channels, c.Evaluate.SamplesPerTask, c.Evaluate.AllowSmallN = "crop", 1, 8, true
	c.Network.Base, c.Network.Mults, c.Evaluate.Extractor = 8, []int{1}, judge
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if _, err := Run(ctx, c, "run", Options{Backend: back, Progress: func(Progress) { stop() }}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join("run", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(at, "flowers"); !strings.Contains(string(stored), want) || c.Benchmark.Datasets[0] != "flowers" {
		t.Errorf("config.yaml lacks %s, or the caller's set is %q now, not flowers:\n%s", want, c.Benchmark.Datasets[0], stored)
	}
	if err := CheckRun(c, "run"); err != nil {
		t.Error(err)
	}
}

// A set with validation images of its own is measured on those without a share of the training images being named, which would change
// nothing; of one without, a share is asked for.
func TestOwnValidationImages(t *testing.T) {
	folder := t.TempDir()
	for split, count := range map[string]int{"train": 12, "val": 7, "test": 9} {
		pictureFolder(t, filepath.Join(folder, split), count, "daisy", "lily")
	}
	configOf := func(set ...string) Config {
		c, err := OverrideConfig("test", nil, append(set, "evaluate.reference=validation", "evaluate.allow_small_n=true"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, fraction := range []string{"0", "0.1"} {
		c := configOf("benchmark.datasets=["+folder+"]", "benchmark.prep.method=crop", "benchmark.val_fraction="+fraction)
		if err := c.Check(); err != nil {
			t.Errorf("a share of %s: %v", fraction, err)
			continue
		}
		bench, err := c.LoadBenchmark()
		if err != nil {
			t.Fatal(err)
		}
		if task := bench.Tasks[0]; task.Train.N != 24 || c.Evaluate.Images(task).N != 14 {
			t.Errorf("a share of %s: %d training images, %d to measure on; need 24 and 14", fraction, task.Train.N, c.Evaluate.Images(task).N)
		}
	}
	dir := filepath.Join(t.TempDir(), "study")
	study := Study{Dir: dir, Runs: []Config{configOf()}}
	err := study.Check()
	if want := "task 1 (T-shirt/top + Trouser) has no validation images of its own; hold out a share, for instance 0.1"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
	if err := Blame(err, "the quick benchmark", nil); !errors.As(err, new(Refused)) {
		t.Errorf("%v is not of the command line", err)
	}
}
