package cl

import (
	"context"
	"math/rand/v2"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// DER is dark experience replay, [der], for noise prediction: with each old image the buffer keeps what the network
// predicted for it at the end of its task, at Targets noise levels, and replay rows are to predict the same.
//
//	L = mean(loss_fresh) + Lambda·mean over rows of mean (prediction - kept prediction)² + Beta·mean over other rows of loss
//
// With Beta above 0 it is the paper's DER++: the two terms look at images drawn from the buffer independently, the
// second at timesteps and noise of the step, as fresh rows do. The replay rows are then divided between them evenly, the first
// term getting one more where it does not come out even; the paper replays a batch for each, which Rows can ask for.
// Timesteps, noise and predictions in place of logits are our reading. The noise of a target is a function of the seed
// and the image's number in the stream, so it takes no memory; the timesteps of an image's targets come one from each
// of Targets equal parts of 0 .. T-1. The class of a row with a target is its image's, and it is not mirrored, since
// the prediction would not follow.
type DER struct {
	Replay  `yaml:",inline"`
	Lambda  float64 `yaml:"lambda"`  // weight of the kept predictions, α in the paper, >= 0; default 1 (the paper: 0.1 to 1)
	Beta    float64 `yaml:"beta"`    // weight of the images' own loss, >= 0; default 0 (DER++ in the paper: 0.5 to 1)
	Targets int     `yaml:"targets"` // predictions kept an image, >= 1; default 2
	Teacher string  `yaml:"teacher"` // whose predictions: TeachAverage (default) or TeachTrained

	kept map[uint64][]float32 // by the image's number in the stream, [Targets, H, W, C]
}

// NewDER returns dark experience replay with its default settings.
func NewDER() *DER { return &DER{Replay: NewReplay(), Lambda: 1, Targets: 2, Teacher: TeachAverage} }

// Info implements [Strategy].
func (d *DER) Info() Info {
	return Info{Name: "der", Title: "dark experience replay",
		Paper:    "Buzzega et al. 2020, arXiv:2004.07211",
		Equation: "L = mean(loss_fresh) + λ·mean(‖prediction-kept prediction‖²) + β·mean(loss_replay), each on images of its own",
		Stores:   "a buffer of old images and predictions for each",
		Stream:   CurrentTask, Labels: d.grouped()}
}

// Label implements [Strategy].
func (d *DER) Label() string { return LabelOf(d, NewDER()) }

// Validate implements [Strategy].
func (d *DER) Validate() error {
	return firstError(d.validate("der"), weight("der: lambda", d.Lambda), weight("der: beta", d.Beta),
		within("der: targets", d.Targets, 1, mostRows), oneOf("der: teacher", d.Teacher, teachers))
}

// Needs implements [Strategy].
func (d *DER) Needs(s Setup) diffusion.Extra {
	return diffusion.Extra{Given: d.Lambda > 0 && s.Tasks > 1}
}

// Check implements [Strategy].
func (d *DER) Check(s Setup) error {
	if s.Timesteps > 0 && d.Targets > s.Timesteps {
		return errors.Errorf("cl: der: targets is %d; need %d at most, the timesteps (diffusion.timesteps)", d.Targets, s.Timesteps)
	}
	if s.ReplayRows < 2 && d.Lambda > 0 && d.Beta > 0 {
		return errors.Errorf("cl: der with lambda and beta has %d replay rows, too few for a row of each of its losses; set replay_rows, or the strategy's rows, to 2 or more", s.ReplayRows)
	}
	return needOldRows(d.Lambda+d.Beta, s)
}

// Begin implements [Strategy].
func (d *DER) Begin(s Setup) error {
	d.kept = map[uint64][]float32{}
	return firstError(d.Check(s), d.Replay.begin(s))
}

// shares divides replay rows: those with targets, and those of the images' own loss.
func (d *DER) shares(rows int) (targets, images int) {
	switch {
	case d.Beta == 0:
		return rows, 0
	case d.Lambda == 0:
		return 0, rows
	}
	return rows - rows/2, rows / 2
}

// ReplayRows implements [Strategy].
func (d *DER) ReplayRows(loop int) int { return rowsFor(d.Lambda+d.Beta, d.Rows, loop) }

// BeforeStep implements [Strategy].
func (d *DER) BeforeStep(s *Step) error {
	if d.memory.Len() == 0 || d.Lambda == 0 && d.Beta == 0 {
		return nil
	}
	images, items, size := d.memory.Images(), d.memory.Items(), d.memory.Images().ImageSize()
	targets, own := d.shares(s.Replay)
	if targets > 0 {
		for i, j := range d.memory.Draw(s.RNG, targets) {
			k := s.RNG.IntN(d.Targets)
			t, noise := d.target(items[j].Offer, k, size)
			s.SetReplay(i, images.Image(j), images.Labels[j], 0)
			s.SetTimestep(i, t)
			s.SetTarget(i, noise, d.kept[items[j].Offer][k*size:(k+1)*size], d.Lambda/float64(targets))
		}
	}
	if own > 0 {
		for i, j := range d.memory.Draw(s.RNG, own) {
			s.SetReplay(targets+i, images.Image(j), images.Labels[j], d.Beta/float64(own))
		}
	}
	return nil
}

// target returns the timestep and the noise of an image's k-th target.
func (d *DER) target(offer uint64, k, size int) (t int32, noise []float32) {
	rng := rand.New(rand.NewPCG(d.setup.Seed^drawTargets, offer*uint64(d.Targets)+uint64(k)))
	part := float64(d.setup.Timesteps) / float64(d.Targets)
	t = int32(min(part*(float64(k)+rng.Float64()), float64(d.setup.Timesteps-1)))
	return t, normals(rng, size)
}

// EndTask implements [Strategy]: it offers the task's images to the buffer and drops the predictions of images that left it.
func (d *DER) EndTask(task int, train *datasets.Images) error {
	if err := d.Replay.EndTask(task, train); err != nil {
		return err
	}
	kept := make(map[uint64][]float32, len(d.kept))
	for _, item := range d.memory.Items() {
		if predictions, ok := d.kept[item.Offer]; ok {
			kept[item.Offer] = predictions
		}
	}
	d.kept = kept
	return nil
}

// Consolidate implements [Strategy]: it keeps predictions for the images that the buffer has taken from the task.
func (d *DER) Consolidate(ctx context.Context, _ int, _ *datasets.Images) error {
	if d.Lambda == 0 {
		return nil
	}
	average, err := averaged(d.Teacher)
	if err != nil {
		return err
	}
	denoiser := d.setup.Network.Denoiser(average)
	for j, item := range d.memory.Items() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, ok := d.kept[item.Offer]; ok {
			continue
		}
		predictions, err := d.predict(denoiser, d.memory.Images(), j, item.Offer)
		if err != nil {
			return err
		}
		d.kept[item.Offer] = predictions
	}
	return nil
}

// predict evaluates the network at all targets of the j-th image.
func (d *DER) predict(denoiser diffusion.Denoiser, images *datasets.Images, j int, offer uint64) ([]float32, error) {
	size := images.ImageSize()
	x, t, y := make([]float32, d.Targets*size), make([]int32, d.Targets), make([]int32, d.Targets)
	var noise []float32
	for k := range d.Targets {
		datasets.Scale(x[k*size:(k+1)*size], images.Image(j))
		at, drawn := d.target(offer, k, size)
		t[k], y[k], noise = at, images.Labels[j], append(noise, drawn...)
	}
	d.evaluated += int64(d.Targets)
	return d.setup.predict(denoiser, x, noise, t, y)
}

// Stored implements [Strategy].
func (d *DER) Stored() Stored {
	s := d.Replay.Stored()
	for _, predictions := range d.kept {
		s.Bytes += 4 * int64(len(predictions))
	}
	return s
}

// State implements [Strategy]: the buffer, and for each of its images, in order, a byte that says whether there are
// predictions, and these.
func (d *DER) State() ([]byte, error) {
	buffer, err := d.Replay.State()
	if err != nil {
		return nil, err
	}
	state := append(appendCount(nil, int64(len(buffer))), buffer...)
	for _, item := range d.memory.Items() {
		predictions, ok := d.kept[item.Offer]
		if !ok {
			state = append(state, 0)
			continue
		}
		state = appendFloats(append(state, 1), predictions)
	}
	return state, nil
}

// Restore implements [Strategy].
func (d *DER) Restore(state []byte) error {
	size, rest, err := readCount(state)
	if err != nil || size > int64(len(rest)) {
		return errors.Errorf("cl: der: the stored state of %d bytes ends within its buffer", len(state))
	}
	if err := d.Replay.Restore(rest[:size]); err != nil {
		return err
	}
	rest, d.kept = rest[size:], map[uint64][]float32{}
	one := d.Targets * d.setup.H * d.setup.W * d.setup.C
	for _, item := range d.memory.Items() {
		if len(rest) < 1 || rest[0] > 1 || len(rest) < 1+4*one*int(rest[0]) {
			return errors.Errorf("cl: der: the stored state ends within the predictions for %d images", d.memory.Len())
		}
		has := rest[0] == 1
		if rest = rest[1:]; has {
			d.kept[item.Offer], rest = readFloats(rest[:4*one]), rest[4*one:]
		}
	}
	if len(rest) > 0 {
		return errors.Errorf("cl: der: %d bytes of state after the last prediction; need none", len(rest))
	}
	return nil
}
