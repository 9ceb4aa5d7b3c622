package metrics

// clippedShare is the share of values at an end of their range, 0 or 255.
func clippedShare(levels []uint8) float64 {
	n := 0
	for _, v := range levels {
		if v == 0 || v == 255 {
			n++
		}
	}
	return float64(n) / float64(len(levels))
}

// clippedOf is the mean of [clippedShare] over samples, which count by weights; nil: all alike.
func clippedOf(samples []*Judged, weights []float64) float64 {
	sum, total, at := 0.0, 0.0, 0
	for _, s := range samples {
		size := len(s.levels) / s.N()
		for i := range s.N() {
			w := weightOf(weights, at)
			sum, total, at = sum+w*clippedShare(s.levels[i*size:(i+1)*size]), total+w, at+1
		}
	}
	return sum / total
}

// identicalShare is the share of samples, which count by weights, that equal another of them in every pixel.
func identicalShare(samples []*Judged, weights []float64) float64 {
	count := map[string]int{}
	var keys []string
	for _, s := range samples {
		size := len(s.levels) / s.N()
		for i := range s.N() {
			key := string(s.levels[i*size : (i+1)*size])
			count[key]++
			keys = append(keys, key)
		}
	}
	return shareWhere(len(keys), weights, func(i int) bool { return count[keys[i]] > 1 })
}
