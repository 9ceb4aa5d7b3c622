package bits

import (
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

func TestResultsWithoutBPDSayHowToMeasure(t *testing.T) {
	runs := resultstest.MadeUp(3)
	methods := study.Group(runs)
	for name, call := range map[string]func() error{
		"NewBPDRanks":     func() error { _, err := NewAgreements(runs); return err },
		"NewBits":         func() error { _, err := NewParts(methods[0]); return err },
		"BitsFigure":      func() error { _, err := PartsFigure(methods); return err },
		"BitsSentences":   func() error { _, err := PartsSentences(methods); return err },
		"LostSentence":    func() error { _, err := LostSentence(runs); return err },
		"LostTable":       func() error { _, err := LostTable(runs, 5); return err },
		"NewSensitivity":  func() error { _, err := NewSensitivity(methods[0].Runs); return err },
		"NewOutside":      func() error { _, err := NewOutside(runs); return err },
		"YardstickTable":  func() error { _, err := YardstickTable(nil, methods); return err },
		"YardstickFigure": func() error { _, err := YardstickFigure(nil, methods); return err },
		"Sensitivity variant": func() error {
			_, err := NewSensitivity(study.Group(resultstest.Likely(1, false))[0].Runs, Variation{"T = 100", runs})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "go run . bench --set bpd.images=40") {
			t.Errorf("%s gives %v; want an error that names the command", name, err)
		}
	}
}

// nearOfTwo compares a Stat with the mean of two seeds and their sample deviation, |a-b|/sqrt(2).
func nearOfTwo(t *testing.T, name string, s study.Stat, a, b float64) {
	t.Helper()
	if s.N != 2 || math.Abs(s.Mean-(a+b)/2) > 1e-12 || math.Abs(s.Std-math.Abs(a-b)/math.Sqrt2) > 1e-12 {
		t.Errorf("%s is %g ± %g over %d seeds, want that of %g and %g", name, s.Mean, s.Std, s.N, a, b)
	}
}

func TestBitsByHand(t *testing.T) {
	g := study.Group([]*results.Run{
		resultstest.InTwoBins("er", 0, [4]float64{1, 2, 0.8, 0.2}, [4]float64{1, 2.2, 1.6, 0.2}, [4]float64{1, 1, 1, 1}), // 4 and 5 in all
		resultstest.InTwoBins("er", 1, [4]float64{1, 2, 0.4, 0.6}, [4]float64{1, 2, 1.2, 0.6}, [4]float64{1, 1, 1, 1}),   // 4 and 4.8
	})[0]
	b, err := NewParts(g)
	if err != nil {
		t.Fatal(err)
	}
	nearOfTwo(t, "bits just learned", b.Total.Learned, 4, 4)
	nearOfTwo(t, "bits at the end", b.Total.Final, 5, 4.8)
	nearOfTwo(t, "the total's rise", b.Total.Rise, 5.0/4, 4.8/4)
	high := b.Between(b.Half(), b.T)
	if b.Half() != 5 || high.Name != "5 ≤ t < 10" {
		t.Errorf("the upper half is %s from %d", high.Name, b.Half())
	}
	nearOfTwo(t, "share of t >= 5", high.Share, 0.8/4, 0.4/4)
	nearOfTwo(t, "rise of t >= 5", high.Rise, 2, 3)
	nearOfTwo(t, "what t >= 5 moves", high.Moves, 0.8/4, 0.8/4)
	nearOfTwo(t, "share below", b.Between(0, 5).Share, 3.0/4, 3.0/4)
	nearOfTwo(t, "prior's share", b.Parts[3].Share, 0.2/4, 0.6/4)
	shares := 0.0
	for _, p := range b.Parts {
		shares += p.Share.Mean
	}
	if math.Abs(shares-1) > 1e-12 {
		t.Errorf("the shares sum to %g", shares)
	}
	sentences, err := PartsSentences([]study.Method{g})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(sentences, "\n")
	for _, want := range []string{"Timesteps t ≥ 5 of 10 hold 15.0 ± 7.1 % of the bits of er", "the largest part, 1 ≤ t < 5, holds 50.0 ± 0.0 %",
		"er: the loss of old tasks at t ≥ 5 rises 2.50 ± 0.71-fold by the end, which moves their BPD by 20.0 ± 0.0 %", "from 4.000 ± 0.000 to 4.900 ± 0.141"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	g.Runs[1].Protocol.BPD = &results.BPDProtocol{T: 10, Edges: []int{1, 10}}
	if _, err := NewParts(g); err == nil || !strings.Contains(err.Error(), "divide the timesteps differently") {
		t.Errorf("different bins give %v", err)
	}
}

// Joint training has an end but nothing before it: shares, and no rise.
func TestBitsOfJoint(t *testing.T) {
	r := resultstest.InTwoBins("joint", 0, [4]float64{}, [4]float64{1, 2, 0.5, 0.5}, [4]float64{3, 2, 0.5, 0.5})
	r.Evaluations = r.Evaluations[1:]
	b, err := NewParts(study.Group([]*results.Run{r})[0])
	if err != nil {
		t.Fatal(err)
	}
	if b.Total.Final.Mean != 5 || b.Parts[0].Share.Mean != 2.0/5 || b.Total.Rise.Known() || b.Total.Learned.Known() {
		t.Errorf("joint has %+v and the decoder's share %g; want 5 bits and 0.4, nothing forgotten", b.Total, b.Parts[0].Share.Mean)
	}
}

func TestLostButKept(t *testing.T) {
	lost := resultstest.InTwoBins("er", 0, [4]float64{1, 2, 0.5, 0.5}, [4]float64{1, 2.4, 0.5, 0.5}, [4]float64{1, 1, 1, 1})           // +0.4, 10 %
	bettered := resultstest.InTwoBins("finetune", 0, [4]float64{1, 2, 0.5, 0.5}, [4]float64{1, 1.8, 0.5, 0.5}, [4]float64{1, 1, 1, 1}) // −0.2, −5 %
	never := resultstest.InTwoBins("er", 2, [4]float64{1, 2, 0.5, 0.5}, [4]float64{1, 1, 0.5, 0.5}, [4]float64{1, 1, 1, 1})
	never.Evaluations[0].Tasks[0].ClassAccuracy = resultstest.Float(0.3) // was hardly learned: not lost
	tasks, err := oldTasks([]*results.Run{lost, never, bettered})
	if err != nil {
		t.Fatal(err)
	}
	list := lostOf(tasks)
	if len(list) != 2 || list[0].Run != bettered || !list[0].Kept() || list[1].Run != lost || list[1].Kept() {
		t.Fatalf("lost: %+v; want finetune's, which kept its bits, then er's", list)
	}
	if c := list[1]; math.Abs(c.Change-0.4) > 1e-12 || math.Abs(c.Relative-0.1) > 1e-12 || math.Abs(c.SE-0.03*math.Sqrt2) > 1e-12 {
		t.Errorf("er's bits change by %g ± %g (%g); want 0.4 ± 0.042 (0.1)", c.Change, c.SE, c.Relative)
	}
	for _, tc := range []struct {
		runs []*results.Run
		want []string
	}{
		{[]*results.Run{lost, bettered}, []string{"2 of 2 old tasks are lost entirely (class accuracy under 5 %, from 50 % or more); of these 1 bettered their bits",
			"task 1 (T-shirt/top + Trouser) of finetune, seed 0, class accuracy from 90.0 to 1.0 %, FID from 10.0 to 90.0, while its bits fall from 4.000 to 3.800 bits/dim (−5.0 %)"}},
		{[]*results.Run{lost}, []string{"1 of 1 old tasks are lost", "none of them kept its bits per dimension within 1 %. The nearest: task 1", "rise from 4.000 to 4.400 bits/dim (10.0 %)"}},
		{[]*results.Run{never}, []string{"No run has lost an old task entirely", "The lowest at the end is task 1", "of er, seed 2"}},
	} {
		got, err := LostSentence(tc.runs)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("missing %q in:\n%s", want, got)
			}
		}
	}
	table, err := LostTable([]*results.Run{lost, never, bettered}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 || !strings.Contains(table.Markdown(), "| finetune, seed 0 | 1: T-shirt/top + Trouser | 90.0 | 1.0 | 10.0 | 90.0 | 4.000 | 3.800 | −0.200 ± 0.042 | −5.0 |") {
		t.Errorf("the table is\n%s", table.Markdown())
	}
}
