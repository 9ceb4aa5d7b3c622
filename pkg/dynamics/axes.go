package dynamics

import (
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// Axes are those of measured losses: tasks and timesteps.
type Axes struct {
	Tasks      []string  `json:"tasks"`
	Images     int       `json:"images"`     // of every task
	Timesteps  []int     `json:"timesteps"`  // ascending
	LogSNR     []float64 `json:"log_snr"`    // of the timesteps, in nats
	Prediction string    `json:"prediction"` // what the network predicts: "eps", "x0", "v" or "flow"
	Probe      string    `json:"probe"`      // identifies images, labels, noise and schedule
}

// Equal says whether measurements on two axes can be compared number by number.
func (g Axes) Equal(o Axes) bool {
	return slices.Equal(g.Tasks, o.Tasks) && g.Images == o.Images && slices.Equal(g.Timesteps, o.Timesteps) &&
		slices.Equal(g.LogSNR, o.LogSNR) && g.Prediction == o.Prediction && g.Probe == o.Probe
}

// validate reports axes that make no sense.
func (g Axes) validate() error {
	if len(g.Tasks) == 0 || g.Images < 2 || len(g.Timesteps) == 0 || len(g.LogSNR) != len(g.Timesteps) {
		return errors.Errorf("dynamics: %d tasks of %d images, %d timesteps with %d log-SNR; need a task, 2 images and a timestep with its log-SNR",
			len(g.Tasks), g.Images, len(g.Timesteps), len(g.LogSNR))
	}
	for k, t := range g.Timesteps {
		if t < 0 || (k > 0 && (t <= g.Timesteps[k-1] || !(g.LogSNR[k] < g.LogSNR[k-1]))) {
			return errors.Errorf("dynamics: timestep %d at place %d; need ascending timesteps of falling log-SNR", t, k)
		}
	}
	_, err := perImage(g.Prediction, 0)
	return err
}

// perImage is the factor from the squared error of x_0 to that of what, at a log-SNR.
func perImage(what string, logSNR float64) (float64, error) {
	switch what {
	case diffusion.PredictImage:
		return 1, nil
	case diffusion.PredictNoise:
		return math.Exp(logSNR), nil
	case diffusion.PredictVelocity:
		return 1 + math.Exp(logSNR), nil
	case diffusion.PredictFlow: // 1/τ², the log-SNR being that of (1-τ)/τ
		inverse := 1 + math.Exp(logSNR/2)
		return inverse * inverse, nil
	}
	return 0, errors.Errorf("dynamics: no loss is named %q; choose \"eps\", \"x0\", \"v\" or \"flow\"", what)
}

// Convert turns values, losses (or their standard errors or differences) of what the network predicts whose last axis
// is the timesteps, into those of what: "eps", "x0", "v" or "flow". values stay as they are.
func (g Axes) Convert(values []float64, what string) ([]float64, error) {
	if len(values)%len(g.Timesteps) != 0 {
		return nil, errors.Errorf("dynamics: %d values are no whole rows of %d timesteps", len(values), len(g.Timesteps))
	}
	out := make([]float64, len(values))
	for i, v := range values {
		logSNR := g.LogSNR[i%len(g.LogSNR)]
		to, err := perImage(what, logSNR)
		if err != nil {
			return nil, err
		}
		from, err := perImage(g.Prediction, logSNR)
		if err != nil {
			return nil, err
		}
		out[i] = v * (to / from)
	}
	return out, nil
}

// Strata returns the middles of n equal strata of the timesteps 0 .. T-1, ascending. For a grid even in log-SNR take
// [diffusion.Schedule.LogSNRTimesteps].
func Strata(T, n int) ([]int, error) {
	if n < 1 || n > T {
		return nil, errors.Errorf("dynamics: %d strata of %d timesteps; need 1 .. %d", n, T, T)
	}
	ts := make([]int, n)
	for k := range ts {
		ts[k] = (2*k + 1) * T / (2 * n)
	}
	return ts, nil
}

// Axes of bins.
const (
	AxisT      = "t"
	AxisLogSNR = "log_snr"
)

// Bins are intervals of t or of log-SNR: bin i holds Edges[i] <= value < Edges[i+1], the last bin its upper edge too.
type Bins struct {
	Axis  string    // "t" or "log_snr"
	Edges []float64 // ascending
}

// EvenBins are n bins of equal width that just hold the grid's timesteps on an axis.
func (g Axes) EvenBins(axis string, n int) (Bins, error) {
	place, err := g.places(axis)
	if err != nil {
		return Bins{}, err
	}
	if n < 1 {
		return Bins{}, errors.Errorf("dynamics: %d bins; need at least 1", n)
	}
	low, high := slices.Min(place), slices.Max(place)
	if low == high {
		return Bins{}, errors.New("dynamics: one timestep spans no bins; measure at several")
	}
	b := Bins{Axis: axis, Edges: make([]float64, n+1)}
	for i := range b.Edges {
		b.Edges[i] = low + (high-low)*float64(i)/float64(n)
	}
	b.Edges[n] = high
	return b, nil
}

// places are the timesteps' values on an axis.
func (g Axes) places(axis string) ([]float64, error) {
	switch axis {
	case AxisLogSNR:
		return g.LogSNR, nil
	case AxisT:
		place := make([]float64, len(g.Timesteps))
		for k, t := range g.Timesteps {
			place[k] = float64(t)
		}
		return place, nil
	}
	return nil, errors.Errorf("dynamics: no axis is named %q; choose \"t\" or \"log_snr\"", axis)
}

// Bin averages values, whose last axis is the timesteps, over the timesteps in each bin: [..., bin], NaN where a bin
// holds none, with the number of timesteps in each bin. Applied to standard errors over images it bounds the bin's own
// from above, reached where an image's losses at neighbouring timesteps rise and fall together.
func (g Axes) Bin(values []float64, b Bins) (binned []float64, count []int, err error) {
	place, err := g.places(b.Axis)
	if err != nil {
		return nil, nil, err
	}
	if len(b.Edges) < 2 || len(values)%len(place) != 0 {
		return nil, nil, errors.Errorf("dynamics: %d edges for %d values at %d timesteps; need 2 edges and whole rows", len(b.Edges), len(values), len(place))
	}
	for i := range b.Edges[1:] {
		if !(b.Edges[i] < b.Edges[i+1]) {
			return nil, nil, errors.Errorf("dynamics: edges %g, %g; need ascending ones", b.Edges[i], b.Edges[i+1])
		}
	}
	bins := len(b.Edges) - 1
	count = make([]int, bins)
	of := make([]int, len(place)) // bin of every timestep, -1 outside
	for k, p := range place {
		i, found := slices.BinarySearch(b.Edges, p)
		if !found || i == bins {
			i--
		}
		if p > b.Edges[bins] {
			i = -1
		}
		of[k] = i
		if i >= 0 {
			count[i]++
		}
	}
	binned = make([]float64, len(values)/len(place)*bins)
	for i, v := range values {
		if bin := of[i%len(place)]; bin >= 0 {
			binned[i/len(place)*bins+bin] += v
		}
	}
	for i := range binned {
		binned[i] /= float64(count[i%bins])
	}
	return binned, count, nil
}
