package cltest

import (
	"testing"

	"palimpsest/pkg/cl"
)

// Options say what a strategy declares of itself.
type Options struct {
	// ZeroWeight returns the strategy with its own term weighed by 0: fine-tuning, bit for bit. It is nil for a
	// strategy whose term has no weight.
	ZeroWeight func() cl.Strategy

	// MaxImages is how many images the strategy stores at most; the suite's tasks have 24 each.
	MaxImages int

	// Synthetic says that rows may hold images that are in no task, such as generated ones.
	Synthetic bool
}

// check is one thing a strategy owes. run returns what is wrong.
type check struct {
	name        string
	needsWeight bool // runs only where Options.ZeroWeight is given
	run         func(r *rig, newStrategy func() cl.Strategy, o Options) error
}

// checks are the suite. Each of them is shown to fail on a broken strategy in this package's own tests.
var checks = []check{
	{"describes itself", false, describesItself},
	{"fixed shapes, equal rows and steps", false, fixedShapes},
	{"seeds repeat", false, seedsRepeat},
	{"resumed equals uninterrupted", false, resumes},
	{"extended equals one run", false, extends},
	{"zero weight is fine-tuning", true, zeroWeight},
	{"bounded memory", false, boundedMemory},
	{"reports what it stores", false, reportsStored},
	{"reports what it costs", false, reportsCost},
	{"sees only what it declares", false, seesDeclared},
	{"is told the task at sampling only if it says so", false, toldAtSampling},
	{"copes with unequal tasks", false, copesWithUnequal},
	{"is told of borders only as it says", false, toldOfBorders},
	{"looks at classes only if it says so", false, looksAtClasses},
	{"leaves the tasks alone", false, leavesTasks},
	{"refuses a wrong state", false, refusesState},
}

// Conform fails the test for everything that the strategies newStrategy returns owe and do not keep. newStrategy must
// return a new, equal strategy at each call, with settings that make it store something within the suite's 3 tasks of
// 24 images of 2 classes, 4 fresh rows, 4 replay rows unless it asks for another number, and 4 steps a task. The
// bit-for-bit checks compare weights, averages and optimiser state.
func Conform(t *testing.T, newStrategy func() cl.Strategy, o Options) {
	t.Helper()
	r := newRig(t, newStrategy(), "")
	for _, c := range checks {
		if c.needsWeight && o.ZeroWeight == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(r, newStrategy, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// Networks of other forms that every strategy also works with, [ConformOn].
const (
	Flow = "flow" // a U-Net of flow matching
	DiT  = "dit"  // a transformer, with a learned variance
)

// ConformOn is what of [Conform] depends on the network, on a network of another form: a whole run with finite losses, the same
// bit for bit where it is resumed from within the second task, after which every task's network draws finite images.
func ConformOn(t *testing.T, form string, newStrategy func() cl.Strategy) {
	t.Helper()
	if err := worksOn(newRig(t, newStrategy(), form), newStrategy); err != nil {
		t.Error(err)
	}
}
