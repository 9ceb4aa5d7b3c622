package cltest

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// SameOnDevices fails the test where a run whose steps compute on several devices differs from one on a single device by more
// than the order of sums makes of float32: in a step's loss, or in the weights and averages at its end. It skips the test where
// the backend has fewer devices.
func SameOnDevices(t *testing.T, devices int, newStrategy func() cl.Strategy) {
	t.Helper()
	if backendtest.Open(t).NumDevices() < devices { // XLA's plugin for the processor shows four
		t.Skipf("this backend has fewer than %d devices", devices)
	}
	r := newRig(t, newStrategy(), "")
	one, err := r.path(newStrategy())
	if err != nil {
		t.Fatal(err)
	}
	k := kindOf(r.rows, newStrategy(), "")
	k.devices = devices
	if r.network, err = networkOf(r.backend, r.dir, k); err != nil {
		t.Fatal(err)
	}
	if got := r.network.Devices(); got != devices {
		t.Fatalf("the network computes on %d devices, not %d", got, devices)
	}
	several, err := r.path(newStrategy())
	if err == nil {
		err = near(several, one)
	}
	if err != nil {
		t.Errorf("on %d devices: %v", devices, err)
	}
}

// NewApartNetwork is [NewNetworkFor] on a device that is treated as one with a memory of its own.
func NewApartNetwork(t *testing.T, rows int, s cl.Strategy) *diffusion.Network {
	t.Helper()
	return treated(t, "1", rows, s)
}

// treated is NewNetworkFor on a device that is treated as diffusion.ApartEnv has it.
func treated(t *testing.T, apart string, rows int, s cl.Strategy) *diffusion.Network {
	t.Helper()
	t.Setenv(diffusion.ApartEnv, apart)
	k := kindOf(rows, s, "")
	k.apart = apart
	n, err := networkOf(func() (compute.Backend, error) { return backendtest.Open(t), nil }, t.TempDir(), k)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// SameApart fails the test where a run differs in a bit from one on a device that is treated as one with a memory of its own: one that
// holds the images and does steps in rows, as far as the strategy foresees them.
func SameApart(t *testing.T, newStrategy func() cl.Strategy) {
	t.Helper()
	r := newRig(t, newStrategy(), "")
	if r.network.Apart() { // so are all of this test run
		r.network = treated(t, "0", r.rows, newStrategy())
	}
	want, err := r.path(newStrategy())
	if err != nil {
		t.Fatal(err)
	}
	r.network = NewApartNetwork(t, r.rows, newStrategy())
	got, err := r.path(newStrategy())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.losses, want.losses) || !slices.Equal(got.weights, want.weights) || !slices.Equal(got.averages, want.averages) {
		t.Errorf("where images lie on the device, losses are %v, weights end as %v …; else %v and %v …", got.losses, got.weights[:4], want.losses, want.weights[:4])
	}
	if got.held != tasks*images || want.held != 0 {
		t.Errorf("a device with a memory of its own holds %d images, another %d; want all %d, and none", got.held, want.held, tasks*images)
	}
}

// path is what a whole run goes through.
type path struct {
	losses            []float64
	weights, averages []float32
	held              int // images on the device
}

// path runs a strategy on the rig's network.
func (r *rig) path(s cl.Strategy) (p path, err error) {
	l, err := r.open(s, seed)
	if err != nil {
		return p, err
	}
	for !l.Done() {
		if l.PhaseDone() {
			if err := l.EndPhase(context.Background()); err != nil {
				return p, err
			}
			continue
		}
		row, err := l.Steps(l.Stride(1e-3))
		if err != nil {
			return p, err
		}
		for _, result := range row {
			p.losses = append(p.losses, result.Loss)
		}
	}
	p.held = l.HeldImages()
	if p.weights, err = l.Network.Weights(false); err != nil {
		return p, err
	}
	p.averages, err = l.Network.Weights(true)
	return p, err
}

// near reports the first thing in which two runs differ beyond rounding.
func near(got, want path) error {
	for i, loss := range want.losses {
		if !(math.Abs(got.losses[i]-loss) <= 1e-5*max(1, math.Abs(loss))) {
			return errors.Errorf("the loss of step %d is %.8g, on one device %.8g", i, got.losses[i], loss)
		}
	}
	for name, both := range map[string][2][]float32{"weight": {got.weights, want.weights}, "average": {got.averages, want.averages}} {
		for i, w := range both[1] {
			// A step of Adam is as long as the learning rate, however small the gradient.
			if !(math.Abs(float64(both[0][i]-w)) <= 1e-2*train.LearningRate) {
				return errors.Errorf("%s %d is %.8g, on one device %.8g", name, i, both[0][i], w)
			}
		}
	}
	return nil
}
