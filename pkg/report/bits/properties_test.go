package bits

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// Prior, bins and decoder sum to the total, in every column that adds; shares sum to 1. The total is the mean of the bits of old
// tasks, from what is stored.
func TestPartsAddUp(t *testing.T) {
	for _, weights := range [][]float64{nil, {0.5, 0.2, 0.3}} {
		runs := resultstest.Likely(3, true)
		for _, r := range runs {
			r.Protocol.TaskWeights = weights
		}
		for _, g := range study.Group(runs) {
			b, err := NewParts(g)
			if err != nil {
				t.Fatal(err)
			}
			sums := map[string]float64{}
			for _, p := range b.Parts {
				sums["learned"] += p.Learned.Mean
				sums["final"] += p.Final.Mean
				sums["share"] += p.Share.Mean
				sums["moves"] += p.Moves.Mean
			}
			for name, want := range map[string]float64{"learned": b.Total.Learned.Mean, "final": b.Total.Final.Mean, "share": 1, "moves": b.Total.Moves.Mean} {
				if got := sums[name]; math.Abs(got-want) > 1e-12 || math.IsNaN(got) != math.IsNaN(want) {
					t.Errorf("%s: %s sums to %g, want %g", g.Label, name, got, want)
				}
			}
			whole := b.Between(0, b.T)
			if prior := b.Parts[len(b.Parts)-1]; math.Abs(whole.Final.Mean+prior.Final.Mean-b.Total.Final.Mean) > 1e-12 {
				t.Errorf("%s: all timesteps hold %g, the prior %g, all together %g", g.Label, whole.Final.Mean, prior.Final.Mean, b.Total.Final.Mean)
			}
			if g.Name() == study.Joint {
				continue
			}
			mean := 0.0
			for _, r := range g.Runs {
				m := study.Matrix(r, study.BPD).R
				w := []float64{1, 1}
				if weights != nil {
					w = weights
				}
				mean += (w[0]*m[2][0] + w[1]*m[2][1]) / (w[0] + w[1]) / float64(len(g.Runs))
			}
			if got := b.Total.Final.Mean; math.Abs(got-mean) > 1e-9 {
				t.Errorf("%s: the bits of old tasks are %g at the end, want %g", g.Label, got, mean)
			}
		}
	}
}

// Detail and content are the final bits, of every method.
func TestHalvesAddUp(t *testing.T) {
	for _, g := range study.Group(resultstest.Likely(3, false)) {
		detail, content := Halves(g)
		want := g.Over(study.FinalOf(study.BPD).Of).Mean
		if got := detail.Final.Mean + content.Final.Mean; math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: detail and content sum to %g, the bits are %g", g.Label, got, want)
		}
		if g.Name() != study.Joint && !(content.Rise.Mean > detail.Rise.Mean) { // the made-up runs forget at large timesteps
			t.Errorf("%s: content rises by %g, detail by %g", g.Label, content.Rise.Mean, detail.Rise.Mean)
		}
	}
}

// Exchanging the two sets turns the area to the rest of 1, and adding the same to all bits changes none of the shares.
func TestOutsideIsTurned(t *testing.T) {
	random := rand.New(rand.NewPCG(41, 42))
	for range 50 {
		inside, outside := make([]float64, 3+random.IntN(30)), make([]float64, 3+random.IntN(30))
		for i := range inside {
			inside[i] = math.Round(3*random.NormFloat64()) / 2 // with ties
		}
		for i := range outside {
			outside[i] = math.Round(3*random.NormFloat64()) / 2
		}
		of := func(a, b []float64, shift float64) *Outside {
			r := resultstest.Likely(1, false)[0]
			shifted := func(v []float64) (out []float64) {
				for _, x := range v {
					out = append(out, x+shift)
				}
				return out
			}
			r.Outside = []results.OutsideBPD{{Dataset: "a", ByImage: shifted(a)}, {Dataset: "b", ByImage: shifted(b)}}
			list, err := NewOutside([]*results.Run{r})
			if err != nil {
				t.Fatal(err)
			}
			return list[0]
		}
		o, turned, shifted := of(inside, outside, 0), of(outside, inside, 0), of(inside, outside, 8)
		if math.Abs(o.AUROC.Mean+turned.AUROC.Mean-1) > 1e-12 {
			t.Fatalf("areas %g and %g", o.AUROC.Mean, turned.AUROC.Mean)
		}
		if o.AUROC.Mean != shifted.AUROC.Mean || o.Fewer.Mean != shifted.Fewer.Mean || math.Abs(shifted.InsideBPD.Mean-o.InsideBPD.Mean-8) > 1e-12 {
			t.Fatalf("%+v shifted by 8 is %+v", o, shifted)
		}
		if same := of(inside, inside, 0); same.AUROC.Mean != 0.5 || same.Fewer.Mean > 0.5 {
			t.Fatalf("a set against itself: %+v", same)
		}
	}
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("the median of %v is %g, want %g", values, got, want)
		}
	}
}

// Each setting of the bound that moves bits while samples stay forbids comparing them.
func TestWarningsOfEveryKind(t *testing.T) {
	for want, change := range map[string]func(*results.BPDProtocol){
		"BPD: the number of images differs":             func(p *results.BPDProtocol) { p.Images++ },
		"BPD: the number of timesteps an image differs": func(p *results.BPDProtocol) { p.Terms++ },
		"BPD: T differs":                    func(p *results.BPDProtocol) { p.T++ },
		"BPD: the reverse variance differs": func(p *results.BPDProtocol) { p.Variance = "fixed-small" },
		"BPD: clipping differs":             func(p *results.BPDProtocol) { p.Clip = !p.Clip },
		"":                                  func(p *results.BPDProtocol) {},
	} {
		runs := resultstest.Likely(1, false)
		p := *runs[0].Protocol.BPD
		change(&p)
		runs[0].Protocol.BPD = &p
		got := Warnings(study.Group(runs))
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("warnings %q, want one that begins with %q", got, want)
		}
	}
	methods := study.Group(resultstest.Likely(1, false))
	if got := Notes(methods); len(got) != 1 || !strings.Contains(got[0], "on 40 test images a task, 9 timesteps an image of T = 100, reverse variance fixed-large, estimates of x_0 clipped.") {
		t.Errorf("%q", got)
	}
	if got := Notes(study.Group(resultstest.MadeUp(1))); got != nil {
		t.Errorf("runs without bits have the notes %q", got)
	}
}

// At the limits: half right just after learning is learned, a twentieth at the end is not lost, and a rise of just a hundredth
// is kept.
func TestLostLimits(t *testing.T) {
	for _, tc := range []struct {
		c          LostClass
		lost, kept bool
	}{
		{LostClass{LearnedAccuracy: 0.5, FinalAccuracy: 0.049, Relative: 0.01}, true, true},
		{LostClass{LearnedAccuracy: 0.49, FinalAccuracy: 0, Relative: 0.0101}, false, false},
		{LostClass{LearnedAccuracy: 1, FinalAccuracy: 0.05, Relative: -0.3}, false, true},
	} {
		if tc.c.Lost() != tc.lost || tc.c.Kept() != tc.kept {
			t.Errorf("%+v: lost %t, kept %t", tc.c, tc.c.Lost(), tc.c.Kept())
		}
	}
}

// Bits that follow FID in every run agree with it wholly, and disagree with accuracy, which falls as FID rises, not at all.
func TestRanksOfBitsThatFollowFID(t *testing.T) {
	runs := resultstest.Likely(3, false)
	for _, r := range runs {
		for i := range r.Evaluations {
			for j := range r.Evaluations[i].Tasks {
				m := &r.Evaluations[i].Tasks[j]
				m.BPD.Mean = 3 + *m.FID/100
				m.ClassAccuracy = resultstest.Float(1 / (1 + *m.FID/100))
			}
		}
	}
	ranks, err := NewAgreements(runs)
	if err != nil {
		t.Fatal(err)
	}
	if len(ranks.Final) != 4 || ranks.Final[0].Runs.Kendall.Value != 1 || ranks.Final[0].Runs.N != len(runs) || ranks.Final[0].Methods.N != 4 {
		t.Errorf("%+v", ranks.Final)
	}
	if tau := ranks.Final[2].Runs.Kendall.Value; tau < 0.9 { // means of hyperbolas are not the hyperbola of means
		t.Errorf("with accuracy τ = %g", tau)
	}
	if got := ranks.Table(); len(got.Rows) != 4 || got.Sections[0].Columns[2].Cells[0].Text != "1.00 [1.00, 1.00]" {
		t.Errorf("%+v", got)
	}
}
