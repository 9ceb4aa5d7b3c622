package study

import (
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/words"
)

// Stat is a number of a method: mean and sample standard deviation over N seeds.
type Stat struct {
	Mean float64 // NaN if no seed measured it
	Std  float64 // NaN for fewer than two seeds
	N    int     // seeds that measured it

	// values[i] is of seeds[i]; both nil where it is not known which seed gave which, so that nothing can be paired.
	seeds  []uint64
	values []float64
}

// NewStat summarises values, one a seed whose name is not known; NaN values are not measured and left out.
func NewStat(values []float64) Stat {
	var kept []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			kept = append(kept, v)
		}
	}
	s := Stat{Mean: math.NaN(), Std: math.NaN(), N: len(kept)}
	if s.N > 0 {
		s.Mean = stat.Mean(kept, nil)
	}
	if s.N > 1 {
		s.Std = stat.StdDev(kept, nil)
	}
	return s
}

// SeedStat summarises values[i] of seeds[i], so that [Compare] can pair it with another number on the same seeds. NaN values
// are not measured and left out; several of one seed are no independent runs and count once, by their mean. It panics unless there is a
// seed for each value.
func SeedStat(seeds []uint64, values []float64) Stat {
	if len(seeds) != len(values) {
		panic(errors.Errorf("study.SeedStat: %d seeds for %d values; need one each", len(seeds), len(values)))
	}
	var kept []uint64
	bySeed := map[uint64][]float64{}
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		if bySeed[seeds[i]] == nil {
			kept = append(kept, seeds[i])
		}
		bySeed[seeds[i]] = append(bySeed[seeds[i]], v)
	}
	means := make([]float64, len(kept))
	for i, seed := range kept {
		means[i] = stat.Mean(bySeed[seed], nil)
	}
	s := NewStat(means)
	s.seeds, s.values = kept, means
	return s
}

// Known says whether any seed measured the number.
func (s Stat) Known() bool { return s.N > 0 }

// HasSpread says whether there is a standard deviation.
func (s Stat) HasSpread() bool { return !math.IsNaN(s.Std) }

// Times returns s in another unit, or with its sign turned: all multiplied by factor.
func (s Stat) Times(factor float64) Stat {
	out := Stat{Mean: s.Mean * factor, Std: s.Std * math.Abs(factor), N: s.N, seeds: s.seeds}
	for _, v := range s.values {
		out.values = append(out.values, v*factor)
	}
	return out
}

// Format writes "12.3 ± 0.4" with the given number of decimals, "12.3" for one seed and "–" for none.
func (s Stat) Format(decimals int) string {
	if !s.Known() {
		return words.Missing
	}
	text := words.Number(s.Mean, decimals)
	if s.HasSpread() {
		text += " ± " + words.Number(s.Std, decimals)
	}
	return text
}

// Percent writes a share in [0, 1] as "12.3 ± 0.4 %".
func (s Stat) Percent(decimals int) string { return s.Times(100).Format(decimals) + " %" }

// Signed writes "+0.012 ± 0.003".
func (s Stat) Signed(decimals int) string {
	text := s.Format(decimals)
	if s.Known() && !strings.HasPrefix(text, "−") && s.Mean > 0 {
		return "+" + text
	}
	return text
}

// Abs drops the sign of the mean.
func (s Stat) Abs() Stat {
	if s.Mean < 0 {
		return s.Times(-1)
	}
	return s
}

// DecimalsFor returns how many decimals show at least two digits of the smallest number other than 0 among values,
// within least and most.
func DecimalsFor(values []Stat, least, most int) int {
	smallest := math.Inf(1)
	for _, s := range values {
		if v := math.Abs(s.Mean); v > 0 { // false for NaN
			smallest = math.Min(smallest, v)
		}
	}
	if math.IsInf(smallest, 1) {
		return least
	}
	return min(max(1-int(math.Floor(math.Log10(smallest))), least), most)
}

// on is s over those seeds alone that b has too, by which [Compare] judges; s itself where these are fewer than two.
func (s Stat) on(b Stat) Stat {
	var seeds []uint64
	var values []float64
	for i, seed := range s.seeds {
		if slices.Contains(b.seeds, seed) {
			seeds, values = append(seeds, seed), append(values, s.values[i])
		}
	}
	if len(seeds) < 2 {
		return s
	}
	return SeedStat(seeds, values)
}

// minus is a less b seed by seed, over the seeds both have.
func (s Stat) minus(b Stat) Stat {
	var seeds []uint64
	var differences []float64
	for i, seed := range s.seeds {
		if k := slices.Index(b.seeds, seed); k >= 0 {
			seeds, differences = append(seeds, seed), append(differences, s.values[i]-b.values[k])
		}
	}
	return SeedStat(seeds, differences)
}
