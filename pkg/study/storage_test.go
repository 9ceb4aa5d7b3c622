package study

import (
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// TestEqualStorage: forms of one λ are held against the plain one that stores as many bytes, not against one that keeps as many things.
// Differences of −2 and 1 with a standard deviation of 0.3 over three seeds have t = 2/(0.3/√3) = 11.55 and 5.77, and with two degrees
// of freedom p = 1 - t/√(t²+2): 0.0074 and 0.0287, by Holm twice 0.0074 and 0.0287. Half of the interval is 4.303·0.3/√3 = 0.745.
func TestEqualStorage(t *testing.T) {
	var runs []*results.Run
	add := func(lambda float64, buffer int, seed uint64, fid float64, bytes int64, settings map[string]any, label string) {
		r := resultstest.Swept(lambda, buffer, 16, 2, seed, fid, 0)
		r.Strategy.Settings["policy"] = "class-balanced"
		for key, value := range settings {
			r.Strategy.Settings[key] = value
		}
		r.Strategy.Label, r.Cost.StoredBytes = r.Strategy.Label+label, bytes
		runs = append(runs, r)
	}
	for seed := range uint64(3) {
		d := []float64{0, 0.3, -0.3}[seed]
		noised, herding := map[string]any{"noised": true}, map[string]any{"policy": "herding", "noised": false}
		add(1, 20, seed, 20, 5380, nil, "")
		add(1, 10, seed, 18+d, 5250, noised, " noised")
		add(1, 20, seed, 15+d, 10500, noised, " noised")
		add(1, 20, seed, 21+d, 5380, herding, " policy=herding")
		add(0.3, 20, seed, 21+d, 5380, herding, " policy=herding")
	}
	s, err := EqualStorage(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	text := s.Table().Markdown()
	for _, want := range []string{
		"| er λ=1 buffer=20 | 5380 | 20.0 ± 0.0 | (plain) | – | – |",
		"| er λ=1 buffer=10 noised | 5250 | 18.0 ± 0.3 | −2.0 [−2.7, −1.3] | 0.007 | 0.015 |",
		"| er λ=1 buffer=20 policy=herding | 5380 | 21.0 ± 0.3 | 1.0 [0.3, 1.7] | 0.029 | 0.029 |",
		"stores as much: er λ=0.3 buffer=20 policy=herding, er λ=1 buffer=20 noised.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if strings.Count(text, "\n| er ") != 3 {
		t.Errorf("want three rows:\n%s", text)
	}
	if _, err := EqualStorage(runs[:1], "er"); err == nil || !strings.Contains(err.Error(), "no two forms") {
		t.Errorf("one form gives %v", err)
	}
	var apart []*results.Run // the plain one and a noised one that stores twice as much
	for _, r := range runs {
		if lambdaOf(Method{Runs: []*results.Run{r}}) == 1 && (otherSettings(r) == "" || otherSettings(r) == "policy=class-balanced" || strings.Contains(otherSettings(r), "noised") && r.Cost.StoredBytes == 10500) {
			apart = append(apart, r)
		}
	}
	if _, err := EqualStorage(apart, "er"); err == nil || !strings.Contains(err.Error(), "noised 10500: run one of them with a buffer") || strings.Contains(err.Error(), "herding") {
		t.Errorf("a plain and a noised one give %v", err)
	}
}
