package report

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoldenDynamics holds the figures and sentences of a small made-up study: go test ./pkg/report -run GoldenDynamics -update
func TestGoldenDynamics(t *testing.T) {
	texts := map[string]string{"timesteps-findings.txt": dynamicsFindings(t, madeUpDynamics(3))}
	figures := allDynamics(t, madeUpDynamics(3))
	for _, name := range []string{"timesteps-loss.svg", "timesteps-map.svg", "timesteps-course.svg", "timesteps-recovery.svg",
		"timesteps-stitching.svg", "timesteps-interference.svg", "timesteps-rehearsal.svg"} {
		texts[name] = figures[name].SVG()
	}
	for name, got := range texts {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
				i := 0
				for i < min(len(a), len(b))-1 && a[i] == b[i] {
					i++
				}
				t.Fatalf("line %d is\n%s\nwant, as in %s,\n%s", i+1, a[i], path, b[i])
			}
		})
	}
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
