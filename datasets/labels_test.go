package datasets

import (
	"slices"
	"testing"
)

// TestManyClasses: labels above 255 pass through selecting, holding out, tasks and the content hash.
func TestManyClasses(t *testing.T) {
	const classes = 65_536
	im := &Images{N: 2 * classes, H: 1, W: 1, C: 1, Pixels: make([]uint8, 2*classes), Labels: make([]int32, 2*classes)}
	d := &Dataset{Name: "many", Classes: make([]string, classes), Train: im, Test: im}
	for i := range im.Labels {
		im.Labels[i] = int32(i % classes)
	}
	b, err := ClassIncremental(d, ClassIncrementalOptions{ClassesPerTask: classes / 2, ValFraction: 0.5, Prep: Prep{Method: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	last := b.Tasks[1]
	if len(b.Tasks) != 2 || last.Train.N != classes/2 || last.Val.N != classes/2 || last.Test.N != classes || slices.Max(last.Val.Labels) != classes-1 {
		t.Fatalf("%d tasks, the last with %d, %d and %d images, labels up to %d", len(b.Tasks), last.Train.N, last.Val.N, last.Test.N, slices.Max(last.Val.Labels))
	}
	if got := last.Test.Bytes(); got != classes*(1+4) {
		t.Errorf("%d bytes, want a pixel and four bytes of label each", got)
	}
	before, err := b.ContentHash()
	if err != nil {
		t.Fatal(err)
	}
	last.Train.Labels[0] += 256 // the same low byte
	if after, err := b.ContentHash(); err != nil || after == before {
		t.Errorf("the content hash does not tell label %d from %d (%v)", last.Train.Labels[0], last.Train.Labels[0]-256, err)
	}
}
