package experiment

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/backend/backendtest"
)

// A large buffer has a file of its own in a checkpoint, which the next one shares as long as nothing is added; from it the run is
// restored, and what is not as it was written is seen.
func TestBufferSharedByCheckpoints(t *testing.T) {
	apartFrom = 1
	defer func() { apartFrom = 16 << 20 }()
	back, dir := backendtest.Open(t), t.TempDir()
	r := bareRun(t, back, dir)
	if err := r.loop.Strategy.EndTask(0, r.loop.Benchmark.Tasks[0].Train); err != nil {
		t.Fatal(err)
	}
	file := func(folder string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(folder, "buffer-*.bin"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s has the buffers %v, %v", folder, found, err)
		}
		return found[0]
	}
	same := func(a, b string) bool {
		one, err := os.Stat(a)
		other, err2 := os.Stat(b)
		return err == nil && err2 == nil && os.SameFile(one, other)
	}
	first := save(t, r.at(1, 1))
	second := save(t, r.at(1, 2))
	if !same(file(first), file(second)) {
		t.Error("a buffer to which nothing was added was written again")
	}
	state, err := os.ReadFile(filepath.Join(second, stateFile))
	if err != nil || !bytes.Contains(state, []byte(`"version":2`)) {
		t.Errorf("the state's version is not that of one without its buffer (%v)", err)
	}
	kept := r.loop.Strategy.Stored().Images
	restored := bareRun(t, back, t.TempDir())
	restored.dir = dir
	if f, err := restored.restore(); err != nil || f.name != filepath.Base(second) {
		t.Fatalf("restored %+v, %v", f, err)
	}
	if got := restored.loop.Strategy.Stored().Images; got == nil || !bytes.Equal(got.Flat(), kept.Flat()) {
		t.Error("the restored buffer holds other images")
	}
	before := file(second)
	if err := r.loop.Strategy.EndTask(1, r.loop.Benchmark.Tasks[1].Train); err != nil {
		t.Fatal(err)
	}
	third := save(t, r.at(1, 3))
	if filepath.Base(file(third)) == filepath.Base(before) {
		t.Error("the buffer has other images and its old name")
	}
	text, err := os.ReadFile(file(third))
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(file(third), text, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := restored.restore()
	if err != nil || f.name != filepath.Base(second) || len(f.passed) != 1 || !strings.Contains(f.passed[0].err.Error(), "buffer-") {
		t.Errorf("with a damaged buffer in the newest checkpoint restored %+v, %v", f, err)
	}
}

// Other images are refused, by both hashes, before anything is made for them and with the folder as it was.
func TestOtherImagesRefused(t *testing.T) {
	back, dir := backendtest.Open(t), t.TempDir()
	r := bareRun(t, back, dir)
	r.state.Images = "abc123"
	save(t, r.at(0, 2))
	files := func() (all []string) {
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error { all = append(all, path); return nil })
		return all
	}
	text, err := yaml.Marshal(r.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
	before := files()
	again := &run{config: r.config, dir: dir, log: new(bytes.Buffer)}
	err = again.build(t.Context(), back)
	if !errors.Is(err, errImages) || !strings.Contains(err.Error(), "abc123") || !strings.Contains(err.Error(), again.images) || again.measure != nil {
		t.Errorf("on other images: %v", err)
	}
	if _, err := OpenTrained(back, dir); !errors.Is(err, errImages) {
		t.Errorf("opened to draw from: %v", err)
	}
	if after := files(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("the folder holds %v, before it held %v", after, before)
	}
}
