package diffusion

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network/networktest"
)

// A snapshot is saved, steps later and beside others, as what the network was at its moment, and the steps are none the wiser. It lies on the
// device, or, where that has no room for it, with the processor; once saved, the device has nothing of it.
func TestSnapshot(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := networktest.Least{H: 2, W: 2, Channels: 1, OutChannels: 1, Hidden: 8}
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-2, EMA: 0.9}, 1)
	defer n.Close()
	b := Batch{X: []float32{1, -1, 0.5, 0}, Y: []int32{0}, T: []int32{3}, W: []float32{1}}
	steps := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := n.Step(b, i, uint64(i)); err != nil {
				t.Error(err)
				return
			}
		}
	}
	saved := func(save func(dir string) error) []byte {
		t.Helper()
		dir := t.TempDir()
		if err := save(dir); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, StateFile))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := saved(n.Save)
	steps(0, 9)
	end := saved(n.Save)
	copies := n.copies
	none, err := NewExec(backendtest.Open(t), func([]*Node) []*Node { panic(errors.New("no room")) })
	if err != nil {
		t.Fatal(err)
	}
	defer none.Finalize()
	for _, room := range []bool{true, false} {
		if err := n.Reset(1); err != nil {
			t.Fatal(err)
		}
		if n.copies = copies; !room {
			n.copies = none
		}
		for i, want := range [][]byte{first, nil} {
			if i == 1 {
				steps(0, 3)
				want = saved(n.Save)
			}
			s, err := n.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range s.all {
				if value.Value.IsOnAnyDevice() != room {
					t.Fatalf("room on the device: %t; the copy of %s lies there: %t", room, value.Name, !room)
				}
			}
			done := make(chan struct{})
			if i == 1 { // training goes on
				go func() { defer close(done); steps(3, 9) }()
			} else {
				close(done)
			}
			got := saved(s.Save)
			<-done
			if !bytes.Equal(got, want) {
				t.Errorf("room on the device: %t; snapshot %d is not of its moment", room, i)
			}
			for _, value := range s.all {
				if value.Value.IsOnAnyDevice() {
					t.Errorf("once saved, the copy of %s is on the device still", value.Name)
				}
			}
			s.Drop()
		}
		if !bytes.Equal(saved(n.Save), end) {
			t.Errorf("room on the device: %t; steps beside a snapshot are others", room)
		}
	}
}
