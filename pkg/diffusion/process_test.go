package diffusion

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// reference is testdata/reference.json, made there by
//
//	python3 reference.py > reference.json
type reference struct {
	Schedules []struct {
		Name     string
		T        int
		At       []int     `json:"t"`
		Beta     []float64 `json:"beta"`
		AlphaBar []float64 `json:"alpha_bar"`
	}
	Steps []struct {
		Name              string
		T                 int
		From              int     `json:"t"`
		To                int     `json:"s"` // -1: the finished image
		Xt, Eps, V, Mean  float64 // V is the share of ln β in the learned variance
		Large, Small, Eta float64
		Learned           *float64
		DDIM              float64
		DDIMSigma         float64 `json:"ddim_sigma"`
	}
	DPMPP struct {
		At      []int `json:"t"`
		X       float64
		Outputs []float64
		States  []float64
	}
}

func loadReference(t *testing.T) (r reference) {
	t.Helper()
	content, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// near says whether two numbers agree to a relative tolerance.
func near(a, b, tolerance float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b))
}

func newSched(t testing.TB, name string, T int) *Schedule {
	t.Helper()
	s, err := NewSchedule(name, T)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchedulesAgainstNumPy(t *testing.T) {
	for _, r := range loadReference(t).Schedules {
		s := newSched(t, r.Name, r.T)
		for i, at := range r.At {
			if !near(s.Beta[at], r.Beta[i], 1e-10) || !near(s.AlphaBar[at], r.AlphaBar[i], 1e-10) {
				t.Errorf("%s, T=%d, t=%d: beta %.12g, alpha bar %.12g; want %.12g, %.12g", r.Name, r.T, at,
					s.Beta[at], s.AlphaBar[at], r.Beta[i], r.AlphaBar[i])
			}
		}
	}
}

func TestScheduleEnds(t *testing.T) {
	s := newSched(t, "linear", 1000)
	// [ddpm] section 4: β from 1e-4 to 0.02, and the prior term L_T about 1e-5 bits per dimension, from ᾱ_T = 4.0e-5.
	if s.Beta[0] != 1e-4 || s.Beta[999] != 0.02 {
		t.Errorf("beta runs from %g to %g, want 1e-4 to 0.02", s.Beta[0], s.Beta[999])
	}
	if math.Abs(s.AlphaBar[999]-4.04e-5) > 1e-7 {
		t.Errorf("alpha bar ends at %g, want 4.04e-5", s.AlphaBar[999])
	}
	// Rescaled, a short schedule destroys the image as well; the sum of its β is that of the long one.
	for _, T := range []int{50, 100, 200, 500} {
		short := newSched(t, "linear", T)
		if last := short.AlphaBar[T-1]; last > 1e-4 {
			t.Errorf("T=%d: alpha bar ends at %g, want below 1e-4", T, last)
		}
		sum := 0.0
		for _, b := range short.Beta {
			sum += b
		}
		if !near(sum, 1000*(1e-4+0.02)/2, 1e-9) {
			t.Errorf("T=%d: beta sums to %g, want %g", T, sum, 1000*(1e-4+0.02)/2)
		}
	}
	c := newSched(t, "cosine", 1000)
	for i, ab := range c.AlphaBar[:990] { // later β are clipped
		u := (float64(i+1)/1000 + 0.008) / 1.008 * math.Pi / 2
		u0 := 0.008 / 1.008 * math.Pi / 2
		if want := math.Pow(math.Cos(u)/math.Cos(u0), 2); !near(ab, want, 1e-10) {
			t.Fatalf("cosine, t=%d: alpha bar %g, want %g", i, ab, want)
		}
	}
	if c.Beta[999] != 0.999 {
		t.Errorf("cosine: beta ends at %g, want 0.999", c.Beta[999])
	}
}

func TestScheduleRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		T    int
	}{{"sigmoid", 10}, {"linear", 1}, {"cosine", 0}} {
		if _, err := NewSchedule(tc.name, tc.T); err == nil {
			t.Errorf("%s with %d timesteps is accepted", tc.name, tc.T)
		}
	}
	for _, beta := range [][]float64{{0.1, 1}, {0, 0.1}, {0.1, math.NaN()}, {0.1}} {
		if _, err := FromBetas("given", beta); err == nil {
			t.Errorf("betas %v are accepted", beta)
		}
	}
	for _, c := range []Config{{T: 10, Schedule: "linear", Prediction: "noise", Variance: FixedSmall},
		{T: 10, Schedule: "linear", Prediction: PredictNoise, Variance: "small"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// The posterior by Bayes' rule: q(x_{t-1}|x_t,x_0) ∝ N(x_t; sqrt(α)·x_{t-1}, β)·N(x_{t-1}; sqrt(ᾱ')·x_0, 1-ᾱ'), whose
// precisions add.
func TestPosteriorByBayes(t *testing.T) {
	const x0, xt = -0.7, 1.9
	for _, name := range []string{"linear", "cosine"} {
		p := newProcess(t, Config{T: 200, Schedule: name, Prediction: PredictNoise, Variance: FixedSmall})
		for i := 1; i < p.T; i++ {
			alpha, beta, prior := 1-p.Beta[i], p.Beta[i], 1-p.AlphaBar[i-1]
			precision := alpha/beta + 1/prior
			mean := (math.Sqrt(alpha)*xt/beta + math.Sqrt(p.AlphaBar[i-1])*x0/prior) / precision
			if !near(p.PosteriorVar[i], 1/precision, 1e-9) || !near(p.PosteriorMean(x0, xt, i), mean, 1e-9) {
				t.Fatalf("%s, t=%d: N(%g, %g), by Bayes N(%g, %g)", name, i, p.PosteriorMean(x0, xt, i), p.PosteriorVar[i], mean, 1/precision)
			}
			if !near(p.ReverseLogVar(i, 0), math.Log(p.PosteriorVar[i]), 1e-12) {
				t.Fatalf("%s, t=%d: fixed-small log variance %g, want %g", name, i, p.ReverseLogVar(i, 0), math.Log(p.PosteriorVar[i]))
			}
		}
		if p.PosteriorVar[0] != 0 || !near(p.PosteriorMean(x0, xt, 0), x0, 1e-9) || p.PosteriorLogVar[0] != math.Log(p.PosteriorVar[1]) {
			t.Errorf("%s, t=0: N(%g, %g), log variance %g; want N(x_0, 0) and that of t=1", name, p.PosteriorMean(x0, xt, 0),
				p.PosteriorVar[0], p.PosteriorLogVar[0])
		}
	}
}

func TestPredictionsInvert(t *testing.T) {
	const x0, eps = 0.6, -1.3
	for _, prediction := range []string{PredictNoise, PredictImage, PredictVelocity} {
		p := newProcess(t, Config{T: 1000, Schedule: "linear", Prediction: prediction, Variance: FixedLarge})
		for i := range p.T {
			xt := p.Signal[i]*x0 + p.Sigma[i]*eps
			target := p.Target(x0, eps, i)
			if got := p.X0(xt, target, i); math.Abs(got-x0) > 1e-11 {
				t.Fatalf("%s, t=%d: x_0 from its own target is %.15g, want %g", prediction, i, got, x0)
			}
			if got := p.Noise(xt, x0, i); math.Abs(got-eps) > 1e-11 {
				t.Fatalf("%s, t=%d: noise is %.15g, want %g", prediction, i, got, eps)
			}
		}
	}
	// [progressive] section 4: v at no noise is the noise, at pure noise minus the image.
	p := newProcess(t, Config{T: 1000, Schedule: "linear", Prediction: PredictVelocity, Variance: FixedLarge})
	if v := p.Target(x0, eps, 0); math.Abs(v-eps) > 0.02 {
		t.Errorf("v at t=0 is %g, want about %g", v, eps)
	}
	if v := p.Target(x0, eps, 999); math.Abs(v+x0) > 0.02 {
		t.Errorf("v at t=999 is %g, want about %g", v, -x0)
	}
}

// q(x_t|x_0) has mean sqrt(ᾱ)·x_0 and variance 1-ᾱ. With n = 65,536 draws the standard errors are σ/256 and, of the
// deviation, σ/362: the tolerances are five of them.
func TestQSampleMoments(t *testing.T) {
	const n, value = 1 << 16, 0.8
	s := newSched(t, "linear", 1000)
	rng := rand.New(rand.NewPCG(1, 2))
	x0, noise, xt := make([]float32, n), make([]float32, n), make([]float32, n)
	for _, step := range []int{0, 250, 999} {
		for i := range x0 {
			x0[i], noise[i] = value, float32(rng.NormFloat64())
		}
		s.QSample(xt, x0, noise, step)
		mean, sd := moments(xt)
		sigma := s.Sigma[step]
		if want := s.Signal[step] * value; math.Abs(mean-want) > 5*sigma/256 || math.Abs(sd/sigma-1) > 5./362 {
			t.Errorf("t=%d: mean %g, sd %g; want %g, %g", step, mean, sd, want, sigma)
		}
	}
}

func TestRespaceAllIsIdentity(t *testing.T) {
	for _, name := range []string{"linear", "cosine"} {
		s := newSched(t, name, 100)
		kept, err := EvenTimesteps(100, 100)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Respace(kept)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.T {
			if r.Beta[i] != s.Beta[i] || r.AlphaBar[i] != s.AlphaBar[i] || r.PosteriorVar[i] != s.PosteriorVar[i] ||
				r.PosteriorLogVar[i] != s.PosteriorLogVar[i] || r.PosteriorMeanX0[i] != s.PosteriorMeanX0[i] ||
				r.PosteriorMeanXt[i] != s.PosteriorMeanXt[i] || r.Signal[i] != s.Signal[i] {
				t.Fatalf("%s: keeping all timesteps changes timestep %d", name, i)
			}
		}
	}
	s := newSched(t, "linear", 100)
	for _, kept := range [][]int{{3, 3}, {5, 4}, {-1, 2}, {0, 100}} {
		if _, err := s.Respace(kept); err == nil {
			t.Errorf("keeping %v is accepted", kept)
		}
	}
}

func TestStepsAgainstNumPy(t *testing.T) {
	for _, r := range loadReference(t).Steps {
		s := newSched(t, r.Name, r.T)
		kept := []int{r.From}
		if r.To >= 0 {
			kept = []int{r.To, r.From}
		}
		respaced, err := s.Respace(kept)
		if err != nil {
			t.Fatal(err)
		}
		k := len(kept) - 1
		p := &Process{respaced, PredictNoise, FixedSmall}
		x0 := p.X0(r.Xt, r.Eps, k)
		if got := p.PosteriorMean(x0, r.Xt, k); math.Abs(got-r.Mean) > 1e-9 {
			t.Errorf("%s, T=%d, %d to %d: ancestral mean %.12g, want %.12g", r.Name, r.T, r.From, r.To, got, r.Mean)
		}
		if r.Learned != nil {
			for variance, want := range map[string]float64{FixedSmall: r.Small, FixedLarge: r.Large, LearnedRange: *r.Learned} {
				p := &Process{respaced, PredictNoise, variance}
				if got := math.Exp(p.ReverseLogVar(k, 2*r.V-1)); !near(got, want, 1e-9) {
					t.Errorf("%s, T=%d, %d to %d: %s variance %.12g, want %.12g", r.Name, r.T, r.From, r.To, variance, got, want)
				}
			}
		}
		for _, z := range []float64{0, 1} {
			x := []float64{r.Xt}
			(&ddim{p, r.Eta}).advance(k, x, []float64{x0}, nil, func(int) float64 { return z })
			if want := r.DDIM + z*r.DDIMSigma; math.Abs(x[0]-want) > 1e-9 {
				t.Errorf("%s, T=%d, %d to %d: DDIM with noise %g gives %.12g, want %.12g", r.Name, r.T, r.From, r.To, z, x[0], want)
			}
		}
	}
}

func TestDPMSolverAgainstNumPy(t *testing.T) {
	r := loadReference(t).DPMPP
	kept := make([]int, len(r.At))
	for i, at := range r.At {
		kept[len(kept)-1-i] = at
	}
	s, err := newSched(t, "linear", 1000).Respace(kept)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{s, PredictNoise, FixedLarge}
	solve := &dpmpp2m{Process: p}
	x := []float64{r.X}
	for i, eps := range r.Outputs {
		k := len(kept) - 1 - i
		solve.advance(k, x, []float64{p.X0(x[0], eps, k)}, nil, nil)
		if !near(x[0], r.States[i], 1e-8) {
			t.Fatalf("after step %d from t=%d: %.12g, want %.12g", i, r.At[i], x[0], r.States[i])
		}
	}
}
