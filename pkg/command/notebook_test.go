package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/experiment"
)

// Where a notebook's page cannot go, and what is no notebook, is refused before anything runs; so is a folder that takes no files.
func TestNotebookIsRefusedBeforeItRuns(t *testing.T) {
	dir := t.TempDir()
	none, page := filepath.Join(dir, "none"), filepath.Join(dir, "page.html")
	if err := os.Mkdir(page, 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"notebook 00_tour --html " + none + "/x.html": none, "notebook 00_tour --pdf " + none + "/x.pdf": none,
		"notebook 00_tour -o " + none + "/x.ipynb": none, "notebook 00_tour --html " + page: "is a folder",
		"notebook nope": "there is no notebook nope", "notebook ../../README.md": "README.md is no notebook",
	}
	if _, err := os.Stat("/proc/self"); err == nil { // where not even root makes files
		cases["notebook 00_tour -o /proc/x.ipynb"] = "writing /proc/x.ipynb"
		cases["bench --store /proc/x"] = "writing to /proc"
		cases["bench --dir /proc/x/y"] = "writing to /proc"
	}
	for line, want := range cases {
		root := newRoot(func() {})
		root.SetArgs(strings.Fields(line))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		if err := root.ExecuteContext(t.Context()); !errors.As(err, new(experiment.Refused)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v; want a refusal that says %q", line, err, want)
		}
	}
}

// Where nothing can be written is said before anything is looked at, drawn or printed, alike by every command.
func TestOutputsAreCheckedFirst(t *testing.T) {
	runs, err := filepath.Abs("../../notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	taken := t.TempDir() // of a run, with a folder in the place of its page
	text, err := os.ReadFile(filepath.Join(runs, "joint-seed0.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(taken, "joint-seed0.json"), text, 0o644)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(taken, "report.html"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"nosuch": "there is no folder nosuch; make it or name another", "file": "file is no folder; name another"}
	if _, err := os.Stat("/proc/self"); err == nil { // where not even root makes files
		places["/proc"] = "the folder /proc takes no file"
	}
	cases := map[string]string{"report " + taken: "report.html is a folder"}
	for place, want := range places {
		for _, line := range []string{"report " + runs + " -o %/x.html", "sample nosuch -o %/x.png", "sample nosuch --npz %/x.npz", "sample nosuch --features %/x.npz",
			"notebook 00_tour -o %/x.ipynb", "notebook 00_tour --html %/x.html", "notebook 00_tour --pdf %/x.pdf", "data fashion-mnist-sample --sheet %/x.png",
			"counterpart draw nosuch --sheet %/x.png", "perf check --write %/x", "export nosuch %/x.safetensors"} {
			if place == "file" && strings.HasPrefix(line, "export") {
				continue // says so of either format in words of its own
			}
			cases[strings.ReplaceAll(line, "%", place)] = want
		}
	}
	for line, want := range cases {
		root := newRoot(func() {})
		var out bytes.Buffer
		root.SetArgs(strings.Fields(line))
		root.SetOut(&out)
		root.SetErr(io.Discard)
		if err := root.ExecuteContext(t.Context()); !errors.As(err, new(experiment.Refused)) || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s prints %.60q and gives %v; want nothing and a refusal that says %q", line, out.String(), err, want)
		}
	}
}
