package counterpart

import (
	"context"
	"image"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/unet"
)

// DrawnFile holds in the folder of a model what [Redraw] has diffusers draw of it.
const DrawnFile = "drawn.safetensors"

// Drawn are images that this program and diffusers drew with one model from the same noise: flat, [N, H, W, C] in [-1, 1].
type Drawn struct {
	Ours, Theirs []float32
	Labels       []int32
	H, W, C      int
}

// BadNumber is the error of a number of images or of steps that [Redraw] cannot draw with.
type BadNumber struct{ error }

// PrepareRedraw reads the model of [Redraw] and refuses numbers of images and of steps that cannot be drawn, before Python is asked for: what
// it returns is the rest of Redraw.
func PrepareRedraw(dir string, each, steps int) (redraw func(ctx context.Context, interpreter string, seed uint64) error, err error) {
	m, _, err := diffusers.Read(dir, diffusers.Options{})
	if err != nil {
		return nil, err
	}
	if most := m.Process.T; each < 1 || each > 1000 || steps < 1 || steps > most {
		return nil, BadNumber{errors.Errorf("%d images of each label in %d steps; need 1 to 1000 in 1 to %d", each, steps, most)}
	}
	if T := m.Process.T; m.Process.Prediction != diffusion.PredictFlow && T%steps != 0 {
		return nil, BadNumber{errors.Errorf("%d steps do not divide the model's %d timesteps: diffusers' DDIM then steps to t − %d, which is not always the timestep that it visits next, and draws slightly other images; give a number of steps that does, such as %d",
			steps, T, T/steps, diffusion.DividingSteps(steps, T))}
	}
	net := m.Net // its weights are not held while Python draws
	return func(ctx context.Context, interpreter string, seed uint64) error {
		return redrawn(ctx, interpreter, dir, net, each, steps, seed)
	}, nil
}

// Redraw has diffusers draw images with the model in the folder dir, each of every label, or of none where it has none, by so many steps of DDIM, and keeps
// them in [DrawnFile] there, in place of those that it holds. The noise depends on the seed alone. The interpreter is a Python
// with diffusers and torch.
func Redraw(ctx context.Context, interpreter, dir string, each, steps int, seed uint64) error {
	redraw, err := PrepareRedraw(dir, each, steps)
	if err != nil {
		return err
	}
	return redraw(ctx, interpreter, seed)
}

// redrawn is [Redraw] of a network whose model has been read.
func redrawn(ctx context.Context, interpreter, dir string, net unet.Config, each, steps int, seed uint64) error {
	s := net.Shape()
	var y, t []int64
	for label := range max(1, net.Classes) {
		y, t = append(y, slices.Repeat([]int64{int64(label)}, each)...), append(t, slices.Repeat([]int64{0}, each)...)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	noise := make([]float32, len(y)*s.Values())
	for i := range noise {
		noise[i] = float32(rng.NormFloat64())
	}
	images := tensors.FromFlatDataAndDimensions(noise, len(y), s.Channels, s.H, s.W)
	// The network's bare output is asked for at the first timestep, of the same noise.
	in := []safetensors.Tensor{{Name: "x", Value: images}, {Name: "noise", Value: images},
		{Name: "t", Value: tensors.FromFlatDataAndDimensions(t, len(y))}, {Name: "y", Value: tensors.FromFlatDataAndDimensions(y, len(y))},
		{Name: "steps", Value: tensors.FromScalar(int64(steps))}}
	work, err := os.MkdirTemp("", "palimpsest-counterpart-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(work)
	p := python{ctx, interpreter, filepath.Join(work, "counterpart.py")}
	if err := os.WriteFile(p.program, []byte(program), 0o644); err != nil {
		return errors.WithStack(err)
	}
	// counterpart.py reads and writes in the folder of the model, which is not ours to leave files in.
	for _, part := range []string{"unet", "scheduler", "model_index.json"} {
		from, err := filepath.Abs(filepath.Join(dir, part))
		if err == nil {
			err = os.Symlink(from, filepath.Join(work, part))
		}
		if err != nil {
			return errors.WithStack(err)
		}
	}
	if err := safetensors.WriteFile(filepath.Join(work, inFile), map[string]string{"format": "pt"}, in); err != nil {
		return err
	}
	if _, err := p.run("run", work); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(work, outFile))
	if err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(filepath.Join(dir, DrawnFile), data)
}

// Draw has this program draw, with the model in the folder dir, what diffusers has drawn with it into [DrawnFile].
func Draw(back compute.Backend, dir string) (*Drawn, error) {
	m, _, err := diffusers.Read(dir, diffusers.Options{})
	if err != nil {
		return nil, err
	}
	given, err := readIO(filepath.Join(dir, DrawnFile), m.Net)
	if err != nil {
		return nil, err
	}
	s := m.Net.Shape()
	d := &Drawn{Theirs: given.images, Labels: given.y, H: s.H, W: s.W, C: s.Channels}
	_, d.Ours, err = evaluated(back, m, given)
	return d, err
}

// Furthest is how far apart the two programs' pixels are at most, of a range of 2.
func (d *Drawn) Furthest() (float64, error) { return furthest(d.Ours, d.Theirs, false) }

// Sheet shows a label a row, our images at the left of diffusers', with a gap between; each pixel is scale × scale dots.
func (d *Drawn) Sheet(scale int) (*image.RGBA, error) {
	per := d.H * d.W * d.C
	rows := map[int32][]int{}
	for i, label := range d.Labels {
		rows[label] = append(rows[label], i)
	}
	var all []float32
	columns := 0
	for _, label := range slices.Sorted(maps.Keys(rows)) {
		row := func(of []float32) {
			for _, i := range rows[label] {
				all = append(all, of[i*per:(i+1)*per]...)
			}
		}
		row(d.Ours)
		all = append(all, slices.Repeat([]float32{1}, per)...)
		row(d.Theirs)
		columns = 2*len(rows[label]) + 1
	}
	return sheet.New(all, len(rows), columns, d.H, d.W, d.C, scale)
}
