package study

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

func TestAgreementsWithoutBPDSayHowToMeasure(t *testing.T) {
	runs := resultstest.MadeUp(3)
	for name, call := range map[string]func() error{
		"Agreement":     func() error { _, err := Agreement(runs, FinalOf(BPD), FinalOf(FID)); return err },
		"Disagreements": func() error { _, err := Disagreements(runs, FinalOf(BPD), FinalOf(FID)); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), BPDCommand) {
			t.Errorf("%s gives %v; want an error that names the command", name, err)
		}
	}
}

// Accuracy is turned, so that low bits and high accuracy agree; forgetting is worse where it is higher, for both.
func TestAgreementTurnsMetrics(t *testing.T) {
	runs := []*results.Run{
		simple("a", 0, 3, 10, 0.9, 0.1, 5), simple("b", 0, 4, 20, 0.8, 0.2, 4), simple("c", 0, 5, 30, 0.7, 0.3, 3),
	}
	for _, tc := range []struct {
		a, b Number
		want float64
	}{
		{FinalOf(BPD), FinalOf(FID), 1},
		{FinalOf(BPD), FinalOf(ClassAccuracy), 1},
		{ForgettingOf(BPD), ForgettingOf(FID), -1},
	} {
		got, err := Agreement(runs, tc.a, tc.b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Runs.Kendall.Value != tc.want || got.Methods.Spearman.Value != tc.want || got.Runs.N != 3 || got.Methods.N != 3 {
			t.Errorf("%s against %s: %+v; want agreement %g", tc.a.Name(), tc.b.Name(), got, tc.want)
		}
		if !math.IsNaN(got.Methods.Kendall.Low) {
			t.Error("one seed a method gives an interval over seeds")
		}
	}
}

func TestAgreementErrors(t *testing.T) {
	two := []*results.Run{simple("a", 0, 3, 10, 0.9, 0, 0), simple("b", 0, 4, 20, 0.8, 0, 0)}
	if _, err := Agreement(two, FinalOf(BPD), FinalOf(FID)); err == nil || !strings.Contains(err.Error(), "2 of 2 runs have both BPD and FID for every task; need at least 3") {
		t.Errorf("two runs give %v", err)
	}
	three := append(two, simple("c", 0, 5, 20, 0.9, 0, 0))
	if _, err := Agreement(three, FinalOf(BPD), ForgettingOf(FID)); err == nil || !strings.Contains(err.Error(), "FID forgetting is the same in all 3 runs") {
		t.Errorf("a constant gives %v", err)
	}
	if _, err := Agreement(three, FinalOf(KID), FinalOf(FID)); err == nil || !strings.Contains(err.Error(), "0 of 3 runs have both KID and FID") {
		t.Errorf("a metric nobody measured gives %v", err)
	}
	if _, err := Disagreements(two[:1], FinalOf(BPD), FinalOf(FID)); err == nil || !strings.Contains(err.Error(), "1 of 1 methods") {
		t.Errorf("one method gives %v", err)
	}
}

func TestDisagreements(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := 0.01 * float64(seed)
		runs = append(runs,
			simple("a", seed, 3+d*(1+d), 50+2*d, 0.5+2*d, 0, 0), // fewest bits, worst samples
			simple("b", seed, 4+d, 20+d, 0.9+d, 0, 0),
			simple("c", seed, 4+d, 19+100*d, 0.9+d, 0, 0)) // level with b
	}
	list, err := Disagreements(runs, FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ByA.Label != "a" || list[0].ByB.Label != "b" || list[1].ByB.Label != "c" {
		t.Fatalf("found %+v; want a against b and against c", list)
	}
	if s := list[0].Others; len(s) != 1 || s[0].With != "b" || math.Abs(s[0].Better.Mean-91) > 1e-9 {
		t.Errorf("class accuracy says %+v; want it to side with b", s)
	}
	sentences, err := DisagreementSentences(runs, FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(sentences, "\n")
	for _, want := range []string{"BPD and FID order 2 pairs of methods differently", "The other metrics side with FID 2 times and with BPD 0 times.",
		"BPD puts a (3.010 ± 0.010) before b (4.010 ± 0.010; paired t over 3 seeds, p < 0.001); FID has it the other way, 50.0 ± 0.0 against 20.0 ± 0.0 (paired t over 3 seeds, p < 0.001). Class accuracy sides with FID (b better, 91.0 ± 1.0 against 52.0 ± 2.0)."} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	none, err := DisagreementSentences(runs, FinalOf(BPD), FinalOf(BPD))
	if err != nil || !strings.Contains(none[0], "order no two methods differently") {
		t.Errorf("a number against itself: %q, %v", none, err)
	}
}

// simple is a run of two tasks with the given final numbers and forgetting.
func simple(label string, seed uint64, bpd, fid, accuracy, bpdForgetting, fidForgetting float64) *results.Run {
	r := resultstest.NewRun("er", label, seed, 2)
	r.Protocol.BPD = &results.BPDProtocol{Images: 2, Terms: 5, T: 10, Variance: "fixed-small"}
	task := func(j int, b, f float64) results.TaskMetrics {
		return results.TaskMetrics{Task: j, FID: resultstest.Float(f), ClassAccuracy: resultstest.Float(accuracy), BPD: &results.BPD{Mean: b}}
	}
	r.Evaluations = []results.Evaluation{
		{AfterTask: 0, Tasks: []results.TaskMetrics{task(0, bpd-bpdForgetting, fid-fidForgetting)}},
		{AfterTask: 1, Tasks: []results.TaskMetrics{task(0, bpd, fid), task(1, bpd, fid)}},
	}
	return r
}

// Two numbers of which one is an increasing function of the other put runs in the same order, however the values lie; a
// decreasing one reverses it. Agreement does not depend on which of the two is named first.
func TestAgreementSeesOrdersAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 8))
	for range 20 {
		var same, reversed []*results.Run
		for k := range 8 {
			v := random.NormFloat64()
			same = append(same, simple(string(rune('a'+k/2)), uint64(k%2), math.Exp(v), 50+10*math.Atan(v), 0.5, 0, 0))
			reversed = append(reversed, simple(string(rune('a'+k/2)), uint64(k%2), math.Exp(v), 50-10*math.Atan(v), 0.5, 0, 0))
		}
		for want, runs := range map[float64][]*results.Run{1: same, -1: reversed} {
			a, err := Agreement(runs, FinalOf(BPD), FinalOf(FID))
			if err != nil {
				t.Fatal(err)
			}
			b, err := Agreement(runs, FinalOf(FID), FinalOf(BPD))
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []Interval{a.Runs.Spearman, a.Runs.Kendall} {
				if math.Abs(i.Value-want) > 1e-12 || math.Abs(i.Low-want) > 1e-12 || math.Abs(i.High-want) > 1e-12 {
					t.Fatalf("orders that are %g apart give %+v", want, i)
				}
			}
			if a.Runs.Kendall != b.Runs.Kendall || a.Methods.Spearman != b.Methods.Spearman {
				t.Fatalf("%+v named the other way is %+v", a, b)
			}
			if m := a.Methods; m.N != 4 || m.Kendall.Low < -1 || m.Kendall.High > 1 || m.Kendall.Low > m.Kendall.Value || m.Kendall.High < m.Kendall.Value {
				t.Fatalf("the methods' means: %+v", m)
			}
		}
	}
}

// Seeds that agree leave nothing to draw: the interval over seeds is the value.
func TestAgreementOfEqualSeeds(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		runs = append(runs, simple("a", seed, 3, 10, 0.9, 0, 0), simple("b", seed, 4, 30, 0.8, 0, 0), simple("c", seed, 5, 20, 0.7, 0, 0))
	}
	a, err := Agreement(runs, FinalOf(BPD), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	// Ranks 1 2 3 and 1 3 2: one of three pairs the other way, τ = 1/3, ρ = 1 - 6·2/24.
	if k, s := a.Methods.Kendall, a.Methods.Spearman; math.Abs(k.Value-1.0/3) > 1e-12 || k.Low != k.Value || k.High != k.Value || math.Abs(s.Value-0.5) > 1e-12 || s.Low != s.Value {
		t.Errorf("%+v", a.Methods)
	}
	if got, want := a.Sentence(), "over the means of 3 methods τ-b is 0.33 [0.33, 0.33]."; !strings.HasSuffix(got, want) {
		t.Errorf("%q, want it to end with %q", got, want)
	}
}
