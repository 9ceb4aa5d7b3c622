package report

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

func TestRanksByHand(t *testing.T) {
	for _, tc := range []struct {
		name         string
		x, y         []float64
		rho, tau     float64
		undetermined bool
	}{
		{"the same order", []float64{1, 2, 3}, []float64{10, 200, 3000}, 1, 1, false},
		{"reversed", []float64{1, 2, 3}, []float64{3, 2, 1}, -1, -1, false},
		// One of three pairs disagrees; ρ = 1 − 6·Σd²/(n(n²−1)) = 1 − 6·2/24.
		{"one swap of three", []float64{1, 2, 3}, []float64{2, 1, 3}, 0.5, 1.0 / 3, false},
		// Ranks 1.5 1.5 3 and 1 2 3: covariance 1.5, variances 1.5 and 2. Pairs: 2 agree, 1 tied in x.
		{"a tie in x", []float64{5, 5, 9}, []float64{1, 2, 3}, 1.5 / math.Sqrt(1.5*2), 2 / math.Sqrt(2*3), false},
		// Pairs 1-2 tied in both and left out, the other five agree.
		{"a tie in both", []float64{1, 1, 2, 3}, []float64{7, 7, 8, 9}, 1, 1, false},
		{"constant", []float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN(), math.NaN(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rho, tau := spearman(tc.x, tc.y), kendall(tc.x, tc.y)
			if tc.undetermined {
				if !math.IsNaN(rho) || !math.IsNaN(tau) {
					t.Errorf("ρ = %g and τ = %g of a constant", rho, tau)
				}
			} else if math.Abs(rho-tc.rho) > 1e-12 || math.Abs(tau-tc.tau) > 1e-12 {
				t.Errorf("ρ = %g and τ = %g, want %g and %g", rho, tau, tc.rho, tc.tau)
			}
		})
	}
}

// testdata/ranks.json is by SciPy: see testdata/ranks.py.
func TestRanksAgreeWithSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/ranks.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		X, Y, Ranks              []float64
		Spearman, Kendall, AUROC float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		for k, r := range averageRanks(c.X) {
			if r != c.Ranks[k] {
				t.Errorf("case %d: rank %d is %g, want %g", i, k, r, c.Ranks[k])
			}
		}
		for name, v := range map[string][2]float64{"ρ": {spearman(c.X, c.Y), c.Spearman}, "τ": {kendall(c.X, c.Y), c.Kendall}, "AUROC": {areaUnderROC(c.X, c.Y), c.AUROC}} {
			if math.Abs(v[0]-v[1]) > 1e-12 {
				t.Errorf("case %d of %d: %s = %.15g, want %.15g", i, len(c.X), name, v[0], v[1])
			}
		}
	}
}

// Of bivariate normals with correlation r, ρ is 6/π·asin(r/2) and τ is 2/π·asin r, so that coverage can be counted.
// Over 200 studies a share of 95 % has a standard error of 1.5 points. The percentile interval of so few runs is known to
// cover somewhat less than it says; what would show an error is far from that.
func TestBootstrapCovers(t *testing.T) {
	const r, studies, n = 0.6, 200, 24
	random := rand.New(rand.NewPCG(3, 4))
	covered := [2]int{}
	for range studies {
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = random.NormFloat64()
			y[i] = r*x[i] + math.Sqrt(1-r*r)*random.NormFloat64()
		}
		got := newRanks(x, y, 200, pairs(x, y))
		for k, c := range []struct {
			interval Interval
			truth    float64
		}{{got.Spearman, 6 / math.Pi * math.Asin(r/2)}, {got.Kendall, 2 / math.Pi * math.Asin(r)}} {
			if c.interval.Low <= c.truth && c.truth <= c.interval.High {
				covered[k]++
			}
		}
	}
	for k, name := range []string{"ρ", "τ"} {
		if share := float64(covered[k]) / studies; share < 0.88 || share > 0.99 {
			t.Errorf("95 %% intervals of %s cover the truth in %g of studies", name, share)
		}
	}
}

// simple is a run of two tasks with the given final numbers and forgetting.
func simple(label string, seed uint64, bpd, fid, accuracy, bpdForgetting, fidForgetting float64) *results.Run {
	r := newRun("er", label, seed, 2)
	r.Protocol.BPD = &results.BPDProtocol{Images: 2, Terms: 5, T: 10, Variance: "fixed-small"}
	task := func(j int, b, f float64) results.TaskMetrics {
		return results.TaskMetrics{Task: j, FID: p(f), ClassAccuracy: p(accuracy), BPD: &results.BPD{Mean: b}}
	}
	r.Evaluations = []results.Evaluation{
		{AfterTask: 0, Tasks: []results.TaskMetrics{task(0, bpd-bpdForgetting, fid-fidForgetting)}},
		{AfterTask: 1, Tasks: []results.TaskMetrics{task(0, bpd, fid), task(1, bpd, fid)}},
	}
	return r
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

func TestFinalSamples(t *testing.T) {
	study, err := Open(onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	both, err := FinalSamples(study, "finetune", "joint")
	if err != nil {
		t.Fatal(err)
	}
	one, err := FinalSamples(study, "joint")
	if err != nil {
		t.Fatal(err)
	}
	if both.Bounds().Dy() != 2*one.Bounds().Dy() || both.Bounds().Dx() != one.Bounds().Dx() {
		t.Errorf("two methods are %v pixels, one is %v", both.Bounds().Size(), one.Bounds().Size())
	}
	for label, want := range map[string]string{"er λ=0.3": ErrNoGrids.Error(), "ewc": `no run labelled "ewc"`} {
		if _, err := FinalSamples(study, label); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v; want %q", label, err, want)
		}
	}
}
