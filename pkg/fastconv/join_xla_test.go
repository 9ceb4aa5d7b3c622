//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/pkg/fastconv"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestJoin joins the channels of images in XLA, by the kernel, and takes them apart again through its gradient.
func TestJoin(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(9, 10))
	x, y, v := random(rng, 3, 4, 5, 9), random(rng, 3, 4, 5, 24), random(rng, 3, 4, 5, 33)
	before := fastconv.Replaced()
	exec, err := NewExec(b, func(x, y, v *Node) []*Node {
		z := Concatenate([]*Node{x, y}, 3)
		return append(Gradient(ReduceAllSum(Mul(z, v)), x, y), z)
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.Call(x, y, v)
	if err != nil {
		t.Fatal(err)
	}
	if n := fastconv.Replaced() - before; n != 1 {
		t.Errorf("%d operations were replaced, want the concatenation", n)
	}
	parts := func(x, y *tensors.Tensor) (out []float32) {
		a, b := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](y)
		for ; len(a) > 0; a, b = a[9:], b[24:] {
			out = append(append(out, a[:9]...), b[:24]...)
		}
		return out
	}
	if !slices.Equal(tensors.MustCopyFlatData[float32](got[2]), parts(x, y)) {
		t.Error("the channels of both do not stand behind one another")
	}
	if !slices.Equal(parts(got[0], got[1]), tensors.MustCopyFlatData[float32](v)) {
		t.Error("the gradients are not the two parts of what comes back")
	}
}
