package diffusion

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
)

// spread is a network of p and u on two devices.
func spread(t testing.TB, p *Process, u network.Network, c TrainConfig) *Network {
	t.Helper()
	if backendtest.Open(t).NumDevices() < 2 { // XLA's plugin for the processor shows four
		t.Skip("this backend has one device")
	}
	n := newNetwork(t, p, u, c, 1)
	t.Cleanup(n.Close)
	check(t, n.Spread(2))
	return n
}

// sameStep fails where losses, norms or stored values of two networks differ by more than the order of sums makes of float32.
func sameStep(t *testing.T, what string, got, want StepResult) {
	t.Helper()
	close := func(a, b float64) bool { return a-b <= 1e-5*max(1, b) && b-a <= 1e-5*max(1, b) }
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		switch v := a.Field(i).Interface().(type) {
		case float64:
			if !close(v, b.Field(i).Float()) {
				t.Errorf("%s: %s is %.8g, on one device %.8g", what, name, v, b.Field(i).Float())
			}
		case []float32:
			if len(v) != len(want.Rows) || distance(v, want.Rows) > 1e-5 {
				t.Errorf("%s: %s are %v, on one device %v", what, name, v, want.Rows)
			}
		default:
			if v != b.Field(i).Interface() {
				t.Errorf("%s: %s is %v, on one device %v", what, name, v, b.Field(i).Interface())
			}
		}
	}
}

// TestSpread: a step on two devices does what it does on one, with all that a step can be extended by, rows that do not divide
// evenly, and dropout; and what is saved on as many devices goes on on another number.
func TestSpread(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "cosine", Prediction: PredictNoise, Variance: LearnedRange})
	u := plain()
	u.Classes, u.Dropout, u.OutChannels = 3, 0.3, 2
	c := TrainConfig{LearningRate: 1e-2, WeightDecay: 0.1, ClipNorm: 0.5, EMA: 0.9, VLBWeight: 0.01}
	one, two := newNetwork(t, p, u, c, 1), spread(t, p, u, c)
	defer one.Close()
	dirs := []string{t.TempDir(), t.TempDir()}
	var results [2][]StepResult
	for i, n := range []*Network{one, two} {
		check(t, n.Extend(everything))
		check(t, n.SetWeights(wave(n, 0.2, 0.9), false))
		check(t, n.SetTeacher(false))
		check(t, n.SetPenalty(slices.Repeat([]float32{1}, n.Parameters()), wave(n, 0.3, 0.7)))
		check(t, n.AddDirection(wave(n, 0.05, 0.3), wave(n, 0.2, 0.4)))
		b := exampleBatch(n, 5)
		b.Distil, b.PenaltyStrength, b.DirectionStrength = []float32{1, 0, 1, 0, 1}, 0.1, 0.2
		b.Reference = []bool{true, false, false, true, false}
		b.GivenNoise, b.Noise = []bool{false, true, false, false, false}, slices.Repeat([]float32{0.25}, len(b.X))
		b.Target, b.TargetW = slices.Repeat([]float32{0.5}, len(b.X)), []float32{0, 0.5, 0, 0, 0.25}
		for k := range 3 {
			results[i] = append(results[i], step(t, n, b, k, uint64(k)))
			if k == 1 {
				check(t, n.Save(dirs[i]))
			}
		}
		if i == 1 { // each goes on where the other was
			check(t, one.Load(dirs[1]))
			check(t, two.Load(dirs[0]))
			sameStep(t, "one device after two", step(t, one, b, 2, 2), results[0][2])
			sameStep(t, "two devices after one", step(t, two, b, 2, 2), results[0][2])
		}
	}
	for k, r := range results[1] {
		sameStep(t, "two devices", r, results[0][k])
	}
	a, _ := state(t, one)
	b, _ := state(t, two)
	for name, values := range a {
		if d := distance(b[name], values); d > 1e-4 {
			t.Errorf("%s differs by %g of its largest value", name, d)
		}
	}
	if two.Devices() != 2 || one.Devices() != 1 {
		t.Errorf("%d and %d devices, want 2 and 1", two.Devices(), one.Devices())
	}
}

// TestFilledUp looks at every field with rows that a batch has: those added repeat the first row, and weigh nothing.
func TestFilledUp(t *testing.T) {
	const rows, pixels = 5, 3
	copied := map[string]int{"X": pixels, "Noise": pixels, "Target": pixels, "Y": 1, "T": 1, "TeacherY": 1, "Held": 1}
	var b Batch
	fields := reflect.ValueOf(&b).Elem()
	for i := range fields.NumField() {
		f, size := fields.Field(i), rows*max(1, copied[fields.Type().Field(i).Name])
		switch f.Interface().(type) {
		case []float32:
			f.Set(reflect.ValueOf(slices.Repeat([]float32{0.5, 2, 3}, size)[:size]))
		case []int32:
			f.Set(reflect.ValueOf(slices.Repeat([]int32{7, 2, 3}, size)[:size]))
		case []bool:
			f.Set(reflect.ValueOf(slices.Repeat([]bool{true}, size)))
		}
	}
	full := reflect.ValueOf(b.filledUp(4))
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		before, after := fields.Field(i), full.Field(i)
		if before.Kind() != reflect.Slice {
			continue
		}
		each := max(1, copied[name])
		if after.Len() != 8*each {
			t.Errorf("%s has %d values, want %d", name, after.Len(), 8*each)
			continue
		}
		for k := range after.Len() {
			want := reflect.Zero(after.Type().Elem())
			if k < before.Len() {
				want = before.Index(k)
			} else if copied[name] > 0 {
				want = before.Index(k % each)
			}
			if !after.Index(k).Equal(want) {
				t.Errorf("%s: value %d is %v, want %v", name, k, after.Index(k), want)
			}
		}
	}
	if same := b.filledUp(5); &same.X[0] != &b.X[0] || len(same.W) != rows {
		t.Error("rows that divide evenly were changed")
	}
	if plain := (Batch{X: make([]float32, 3), Y: []int32{1}, T: []int32{1}, W: []float32{1}}).filledUp(2); plain.Distil != nil || plain.Noise != nil {
		t.Error("what a batch does not have was made up")
	}
}

func TestSpreadRefuses(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	n := newNetwork(t, p, plain(), TrainConfig{LearningRate: 1e-2, EMA: 0.9}, 1)
	defer n.Close()
	have := backendtest.Open(t).NumDevices()
	for _, devices := range []int{-1, 0, have + 1} {
		want := fmt.Sprintf("a step on %d devices of a backend that has %d; need 1 to %d", devices, have, have)
		if err := n.Spread(devices); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d devices: %v", devices, err)
		}
	}
	check(t, n.Spread(1))
	if have < 2 {
		return
	}
	check(t, n.Spread(2))
	if err := n.Spread(2); err == nil || !strings.Contains(err.Error(), "spread over 2 devices already") {
		t.Errorf("spread twice: %v", err)
	}
	prepared, err := n.Prepare(exampleBatch(n, 4), 0, 1)
	check(t, err)
	prepared.Drop()
	if _, err := n.Prepare(exampleBatch(n, 3), 1, 1); err == nil || !strings.Contains(err.Error(), "a step of 3 rows after one of 4") {
		t.Errorf("another number of rows: %v", err)
	}
}
