package datasets

import "testing"

// A row a class in task order; a class of fewer images starts over, one of none is black.
func TestSheet(t *testing.T) {
	b := &Benchmark{H: 1, W: 1, C: 1, Tasks: []Task{
		{Classes: []int{2, 0}, Train: &Images{N: 3, H: 1, W: 1, C: 1, Pixels: []uint8{255, 0, 51}, Labels: []int32{2, 0, 2}}},
		{Classes: []int{1}, Train: &Images{H: 1, W: 1, C: 1}},
	}}
	images, rows := b.Sheet(3)
	want := []float32{1, -0.6, 1, -1, -1, -1, -1, -1, -1}
	if rows != 3 || len(images) != len(want) {
		t.Fatalf("%d values in %d rows, want %d in 3", len(images), rows, len(want))
	}
	for i, v := range want {
		if d := images[i] - v; d > 1e-6 || d < -1e-6 {
			t.Errorf("value %d is %g, want %g", i, images[i], v)
		}
	}
}
