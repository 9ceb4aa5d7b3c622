package notebooks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/notebooks/kernel"
)

// testEnv is set for the cells of a notebook under test, which may then use smaller
// settings, by os.Getenv or gonbui alike.
const testEnv = "PALIMPSEST_NOTEBOOK_TEST=1"

// TestNotebooks runs every notebook in a fresh kernel without network. A cell fails as package
// kernel says, or if it lacks an image or an HTML output that it was committed with.
func TestNotebooks(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no notebooks in this folder; the test would pass without having run any")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	installed, err := kernelsetup.EnsureKernel(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := kernelsetup.EnsurePlugin(ctx, os.Stderr); err != nil {
		t.Fatal(err)
	}
	dependOnSources(t, installed.Repo)
	// Cells under test call their runs so. Finished ones are only read, and show none of what training shows.
	for _, where := range []string{"*", filepath.Join("*", "*")} { // notebook 04 keeps its runs a folder deeper, by version
		left, err := filepath.Glob(filepath.Join(installed.Repo, "runs", where, "test-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".ipynb"), func(t *testing.T) {
			committed, err := kernel.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			options := installed.Options(".")
			options.Env = append(options.Env, testEnv)
			process, err := kernel.Start(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			defer process.Close()
			start := time.Now()
			done, err := committed.Run(t.Context(), process, kernel.RunOptions{
				CellTimeout: 15 * time.Minute,
				OnCell: func(number int, first string) {
					t.Logf("%6.1f s  cell %d: %s", time.Since(start).Seconds(), number, first)
				},
			})
			var failure *kernel.Failure
			if errors.As(err, &failure) {
				t.Fatalf("%s, %s", file, failure)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range kernel.Missing(committed, done) {
				t.Errorf("%s, %s", file, line)
			}
		})
	}
}

// A cell whose run is finished says so, and one that reads a run which is not says what to do.
func TestFinishedRunIsTold(t *testing.T) {
	installed, err := kernelsetup.EnsureKernel(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	options := installed.Options(".")
	options.Env = append(options.Env, "RUNS="+dir, "GOMLX_BACKEND=go")
	process, err := kernel.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	const train = "import (\n\t\"os\"\n\t\"palimpsest/pkg/experiment\"\n\t\"palimpsest/pkg/notebook\"\n)\n\n%%\nc := experiment.DefaultConfig()\n" +
		"c.Name, c.Strategy.Name, c.Diffusion.T = \"small\", \"finetune\", 10\nc.Benchmark.ClassOrder, c.Benchmark.Classes, c.Benchmark.ClassesPerTask = \"given\", []int{0, 1}, 1\n" +
		"c.Network.Base, c.Network.Mults = 8, []int{1}\nc.Loop.StepsPerTask, c.Loop.FreshRows, c.Loop.ReplayRows = 5, 1, 0\n" +
		"c.Evaluate.SamplesPerTask, c.Evaluate.Batch, c.Evaluate.Sampler.Steps, c.Evaluate.AllowSmallN = 16, 16, 1, true\nnotebook.Get(notebook.Run(c, os.Getenv(\"RUNS\")))"
	const read = "import \"palimpsest/pkg/results\"\n\n%%\nnotebook.Get(results.Load(os.Getenv(\"RUNS\") + \"/small/result.json\"))"
	for _, tc := range []struct{ source, want string }{
		{read, "there is no run in " + dir + "/small yet; make it first: in a notebook, run the cell that trains it"},
		{train, "small: done"},
		{train, "small is finished and only read here, from " + dir + "/small; to train it anew, remove that folder"},
		{read, ""},
	} {
		if tc.source == read {
			tc.source = strings.Replace(train[:strings.Index(train, "%%")], "\t\"palimpsest/pkg/experiment\"\n", "", 1) + tc.source
		}
		book := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: tc.source}}}
		done, err := book.Run(t.Context(), process, kernel.RunOptions{CellTimeout: 5 * time.Minute})
		if done == nil {
			t.Fatal(err)
		}
		got := ""
		for _, o := range done.Cells[0].Outputs {
			html, _ := o.Data["text/html"].(string)
			got += o.Text + html
		}
		if !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s\nshows %.1000q, want %q (%v)", tc.source, got, tc.want, err)
		}
	}
}

// dependOnSources looks at all Go files of the checkout, so that "go test" does not answer
// from its cache after a change of a package that only cells import.
func dependOnSources(t *testing.T, repo string) {
	err := filepath.WalkDir(repo, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != repo && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
