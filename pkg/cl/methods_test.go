package cl_test

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
)

// made is the strategy that a configuration describes.
func made(t testing.TB, name string, settings map[string]any) cl.Strategy {
	t.Helper()
	s, err := cl.New(cl.Spec{Name: name, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMethodsConform runs the suite on every method that takes rows of a memory, a generator or a teacher, and on
// compositions. zero are the settings under which it is fine-tuning.
func TestMethodsConform(t *testing.T) {
	type settings = map[string]any
	small := settings{"buffer": 11}
	generated := settings{"schedule": "constant", "pool": 7, "sampler_steps": 2}
	composed := settings{"er_lambda": 0.3, "er_buffer": 11, "ewc_rank1_lambda": 10, "ewc_rank1_fisher_rows": 3, "lwf_lambda": 0.5, "lwf_schedule": "constant"}
	for _, tc := range []struct {
		test, name     string
		settings, zero settings
		images         int
		synthetic      bool
	}{
		{"lwf", "lwf", settings{"schedule": "constant"}, settings{"lambda": 0}, 0, false},
		{"lwf of trained weights", "lwf", settings{"teacher": "trained"}, nil, 0, false},
		{"gaussian", "gaussian_distillation", settings{"schedule": "constant"}, settings{"lambda": 0}, 0, false},
		{"gr", "gr", generated, settings{"lambda": 0}, 7, true},
		{"gr at each step", "gr", settings{"schedule": "constant", "pool": 0, "sampler_steps": 2}, settings{"lambda": 0}, 0, true},
		{"generative distillation", "generative_distillation", generated, settings{"lambda": 0}, 7, true},
		{"agem", "agem", small, nil, 11, false},
		{"er_balanced", "er_balanced", small, nil, 11, false},
		{"der", "der", settings{"buffer": 11, "beta": 0.5}, settings{"lambda": 0, "beta": 0}, 11, false},
		{"from_scratch", "from_scratch", nil, nil, 0, false},
		{"ensemble", "ensemble", nil, nil, 0, false},
		{"packnet", "packnet", nil, nil, 0, false},
		{"er+packnet", "er+packnet", small, nil, 11, false},
		{"mir", "mir", settings{"buffer": 11, "candidates": 9}, settings{"lambda": 0}, 11, false},
		{"gdumb", "gdumb", small, nil, 11, false},
		{"er+ewc_rank1+lwf", "er+ewc_rank1+lwf", composed, settings{"er_lambda": 0, "ewc_rank1_lambda": 0, "lwf_lambda": 0}, 11, false},
		{"two that replay", "agem+der", settings{"agem_buffer": 5, "der_buffer": 6}, nil, 11, false},
	} {
		t.Run(tc.test, func(t *testing.T) {
			o := cltest.Options{MaxImages: tc.images, Synthetic: tc.synthetic}
			if tc.zero != nil {
				o.ZeroWeight = func() cl.Strategy {
					all := settings{}
					for _, s := range []settings{tc.settings, tc.zero} {
						for key, value := range s {
							all[key] = value
						}
					}
					return made(t, tc.name, all)
				}
			}
			cltest.Conform(t, func() cl.Strategy { return made(t, tc.name, tc.settings) }, o)
		})
	}
}

// trained runs a strategy on the plain benchmark and returns its steps as they were trained on, the network's weights and the
// loop.
func trained(t *testing.T, s cl.Strategy) (*keeper, []float32, *cl.Loop) {
	t.Helper()
	b, c := plain()
	k := &keeper{Strategy: s}
	n := cltest.NewNetworkFor(t, rowsOf(s, c), k)
	l, err := cl.NewLoop(n, b, k, c, cl.Setup{Seed: 2, Features: cltest.Features})
	if err != nil {
		t.Fatal(err)
	}
	for !l.Done() {
		phase(t, l)
	}
	weights, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	return k, weights, l
}

// TestBalancedERIsER: the name stands for settings of er, bit for bit.
func TestBalancedERIsER(t *testing.T) {
	_, short, _ := trained(t, made(t, "er_balanced", map[string]any{"buffer": 11}))
	_, long, _ := trained(t, made(t, "er", map[string]any{"buffer": 11, "draw": "balanced", "schedule": "1-1/k"}))
	if !slices.Equal(short, long) {
		t.Error("er_balanced differs from er with its settings")
	}
}

// TestCompositeOfOneThatDoesNothing: a part whose weight is 0 changes nothing, bit for bit.
func TestCompositeOfOneThatDoesNothing(t *testing.T) {
	_, alone, _ := trained(t, made(t, "er", map[string]any{"lambda": 0.3, "buffer": 11}))
	_, both, _ := trained(t, made(t, "er+ewc", map[string]any{"er_lambda": 0.3, "buffer": 11, "ewc_lambda": 0}))
	if !slices.Equal(alone, both) {
		t.Error("er+ewc with a penalty of 0 differs from er")
	}
}

// TestTeachersAnswerTheirRows: where each method asks its teacher, and with which weight.
func TestTeachersAnswerTheirRows(t *testing.T) {
	for _, tc := range []struct {
		name         string
		settings     map[string]any
		fresh, own   float64 // sum of the weights of fresh rows and of distilled ones, in the last of three tasks
		first, count int     // rows distilled
		pure         bool
	}{
		{"lwf", map[string]any{"lambda": 0.6, "schedule": "constant"}, 1, 0.6, 0, 4, false},
		{"lwf", map[string]any{"lambda": 0.6}, 1. / 3, 0.4, 0, 4, false},
		{"lwf", map[string]any{"lambda": 0.6, "schedule": "1/k"}, 1, 0.2, 0, 4, false},
		{"gaussian_distillation", map[string]any{"lambda": 6}, 1. / 3, 4, 4, 4, true},
		{"generative_distillation", map[string]any{"lambda": 0.6, "pool": 7, "sampler_steps": 2}, 1. / 3, 0.4, 4, 4, false},
	} {
		k, _, l := trained(t, made(t, tc.name, tc.settings))
		for _, s := range k.steps {
			b := s.Batch
			if s.Task == 0 {
				if b.Distil != nil {
					t.Errorf("%s: a teacher in the first task", tc.name)
				}
				continue
			}
			if s.Task != 2 {
				continue
			}
			fresh, own, replayed := 0.0, 0.0, 0.0
			for i := range b.W {
				own += float64(b.Distil[i])
				if i < s.Fresh {
					fresh += float64(b.W[i])
				} else {
					replayed += float64(b.W[i])
				}
				inside := i >= tc.first && i < tc.first+tc.count
				if inside != (b.Distil[i] > 0) {
					t.Errorf("%s: row %d has weight %g in distillation", tc.name, i, b.Distil[i])
				}
				if pure := b.PureNoise != nil && b.PureNoise[i]; pure != (inside && tc.pure) {
					t.Errorf("%s: row %d is pure noise: %v", tc.name, i, pure)
				}
				if i >= s.Fresh && inside && b.Y[i] >= 4 {
					t.Errorf("%s: row %d asks for class %d, which is not of a finished task", tc.name, i, b.Y[i])
				}
			}
			if math.Abs(fresh-tc.fresh) > 1e-6 || math.Abs(own-tc.own) > 1e-6 || replayed != 0 {
				t.Errorf("%s %v: fresh rows weigh %g, distilled %g, replayed %g; want %g, %g, 0", tc.name, tc.settings, fresh, own, replayed, tc.fresh, tc.own)
			}
		}
		// The teacher evaluates all rows of all 12 steps; a pool of 7 images is made twice with 2 steps.
		want, kept := int64(12*(4+l.ReplayRows())), l.Network.Parameters()
		if strings.HasPrefix(tc.name, "generative") {
			want += 2 * 7 * 2
		}
		if got := l.Stored(); got.ExtraEvaluations != want || got.Parameters != kept {
			t.Errorf("%s: %d extra evaluations and %d parameters reported, want %d and %d", tc.name, got.ExtraEvaluations, got.Parameters, want, kept)
		}
	}
}

// TestGRRows: from the second task on, replay rows are trained on like data, with the schedule's weight, under classes of finished
// tasks, and nothing is distilled.
func TestGRRows(t *testing.T) {
	k, _, _ := trained(t, made(t, "gr", map[string]any{"lambda": 0.6, "pool": 7, "sampler_steps": 2}))
	for _, s := range k.steps {
		fresh, replayed := float32(1./float64(s.Task+1)/4), float32(0.6*(1-1/float64(s.Task+1))/4)
		for row, weight := range s.Batch.W {
			want := fresh
			if row >= s.Fresh {
				want = replayed
			}
			if math.Abs(float64(weight-want)) > 1e-7 {
				t.Fatalf("row %d of a step of task %d weighs %g, want %g", row, s.Task, weight, want)
			}
			if s.Task > 0 && row >= s.Fresh && s.Batch.Y[row] >= int32(2*s.Task) {
				t.Fatalf("row %d of a step of task %d shows class %d, which is not of a finished task", row, s.Task, s.Batch.Y[row])
			}
		}
		if s.Batch.Distil != nil {
			t.Fatalf("a step of task %d distils", s.Task)
		}
	}
}

// TestWhoReplays: methods without replay, and all at weight 0, ask for no replay rows; the others for the loop's or their own.
func TestWhoReplays(t *testing.T) {
	type settings = map[string]any
	for _, tc := range []struct {
		name     string
		settings settings
		want     int
	}{
		{"finetune", nil, 0}, {"from_scratch", nil, 0}, {"ensemble", nil, 0}, {"lora", nil, 0}, {"joint", nil, 6}, {"cumulative", nil, 6}, {"gdumb", nil, 6},
		{"l2", nil, 0}, {"ewc", nil, 0}, {"ewc_online", nil, 0}, {"ewc_rank1", nil, 0}, {"si", nil, 0}, {"mas", nil, 0}, {"lwf", nil, 0},
		{"er", nil, 6}, {"er", settings{"rows": 2}, 2}, {"er", settings{"lambda": 0, "rows": 2}, 0},
		{"er_balanced", nil, 6}, {"agem", settings{"rows": 2}, 2},
		{"mir", nil, 6}, {"mir", settings{"lambda": 0}, 0},
		{"der", nil, 6}, {"der", settings{"lambda": 0}, 0}, {"der", settings{"lambda": 0, "beta": 0.5}, 6},
		{"gr", nil, 6}, {"gr", settings{"lambda": 0}, 0},
		{"generative_distillation", settings{"rows": 3}, 3}, {"generative_distillation", settings{"lambda": 0}, 0},
		{"gaussian_distillation", nil, 6}, {"gaussian_distillation", settings{"lambda": 0}, 0},
		{"ewc+lwf", nil, 0}, {"er+lwf", nil, 6}, {"er+gr", settings{"er_lambda": 0}, 6}, {"er+gr", settings{"er_lambda": 0, "gr_lambda": 0}, 0},
	} {
		if got := made(t, tc.name, tc.settings).ReplayRows(6); got != tc.want {
			t.Errorf("%s %v asks for %d replay rows of a loop's 6, want %d", tc.name, tc.settings, got, tc.want)
		}
	}
}

// TestAGEMRows: replayed rows are references, and the loss that must not grow is their mean.
func TestAGEMRows(t *testing.T) {
	k, _, _ := trained(t, made(t, "agem", map[string]any{"buffer": 11}))
	for i, s := range k.steps {
		mean := 0.0
		for row := range s.Batch.W {
			want := s.Task > 0 && row >= s.Fresh
			if want != (s.Batch.Reference != nil && s.Batch.Reference[row]) {
				t.Fatalf("row %d of a step of task %d is a reference: %v", row, s.Task, !want)
			}
			if want {
				mean += float64(k.losses[i][row]) / float64(s.Replay)
			}
		}
		if got := k.results[i].Reference; math.Abs(got-mean) > 1e-5*mean {
			t.Fatalf("step %d of task %d: the reference loss is %g, the mean of its rows %g", s.Index, s.Task, got, mean)
		}
	}
}

// TestDERTargets: the target of a replayed row is what the network of the end of the image's task predicts for the row's own
// x_t, timestep and class.
func TestDERTargets(t *testing.T) {
	b, c := plain()
	b.Prep.Flip, c.LabelDropout = true, 0.9 // neither is to reach rows with targets
	d := made(t, "der", map[string]any{"buffer": 11, "targets": 3, "policy": memory.NameReservoir}).(*cl.DER)
	n := cltest.NewNetworkFor(t, 8, d)
	l, err := cl.NewLoop(n, b, d, c, cl.Setup{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	phase(t, l)
	s, err := cl.StepBatch(l)
	if err != nil {
		t.Fatal(err)
	}
	size, seen := b.H*b.W*b.C, map[int32]bool{}
	for i := range s.Replay {
		row := s.Row(i)
		x := slices.Clone(s.Batch.X[row*size : (row+1)*size])
		pixels := make([]uint8, size)
		datasets.Unscale(pixels, x)
		from := -1
		for j := range 24 {
			if bytes.Equal(b.Tasks[0].Train.Image(j), pixels) {
				from = j
			}
		}
		if from < 0 || s.Batch.Y[row] != int32(b.Tasks[0].Train.Labels[from]) || s.Batch.W[row] != 0 {
			t.Fatalf("row %d shows image %d of the task before with label %d and weight %g", row, from, s.Batch.Y[row], s.Batch.W[row])
		}
		at := s.Batch.T[row]
		seen[at] = true
		n.Process.QSample(x, x, s.Batch.Noise[row*size:(row+1)*size], int(at))
		want, err := n.Denoiser(true).Output(x, []int32{at}, s.Batch.Y[row:row+1])
		if err != nil {
			t.Fatal(err)
		}
		for p, v := range s.Batch.Target[row*size : (row+1)*size] {
			if math.Abs(float64(v-want[p])) > 1e-5 {
				t.Fatalf("row %d, pixel %d: the target is %g, the network says %g", row, p, v, want[p])
			}
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d timesteps in %d rows of 3 targets each", len(seen), s.Replay)
	}
}

// TestDERPlusPlusDrawsTwice: the kept predictions and the images' own loss are of independent draws from the buffer; the first
// gets one row more where they do not come out even.
func TestDERPlusPlusDrawsTwice(t *testing.T) {
	for rows, shares := range map[int][2]int{8: {4, 4}, 5: {3, 2}} {
		s := before(t, alone(t, cl.Spec{Name: "der", Settings: map[string]any{"lambda": 0.6, "beta": 0.3, "rows": rows}}), 2)
		for i := range rows {
			row, target, own := s.Row(i), 0.6/float64(shares[0]), 0.
			if i >= shares[0] {
				target, own = 0, 0.3/float64(shares[1])
			}
			b := s.Batch
			if b.TargetW[row] != float32(target) || b.W[row] != float32(own) || b.GivenNoise[row] != (own == 0) || b.T[row] != 0 && own > 0 {
				t.Errorf("row %d of %d weighs %g by its target and %g by its own loss, given noise: %v, timestep %d; want %g and %g", i, rows, b.TargetW[row], b.W[row], b.GivenNoise[row], b.T[row], target, own)
			}
		}
	}
	// One row each, from 12 images: they show the same in one of 12 steps. The tolerance is five standard errors of 4000 steps.
	s, same := alone(t, cl.Spec{Name: "der", Settings: map[string]any{"buffer": 12, "beta": 1, "rows": 2}}), 0
	for seed := range 4000 {
		step := blank(s, 2)
		step.RNG = rand.New(rand.NewPCG(1, uint64(seed)))
		if err := s.BeforeStep(step); err != nil {
			t.Fatal(err)
		}
		if x := step.Batch.X; slices.Equal(x[4*64:5*64], x[5*64:]) {
			same++
		}
	}
	if math.Abs(float64(same)-4000./12) > 5*math.Sqrt(4000./12) {
		t.Errorf("both rows show the same image in %d of 4000 steps, want about %d", same, 4000/12)
	}
	one := made(t, "der", map[string]any{"beta": 1})
	if err := one.Begin(cl.Setup{ReplayRows: 1}); err == nil || !strings.Contains(err.Error(), "2 or more") {
		t.Errorf("one replay row for two losses gives %v", err)
	}
}

// TestMIRChooses: the rows replayed are the candidates whose losses a step would raise most, the change is linear in a small
// step, and the weights are as before.
func TestMIRChooses(t *testing.T) {
	b, c := plain()
	m := cl.NewMIR()
	m.Buffer, m.Candidates, m.Rate = 11, 11, 1e-3
	n := cltest.NewNetwork(t)
	l, err := cl.NewLoop(n, b, m, c, cl.Setup{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	phase(t, l)
	weights, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	images, at, change, err := cl.Interference(l, m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cl.StepBatch(l)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := n.Weights(false); err != nil || !slices.Equal(now, weights) {
		t.Errorf("the weights changed (%v)", err)
	}
	order := make([]int, len(change))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(change[b], change[a]) })
	if change[order[0]] == change[order[10]] || len(slices.Compact(slices.Sorted(slices.Values(images)))) != 11 {
		t.Fatalf("the candidates %v change by %v", images, change)
	}
	kept, size := m.Stored().Images, b.H*b.W*b.C
	for i := range s.Replay {
		row, want := s.Row(i), order[i]
		pixels := make([]uint8, size)
		datasets.Unscale(pixels, s.Batch.X[row*size:(row+1)*size])
		if !bytes.Equal(pixels, kept.Image(images[want])) || s.Batch.T[row] != at[want] || s.Batch.W[row] != 0.25 {
			t.Errorf("replay row %d is not candidate %d, whose loss changes by %g", i, want, change[want])
		}
	}
	m.Rate *= 2
	_, _, twice, err := cl.Interference(l, m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range change {
		if math.Abs(twice[i]-2*change[i]) > 0.05*math.Abs(change[order[0]])+1e-6 {
			t.Errorf("candidate %d changes by %g, after a step twice as long by %g", i, change[i], twice[i])
		}
	}
}

// TestGDumbRows: all rows of a step count alike and hold images of the buffer, those of the task at hand among them.
func TestGDumbRows(t *testing.T) {
	b, c := plain()
	g := made(t, "gdumb", map[string]any{"buffer": 8})
	l, err := cl.NewLoop(cltest.NewNetwork(t), b, g, c, cl.Setup{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	classes := map[int32]int{}
	for !l.Done() {
		if l.PhaseDone() {
			if err := l.EndPhase(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := l.Step(); err != nil {
			t.Fatal(err)
		}
		if l.Position.Phase != 2 || l.PhaseDone() {
			continue
		}
		s, err := cl.StepBatch(l)
		if err != nil {
			t.Fatal(err)
		}
		for row, weight := range s.Batch.W {
			if weight != 0.125 {
				t.Fatalf("row %d of 8 weighs %g", row, weight)
			}
			classes[s.Batch.Y[row]]++
		}
	}
	// 8 images of 6 classes: each step of 8 rows draws the whole buffer once.
	if len(classes) != 6 {
		t.Errorf("in the last task rows show classes %v, want all 6", classes)
	}
}

// TestFromScratchRestarts: every task begins at the initial weights, and the optimiser's warm-up with it.
func TestFromScratchRestarts(t *testing.T) {
	b, c := plain()
	c.ResetOptimizer = false
	n := cltest.NewNetworkOf(t, c.FreshRows)
	if err := n.Reset(7); err != nil {
		t.Fatal(err)
	}
	initial, err := n.Weights(false)
	if err != nil {
		t.Fatal(err)
	}
	l, err := cl.NewLoop(n, b, made(t, "from_scratch", nil), c, cl.Setup{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		phase(t, l)
		again, err := n.Weights(false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again, initial) || l.Position.Optimiser != 0 {
			t.Fatalf("task %d starts at other weights, or %d steps into its warm-up", l.Position.Phase, l.Position.Optimiser)
		}
	}
}

func TestCompositeSettings(t *testing.T) {
	s := made(t, "er+lwf", map[string]any{"er_lambda": 0.3, "buffer": 50, "teacher": "trained"})
	settings, err := cl.Settings(s)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"er_lambda": 0.3, "er_buffer": 50, "lwf_teacher": "trained", "lwf_lambda": 1} {
		if settings[key] != want {
			t.Errorf("setting %s is %v, want %v", key, settings[key], want)
		}
	}
	if again := made(t, "er+lwf", settings); again.Label() != s.Label() || s.Label() != "er+lwf (er λ=0.3 buffer=50, lwf λ=1 teacher=trained)" {
		t.Errorf("label %q comes back as %q", s.Label(), again.Label())
	}
	for name, tc := range map[string]struct {
		spec cl.Spec
		want string
	}{
		"ambiguous":     {cl.Spec{Name: "er+lwf", Settings: map[string]any{"lambda": 1}}, "say which: [er_lambda lwf_lambda]"},
		"twice":         {cl.Spec{Name: "er+lwf", Settings: map[string]any{"buffer": 1, "er_buffer": 2}}, "under two names"},
		"unknown":       {cl.Spec{Name: "er+lwf", Settings: map[string]any{"er_lamda": 1}}, `did you mean "er_lambda"?`},
		"value":         {cl.Spec{Name: "er+lwf", Settings: map[string]any{"er_lambda": -1}}, "lambda is -1"},
		"method":        {cl.Spec{Name: "er+ewk"}, `did you mean "ewc"?`},
		"itself":        {cl.Spec{Name: "er+er"}, "twice"},
		"stream":        {cl.Spec{Name: "er+joint"}, "stream of its own"},
		"restart":       {cl.Spec{Name: "er+from_scratch"}, "new weights"},
		"two penalties": {cl.Spec{Name: "ewc+mas"}, "one quadratic penalty"},
		"two teachers":  {cl.Spec{Name: "lwf+gaussian_distillation", Settings: map[string]any{"lwf_teacher": "trained"}}, "teachers"},
	} {
		if _, err := cl.New(tc.spec); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the error is %v, want it to say %q", name, err, tc.want)
		}
	}
	// A penalty of 0 takes no room.
	made(t, "ewc+mas", map[string]any{"ewc_lambda": 0})
}

// TestCompositeShares: the replay rows of a loop are divided, and each part has its own.
func TestCompositeShares(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]any
		loop     int
		want     int
	}{
		{"er+agem", nil, 5, 5}, {"er+agem", map[string]any{"er_rows": 3}, 5, 5}, {"er+agem", map[string]any{"agem_rows": 7}, 5, 10},
		{"er+ewc+lwf", nil, 5, 5}, {"ewc+lwf", nil, 5, 0}, {"er+agem", map[string]any{"er_lambda": 0}, 5, 5},
	} {
		if got := made(t, tc.name, tc.settings).ReplayRows(tc.loop); got != tc.want {
			t.Errorf("%s %v asks for %d replay rows of a loop's %d, want %d", tc.name, tc.settings, got, tc.loop, tc.want)
		}
	}
	k, _, _ := trained(t, made(t, "er+agem", map[string]any{"er_buffer": 5, "agem_buffer": 5, "er_lambda": 0.5}))
	for _, s := range k.steps {
		if s.Task == 0 {
			continue
		}
		for row := range s.Batch.W {
			want := []float32{0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5}[row]
			if s.Batch.W[row] != want || s.Batch.Reference[row] != (row >= 6) {
				t.Fatalf("row %d weighs %g and is a reference: %v; want %g and the last two", row, s.Batch.W[row], s.Batch.Reference[row], want)
			}
		}
	}
}

// TestCompositeAddsExtensions: what parts need is merged, and rank-1 penalties are as many as there are tasks before the last.
func TestCompositeAddsExtensions(t *testing.T) {
	got := made(t, "ewc_rank1+lwf+si", nil).Needs(cl.Setup{Tasks: 5})
	if want := (diffusion.Extra{Teacher: true, Penalty: true, Directions: 4, Path: true}); got != want {
		t.Errorf("needs %+v, want %+v", got, want)
	}
}
