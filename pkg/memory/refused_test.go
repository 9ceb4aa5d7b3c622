package memory

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"palimpsest/datasets"
)

// What no buffer holds or draws is refused in a line that says what was found.
func TestRefused(t *testing.T) {
	img := &datasets.Images{N: 2, H: 1, W: 1, C: 1, Pixels: make([]uint8, 2), Labels: make([]int32, 2)}
	b, err := New(2, Reservoir{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(0, img); err != nil {
		t.Fatal(err)
	}
	for want, try := range map[string]func() error{
		`"herding" without Features`: func() error { _, err := New(2, Herding{}, 1); return err },
		`"low-loss" without Losses`:  func() error { _, err := New(2, ByLoss{}, 1); return err },
		"memory.New has not made":    func() error { return new(Buffer).Add(0, img) },
		"made holds nothing":         func() error { _, err := new(Buffer).MarshalBinary(); return err },
		"drawing -1 images":          func() (err error) { defer told(&err); b.Draw(rand.New(rand.NewPCG(1, 1)), -1); return nil },
		"drawing -2 images":          func() (err error) { defer told(&err); b.DrawBalanced(rand.New(rand.NewPCG(1, 1)), -2); return nil },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
}

// told makes an error of a panic.
func told(err *error) {
	if what := recover(); what != nil {
		*err = fmt.Errorf("%v", what)
	}
}
