package notebook

import (
	"testing"

	"palimpsest/pkg/figure"
)

func TestShowControlsDoesNothingOutsideNotebooks(t *testing.T) {
	called := false
	if err := ShowControls("", nil, func([]int) (figure.Figure, error) { called = true; return figure.Figure{}, nil }); err != nil || called {
		t.Errorf("drew %t, %v", called, err)
	}
}
