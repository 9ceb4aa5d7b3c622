package counterpart

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	goio "io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/unet"
)

//go:embed counterpart.py
var program string

// Options say what [Check] does.
type Options struct {
	Python  string // with diffusers and tensorboard
	Backend compute.Backend
	Out     goio.Writer // a line a comparison

	// Write is the folder testdata, where the models that diffusers makes, and the event file, are kept for the tests; "": they are not.
	Write string
}

// Check compares, in both directions, what this program and diffusers make of each other's models, and what TensorBoard reads in
// our event files, and what torch-fidelity and prdc make of our features. It fails at the first that is too far.
func Check(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "palimpsest-counterpart-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "counterpart.py")
	if err := os.WriteFile(script, []byte(program), 0o644); err != nil {
		return errors.WithStack(err)
	}
	p := python{ctx, o.Python, script}
	forms := filepath.Join(dir, "forms")
	if o.Write != "" {
		forms = filepath.Join(o.Write, "forms")
		if err := os.RemoveAll(forms); err != nil {
			return errors.WithStack(err)
		}
	}
	if _, err := p.run("forms", forms); err != nil {
		return err
	}
	entries, err := os.ReadDir(forms)
	if err != nil {
		return errors.WithStack(err)
	}
	for _, e := range entries {
		said, err := Form(o.Backend, filepath.Join(forms, e.Name()))
		if err != nil {
			return errors.WithMessage(err, e.Name())
		}
		fmt.Fprintf(o.Out, "imported from diffusers, %s: %s\n", e.Name(), said)
	}
	for _, m := range ours() {
		said, err := exported(p, o.Backend, m.model, filepath.Join(dir, "export"))
		if err != nil {
			return errors.WithMessage(err, m.name)
		}
		fmt.Fprintf(o.Out, "exported to diffusers, %s: %s\n", m.name, said)
	}
	if err := events(p, filepath.Join(dir, "events")); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "read by TensorBoard: scalars, pictures, text and hyperparameters of a run that was interrupted")
	theirs, said, err := features(p, filepath.Join(dir, "features"))
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "measured by torch-fidelity and prdc on features of ours: %s\n", said)
	if o.Write == "" {
		return nil
	}
	text, err := json.MarshalIndent(theirs, "", "  ")
	if err != nil {
		return errors.WithStack(err)
	}
	if err := atomicfile.Write(filepath.Join(o.Write, featuresFile), append(text, '\n')); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(o.Write, eventsFile), eventsOf())
}

// python runs counterpart.py.
type python struct {
	ctx             context.Context
	python, program string
}

// run returns what the program printed.
func (p python) run(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(p.ctx, p.python, append([]string{p.program}, args...)...)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "PYTHONNOUSERSITE=1")
	var tail oneline.Tail
	cmd.Stderr = &tail
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Errorf("%s of counterpart.py: %v: %s", args[0], err, oneline.Text(tail.String()))
	}
	return out, nil
}

// named is a network of ours with random weights.
type named struct {
	name  string
	model *diffusers.Model
}

// ours are networks of every size, narrowed where it saves time, with every process.
func ours() (list []named) {
	add := func(name, size string, pixels, channels, classes int, p diffusion.Config, change func(*unet.Config)) {
		c, err := unet.Preset(size, pixels, pixels, channels, classes)
		if err != nil {
			panic(err) // a mistake in this list
		}
		change(&c)
		m := &diffusers.Model{Net: c, Process: p, Labels: diffusers.Labels{NoLabel: classes}, Weights: map[string][]float32{}}
		rng := rand.New(rand.NewPCG(1, uint64(len(list))))
		dims := m.Dims()
		var names []string
		for name := range dims {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			size, inputs := 1, 1
			for i, d := range dims[name] {
				size *= d
				if i < len(dims[name])-1 {
					inputs *= d
				}
			}
			values := make([]float32, size)
			for i := range values {
				values[i] = float32(rng.NormFloat64() / math.Sqrt(float64(inputs)))
			}
			m.Weights[name] = values
		}
		list = append(list, named{name, m})
	}
	add("tiny with labels, velocity on cosine", "tiny", 16, 1, 10, diffusion.Config{T: 100, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge}, func(*unet.Config) {})
	add("small with four heads, noise on linear", "small", 16, 3, 0, diffusion.Config{T: 1000, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedSmall}, func(c *unet.Config) { c.Base, c.Width = 32, 24 })
	add("tiny with labels, a flow", "tiny", 16, 1, 10, diffusion.Config{T: 1000, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge}, func(*unet.Config) {})
	add("ddpm with a learned variance, image on linear", "ddpm", 32, 3, 0, diffusion.Config{T: 200, Schedule: "linear", Prediction: diffusion.PredictImage, Variance: diffusion.LearnedRange}, func(c *unet.Config) { c.Base, c.OutChannels = 32, 6 })
	return list
}

// exported writes a model to a folder, has diffusers compute on inputs, and compares.
func exported(p python, back compute.Backend, m *diffusers.Model, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", errors.WithStack(err)
	}
	defer os.RemoveAll(dir)
	if err := m.Write(dir); err != nil {
		return "", err
	}
	const rows = 2
	c := m.Net
	rng := rand.New(rand.NewPCG(3, 4))
	images := func() *tensors.Tensor {
		values := make([]float32, rows*c.Shape().Values())
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		return tensors.FromFlatDataAndDimensions(values, rows, c.Channels, c.Shape().H, c.Shape().W)
	}
	in := []safetensors.Tensor{{Name: "x", Value: images()}, {Name: "noise", Value: images()},
		{Name: "t", Value: tensors.FromFlatDataAndDimensions([]int64{1, int64(m.Process.T) - 1}, rows)},
		{Name: "y", Value: tensors.FromFlatDataAndDimensions([]int64{0, int64(c.Classes)}, rows)},
		{Name: "steps", Value: tensors.FromScalar(int64(10))}}
	if err := safetensors.WriteFile(filepath.Join(dir, inFile), map[string]string{"format": "pt"}, in); err != nil {
		return "", err
	}
	if _, err := p.run("run", dir); err != nil {
		return "", err
	}
	given, err := readIO(filepath.Join(dir, outFile), c)
	if err != nil {
		return "", err
	}
	return compare(back, m, given)
}
