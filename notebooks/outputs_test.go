package notebooks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"palimpsest/notebooks/kernel"
)

// TestOutputsAreOfTheirCells refuses a notebook whose cells were changed after they were run, and one too large to be looked at
// on a code host.
func TestOutputsAreOfTheirCells(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks in this folder", err)
	}
	for _, file := range files {
		nb, err := kernel.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if nb.Stale() {
			t.Errorf("%s shows outputs of other cells than it has: go run . notebook %s -o notebooks/%s", file, file, file)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1e6 {
			t.Errorf("%s has %d bytes, need at most 1,000,000", file, info.Size())
		}
	}
}

// Opening a notebook is not to change it: it has already what JupyterLab notes of the kernel, which names no version of Go.
func TestKernelIsNoted(t *testing.T) {
	for _, file := range all(t) {
		nb := read(t, file)
		language, _ := nb.Metadata["language_info"].(map[string]any)
		for _, key := range []string{"codemirror_mode", "file_extension", "mimetype", "name", "nbconvert_exporter", "pygments_lexer"} {
			if _, ok := language[key]; !ok {
				t.Errorf("%s notes no %s of its language: go run . notebook %s -o notebooks/%s", file, key, file, file)
			}
		}
		if _, ok := language["version"]; ok {
			t.Errorf("%s notes the version of one machine's Go; leave it out", file)
		}
	}
}

// A cell that makes a run shows how it went, for which the run must not have been there when the notebook was stored.
func TestTrainingIsShown(t *testing.T) {
	for _, file := range all(t) {
		if file == "01_benchmark.ipynb" { // its five runs are those of the table above them, and a bar each
			continue
		}
		for _, cell := range read(t, file).Cells {
			_, main, ok := strings.Cut("\n"+cell.Source, "\n%%\n")
			if cell.Type == "code" && ok && strings.Contains(main, "notebook.Run(") && !slices.ContainsFunc(cell.Outputs, showsTraining) {
				t.Errorf("%s, cell %s shows no training: remove its run, then go run . notebook %s -o notebooks/%s", file, cell.ID, file, file)
			}
		}
	}
}

// showsTraining says whether an output is that of a run that was made, by the curve of its loss.
func showsTraining(o *kernel.Output) bool {
	text, _ := o.Data["text/html"].(string)
	return strings.Contains(text, "<polyline")
}

// The list of notebooks says of each how long it takes; the first of them, which beginners read, needs no wide window, and tells the
// size of the network as the README does.
func TestWordsOfNotebooks(t *testing.T) {
	list, front := text(t, "README.md"), text(t, "../README.md")
	for _, file := range all(t) {
		name := strings.TrimSuffix(file, ".ipynb")
		if row := regexp.MustCompile(`(?m)^\|[^|]*\| \[` + name + `\]\(.*$`).FindString(list); !regexp.MustCompile(`minutes?[^|]*\|$`).MatchString(row) {
			t.Errorf("README.md has of %s the row %q; want the minutes it takes in the last column", name, row)
		}
	}
	const size = "0.6 million weights"
	if !strings.Contains(front, size) || !strings.Contains(text(t, "00_tour.ipynb"), size) {
		t.Errorf("../README.md and 00_tour.ipynb do not both say %q", size)
	}
	for _, cell := range read(t, "00_tour.ipynb").Cells {
		for line := range strings.Lines(cell.Source) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); cell.Type == "code" && n > 100 {
				t.Errorf("00_tour.ipynb has a line of %d characters, need at most 100: %s", n, line)
			}
		}
	}
}

func all(t *testing.T) []string {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks in this folder", err)
	}
	return files
}

func read(t *testing.T, file string) *kernel.Notebook {
	nb, err := kernel.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return nb
}

func text(t *testing.T, file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
