package network

import "testing"

// Draws are a function of seed and path alone, uniform within sqrt(3·scale/mean fan), and zero at scale 0.
func TestDraw(t *testing.T) {
	a, b, other := Draw(1, "/in/weights", 9, 9, 1, 2000), Draw(1, "/in/weights", 9, 9, 1, 2000), Draw(1, "/out/weights", 9, 9, 1, 2000)
	const limit = 0.57735 // sqrt(3/9)
	same, largest := 0, float32(0)
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("value %d is %g and then %g", i, a[i], b[i])
		}
		if a[i] == other[i] {
			same++
		}
		largest = max(largest, a[i], -a[i])
	}
	// Of 2000 draws the largest is below 0.99 times the limit with a probability of 0.99^2000, 2e-9.
	if same > 2 || largest > limit || largest < 0.99*limit {
		t.Errorf("%d values of another path are the same; the largest is %g, want nearly %g", same, largest, limit)
	}
	for _, v := range Draw(1, "/out/weights", 9, 9, 0, 5) {
		if v != 0 {
			t.Errorf("%g at scale 0", v)
		}
	}
}
