package experiment

import (
	"context"
	"strings"
	"sync"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/report"
	"palimpsest/pkg/study"
)

// halved is a strategy that this package brings: replay in every other row.
type halved struct {
	cl.Replay `yaml:",inline"`
	Lambda    float64 `yaml:"lambda"`
}

func newHalved() *halved { return &halved{Replay: cl.NewReplay(), Lambda: 1} }

func (*halved) Info() cl.Info {
	return cl.Info{Name: "halved", Title: "replay in half of the rows", Paper: "a test", Equation: "L = mean(loss_fresh) + λ·mean(loss_replay)", Stores: "a buffer"}
}

func (h *halved) Label() string { return cl.LabelOf(h, newHalved()) }

func (h *halved) BeforeStep(s *cl.Step) error {
	images := h.Memory().Images()
	for i, j := range h.Memory().Draw(s.RNG, s.Replay/2) {
		s.SetReplay(2*i, images.Image(j), images.Labels[j], h.Lambda/float64(s.Replay/2))
	}
	return nil
}

var registerHalved = sync.OnceValue(func() error { return cl.Register(func() cl.Strategy { return newHalved() }) })

// TestStudyOfARegisteredStrategy: a strategy of another package is trained, interrupted, resumed, composed and tabulated
// like the known ones.
func TestStudyOfARegisteredStrategy(t *testing.T) {
	if err := registerHalved(); err != nil {
		t.Fatal(err)
	}
	s := smallStudy(t.TempDir())
	s.Runs[0].Strategy = cl.Spec{Name: "halved", Settings: map[string]any{"lambda": 0.5, "buffer": 12}}
	s.Runs[1].Strategy = cl.Spec{Name: "halved+ewc_rank1", Settings: map[string]any{"buffer": 12, "fisher_rows": 4}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opt := StudyOptions{Progress: func(p StudyProgress) {
		if len(p.Active) > 0 && p.Active[0].Task > 0 { // the buffer is part of what the checkpoint must hold
			cancel()
		}
	}}
	if _, err := s.Do(ctx, opt); err == nil {
		t.Fatal("the study was not interrupted")
	}
	runs, err := s.Do(t.Context(), StudyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if stored := runs[0].Strategy; stored.Name != "halved" || stored.Label != "halved λ=0.5 buffer=12" || runs[0].Cost.StoredImages != 12 {
		t.Errorf("the stored run is of %+v, %d images", stored, runs[0].Cost.StoredImages)
	}
	table := report.MarkdownTable(study.Group(runs))
	for _, label := range []string{"| halved λ=0.5 buffer=12 |", "| halved+ewc_rank1 (halved λ=1 buffer=12, ewc_rank1 λ=10000 fisher rows=4) |"} {
		if !strings.Contains(table, label) {
			t.Errorf("the table lacks %q:\n%s", label, table)
		}
	}
}

// unbegun forgets that the buffer must begin, and its state is one that panics once there is a buffer.
type unbegun struct {
	halved `yaml:",inline"`
	begins bool
}

func (*unbegun) Info() cl.Info {
	info := newHalved().Info()
	info.Name = "unbegun"
	return info
}
func (*unbegun) Label() string { return "unbegun" }

func (u *unbegun) Begin(s cl.Setup) error {
	if u.begins {
		return u.halved.Begin(s)
	}
	return nil
}

func (u *unbegun) State() ([]byte, error) { panic("no state yet") }

// A slip of a strategy's author ends a run with one error that says what is to be done, wherever the program asks the strategy.
func TestSlipsOfAStrategy(t *testing.T) {
	begins := false
	if err := cl.Register(func() cl.Strategy { return &unbegun{*newHalved(), begins} }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"task 0, step 0: there is no buffer yet: Replay.Begin makes it", "state of strategy unbegun: no state yet (registered_test.go:"} {
		c := smallStudy("").Runs[1]
		c.Strategy, c.CheckpointEvery = cl.Spec{Name: "unbegun"}, 1
		_, err := Run(t.Context(), c, t.TempDir(), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the run ends with %v, want %q", err, want)
		}
		begins = true
	}
}
