package diffusion

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/network"
)

// grownNetwork is a least network of so many classes, extended by e, not compiled.
func grownNetwork(t *testing.T, classes int, e Extra, change func(*Network)) *Network {
	t.Helper()
	u := plain()
	u.Classes = classes
	n := newNetwork(t, newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge}), u, TrainConfig{LearningRate: 1e-2, EMA: 0.9}, 1)
	check(t, n.Extend(e))
	if change != nil {
		change(n)
	}
	return n
}

// A larger network takes all that a smaller one has learned. What that lacks is as in a new network: rows of labels before "no
// label", places for rank-1 penalties, a teacher.
func TestLoadGrown(t *testing.T) {
	dir := t.TempDir()
	moved := func(w []float32) []float32 {
		for i := range w {
			w[i] += float32(i%7) + 1
		}
		return w
	}
	small := grownNetwork(t, 3, Extra{Penalty: true, Directions: 1}, func(n *Network) {
		check(t, n.SetWeights(moved(flatWeights(t, n)), false))
		check(t, n.SetPenalty(moved(make([]float32, n.Parameters())), flatWeights(t, n)))
		check(t, n.AddDirection(moved(make([]float32, n.Parameters())), flatWeights(t, n)))
	})
	check(t, small.Save(dir))
	big := Extra{Penalty: true, Directions: 3, Teacher: true}
	fresh := grownNetwork(t, 5, big, nil)
	begun := flatWeights(t, fresh)
	n := grownNetwork(t, 5, big, nil)
	check(t, n.LoadGrown(dir))

	// same holds one vector of the small network to a row of one of the grown one; before is what the latter began as.
	same := func(what string, small, grown, before []float32) {
		t.Helper()
		at := 0
		for _, w := range n.tensors {
			got, was := grown[w.first:w.end], before[w.first:w.end]
			if w.variable.Name() != network.Embedding {
				if !slices.Equal(got, small[at:at+len(got)]) {
					t.Errorf("%s: %s is not what was saved", what, w.variable.Path())
				}
				at += len(got)
				continue
			}
			width := len(got) / 6
			old := small[at : at+4*width]
			at += len(old)
			if !slices.Equal(got[:3*width], old[:3*width]) || !slices.Equal(got[5*width:], old[3*width:]) || !slices.Equal(got[3*width:5*width], was[3*width:5*width]) {
				t.Errorf("%s: labels are %v; were %v, and %v in a new network", what, got, old, was)
			}
		}
	}
	zeros := make([]float32, n.Parameters())
	same("weights", flatWeights(t, small), flatWeights(t, n), begun)
	importance, anchor, err := small.Penalty()
	check(t, err)
	grownImportance, grownAnchor, err := n.Penalty()
	check(t, err)
	_, begunAnchor, err := fresh.Penalty()
	check(t, err)
	same("importance", importance, grownImportance, zeros)
	same("anchor", anchor, grownAnchor, begunAnchor)
	direction, err := valuesOf(small.vector(scopeDirections))
	check(t, err)
	directions, err := valuesOf(n.vector(scopeDirections))
	check(t, err)
	same("direction", direction, directions[:n.Parameters()], zeros)
	if count, err := n.DirectionCount(); err != nil || count != 1 || slices.ContainsFunc(directions[n.Parameters():], func(v float32) bool { return v != 0 }) {
		t.Errorf("%d directions, %v; want one, and zeros after it", count, err)
	}
	teacher, err := n.flat(scopeTeacher)
	check(t, err)
	if !slices.Equal(teacher, begun) {
		t.Error("a teacher that was not there is not as in a new network")
	}

	for want, other := range map[string]*Network{
		"fewer labels":       grownNetwork(t, 2, big, nil),
		"this network lacks": grownNetwork(t, 5, Extra{Penalty: true}, nil),
	} {
		if err := other.LoadGrown(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
