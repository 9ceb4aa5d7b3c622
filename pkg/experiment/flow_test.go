package experiment

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// A run of flow matching is trained, sampled and looked at by timestep as any other; its likelihood is that of the ODE.
func TestFlowRun(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.Diffusion.Prediction, c.Diffusion.Schedule = diffusion.PredictFlow, diffusion.FlowSchedule
	c.Evaluate.Sampler.Name = diffusion.Heun
	c.Probe = ProbeConfig{Every: 2, Images: 2, Timesteps: 4}
	c.Autopsy = AutopsyConfig{Images: 4, Timesteps: 2, Steps: 2, Thresholds: 2}
	last := Progress{}
	r, err := Run(t.Context(), c, dir, Options{Backend: back, Choice: choice, Progress: func(p Progress) {
		if p.Fraction < last.Fraction {
			t.Errorf("after %g of the run it is told that %g is done: %v, %v", last.Fraction, p.Fraction, last, p)
		}
		last = p
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Protocol.Sampler != "heun" || r.Evaluations[1].Tasks[0].FID == nil {
		t.Errorf("sampled by %q: %+v", r.Protocol.Sampler, r.Evaluations[1].Tasks[0])
	}
	if a, err := dynamics.LoadAutopsy(filepath.Join(dir, results.AutopsyFile)); err != nil || len(a.Stitches) != 1 || len(a.Stitches[0].OldHigh.FID) != 2 {
		t.Errorf("autopsy %+v (%v)", a, err)
	}
	if _, err := ForgettingByTimestep(dir, 2); err != nil {
		t.Error(err)
	}
	trained, err := OpenTrained(back, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	tasks, err := trained.BPD(t.Context(), "", BPDOptions{Images: 2, Terms: 81, Batch: 4, ODE: 1})
	if err != nil || len(tasks) != 2 || tasks[0].ODEImages != 1 || !(tasks[0].ODEBPD > 0) || tasks[0].Images != 0 {
		t.Errorf("likelihoods %+v (%v)", tasks, err)
	}
	for what, try := range map[string]func() error{
		"some images of each task (ode)": func() error { _, err := trained.BPD(t.Context(), "", BPDOptions{Images: 2, Batch: 4}); return err },
		`choose one of ["euler" "heun"]`: func() error {
			_, err := trained.Draw(t.Context(), nil, 1, diffusion.DefaultSampler(), 0)
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v; want an error with %q", err, what)
		}
	}
	if drawn, err := trained.Draw(t.Context(), []int{7}, 2, diffusion.SamplerConfig{Name: diffusion.Euler, Steps: 2}, 0); err != nil || !slices.Equal(drawn.Labels, []int{7, 7}) {
		t.Errorf("drew %+v (%v)", drawn, err)
	}
}
