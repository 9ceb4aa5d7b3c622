package notebooks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"palimpsest/notebooks/kernel"
)

// TestCellsCompile checks the types of every cell against the packages it imports, without a kernel: what TestNotebooks would
// find after minutes. A notebook becomes a package that exists for the compiler alone; a cell after %% becomes a function.
func TestCellsCompile(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks in this folder", err)
	}
	module, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	overlay, packages := map[string]string{}, []string{}
	for i, file := range files {
		book, err := kernel.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "cells.go")
		if err := os.WriteFile(path, []byte(program(file, book)), 0o644); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("cells%d", i)
		overlay[filepath.Join(module, "notebooks", name, "cells.go")] = path
		packages = append(packages, "./notebooks/"+name)
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", append([]string{"build", "-overlay", path, "-gcflags=-e"}, packages...)...)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	importBlock = regexp.MustCompile(`(?ms)^import \(\n(.*?)^\)\n`)
	importLine  = regexp.MustCompile(`(?m)^import (.*)\n`)
)

// program is a notebook's code as one package. Positions in the compiler's messages are those in the notebook: its name with
// the number of the cell, and the line in the cell.
func program(file string, book *kernel.Notebook) string {
	imports, declared, mains := map[string]bool{}, "", ""
	for i, c := range book.Cells {
		if c.Type != "code" {
			continue
		}
		drop := func(lines string) string { return strings.Repeat("\n", strings.Count(lines, "\n")) } // keeps the count of lines
		source := importBlock.ReplaceAllStringFunc(c.Source+"\n", func(block string) string {
			for line := range strings.Lines(importBlock.FindStringSubmatch(block)[1]) {
				imports[strings.TrimSpace(line)] = true
			}
			return drop(block)
		})
		source = importLine.ReplaceAllStringFunc(source, func(line string) string {
			imports[importLine.FindStringSubmatch(line)[1]] = true
			return drop(line)
		})
		before, body, main := strings.Cut("\n"+source, "\n%%\n")
		declared += fmt.Sprintf("//line %s-cell%d:1\n%s\n", file, i, strings.TrimPrefix(before, "\n"))
		if main {
			mains += fmt.Sprintf("func cell%d() {\n//line %s-cell%d:%d\n%s}\n", i, file, i, strings.Count(before, "\n")+2, body)
		}
	}
	text := "package cells\n\nimport (\n"
	for line := range imports {
		text += line + "\n"
	}
	return text + ")\n\n" + declared + mains
}

// A notebook with its figures is small enough to be shown by a browser and compared by git.
func TestNotebooksAreSmall(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks in this folder", err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if most := int64(1_000_000); info.Size() > most {
			t.Errorf("%s has %d bytes, want at most %d: show fewer figures, or smaller ones", file, info.Size(), most)
		}
	}
}
