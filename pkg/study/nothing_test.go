package study

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

// Where there is nothing to say a number is NaN, a list empty, and a mistake a panic that names it.
func TestNothingToSay(t *testing.T) {
	nan := math.NaN()
	for name, v := range map[string]float64{"no method": CriticalDifference(-1, 3), "one method": CriticalDifference(1, 3), "no block": CriticalDifference(3, 0),
		"none": AreaUnderROC(nil, []float64{1}), "a positive that is NaN": AreaUnderROC([]float64{nan}, []float64{1}), "a negative": AreaUnderROC([]float64{1}, []float64{nan})} {
		if !math.IsNaN(v) {
			t.Errorf("%s: %g, want NaN", name, v)
		}
	}
	if notes := CopyNotes(nil); notes != nil {
		t.Errorf("of no methods: %q", notes)
	}
	for want, call := range map[string]func(){
		"1 seeds for 2 values": func() { SeedStat([]uint64{1}, []float64{1, 2}) },
		"run 1 of 2 is nil":    func() { Group([]*results.Run{{}, nil}) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("it panics with %q, want %q", got, want)
				}
			}()
			call()
		}()
	}
}
