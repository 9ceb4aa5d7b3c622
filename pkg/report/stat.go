package report

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// Stat is a number of a method: mean and sample standard deviation over N seeds.
type Stat struct {
	Mean float64 // NaN if no seed measured it
	Std  float64 // NaN for fewer than two seeds
	N    int     // seeds that measured it
}

// NewStat summarises values, one a seed; NaN values are not measured and left out.
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

// Known says whether any seed measured the number.
func (s Stat) Known() bool { return s.N > 0 }

// HasSpread says whether there is a standard deviation.
func (s Stat) HasSpread() bool { return !math.IsNaN(s.Std) }

// Times returns s in another unit: both mean and deviation multiplied by factor, which must be positive.
func (s Stat) Times(factor float64) Stat {
	return Stat{Mean: s.Mean * factor, Std: s.Std * factor, N: s.N}
}

// Format writes "12.3 ± 0.4" with the given number of decimals, "12.3" for one seed and "–" for none.
func (s Stat) Format(decimals int) string {
	if !s.Known() {
		return missing
	}
	text := number(s.Mean, decimals)
	if s.HasSpread() {
		text += " ± " + number(s.Std, decimals)
	}
	return text
}

// missing stands for a number that was not measured.
const missing = "–"

// number writes v with a proper minus sign and no "-0.0".
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return missing
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if digits, negative := strings.CutPrefix(text, "-"); negative {
		if strings.Trim(digits, "0.") == "" {
			return digits
		}
		return "−" + digits
	}
	return text
}

// decimalsFor returns how many decimals show at least two digits of the smallest number other than 0 among values,
// within least and most.
func decimalsFor(values []Stat, least, most int) int {
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

// Difference is what separates two methods in one number.
type Difference struct {
	Value  float64 // first minus second; NaN if one was not measured
	Spread float64 // sqrt(s₁² + s₂²), the standard deviation between one run of each; NaN if one has a single seed
	Seeds  string  // "3 seeds", "3 and 2 seeds", "one seed"
}

// Compare returns a minus b.
func Compare(a, b Stat) Difference {
	d := Difference{Value: a.Mean - b.Mean, Spread: math.Hypot(a.Std, b.Std)}
	if math.IsNaN(a.Std) || math.IsNaN(b.Std) { // Hypot(Inf, NaN) would be Inf
		d.Spread = math.NaN()
	}
	switch {
	case a.N != b.N:
		d.Seeds = strconv.Itoa(a.N) + " and " + strconv.Itoa(b.N) + " seeds"
	case a.N == 1:
		d.Seeds = "one seed"
	default:
		d.Seeds = strconv.Itoa(a.N) + " seeds"
	}
	return d
}

// Level says whether the difference is none or within the spread. Where the spread is unknown any difference counts.
func (d Difference) Level() bool { return d.Value == 0 || math.Abs(d.Value) <= d.Spread }

// Grade says in words how the difference compares with the spread over seeds.
func (d Difference) Grade(decimals int) string {
	size := math.Abs(d.Value)
	switch {
	case math.IsNaN(d.Value):
		return "not measured"
	case math.IsNaN(d.Spread) && d.Seeds == "one seed":
		return "one seed each, so its spread is unknown"
	case math.IsNaN(d.Spread):
		return d.Seeds + ", so its spread is unknown"
	case size > 2*d.Spread:
		return "more than twice the spread over " + d.Seeds + " (" + number(d.Spread, decimals) + ")"
	case size > d.Spread:
		return "more than the spread over " + d.Seeds + " (" + number(d.Spread, decimals) + ") but less than twice it"
	}
	return "within the spread over " + d.Seeds + " (" + number(d.Spread, decimals) + ")"
}
