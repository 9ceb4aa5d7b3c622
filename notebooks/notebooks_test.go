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
