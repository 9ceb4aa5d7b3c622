//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"slices"
	"testing"

	"palimpsest/pkg/fastconv"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestRandomBitsAgainstXLA draws the same numbers from the kernel and from XLA's generator, which is left a shape too small for
// the kernel: what follows from one state must be the same words, and the same state after as many.
func TestRandomBitsAgainstXLA(t *testing.T) {
	b := open(t)
	before := fastconv.Replaced()
	out, err := CallOnceN(b, func(state *Node) []*Node {
		next, many := RandomUniform(state, shapes.Make(dtypes.Float32, 3, 5, 7, 16)) // 1680
		all := []*Node{next, Reshape(many, -1)}
		var parts []*Node
		for range 2 {
			var few *Node
			state, few = RandomUniform(state, shapes.Make(dtypes.Float32, 840))
			parts = append(parts, few)
		}
		return append(all, state, Concatenate(parts, 0))
	}, []uint64{0x123456789abcdef0, 1<<64 - 300, 7})
	if err != nil {
		t.Fatal(err)
	}
	if n := fastconv.Replaced() - before; n != 1 {
		t.Errorf("%d generators were replaced, want the larger one", n)
	}
	if !slices.Equal(tensors.MustCopyFlatData[uint64](out[0]), tensors.MustCopyFlatData[uint64](out[2])) {
		t.Errorf("the kernel's next state is %v, XLA's %v", out[0], out[2])
	}
	if !slices.Equal(tensors.MustCopyFlatData[float32](out[1]), tensors.MustCopyFlatData[float32](out[3])) {
		t.Error("the kernel's numbers are not XLA's")
	}
}
