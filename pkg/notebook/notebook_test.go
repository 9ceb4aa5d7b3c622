package notebook

import (
	"bytes"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/figure"
)

func TestShowControlsDoesNothingOutsideNotebooks(t *testing.T) {
	called := false
	if err := ShowControls("", nil, func([]int) (figure.Figure, error) { called = true; return figure.Figure{}, nil }); err != nil || called {
		t.Errorf("drew %t, %v", called, err)
	}
}

// What a strategy in a cell panics with is told with the strategy's line; one elsewhere is named by its file.
func TestTellPanicked(t *testing.T) {
	err := errors.WithMessage(cl.Guard(func() error { panic("row 16") }), "strategy mine, task 0, step 3")
	_, file, _, _ := runtime.Caller(0)
	for cells, want := range map[string]string{
		filepath.Dir(file): file + ":",
		"":                 "error: strategy mine, task 0, step 3: row 16 (notebook_test.go:",
	} {
		t.Setenv(protocol.GONB_TMP_DIR_ENV, cells)
		var said bytes.Buffer
		tellError(&said, err, nil, cells)
		if got := said.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, want) || strings.Contains(got, "(notebook_test.go") != (cells == "") {
			t.Errorf("in %q it says %q, want it to begin with %q", cells, got, want)
		}
	}
}

// Runs without a folder would be made beside the notebooks.
func TestRunNeedsAFolder(t *testing.T) {
	if _, err := Run(experiment.Config{}, ""); err == nil || !strings.Contains(err.Error(), "no folder; name one") {
		t.Errorf("%v", err)
	}
}
