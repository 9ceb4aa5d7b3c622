package forget

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"strings"
	"testing"

	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/goldentest"
)

// TestGolden holds the figures and sentences of a small made-up study.
func TestGolden(t *testing.T) {
	texts := map[string]string{"timesteps-findings.txt": dynamicsFindings(t, madeUpDynamics(3))}
	figures := allDynamics(t, madeUpDynamics(3))
	for _, name := range []string{"timesteps-loss.svg", "timesteps-map.svg", "timesteps-course.svg", "timesteps-recovery.svg",
		"timesteps-stitching.svg", "timesteps-interference.svg"} {
		texts[name] = figures[name].SVG()
	}
	goldentest.Check(t, texts)
}

func TestDynamicsFiguresAreWellFormed(t *testing.T) {
	for _, seeds := range []int{1, 3} {
		for name, f := range allDynamics(t, madeUpDynamics(seeds)) {
			var any struct{}
			for _, text := range []string{f.SVG(), f.HTML()} {
				if err := xml.Unmarshal([]byte(text), &any); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
					t.Errorf("%s: a coordinate is not a number", name)
				}
			}
			for _, out := range figuretest.Read(t, f.SVG()).Outside() {
				t.Errorf("%s: %s", name, out)
			}
			if seeds > 1 {
				continue // a PNG takes its time
			}
			data, err := f.PNG(1)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := png.Decode(bytes.NewReader(data)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
