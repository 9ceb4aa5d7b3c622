package command

import (
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
