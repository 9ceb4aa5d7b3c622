package report

// enoughMethods is how many make a ranking or a front worth showing unasked.
const enoughMethods = 3

// Rankings ranks methods by final FID, once a benchmark, where there are at least three methods with two seeds in
// common: fewer need no ranks, or cannot say how sure they are.
func Rankings(methods []Method) []*Ranking {
	var out []*Ranking
	for _, part := range ByBenchmark(methods) {
		r, err := NewRanking(part, FinalOf(FID), "")
		if err == nil && len(r.Rows) >= enoughMethods && len(r.Seeds) > 1 {
			out = append(out, r)
		}
	}
	return out
}

// fronts are the Pareto figures of final FID, once a benchmark, where at least three methods compete.
func fronts(methods []Method) []Figure {
	var out []Figure
	for _, part := range ByBenchmark(methods) {
		if len(ParetoFront(part, FinalOf(FID), PriceBytes)) < enoughMethods {
			continue
		}
		if f, err := Pareto(part, FinalOf(FID)); err == nil { // the benchmark is the same
			out = append(out, f)
		}
	}
	return out
}
