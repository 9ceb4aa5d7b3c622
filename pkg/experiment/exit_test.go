package experiment

import (
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
