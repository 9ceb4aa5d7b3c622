package dynamics

import (
	"math"
	"slices"
	"testing"
)

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(a, b float64) bool {
		return math.Abs(a-b) <= 1e-6*(1+math.Abs(b)) || math.IsNaN(a) && math.IsNaN(b)
	})
}

// Task 0 is at 2, 1 when learned (step 20), then 3, 5 (30), 7, 2 (40) and 6, 1 (60).
func TestMapByHand(t *testing.T) {
	s := exampleSeries()
	m, err := s.Map("eps", 3)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Old, []int{0}) || !slices.Equal(m.Learned, []int{1}) || m.At != (Checkpoint{40, 1}) {
		t.Errorf("old tasks %d learned at %d, map of %v", m.Old, m.Learned, m.At)
	}
	se := math.Hypot(.2, .3)
	if !near(m.Before, []float64{2, 1}) || !near(m.After, []float64{7, 2}) || !near(m.Increase, []float64{5, 1}) ||
		!near(m.Relative, []float64{2.5, 1}) || !near(m.IncreaseSE, []float64{se, se}) {
		t.Errorf("map %+v", m)
	}
	if m.Weights != nil {
		t.Errorf("weights %v of a series without", m.Weights)
	}
	weighed := *s
	weighed.TaskWeights = []float64{0.3, 0.7}
	if m, err := weighed.Map("eps", 3); err != nil || !slices.Equal(m.Weights, []float64{0.3}) {
		t.Errorf("weights %v of the old task, want its own (%v)", m.Weights, err)
	}
	if m, err := s.Map("eps", 1); err != nil || len(m.Old) != 0 || len(m.Increase) != 0 {
		t.Errorf("map within the first task: %+v, %v", m, err)
	}
	// Absolute increases change with the kind of loss, relative ones do not.
	image, err := s.Map("x0", 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{5 * math.Exp(-2.5), math.Exp(1.25)}; !near(image.Increase, want) || !near(image.Relative, m.Relative) {
		t.Errorf("in x_0: increase %g, relative %g; want %g, %g", image.Increase, image.Relative, want, m.Relative)
	}
	for _, i := range []int{-1, 5} {
		if _, err := s.Map("eps", i); err == nil {
			t.Errorf("a map of checkpoint %d passes", i)
		}
	}
	if _, err := s.Map("y", 3); err == nil {
		t.Error("a map in y passes")
	}
}

func TestCourseByHand(t *testing.T) {
	c, err := exampleSeries().Course("eps", 4)
	if err != nil {
		t.Fatal(err)
	}
	// Increases at t = 3: 0 (20), 1 (30), 5 (40), 4 (60): half of 4 is reached a quarter of the way from 30 to 40.
	// At t = 70: 0, 4, 1, 0: all is recovered.
	if !near(c.Map.Increase, []float64{4, 0}) || !near(c.HalfStep, []float64{32.5, math.NaN()}) || !near(c.Peak, []float64{5, 4}) ||
		!slices.Equal(c.PeakStep, []int{40, 30}) || !near(c.Recovered, []float64{0.2, 1}) {
		t.Errorf("course %+v", c)
	}
	if c, err = exampleSeries().Course("eps", 3); err != nil {
		t.Fatal(err)
	}
	// Half of 5 at step 30 + 10·(1.5/4); half of 1 on the way to 4 at step 30.
	if !near(c.HalfStep, []float64{33.75, 21.25}) || !near(c.Recovered, []float64{0, 0.75}) {
		t.Errorf("course to checkpoint 3: %+v", c)
	}
	never := exampleSeries()
	for i := range never.Loss[4:] {
		never.Loss[4+i] = 2
	}
	if c, err = never.Course("eps", 4); err != nil || !near(c.HalfStep, []float64{math.NaN(), math.NaN()}) ||
		!near(c.Recovered, []float64{math.NaN(), math.NaN()}) || !slices.Equal(c.PeakStep, []int{20, 20}) {
		t.Errorf("without forgetting: %+v, %v", c, err)
	}
}

func TestSpared(t *testing.T) {
	reference, err := exampleSeries().Map("eps", 3) // increases 5 and 1
	if err != nil {
		t.Fatal(err)
	}
	s := exampleSeries()
	s.Loss[12], s.Loss[13] = 3, 4 // 1 and 3
	m, err := s.Map("eps", 3)
	if err != nil {
		t.Fatal(err)
	}
	if spared, err := m.Spared(reference, 2); err != nil || !near(spared, []float64{0.8, -2}) {
		t.Errorf("spared %g, %v", spared, err)
	}
	if spared, err := m.Spared(reference, 4); err != nil || !near(spared, []float64{0.8, math.NaN()}) {
		t.Errorf("spared where the reference is sure: %g, %v", spared, err)
	}
	m.Probe = "beef"
	if _, err := m.Spared(reference, 2); err == nil {
		t.Error("maps of different probes pass")
	}
}
