package bits

import (
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// withVariants gives the runs of a method two other ways of computing bits, one of them the base's own again.
func withVariants(runs []*results.Run) []*results.Run {
	for _, r := range runs {
		final := study.FinalEvaluation(r)
		same, plus := make([]float64, len(final.Tasks)), make([]float64, len(final.Tasks))
		for i, t := range final.Tasks {
			same[i], plus[i] = t.BPD.Mean, t.BPD.Mean+0.25+0.01*float64(r.Seed)
		}
		r.Sensitivity = []results.BPDVariant{
			{Name: "fixed-large, clipped", Variance: "fixed-large", Clip: true, CDF: "exact", Tasks: same},
			{Name: "fixed-small, clipped", Variance: "fixed-small", Clip: true, CDF: "exact", Tasks: plus},
		}
	}
	return runs
}

func TestSensitivity(t *testing.T) {
	methods := study.Group(resultstest.Likely(2, false))
	base := withVariants(methods[3].Runs) // joint
	other := study.Group(resultstest.Likely(2, false))[3].Runs
	for _, r := range other {
		for i := range study.FinalEvaluation(r).Tasks {
			task := &study.FinalEvaluation(r).Tasks[i]
			task.BPD.Mean -= 0.5
			*task.FID += 1 + 2*float64(r.Seed)
		}
	}
	padded := study.Group(resultstest.Likely(2, false))[3].Runs
	for _, r := range padded {
		r.Benchmark.Prep, r.Protocol.ExtractorSHA256 = "pad 8", "fedcba9876543210"
	}
	s, err := NewSensitivity(base, Variation{"T = 50", other}, Variation{"padded", padded})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rows) != 4 {
		t.Fatalf("%d rows: %+v; want base, one other way to measure and two to train", len(s.Rows), s.Rows)
	}
	nearOfTwo(t, "another variance", s.Rows[1].DBPD, 0.25, 0.26)
	nearOfTwo(t, "another T, bits", s.Rows[2].DBPD, -0.5, -0.5)
	nearOfTwo(t, "another T, FID", s.Rows[2].DFID, 1, 3)
	if s.Rows[3].DFID.Known() {
		t.Error("FIDs in different features are compared")
	}
	text := s.Table().Markdown()
	for _, want := range []string{"| fixed-large, clipped (base) |", "| same samples |", "FID is in its own features", "images of fashion-mnist-sample, pad 8"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	text = strings.Join(s.Sentences(methods...), "\n")
	for _, want := range []string{"measured in one other way:", "+0.255 ± 0.007 (fixed-small, clipped), up to 7.9 % of their size", "T = 50: BPD −0.500 ± 0.000, FID +2.0 ± 1.4: the samples are not told apart (t over 2 seeds, p = 0.295)",
		"padded: BPD 0.000 ± 0.000; FID does not compare", "forgetting moves the bits of old tasks of finetune by +0.49"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	for _, tc := range []struct {
		base       []*results.Run
		variations []Variation
		want       string
	}{
		{resultstest.Likely(1, false), nil, "the base has 4 methods (finetune, er λ=0.3, er λ=1 and joint)"},
		{study.Group(resultstest.Likely(1, false))[0].Runs, nil, "go run . bench --set bpd.images=40 --set bpd.variants=true"},
		{base[:1], []Variation{{"T = 50", other[1:]}}, `no run of "T = 50" has a seed of the base`},
	} {
		if _, err := NewSensitivity(tc.base, tc.variations...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v; want %q", err, tc.want)
		}
	}
}

// strangers gives runs the bits of their own images and of those of another set, shift bits higher.
func strangers(runs []*results.Run, shift float64) []*results.Run {
	for _, r := range runs {
		var own, other []float64
		for i := range 50 {
			bits := 3 + 0.3*math.Sin(float64(i)) + 0.01*float64(r.Seed)
			own, other = append(own, bits), append(other, 3+0.6*math.Sin(float64(3*i))+shift)
		}
		r.Outside = []results.OutsideBPD{{Dataset: "fashion-mnist-sample", Images: 50, ByImage: own}, {Dataset: "mnist-sample", Images: 50, ByImage: other}}
	}
	return runs
}

func TestOutsideByHand(t *testing.T) {
	r := resultstest.Likely(1, false)[0]
	r.Outside = []results.OutsideBPD{{Dataset: "in", ByImage: []float64{2, 3, 4}}, {Dataset: "out", ByImage: []float64{1, 2, 5, 2.5}}}
	list, err := NewOutside([]*results.Run{r})
	if err != nil {
		t.Fatal(err)
	}
	o := list[0]
	// Median 3: three of four below. Pairs: 1 is above none, 2 ties with one, 5 above all three, 2.5 above one: 4.5 of 12.
	if o.InsideBPD.Mean != 3 || o.OutsideBPD.Mean != 10.5/4 || o.Fewer.Mean != 0.75 || o.AUROC.Mean != 4.5/12 {
		t.Errorf("%+v; want means 3 and 2.625, share 0.75, area 0.375", o)
	}
	for shift, want := range map[float64]string{
		-1: "by likelihood the strange set is the likelier one. 100.0 ± 0.0 % of the mnist-sample images",
		1:  "here likelihood tells the sets apart on average. 0.0 ± 0.0 % of the mnist-sample images",
	} {
		list, err := NewOutside(strangers(study.Group(resultstest.Likely(2, false))[0].Runs, shift))
		if err != nil {
			t.Fatal(err)
		}
		if got := list[0].Sentence(); !strings.Contains(got, want) {
			t.Errorf("missing %q in:\n%s", want, got)
		}
	}
}

var files = []likelihood.Yardstick{{Name: "png", EachBPD: 5.5, TogetherBPD: 3.25}, {Name: "gzip", EachBPD: 6, TogetherBPD: 4}}

func TestYardsticks(t *testing.T) {
	methods := study.Group(resultstest.Likely(2, false))
	table, err := YardstickTable(files, methods)
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Join(table.Rows, "; "); rows != "joint (model, bound); png; er λ=1 (model, bound); er λ=0.3 (model, bound); finetune (model, bound); gzip" {
		t.Errorf("the rows are %s; want the fewest bits first", rows)
	}
}

// The bits of the scorecard's two halves are those by hand: decoder and the bin above log-SNR 0, prior and the one below.
func TestScorecardSplitsBits(t *testing.T) {
	g := study.Group([]*results.Run{
		resultstest.InTwoBins("er", 0, [4]float64{1, 2, 0.8, 0.2}, [4]float64{1, 2.3, 1.8, 0.2}, [4]float64{1, 1, 0.25, 0.25}),
		resultstest.InTwoBins("er", 1, [4]float64{1, 1, 0.4, 0.6}, [4]float64{1, 1.1, 1.4, 0.6}, [4]float64{1, 1, 0.25, 0.25}),
	})[0]
	detail, content := Halves(g)
	nearOfTwo(t, "detail", detail.Final, (3.3+2)/2, (2.1+2)/2)
	nearOfTwo(t, "content", content.Final, (2+0.5)/2, (2+0.5)/2)
	nearOfTwo(t, "detail forgotten", detail.Rise, 0.1, 0.05)
	nearOfTwo(t, "content forgotten", content.Rise, 1, 1)
	if s := g.Over(study.FinalOf(study.BPD).Of).Mean; math.Abs(detail.Final.Mean+content.Final.Mean-s) > 1e-12 {
		t.Errorf("the halves sum to %g, the bits are %g", detail.Final.Mean+content.Final.Mean, s)
	}
}
