package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// childEnv holds the run folder where this test binary is to be a run's process; "last argument": the folder is that.
const childEnv = "PALIMPSEST_TEST_RUN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if dir == "last argument" {
			dir = os.Args[len(os.Args)-1]
		}
		lines := json.NewEncoder(os.Stdout)
		if _, err := Resume(ctx, dir, Options{Progress: func(p Progress) { _ = lines.Encode(p) }, Command: "test"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := kernelsetup.EnsurePlugin(context.Background(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// smallConfig is a whole run, real images and all, of some seconds.
func smallConfig() Config {
	c := DefaultConfig()
	c.Benchmark.ClassOrder, c.Benchmark.Classes = "given", []int{7, 9, 0, 3, 1, 8}
	c.Network.Base, c.Network.Mults = 8, []int{1}
	c.Diffusion.T = 50
	c.Loop.StepsPerTask, c.Loop.FreshRows, c.Loop.ReplayRows = 24, 4, 4
	c.Strategy.Name, c.Strategy.Settings = "er", map[string]any{"lambda": 0.5, "buffer": 12, "policy": "reservoir"}
	c.Evaluate.SamplesPerTask, c.Evaluate.Batch, c.Evaluate.Sampler.Steps = 64, 64, 2
	c.CheckpointEvery = 5
	c.Probe = ProbeConfig{Every: 10, Images: 2, Timesteps: 4}
	c.BPD = BPDConfig{Images: 4, Terms: 5, Variants: true}
	c.Autopsy = AutopsyConfig{Images: 4, Timesteps: 2, Steps: 2, Thresholds: 3}
	return c
}

// briefConfig is the shortest run: fine-tuning on two tasks, sampled and measured.
func briefConfig(seed int) Config {
	c := smallConfig()
	c.Benchmark.Classes, c.Loop.StepsPerTask, c.CheckpointEvery, c.Seed = []int{7, 9, 0, 3}, 2, 0, uint64(seed)
	c.Strategy = cl.Spec{Name: "finetune"}
	c.Probe, c.BPD, c.Autopsy = ProbeConfig{}, BPDConfig{}, AutopsyConfig{}
	return c
}

// child starts a process that goes on with the run in dir.
func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	return childOf(t, dir, smallConfig())
}

// childOf is child for a run of another configuration.
func childOf(t *testing.T, dir string, c Config) *exec.Cmd {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := claim(c, dir, nil); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	return cmd
}

// outcome is what two runs must agree on to the last bit.
func outcome(t *testing.T, dir string) (r *results.Run, weights []byte, files map[string][]byte) {
	t.Helper()
	r, err := results.Load(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("%d checkpoints, %v", len(names), err)
	}
	if weights, err = os.ReadFile(filepath.Join(dir, "checkpoints", names[len(names)-1], "network.safetensors")); err != nil {
		t.Fatal(err)
	}
	sheets, err := filepath.Glob(filepath.Join(dir, "samples", "*.png"))
	if err != nil || len(sheets) != 3 {
		t.Fatalf("%d sheets of samples, want 3 (%v)", len(sheets), err)
	}
	files = map[string][]byte{}
	for _, f := range append(sheets, filepath.Join(dir, "metrics.csv"), filepath.Join(dir, "losses.csv"), filepath.Join(dir, results.DynamicsFile), filepath.Join(dir, results.AutopsyFile)) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(f)] = data
	}
	return r, weights, files
}

// A run killed at random moments, by SIGKILL and by Ctrl-C, and resumed each time ends with the weights and the
// measurements of a run that was left alone, bit for bit.
func TestKilledRunResumesBitForBit(t *testing.T) {
	t.Run("er", func(t *testing.T) { resumesBitForBit(t, smallConfig(), 4) })
	t.Run("packnet", func(t *testing.T) { forgetsNothing(t, resumesBitForBit(t, isolatedConfig(), 2)) })
	t.Run("composition", func(t *testing.T) { resumesBitForBit(t, composedConfig(), 2) })
}

// composedConfig is a run that extends the network in every way at once: a buffer, a penalty, and a teacher with its pool.
func composedConfig() Config {
	c := smallConfig()
	c.Strategy = cl.Spec{Name: "er+ewc_rank1+generative_distillation", Settings: map[string]any{"buffer": 12, "fisher_rows": 8, "pool": 8}}
	c.BPD.Variants = false
	return c
}

// isolatedConfig is a run whose network depends on the task at sampling.
func isolatedConfig() Config {
	c := smallConfig()
	c.Evaluate.Ahead = true // what a task is before it is learned shows that learning it changes something
	c.Strategy = cl.Spec{Name: "packnet"}
	c.Evaluate.Sampler.Name = diffusion.DDIM // as stitched samples are drawn
	c.Loop.ReplayRows, c.BPD.Variants = 0, false
	return c
}

// forgetsNothing checks that every measurement of an isolated task in the run in dir is the same, bit for bit, from the task's
// end on: it was made with the weights of the task.
func forgetsNothing(t *testing.T, dir string) {
	t.Helper()
	r, err := results.Load(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Copies are looked for among the training images of the tasks so far, which become more.
	measured := func(after, task int) []byte {
		m := r.Evaluations[after].Tasks[task]
		m.MemorisedTrain, m.Copies = nil, nil
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for task := range 2 {
		first := measured(task, task)
		for after := task + 1; after < 3; after++ {
			if again := measured(after, task); !bytes.Equal(again, first) {
				t.Errorf("after task %d, task %d is measured as\n%s\nand was as\n%s", after, task, again, first)
			}
		}
	}
	if a, b := *r.Evaluations[0].Tasks[1].FID, *r.Evaluations[1].Tasks[1].FID; a == b {
		t.Error("learning a task changed nothing")
	}
	s, err := dynamics.LoadSeries(filepath.Join(dir, results.DynamicsFile))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Map(diffusion.PredictNoise, len(s.Checkpoints)-1)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range m.Relative {
		if v != 0 {
			t.Fatalf("the probe sees a relative rise of %g (value %d), want none", v, i)
		}
	}
	a, err := dynamics.LoadAutopsy(filepath.Join(dir, results.AutopsyFile))
	if err != nil {
		t.Fatal(err)
	}
	for k, stitch := range a.Stitches {
		if low, high := slices.Min(stitch.OldHigh.FID), slices.Max(stitch.OldHigh.FID); low != high || low != *r.Evaluations[k].Tasks[k].FID {
			t.Errorf("task %d stitched has FID %v, want %g throughout", k, stitch.OldHigh.FID, *r.Evaluations[k].Tasks[k].FID)
		}
	}
}

// resumesBitForBit compares a run left alone, in the folder it returns, with one of the same configuration that is killed some times.
func resumesBitForBit(t *testing.T, c Config, kills int) (whole string) {
	t.Helper()
	base := t.TempDir()
	whole, broken := filepath.Join(base, "whole"), filepath.Join(base, "broken")
	if out, err := childOf(t, whole, c).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	interruptions := 0
	for attempt := range 30 {
		cmd := childOf(t, broken, c)
		// What a GPU does, steps in rows on images that lie there, is no other run.
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", diffusion.ApartEnv, 1-attempt%2))
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		signal, after := os.Signal(syscall.SIGKILL), rng.IntN(5)
		if attempt%3 == 2 {
			signal = os.Interrupt
		}
		// The first kills come after some progress reports, so at moments of every kind; the last attempts are left
		// alone.
		killed := false
		for lines, n := json.NewDecoder(stdout), 0; ; n++ {
			var p Progress
			if lines.Decode(&p) != nil {
				break
			}
			if interruptions < kills && n >= after && p.Stage != "prepare" && !killed {
				time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
				if err := cmd.Process.Signal(signal); err == nil {
					killed = true
					interruptions++
				}
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err == nil {
			break
		}
	}
	if interruptions < kills-1 {
		t.Fatalf("the run was interrupted %d times; the test needs %d at least", interruptions, kills-1)
	}
	a, weightsA, filesA := outcome(t, whole)
	b, weightsB, filesB := outcome(t, broken)
	if !bytes.Equal(weightsA, weightsB) {
		t.Error("the final checkpoints' networks differ")
	}
	for name, data := range filesA {
		if !bytes.Equal(data, filesB[name]) {
			t.Errorf("%s differs", name)
		}
	}
	evaluationsA, _ := json.Marshal([]any{a.Evaluations, a.Losses, a.Sensitivity})
	evaluationsB, _ := json.Marshal([]any{b.Evaluations, b.Losses, b.Sensitivity})
	if !bytes.Equal(evaluationsA, evaluationsB) {
		t.Errorf("measurements differ:\n%s\n%s", evaluationsA, evaluationsB)
	}
	leftovers, _ := filepath.Glob(filepath.Join(broken, "*", ".writing-*"))
	if len(leftovers) > 0 {
		t.Errorf("half-written checkpoints are left: %v", leftovers)
	}
	return whole
}

// The pure ends of a stitch are networks that were measured before: just after the task was learned, and at the end. The
// parts of a likelihood add up, and the first way of computing it is the usual one.
func TestAutopsyAndLikelihoodsAgreeWithTheEvaluations(t *testing.T) {
	dir, c := t.TempDir(), smallConfig()
	c.Evaluate.Sampler.Name = diffusion.DDIM // as stitched samples are drawn
	r, err := Run(t.Context(), c, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := dynamics.LoadAutopsy(filepath.Join(dir, results.AutopsyFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Stitches) != 2 || len(a.Drifts) != 2 || len(a.Interference) != 2 {
		t.Fatalf("%d stitches, %d drifts, %d interferences for 3 tasks; want 2 each", len(a.Stitches), len(a.Drifts), len(a.Interference))
	}
	for _, s := range a.Stitches {
		last := len(s.Thresholds) - 1
		before, final := *r.Evaluations[s.Task].Tasks[s.Task].FID, *r.Evaluations[2].Tasks[s.Task].FID
		if s.OldHigh.FID[0] != before || s.OldHigh.FID[last] != final || s.OldLow.FID[0] != final || s.OldLow.FID[last] != before || before == final {
			t.Errorf("task %d: FID was %g and is %g; stitched ends are %g %g and %g %g", s.Task, before, final,
				s.OldHigh.FID[0], s.OldHigh.FID[last], s.OldLow.FID[0], s.OldLow.FID[last])
		}
	}
	for _, e := range r.Evaluations {
		for j, task := range e.Tasks {
			sum := task.BPD.Prior + task.BPD.Decoder
			for _, b := range task.BPD.Bins {
				sum += b
			}
			if math.Abs(sum-task.BPD.Mean) > 1e-9*sum || len(task.BPD.Bins) != len(r.Protocol.BPD.Edges)-1 {
				t.Errorf("after task %d, task %d: parts add up to %g of %g bits per dimension in %d bins", e.AfterTask, j, sum, task.BPD.Mean, len(task.BPD.Bins))
			}
		}
	}
	if len(r.Sensitivity) != 5 || r.Sensitivity[0].Tasks[1] != r.Evaluations[2].Tasks[1].BPD.Mean || r.Sensitivity[0].Tasks[1] == r.Sensitivity[2].Tasks[1] {
		t.Errorf("sensitivity %+v beside %g bits per dimension", r.Sensitivity, r.Evaluations[2].Tasks[1].BPD.Mean)
	}
	// What is there is not made again, and a snapshot that cannot be read is named and costs the autopsy alone.
	if err := os.Remove(filepath.Join(dir, results.AutopsyFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "result.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(snapshotFolder(dir, 0), diffusion.StateFile), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	if again, err := Run(t.Context(), c, dir, Options{Log: &log}); err != nil || len(again.Evaluations) != len(r.Evaluations) || !strings.Contains(log.String(), "kept after task 1") {
		t.Errorf("a damaged snapshot gives %v and says %s", err, log.String())
	}
	if _, err := os.Stat(filepath.Join(dir, results.AutopsyFile)); !os.IsNotExist(err) {
		t.Errorf("an autopsy without a snapshot: %v", err)
	}
}

// One folder is one run: another configuration and a second process are refused.
func TestFolderBelongsToOneRun(t *testing.T) {
	dir := t.TempDir()
	if err := claim(smallConfig(), dir, nil); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var p Progress
	lines := json.NewDecoder(stdout)
	if err := lines.Decode(&p); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), smallConfig(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second process in one folder gets %v", err)
	}
	for begun := false; !begun; {
		if err := lines.Decode(&p); err != nil {
			t.Fatal(err)
		}
		var err error
		if begun, err = hasBegun(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	other := smallConfig()
	other.Loop.StepsPerTask++
	if _, err := Run(t.Context(), other, dir, Options{}); err == nil || !strings.Contains(err.Error(), "steps_per_task") {
		t.Errorf("a folder of other settings gives %v; want an error that shows steps_per_task", err)
	}
}

// A damaged checkpoint is one clear error that names the folder, and nothing is deleted.
func TestDamagedCheckpoint(t *testing.T) {
	dir := t.TempDir()
	storedConfig(t, dir, smallConfig())
	folder := filepath.Join(dir, "checkpoints", "phase00-step000005")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "state.json"), []byte(`{"position":`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), smallConfig(), dir, Options{})
	if err == nil || !strings.Contains(err.Error(), folder) || !strings.Contains(err.Error(), "name another folder") {
		t.Errorf("got %v; want an error that names %s and says what to do", err, folder)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Error("the damaged checkpoint is gone")
	}
}
