package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/results/resultstest"
)

// A seed that ran twice counts once and is told, with its folders; machines whose times are pooled are told too.
func TestRepeatedSeedsAreTold(t *testing.T) {
	at := t.TempDir()
	dirs := []string{filepath.Join(at, "a"), filepath.Join(at, "b")}
	for i, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, r := range resultstest.MadeUp(2 - i) {
			if i == 1 && r.Strategy.Label == "finetune" { // the same numbers at another time
				r.Cost.TrainSeconds++
			}
			if i == 1 && r.Strategy.Label == "er λ=1" {
				*r.Evaluations[2].Tasks[0].FID++
				r.Provenance.Machine.GPU = "a card"
			}
			r.Evaluations[0].Sheet = filepath.Base(dir) + ".png" // where sheets lie makes no other run
			if err := r.Save(filepath.Join(dir, strings.ReplaceAll(r.Name, " ", "-")+".json")); err != nil {
				t.Fatal(err)
			}
		}
	}
	set, err := Open(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Runs) != 8+2 { // copies of er λ=0.3 and joint are read once
		t.Fatalf("%d runs", len(set.Runs))
	}
	methods := set.Group()
	both := dirs[0] + ", " + dirs[1]
	want := "Seed 0 of finetune ran more than once (" + both + "), digit for digit alike; it counts once.\n" +
		"Seed 0 of er λ=1 ran more than once (" + both + "), with other digits; it counts once, by the mean of its runs."
	if got := strings.Join(RepeatNotes(methods), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = "Times and memory of er λ=1 are means over machines that do not compare: a card, xla:cpu; a processor, xla:cpu."
	if got := strings.Join(MachineNotes(methods), "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	er, _ := Labelled(methods, "er λ=1")
	if er.Seeds() != 2 || er.Summary().FID.N != 2 || er.Matrix(FID)[2][0].N != 2 || len(er.Runs) != 3 {
		t.Errorf("%d seeds of %d runs; FID over %d, its cell over %d", er.Seeds(), len(er.Runs), er.Summary().FID.N, er.Matrix(FID)[2][0].N)
	}
	if got := RepeatNotes(Group(resultstest.MadeUp(3))); len(got) > 0 {
		t.Errorf("seeds that ran once give %q", got)
	}
}

// The numbers beside a test are of the seeds that it judges.
func TestMovesAreOfTheSeedsTested(t *testing.T) {
	of := func(seeds int, fid func(seed int) float64) Stat {
		var s []uint64
		var v []float64
		for i := range seeds {
			s, v = append(s, uint64(i)), append(v, fid(i))
		}
		return SeedStat(s, v)
	}
	zero := func(int) float64 { return 0 }
	lambdas := []float64{0.1, 1}
	row := func(buffer int, best float64, seeds int, gain func(int) float64) BestLambdaRow {
		return BestLambdaRow{Line: SweepLine{Buffer: buffer, Lambdas: lambdas}, Best: best, fids: []Stat{of(seeds, gain), of(seeds, zero)}}
	}
	b := &BestLambdas{Sweep: &Sweep{Strategy: "er"}}
	low := row(20, 1, 3, func(seed int) float64 { return 4 + float64(seed) })
	high := row(40, 0.1, 10, func(seed int) float64 { return map[bool]float64{true: -5 - 0.5*float64(seed), false: -90}[seed < 3] })
	want := "the FID of the second less that of the first going from 5.0 ± 1.0 to −5.5 ± 0.5 (paired t over 3 seeds, "
	if got := b.move(low, high); !strings.Contains(got, want) {
		t.Errorf("%q lacks %q", got, want)
	}
}
