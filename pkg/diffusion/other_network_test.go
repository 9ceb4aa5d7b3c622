package diffusion

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
)

// mixer is the smallest network there is: each pixel's value times one weight, and no time, label or adapter.
type mixer struct{ size int }

func (m mixer) Shape() network.Shape {
	return network.Shape{H: m.size, W: m.size, Channels: 1, OutChannels: 1}
}
func (mixer) Validate() error                         { return nil }
func (mixer) Drops() bool                             { return false }
func (m mixer) WithLoRA(network.LoRA) network.Network { return m }
func (m mixer) ForwardToMid(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	return m.Forward(scope, seed, in)
}
func (m mixer) Forward(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	w := scope.GetVariable(network.Kernel)
	if w == nil {
		var err error
		if w, err = scope.CreateVariable(network.Kernel, tensors.FromFlatDataAndDimensions(network.Draw(seed, network.Kernel, 1, 1, 1, 1), 1, 1)); err != nil {
			panic(err)
		}
	}
	if in.Weights == nil {
		return Mul(in.X, Reshape(w.NodeValue(in.X)))
	}
	return Mul(in.X, Reshape(in.Weights(w)))
}

// TestAnotherNetwork: nothing here knows the U-Net. Another network trains, is saved and loaded, and predicts: with pure noise
// ε as input, at the last timestep, the best weight is nearly 1, and training moves towards it.
func TestAnotherNetwork(t *testing.T) {
	s, err := NewSchedule("linear", 20)
	check(t, err)
	p, err := NewProcess(s, PredictNoise, FixedLarge)
	check(t, err)
	made := func(seed uint64) *Network {
		n, err := NewNetwork(backendtest.Open(t), p, mixer{4}, TrainConfig{LearningRate: 0.05}, seed)
		check(t, err)
		t.Cleanup(n.Close)
		return n
	}
	n := made(1)
	before, err := n.Weights(false)
	check(t, err)
	for i := range 40 {
		b := Batch{X: make([]float32, 8*16), Y: make([]int32, 8), T: []int32{19, 19, 19, 19, 19, 19, 19, 19}, W: []float32{.125, .125, .125, .125, .125, .125, .125, .125}}
		_, err := n.Step(b, i, uint64(i))
		check(t, err)
	}
	after, err := n.Weights(false)
	check(t, err)
	if len(after) != 1 || math.Abs(float64(after[0])-1) > 0.5*math.Abs(float64(before[0])-1) {
		t.Errorf("the weight went from %v to %v; want it nearer to 1", before, after)
	}
	dir, again := t.TempDir(), t.TempDir()
	check(t, n.Save(dir))
	m := made(2)
	check(t, m.Load(dir))
	check(t, m.Save(again))
	a, err := os.ReadFile(filepath.Join(dir, StateFile))
	check(t, err)
	b, err := os.ReadFile(filepath.Join(again, StateFile))
	check(t, err)
	if !bytes.Equal(a, b) {
		t.Error("what was loaded is not what was saved")
	}
	out, err := m.Denoiser(false).Output([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, []int32{3}, []int32{0})
	check(t, err)
	if math.Abs(float64(out[1]/out[0])-2) > 1e-6 || math.Abs(float64(out[0]-after[0])) > 1e-6 {
		t.Errorf("the output begins with %v, want %g and twice that", out[:2], after[0])
	}
}
