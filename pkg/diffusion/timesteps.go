package diffusion

import (
	"math"

	"github.com/pkg/errors"
)

// checkSteps reports a number of sampling steps that no process of T timesteps takes.
func checkSteps(n, T int) error {
	if T < 1 || T > maxTimesteps {
		return errors.Errorf("diffusion: sampling a process of %d timesteps; need 1 to %d", T, maxTimesteps)
	}
	if n < 1 || n > T {
		return errors.Errorf("diffusion: %d sampling steps over %d timesteps; need 1 to %d", n, T, T)
	}
	return nil
}

// EvenTimesteps returns n of the timesteps 0 .. T-1 in ascending order, evenly spaced and rounded, as [iddpm] section 4
// strides them; halves are rounded up. diffusers calls it timestep_spacing="linspace". The last is T-1, where the
// process starts from pure noise, and for n > 1 the first is 0, so that the network's last look is at a nearly clean
// image.
func EvenTimesteps(T, n int) ([]int, error) {
	if err := checkSteps(n, T); err != nil {
		return nil, err
	}
	ts := make([]int, n)
	ts[n-1] = T - 1
	for i := range n - 1 {
		ts[i] = int(math.Round(float64(i) * float64(T-1) / float64(n-1)))
	}
	return ts, nil
}

// Spacings of [SamplerConfig] beside the even one.
const (
	SpacingLeading  = "leading"  // 0, k, 2k, ... with k = T/n rounded down
	SpacingTrailing = "trailing" // ..., T-1-2k, T-1-k, T-1 with k = T/n, rounded
)

// strides returns n of the timesteps 0 .. T-1 in ascending order as diffusers' timestep_spacing "leading" or "trailing" has them.
func strides(T, n int, trailing bool) ([]int, error) {
	if err := checkSteps(n, T); err != nil {
		return nil, err
	}
	ts := make([]int, n)
	for i := range ts {
		if trailing {
			ts[n-1-i] = int(math.RoundToEven(float64(T)-float64(i)*float64(T)/float64(n))) - 1
		} else {
			ts[i] = i * (T / n)
		}
	}
	return ts, nil
}

// DividingSteps is the largest number up to most that divides T, and 1 where either is less: so many steps, "trailing", diffusers' DDIM takes as we do.
func DividingSteps(most, T int) int {
	n := max(min(most, T), 1)
	for n > 1 && T%n != 0 {
		n--
	}
	return n
}

// LogSNRTimesteps returns n timesteps in ascending order that are as even in the log-SNR as whole timesteps can be,
// from 0 to T-1 (T-1 alone for n = 1). [dpm++] advises this spacing for small images; even timesteps would make the
// last step before the image several times larger than the one before it, where a multistep solver extrapolates badly.
func (s *Schedule) LogSNRTimesteps(n int) ([]int, error) {
	if err := checkSteps(n, s.T); err != nil {
		return nil, err
	}
	ts := make([]int, n)
	ts[n-1] = s.T - 1
	first, last := s.LogSNR(0), s.LogSNR(s.T-1)
	t := 0
	for i := range n - 1 {
		want := first + (last-first)*float64(i)/float64(n-1)
		// Nearest timestep that is after the one before and leaves room for those to come.
		for t+1 < s.T-(n-1-i) && math.Abs(s.LogSNR(t+1)-want) < math.Abs(s.LogSNR(t)-want) {
			t++
		}
		ts[i] = t
		t++
	}
	return ts, nil
}

// Respace returns the schedule that visits only the kept timesteps of s, in ascending order: its ᾱ are those of s at
// kept, its β follow from them as in [iddpm] section 4. Its timestep j is kept[j] of s.
func (s *Schedule) Respace(kept []int) (*Schedule, error) {
	if len(kept) == 0 {
		return nil, errors.Errorf("diffusion: no timesteps kept of %d; need one or more", s.T)
	}
	alphaBar, signal, sigma := make([]float64, len(kept)), make([]float64, len(kept)), make([]float64, len(kept))
	for j, t := range kept {
		if t < 0 || t >= s.T || (j > 0 && t <= kept[j-1]) {
			return nil, errors.Errorf("diffusion: kept timestep %d at place %d; need ascending values in 0 .. %d", t, j, s.T-1)
		}
		alphaBar[j], signal[j], sigma[j] = s.AlphaBar[t], s.Signal[t], s.Sigma[t]
	}
	if s.Name == FlowSchedule {
		return straight(signal, sigma)
	}
	beta := make([]float64, len(kept))
	prev := 1.0
	for j, ab := range alphaBar {
		// Where a timestep's neighbour was kept too, β is taken over, not recomputed with rounding.
		if t := kept[j]; (j == 0 && t == 0) || (j > 0 && kept[j-1] == t-1) {
			beta[j] = s.Beta[t]
		} else {
			beta[j] = 1 - ab/prev
		}
		prev = ab
	}
	return newSchedule(s.Name, beta, alphaBar)
}
