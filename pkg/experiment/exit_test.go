package experiment

import (
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/metrics"
)

// TestExitCode: a failure is told by its type, wherever it lies in the chain, and by no word of ours.
func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("loop.fresh_rows is 0"), ExitFailed},
		{errors.New("the loss is NaN: did the sampler diverge?"), ExitFailed},
		{errors.WithMessage(diffusion.Divergedf("the loss is NaN"), "run er"), ExitDiverged},
		{errors.WithStack(metrics.NotFinite{Err: errors.New("feature 0 is NaN")}), ExitDiverged},
		{permanent{diffusion.Divergedf("the loss is NaN")}, ExitDiverged},
		{errors.WithMessage(Refusef("--seeds is 0"), "study"), ExitUsage},
		{errors.New("RESOURCE_EXHAUSTED: allocating 2 GiB"), ExitMemory},
	} {
		if got := ExitCode(tc.err); got != tc.want {
			t.Errorf("%v: exit code %d, want %d", tc.err, got, tc.want)
		}
	}
}

// Of memory that ran out it is told how much was asked for, what to lower, and last what the library said; once, however often it is passed on.
func TestToldOfMemory(t *testing.T) {
	for raw, want := range map[string]string{
		"RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.":                             "16 GiB more",
		"RESOURCE_EXHAUSTED: Out of memory while trying to allocate 3221225472 bytes.\n\tat graph.go": "3 GiB more",
		"Out of memory while trying to allocate 32.50GiB.":                                            "32.50 GiB more",
		"fork/exec: cannot allocate memory":                                                           ranOut,
	} {
		said := Told(errors.WithMessage(errors.New(raw), "step 3"))
		first, _, _ := strings.Cut(raw, "\n")
		if !strings.HasPrefix(said, ranOut) || !strings.Contains(said, want) || !strings.Contains(said, "evaluate.batch") || !strings.Contains(said, "network.size") ||
			strings.Contains(said, "\n") || !strings.Contains(said, "In the words of what ran out: step 3: "+first) {
			t.Errorf("%q is told as %s", raw, said)
		}
		passed := errors.Errorf("its process ended (exit status %d): %s", ExitMemory, said)
		if Told(passed) != passed.Error() || ExitCode(passed) != ExitMemory {
			t.Errorf("passed on it is %s, exit code %d", Told(passed), ExitCode(passed))
		}
	}
	if said := Told(errors.New("loop.fresh_rows is 0")); said != "loop.fresh_rows is 0" {
		t.Error(said)
	}
}
