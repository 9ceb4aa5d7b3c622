package perf

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dit"
	"palimpsest/pkg/table"
	"palimpsest/pkg/unet"
)

// serveEnv set, this test binary answers tasks.
const serveEnv = "PALIMPSEST_TEST_PERF_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		if Serve(context.Background(), os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// smallest is a task on the smallest network there is.
func smallest(what string) Task {
	return Task{What: what, Rows: 2, Train: quickTrain, Process: diffusion.Config{T: 60, Schedule: "cosine", Prediction: "v", Variance: "fixed-large"},
		UNet: unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2, Classes: 6}}
}

// open starts this test binary as a contestant in pure Go, which compiles nothing.
func open(t *testing.T, task Task) (entrant, ready, error) {
	t.Helper()
	e, r, err := startProcess(t.Context(), Contestant{Name: ours, Task: task, Command: []string{os.Args[0]},
		Env: []string{serveEnv + "=1", compute.ConfigEnvVar + "=go"}}, false)
	if err == nil {
		t.Cleanup(e.stop)
	}
	return e, r, err
}

func TestOurProcessesAnswer(t *testing.T) {
	parameters := 0
	for _, what := range Whats() {
		e, r, err := open(t, smallest(what))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s, err := e.measure(2)
		if err != nil || s.Wall <= 0 || canPin && (s.CPU <= 0 || s.Peak <= 0) || !strings.HasPrefix(r.Versions["backend"], "go") {
			t.Errorf("%s: %+v, %+v, %v", what, r, s, err)
		}
		if parameters != 0 && r.Parameters != parameters {
			t.Errorf("%s: %d parameters, before %d", what, r.Parameters, parameters)
		}
		parameters = r.Parameters
	}
	transformer := smallest(Step)
	transformer.DiT = dit.Config{Height: 4, Width: 4, Channels: 1, OutChannels: 1, Classes: 6, Patch: 2, Depth: 1, Hidden: 8, Heads: 2}
	if _, r, err := open(t, transformer); err != nil || r.Parameters == parameters {
		t.Errorf("a transformer: %+v, %v", r, err)
	}
	for name, g := range map[string]Growth{"tasks": {Tasks: 3, Buffer: 150}, "penalties": {Penalties: 2}, "none": {}} {
		task := smallest(Step)
		task.Growth = &g
		e, _, err := open(t, task)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, err := e.measure(1); err != nil || s.Outside < 0 || s.Outside >= s.Wall {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, _, err := open(t, smallest("dreams")); err == nil || !strings.Contains(err.Error(), "dreams") {
		t.Errorf("nothing to measure: %v", err)
	}
	if _, _, err := startProcess(t.Context(), Contestant{Name: ours, Command: []string{os.Args[0], "-test.run=^$"}}, false); err == nil {
		t.Error("a process that answers nothing is ready")
	}
}

// What peers are held to are all weights, none of them zero, and the output at them.
func TestExample(t *testing.T) {
	task := smallest(example)
	task.Example = t.TempDir()
	_, r, err := open(t, task)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"weights.f32": r.Parameters, "x.f32": 2 * 16, "output.f32": 2 * 16} {
		data, err := os.ReadFile(filepath.Join(task.Example, name))
		if err != nil || len(data) != 4*want {
			t.Errorf("%s has %d bytes, want %d numbers; %v", name, len(data), want, err)
		}
		if strings.Contains(name, "output") && strings.Trim(string(data), "\x00") == "" {
			t.Error("the output is zero: nothing would be compared")
		}
	}
	var labels struct{ T, Y []int32 }
	data, err := os.ReadFile(filepath.Join(task.Example, "example.json"))
	if err == nil {
		err = json.Unmarshal(data, &labels)
	}
	if err != nil || len(labels.T) != 2 || len(labels.Y) != 2 || labels.Y[1] != 6 {
		t.Errorf("labels %+v, %v; want the last to be none, 6", labels, err)
	}
}

// curved is a network whose output depends on image and timestep.
type curved struct{ first []float32 }

func (c *curved) Output(x []float32, t, _ []int32) ([]float32, error) {
	if c.first == nil {
		c.first = append(c.first, x...)
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = c.at(v, t[0])
	}
	return out, nil
}

func (*curved) at(x float32, t int32) float32 {
	return float32(math.Sin(3*float64(x)) - 0.9*float64(x)*float64(t)/1000)
}

// The numbers peers get are our samplers.
func TestLinearStepsAreTheSamplers(t *testing.T) {
	for _, prediction := range []string{diffusion.PredictVelocity, diffusion.PredictNoise, diffusion.PredictImage} {
		config := quickProcess
		config.Prediction = prediction
		p, err := diffusion.New(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{DPM10, DDIM50} {
			c, _ := Task{What: what}.sampler()
			net := &curved{}
			want, err := diffusion.Sample(t.Context(), p, net, 1, 16, []int32{0, 0}, c, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := p.LinearSteps(c)
			if err != nil || len(steps) != c.Steps {
				t.Fatalf("%d steps, %v", len(steps), err)
			}
			for i, x := range net.first {
				x, past := float64(x), 0.0
				for _, s := range steps {
					image := min(max(s[1]*x+s[2]*float64(net.at(float32(x), int32(s[0]))), -1), 1)
					x, past = s[3]*x+s[4]*image+s[5]*past, image
				}
				// The network sees float32, whose error noise prediction magnifies at the noisiest timesteps.
				if math.Abs(x-float64(want[i])) > 1e-4 {
					t.Errorf("%s, %s: value %d is %g, want %g", prediction, what, i, x, want[i])
				}
			}
		}
	}
}

// Peers are told schedules and steps, and nobody else is.
func TestContestants(t *testing.T) {
	o := Defaults()
	o.Peers, o.Command = Peers(), []string{"self"}
	names := func(network, what string) (out []string) {
		base, err := taskOf(network, 16)
		if err != nil {
			t.Fatal(err)
		}
		base.Example = "folder"
		all, err := o.contestants(base, Case{What: what, Network: network, Rows: 5}, map[string]string{"torch": "t", "jax": "j"}, "scripts")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			out = append(out, c.Name)
			peer := !strings.HasPrefix(c.Name, ours)
			if c.Task.Rows != 5 || peer != (len(c.Task.Signal) == 1000) || peer != (c.Task.Example != "") || peer && what == DPM10 && len(c.Task.Steps) != 10 {
				t.Errorf("%s is told %+v", c.Name, c.Task)
			}
		}
		return out
	}
	for _, tc := range []struct{ network, what, want string }{
		{"tiny", Step, "ours ours-xla ours-go torch torch-channels-last torch-compiled jax"},
		{"tiny", DPM10, "ours ours-xla torch torch-channels-last torch-compiled jax"},
		{"small", Forward, "ours ours-xla torch torch-channels-last torch-compiled jax"},
		{"small", Bound, "ours ours-xla"},
		{"dit-tiny", Step, "ours ours-go torch torch-compiled jax"}, // no convolutions, that are done in other ways
		{"dit-S/2", Bound, "ours"},
	} {
		if got := strings.Join(names(tc.network, tc.what), " "); got != tc.want {
			t.Errorf("%s, %s: %s, want %s", tc.network, tc.what, got, tc.want)
		}
	}
}

func TestPeersAreWrittenOutAndParse(t *testing.T) {
	dir := t.TempDir()
	if _, err := (Options{}).openPeers(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"peer.py", "torch_peer.py", "jax_peer.py"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		if python, err := exec.LookPath("python3"); err == nil {
			if out, err := exec.Command(python, "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", path).CombinedOutput(); err != nil {
				t.Errorf("%s: %s", name, out)
			}
		}
	}
}

// The tables of gpu.md are those of the card's stored measurements.
func TestPageOfTheCard(t *testing.T) {
	const store, page = "../../notebooks/results/perf/gpu", "../../notebooks/results/gpu.md"
	device, err := LoadDevice(store)
	if err != nil {
		t.Fatal(err)
	}
	all, err := LoadAll(store)
	if err != nil {
		t.Fatal(err)
	}
	perf, err := Markdown(all, sectionPerf)
	if err != nil {
		t.Fatal(err)
	}
	for name, markdown := range map[string]string{"device": device.Markdown(), sectionPerf: perf} {
		if err := table.CheckSection(page, name, markdown); err != nil {
			t.Errorf("%v: run `go run . perf show --store notebooks/results/perf/gpu --table notebooks/results/gpu.md:%s`", err, name)
		}
	}
}

// The tables of perf.md are those of the stored measurements.
func TestPage(t *testing.T) {
	all, err := LoadAll("../../notebooks/results/perf")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sectionPerf, sectionGrowth} {
		markdown, err := Markdown(all, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.CheckSection("../../notebooks/results/perf.md", name, markdown); err != nil {
			t.Errorf("%v: run `go run . perf show --store notebooks/results/perf --table notebooks/results/perf.md:%s`", err, name)
		}
	}
}

// The README says by how much a training step of the U-Net is faster than PyTorch's, from the least to the most that is stored.
func TestREADMESaysHowFast(t *testing.T) {
	all, err := LoadAll("../../notebooks/results/perf")
	if err != nil {
		t.Fatal(err)
	}
	var fast []float64
	for _, r := range all {
		if c := r.Case; c.What != Step || c.Grows != "" || c.Device || !slices.Contains(unet.PresetNames(), c.Network) {
			continue
		}
		s, m := r.latest("ours")
		if s == nil || s.of(torch) == nil {
			t.Fatalf("%s holds no sitting of ours and PyTorch", r.Case.Name)
		}
		fast = append(fast, quantile(ratios(s, m), 0.5))
	}
	if len(fast) < 5 {
		t.Fatalf("%d steps were measured", len(fast))
	}
	want := fmt.Sprintf("speed: %.1f to %.1f times PyTorch's", slices.Min(fast), slices.Max(fast))
	if text, err := os.ReadFile("../../README.md"); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("README.md does not say %q (%v)", want, err)
	}
}
