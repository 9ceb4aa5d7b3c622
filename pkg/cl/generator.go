package cl

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// generatorBatch is how many images a pool is made at a time.
const generatorBatch = 50

// Generator makes images of the classes of finished tasks with the network as it was after the last task: a pool of them at
// the task's end, or, with Pool 0, new ones at each step. Embed it with the tag `yaml:",inline"`. Images are kept and
// replayed with 8 bits a value, as the data are.
type Generator struct {
	Teaching `yaml:",inline"`
	Rows     int    `yaml:"rows"`          // images replayed a step, >= 0; default 0, the loop's replay_rows
	Pool     int    `yaml:"pool"`          // images made at a task's end, classes evenly, in place of those before; 0: at each step
	Sampler  string `yaml:"sampler"`       // diffusion.DDIM or another; default DDIM, which a flow must replace by diffusion.Euler
	Steps    int    `yaml:"sampler_steps"` // network evaluations an image, >= 1; default 10

	pool      *datasets.Images
	generated []Generated
}

// newGenerator returns the settings that both methods start from.
func newGenerator() Generator {
	return Generator{Teaching: Teaching{Lambda: 1, Schedule: ScheduleComplement, Teacher: TeachAverage},
		Pool: 200, Sampler: diffusion.DDIM, Steps: 10}
}

// validate reports the first setting that no run can use.
func (g *Generator) validate(name string) error {
	sampler := g.sampler(0)
	return firstError(g.Teaching.validate(name), within(name+": rows", g.Rows, 0, mostRows), within(name+": pool", g.Pool, 0, mostImages),
		errors.WithMessagef(sampler.Validate(), "cl: %s: sampler is %q, sampler_steps %d", name, g.Sampler, g.Steps))
}

// sampler are the settings of one draw.
func (g *Generator) sampler(seed uint64) diffusion.SamplerConfig {
	return diffusion.SamplerConfig{Name: g.Sampler, Steps: g.Steps, Clip: true, Seed: seed}
}

// ReplayRows implements [Strategy].
func (g *Generator) ReplayRows(loop int) int { return rowsFor(g.Lambda, g.Rows, loop) }

// Check implements [Strategy].
func (g *Generator) Check(s Setup) error {
	if err := needRows("a method that replays generated images", g.Lambda, s); err != nil {
		return err
	}
	if g.Lambda > 0 && s.Timesteps > 0 && g.Steps > s.Timesteps {
		return errors.Errorf("cl: a method that replays generated images draws them in %d steps, but the process has %d timesteps; set sampler_steps to at most that", g.Steps, s.Timesteps)
	}
	if g.Lambda > 0 && s.Process != nil {
		return errors.WithMessagef(g.sampler(0).ValidateFor(s.Process), "cl: a method that replays generated images draws them by strategy.sampler %q", g.Sampler)
	}
	return nil
}

// Begin implements [Strategy].
func (g *Generator) Begin(s Setup) error {
	g.pool, g.generated = nil, nil
	return firstError(g.Check(s), g.Teaching.Begin(s))
}

// replay fills the replay rows with generated images, and weighs each row's own term by weigh.
func (g *Generator) replay(s *Step, weigh func(row int, weight float64)) error {
	own, err := g.weigh(s)
	if err != nil || own == 0 {
		return err
	}
	var images *datasets.Images
	if g.Pool == 0 {
		teacher, err := g.setup.Network.Teacher()
		if err != nil {
			return err
		}
		labels := make([]int32, s.Replay)
		for i := range labels {
			labels[i] = g.classes[s.RNG.IntN(len(g.classes))]
		}
		if images, err = g.generate(context.Background(), teacher, labels, s.RNG.Uint64(), s.Replay); err != nil {
			return err
		}
		if err := g.record(s.Task, images, s.Index == 0); err != nil {
			return err
		}
	} else {
		images = g.pool
	}
	order := s.RNG.Perm(images.N)
	for i := range s.Replay {
		j := order[i%images.N]
		s.SetReplay(i, images.Image(j), images.Labels[j], 0)
		weigh(s.Row(i), own/float64(s.Replay))
	}
	return nil
}

// generate draws one image a label, batch at a time.
func (g *Generator) generate(ctx context.Context, d diffusion.Denoiser, labels []int32, seed uint64, batch int) (*datasets.Images, error) {
	u := g.setup
	rows := (len(labels) + batch - 1) / batch * batch // the last batch is filled up
	x, err := diffusion.Sample(ctx, u.Network.Process, d, u.C, u.H*u.W*u.C, slices.Clone(labels), g.sampler(seed), batch, nil)
	if err != nil {
		return nil, errors.WithMessage(err, "cl: generating images of finished tasks")
	}
	g.evaluated += int64(rows) * int64(g.Steps)
	images := &datasets.Images{N: len(labels), H: u.H, W: u.W, C: u.C, Pixels: make([]uint8, len(x)), Labels: labels}
	datasets.Unscale(images.Pixels, x)
	return images, nil
}

// Consolidate implements [Strategy]: the network as it is becomes the teacher, and makes the pool.
func (g *Generator) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	if g.Lambda == 0 {
		return nil
	}
	if g.setup.Network.Extra().Teacher {
		if err := g.Teaching.Consolidate(ctx, task, train); err != nil {
			return err
		}
	}
	if g.Pool == 0 {
		return nil
	}
	labels := make([]int32, g.Pool)
	for i := range labels {
		labels[i] = g.classes[i%len(g.classes)]
	}
	average, err := averaged(g.Teacher)
	if err != nil {
		return err
	}
	denoiser := g.setup.Network.Denoiser(average)
	g.pool, err = g.generate(ctx, denoiser, labels, g.setup.rng(task).Uint64(), min(generatorBatch, g.Pool))
	if err != nil {
		return err
	}
	return g.record(task+1, g.pool, true)
}

// record counts images replayed in a task, and judges them where it is asked to.
func (g *Generator) record(task int, images *datasets.Images, judge bool) error {
	var judged []int
	if judge && g.setup.Judge != nil {
		var err error
		if judged, err = g.setup.Judge(images); err != nil {
			return errors.WithMessage(err, "cl: judging generated images")
		}
	}
	if n := len(g.generated); n == 0 || g.generated[n-1].Task != task {
		g.generated = append(g.generated, Generated{Task: task})
	}
	conditional := g.setup.Network.Shape.Classes > 0
	g.generated[len(g.generated)-1].add(images.Labels, conditional, judged, g.setup.Classes)
	return nil
}

// Generated implements [Strategy].
func (g *Generator) Generated() []Generated { return slices.Clone(g.generated) }

// warnings is Warnings of the method of a name.
func (g *Generator) warnings(name string) []string {
	if g.Lambda == 0 || g.Steps > 1 {
		return nil
	}
	return []string{name + ": sampler_steps is 1: one step from noise gives nearly the mean image of a class, not a sample, and that is what is replayed; set it to 2 or more (the default is 10)"}
}

// Stored implements [Strategy].
func (g *Generator) Stored() Stored {
	s := g.Teaching.Stored()
	if g.pool != nil {
		s.Images, s.Bytes = g.pool, s.Bytes+int64(g.pool.N)*int64(g.pool.ImageSize()+datasets.LabelBytes(g.classes))
	}
	return s
}

// State implements [Strategy].
func (g *Generator) State() ([]byte, error) {
	state, err := g.Teaching.State()
	if err != nil {
		return nil, err
	}
	if g.pool != nil {
		state = append(g.appendLabels(state), g.pool.Flat()...)
	}
	return appendGenerated(state, g.generated), nil
}

// appendLabels writes the pool's labels, each of as many bytes as the classes that the teacher knows need.
func (g *Generator) appendLabels(state []byte) []byte {
	for _, label := range g.pool.Labels {
		if datasets.LabelBytes(g.classes) == 4 {
			state = binary.LittleEndian.AppendUint32(state, uint32(label))
		} else {
			state = append(state, byte(label))
		}
	}
	return state
}

// readLabels reads labels of one or four bytes each.
func readLabels(stored []byte, size int) []int32 {
	if size == 1 {
		return datasets.WideLabels(stored)
	}
	labels := make([]int32, len(stored)/size)
	for i := range labels {
		labels[i] = int32(binary.LittleEndian.Uint32(stored[size*i:]))
	}
	return labels
}

// Restore implements [Strategy]. Checkpoints of earlier versions lack the counts of what was generated.
func (g *Generator) Restore(state []byte) error {
	rest, err := g.Teaching.restore(state)
	if err != nil {
		return err
	}
	g.pool, g.generated = nil, nil
	size := g.setup.H * g.setup.W * g.setup.C
	if g.Pool > 0 && g.Lambda > 0 && len(g.classes) > 0 && g.setup.Tasks > 1 {
		label := datasets.LabelBytes(g.classes)
		bytes := g.Pool * (label + size)
		if len(rest) < bytes {
			return errors.Errorf("cl: %d bytes of generated images in the stored state; need %d for %d images of %dx%dx%d",
				len(rest), bytes, g.Pool, g.setup.H, g.setup.W, g.setup.C)
		}
		g.pool = &datasets.Images{N: g.Pool, H: g.setup.H, W: g.setup.W, C: g.setup.C,
			Labels: readLabels(rest[:g.Pool*label], label), Pixels: slices.Clone(rest[g.Pool*label : bytes])}
		if err := g.pool.Validate(); err != nil {
			return err
		}
		rest = rest[bytes:]
	} else if len(rest) > 0 && (g.Pool > 0 || g.Lambda == 0 || len(g.classes) == 0) {
		return errors.Errorf("cl: %d bytes follow the classes that a teacher knows in the stored state; need none before it has generated images", len(rest))
	}
	g.generated, err = readGenerated(rest)
	return err
}
