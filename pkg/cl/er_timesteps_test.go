package cl_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// digest is a hash of all that a run of the suite's benchmark drew: image, timestep and weight of every row, and the
// number that the step's random sequence would have given next.
func digest(t *testing.T, er *cl.ER) string {
	b, c := plain()
	k := run(t, er, b, c, 2)
	hash := fnv.New64a()
	for _, image := range drawn(t, b, k.steps, c.FreshRows+c.ReplayRows) {
		binary.Write(hash, binary.LittleEndian, int64(image))
	}
	for _, s := range k.steps {
		binary.Write(hash, binary.LittleEndian, s.Batch.T)
		binary.Write(hash, binary.LittleEndian, s.Batch.W)
		binary.Write(hash, binary.LittleEndian, s.RNG.Uint64())
	}
	return fmt.Sprintf("%016x", hash.Sum64())
}

// TestUniformTimestepsDrawNothing: golden, from before replay rows could have timesteps of their own.
func TestUniformTimestepsDrawNothing(t *testing.T) {
	for draw, want := range map[string]string{cl.DrawUniform: "0eade264e8ba4c0f", cl.DrawBalanced: "f27471f99fa5086f"} {
		for _, timesteps := range []string{"", cl.TimestepsUniform} {
			er := cl.NewER()
			er.Buffer, er.Draw, er.Timesteps = 11, draw, timesteps
			if got := digest(t, er); got != want {
				t.Errorf("draw %s, timesteps %q: what a run draws hashes to %s, want %s", draw, timesteps, got, want)
			}
		}
	}
}

// TestOnlyReplayedTimestepsChange: with timesteps of their own, replay rows keep images, labels and weights of uniform
// rehearsal, fresh rows keep everything, and so does the first task, which has nothing to replay.
func TestOnlyReplayedTimestepsChange(t *testing.T) {
	b, c := plain()
	low := cl.NewER()
	low.Timesteps = "low:0.25"
	uniform, targeted := run(t, cl.NewER(), b, c, 2).steps, run(t, low, b, c, 2).steps
	for i, want := range uniform {
		got := targeted[i].Batch
		if !slices.Equal(got.X, want.Batch.X) || !slices.Equal(got.Y, want.Batch.Y) || !slices.Equal(got.W, want.Batch.W) {
			t.Fatalf("step %d of task %d: images, labels or weights differ", want.Index, want.Task)
		}
		same := want.Fresh
		if want.Task == 0 {
			same += want.Replay
		}
		if !slices.Equal(got.T[:same], want.Batch.T[:same]) {
			t.Fatalf("step %d of task %d: rows that are not replayed have timesteps %v, want %v", want.Index, want.Task, got.T[:same], want.Batch.T[:same])
		}
		for _, step := range got.T[same:] {
			if step < 0 || step >= 5 { // a quarter of T = 20
				t.Errorf("step %d of task %d replays at timestep %d, want 0 to 4", want.Index, want.Task, step)
			}
		}
	}
}

// TestTimestepProbabilities: each case follows from the definition by hand. No value needs more than two roundings.
func TestTimestepProbabilities(t *testing.T) {
	for name, tc := range map[string]struct {
		er   cl.ER
		want []float64 // up to a factor
	}{
		"default":             {cl.ER{}, []float64{1, 1, 1, 1, 1}},
		"uniform":             {cl.ER{Timesteps: "uniform"}, []float64{1, 1, 1, 1, 1}},
		"low":                 {cl.ER{Timesteps: "low:0.4"}, []float64{1, 1, 0, 0, 0}},
		"high":                {cl.ER{Timesteps: "high:0.4"}, []float64{0, 0, 0, 1, 1}},
		"low, rounded":        {cl.ER{Timesteps: "low:0.25"}, []float64{1, 0, 0, 0}},
		"high, rounded down":  {cl.ER{Timesteps: "high:0.3"}, []float64{0, 0, 0, 1}},
		"all of it":           {cl.ER{Timesteps: "high:1"}, []float64{1, 1, 1}},
		"middle":              {cl.ER{Timesteps: "range:0.2-0.8"}, []float64{0, 1, 1, 1, 0}},
		"one timestep":        {cl.ER{Timesteps: "range:0.07-0.08"}, slices.Concat(make([]float64, 7), []float64{1}, make([]float64, 92))},
		"measured weights":    {cl.ER{Timesteps: "measured", TimestepWeights: []float64{0, 1, 2, 3}}, []float64{0, 1, 2, 3}},
		"a weight for each":   {cl.ER{TimestepWeights: []float64{0, 1, 2, 3}}, []float64{0, 1, 2, 3}},
		"fewer weights":       {cl.ER{TimestepWeights: []float64{0, 1, 0}}, []float64{0, 0.5, 1, 0.5, 0}},
		"uneven":              {cl.ER{TimestepWeights: []float64{3, 0, 6}}, []float64{3, 1, 2, 6}},
		"more weights":        {cl.ER{TimestepWeights: []float64{1, 9, 2, 9, 3}}, []float64{1, 2, 3}},
		"a single weight":     {cl.ER{TimestepWeights: []float64{7}}, []float64{1, 1, 1}},
		"a single timestep":   {cl.ER{TimestepWeights: []float64{2, 5}}, []float64{1}},
		"sum overflows":       {cl.ER{TimestepWeights: []float64{math.MaxFloat64, math.MaxFloat64}}, []float64{1, 1, 1}},
		"smallest of numbers": {cl.ER{TimestepWeights: []float64{5e-324, 0}}, []float64{1, 0}},
	} {
		got, err := tc.er.TimestepProbabilities(len(tc.want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		floats.Scale(1/floats.Sum(tc.want), tc.want)
		if !floats.EqualApprox(got, tc.want, 1e-15) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestRangesThatMeetShareNothing: adjacent ranges are a partition of the timesteps at any T, also where the border
// falls between two.
func TestRangesThatMeetShareNothing(t *testing.T) {
	for T := 2; T <= 101; T++ {
		for _, border := range []string{"0.25", "0.3", "0.5", "0.6"} {
			below, err := (&cl.ER{Timesteps: "range:0-" + border}).TimestepProbabilities(T)
			if err != nil {
				t.Fatal(err)
			}
			above, err := (&cl.ER{Timesteps: "range:" + border + "-1"}).TimestepProbabilities(T)
			if err != nil {
				t.Fatal(err)
			}
			for step := range T {
				if (below[step] > 0) == (above[step] > 0) {
					t.Errorf("T = %d: timestep %d has %g below %s and %g above", T, step, below[step], border, above[step])
				}
			}
		}
	}
}

// replayed returns the timesteps, of T, of all replay rows of one step that draws from src.
func replayed(t *testing.T, settings cl.ER, T, rows int, src rand.Source) []int32 {
	t.Helper()
	er := cl.NewER()
	er.Timesteps, er.TimestepWeights = settings.Timesteps, settings.TimestepWeights
	if err := er.Begin(cl.Setup{Seed: 1, ReplayRows: rows, Timesteps: T}); err != nil {
		t.Fatal(err)
	}
	if err := er.EndTask(0, &datasets.Images{N: 1, H: 1, W: 1, C: 1, Pixels: []uint8{1}, Labels: []int32{0}}); err != nil {
		t.Fatal(err)
	}
	step := &cl.Step{Task: 1, Fresh: 1, Replay: rows, RNG: rand.New(src), Batch: diffusion.Batch{
		X: make([]float32, 1+rows), Y: make([]int32, 1+rows), T: make([]int32, 1+rows), W: make([]float32, 1+rows)}}
	if err := er.BeforeStep(step); err != nil {
		t.Fatal(err)
	}
	return step.Batch.T[1:]
}

// constant is a source of one number.
type constant uint64

func (c constant) Uint64() uint64 { return uint64(c) }

// TestTimestepsAtTheEnds: the smallest and the largest uniform number there is give the first and the last timestep of
// positive probability, not one beside it.
func TestTimestepsAtTheEnds(t *testing.T) {
	for _, er := range []cl.ER{{Timesteps: "range:0.25-0.75"}, {TimestepWeights: []float64{0, 0, 0.1, 0.7, 0, 0.3, 0, 0}}} {
		for src, want := range map[constant]int32{0: 2, math.MaxUint64: 5} {
			if got := replayed(t, er, 8, 1, src)[0]; got != want {
				t.Errorf("%q, %v: the random bits %x give timestep %d, want %d", er.Timesteps, er.TimestepWeights, uint64(src), got, want)
			}
		}
	}
}

// TestDrawnTimesteps: 200,000 drawn timesteps have the stated distribution by Pearson's chi-square at p > 1e-4 (the seed
// is fixed, so this passes always or never), and none has probability 0. A probability off by 4 % would be found: where
// 20,000 are expected it alone adds 0.04²·20,000 = 32, and 21 are the limit with three degrees of freedom.
func TestDrawnTimesteps(t *testing.T) {
	const rows = 200_000
	for name, tc := range map[string]struct {
		er   cl.ER
		want []float64 // tenths
	}{
		"formula": {cl.ER{Timesteps: "range:0.25-0.75"}, []float64{0, 0, 2.5, 2.5, 2.5, 2.5, 0, 0}},
		"weights": {cl.ER{TimestepWeights: []float64{0, 2, 4, 6, 8}}, []float64{0, 1, 2, 3, 4}},
		"gaps":    {cl.ER{TimestepWeights: []float64{1, 0, 1, 0, 0, 8, 0}}, []float64{1, 0, 1, 0, 0, 8, 0}},
	} {
		count := make([]float64, len(tc.want))
		for _, drawn := range replayed(t, tc.er, len(tc.want), rows, rand.NewPCG(1, 2)) {
			count[drawn]++
		}
		var observed, expected []float64
		for i, tenths := range tc.want {
			if tenths > 0 {
				observed, expected = append(observed, count[i]), append(expected, rows*tenths/10)
			} else if count[i] > 0 {
				t.Errorf("%s: timestep %d has probability 0 and was drawn %g times", name, i, count[i])
			}
		}
		if p := (distuv.ChiSquared{K: float64(len(expected) - 1)}).Survival(stat.ChiSquare(observed, expected)); p < 1e-4 {
			t.Errorf("%s: %v were drawn, want %v: p = %g", name, observed, expected, p)
		}
	}
}

func TestERRefusesTimesteps(t *testing.T) {
	known := `"uniform" "low:F" "high:F" "range:A-B" "measured"`
	for _, tc := range []struct {
		timesteps string
		weights   []float64
		want      string
	}{
		{"lowest", nil, known},
		{"lo:0.2", nil, `did you mean "low"?`},
		{"uniform:0.5", nil, known},
		{"5", nil, known},
		{"low", nil, "need fractions"},
		{"low:", nil, "need fractions"},
		{"low:a", nil, "need fractions"},
		{"low:0", nil, "need fractions"},
		{"low:-0.1", nil, "need fractions"},
		{"low:1.01", nil, "need fractions"},
		{"low:NaN", nil, "need fractions"},
		{"high:0", nil, "need fractions"},
		{"high:1.5", nil, "need fractions"},
		{"high:NaN", nil, "need fractions"},
		{"range:0.5", nil, "need fractions"},
		{"range:0.5-0.5", nil, "need fractions"},
		{"range:0.6-0.5", nil, "need fractions"},
		{"range:-0.1-0.5", nil, "need fractions"},
		{"range:0.5-1.1", nil, "need fractions"},
		{"", []float64{1, -1}, "timestep weight 1 of 2 is -1"},
		{"", []float64{math.NaN()}, "is NaN"},
		{"", []float64{1, math.Inf(1)}, "is +Inf"},
		{"", []float64{0, 0, 0}, "all 3 timestep weights are 0"},
		{"low:0.5", []float64{1}, "give one of them"},
		{"uniform", []float64{1}, "give one of them"},
		{"measured", nil, "--sweep timesteps=measured:DIR"},
		{"measured", []float64{}, "--sweep timesteps=measured:DIR"},
		{"measured:results/study", nil, "--sweep timesteps=measured:DIR"},
		{"measured:results/study", []float64{1}, "give one of them"},
		{"measure", nil, `did you mean "measured"?`},
		{"measured", []float64{1, -1}, "timestep weight 1 of 2 is -1"},
	} {
		er := cl.NewER()
		er.Timesteps, er.TimestepWeights = tc.timesteps, tc.weights
		_, err := er.TimestepProbabilities(20)
		for place, err := range map[string]error{"Validate": er.Validate(), "Begin": er.Begin(cl.Setup{ReplayRows: 4, Timesteps: 20}), "probabilities": err} {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s of %q, %v: the error is %v, want it to say %q", place, tc.timesteps, tc.weights, err, tc.want)
			}
		}
	}
	// What only the number of timesteps tells.
	for _, tc := range []struct {
		er   cl.ER
		T    int
		want string
	}{
		{cl.ER{Timesteps: "low:0.02"}, 20, "none of the process's 20"},
		{cl.ER{Timesteps: "range:0.51-0.52"}, 20, "none of the process's 20"},
		{cl.ER{TimestepWeights: []float64{0, 1, 0}}, 2, "read at 2 timesteps"},
		{cl.ER{Timesteps: "low:0.5"}, 0, "a process of 0 timesteps"},
	} {
		er := cl.NewER()
		er.Timesteps, er.TimestepWeights = tc.er.Timesteps, tc.er.TimestepWeights
		if err := er.Validate(); err != nil {
			t.Errorf("%q: %v", tc.er.Timesteps, err)
		}
		if err := er.Begin(cl.Setup{ReplayRows: 4, Timesteps: tc.T}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q of %d: the error is %v, want it to say %q", tc.er.Timesteps, tc.T, err, tc.want)
		}
	}
}

// TestERTimestepsFromConfiguration: both settings are read from a specification, and the label tells them apart.
func TestERTimestepsFromConfiguration(t *testing.T) {
	labels := map[string]bool{}
	for _, tc := range []struct {
		settings map[string]any
		want     string // the beginning of the label
	}{
		{map[string]any{"lambda": 0.3, "timesteps": "low:0.25"}, "er λ=0.3 t=low:0.25"},
		{map[string]any{"draw": "balanced", "timesteps": "range:0.2-0.5"}, "er λ=1 draw=balanced t=range:0.2-0.5"},
		{map[string]any{"timesteps": "uniform"}, "er λ=1"},
		{map[string]any{"timesteps": "measured", "timestep_weights": []any{0, 1.5, 0}}, "er λ=1 t=measured"},
		{map[string]any{"timestep_weights": []any{0, 1.5, 0}}, "er λ=1 t=weights:"},
		{map[string]any{"timestep_weights": []float64{0, 1, 1}}, "er λ=1 t=weights:"},
	} {
		s, err := cl.New(cl.Spec{Name: "er", Settings: tc.settings})
		if err != nil {
			t.Errorf("%v: %v", tc.settings, err)
			continue
		}
		label := s.Label()
		if rest, ok := strings.CutPrefix(label, tc.want); !ok || (rest != "" && len(rest) != 8) {
			t.Errorf("%v: label %q, want %q and for weights eight hexadecimal digits", tc.settings, label, tc.want)
		}
		if labels[label] {
			t.Errorf("label %q twice", label)
		}
		labels[label] = true
	}
	if _, err := cl.New(cl.Spec{Name: "er", Settings: map[string]any{"timesteps": "hihg:0.5"}}); err == nil {
		t.Error("a formula that does not exist is accepted")
	}
}
