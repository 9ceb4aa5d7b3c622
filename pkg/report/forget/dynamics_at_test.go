package forget

import (
	"encoding/xml"
	"strings"
	"testing"

	"palimpsest/pkg/figure"
)

// Every position of a control has its picture, no two alike, and there are no more.
func TestPicturesOfEveryThresholdAndTimestep(t *testing.T) {
	d := madeUpDynamics(3)
	label := d.Dissected()[0]
	thresholds, err := d.Thresholds()
	if err != nil {
		t.Fatal(err)
	}
	timesteps, err := d.Timesteps()
	if err != nil {
		t.Fatal(err)
	}
	for _, control := range []struct {
		name  string
		count int
		draw  func(i int) (figure.Figure, error)
	}{
		{"threshold", len(thresholds), func(i int) (figure.Figure, error) { return d.StitchedAt(label, i) }},
		{"timestep", len(timesteps), func(i int) (figure.Figure, error) { return d.CourseAt(0, i) }},
	} {
		seen := map[string]int{}
		for i := range control.count {
			f, err := control.draw(i)
			if err != nil {
				t.Fatal(err)
			}
			text := f.SVG()
			var any struct{}
			if err := xml.Unmarshal([]byte(text), &any); err != nil || strings.Contains(text, "NaN") {
				t.Errorf("%s %d: %v, or a coordinate is not a number", control.name, i, err)
			}
			if before, ok := seen[text]; ok {
				t.Errorf("%s %d has the picture of %d", control.name, i, before)
			}
			seen[text] = i
		}
		for _, i := range []int{-1, control.count} {
			if _, err := control.draw(i); err == nil || !strings.Contains(err.Error(), control.name) {
				t.Errorf("%s %d of %d gives %v", control.name, i, control.count, err)
			}
		}
	}
	if _, err := d.CourseAt(AllOld, 0); err == nil {
		t.Error("a course of all tasks at once passes")
	}
	if _, err := d.StitchedAt("nobody", 0); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown strategy gives %v", err)
	}
}
