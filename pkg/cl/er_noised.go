package cl

import (
	"math/rand/v2"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/memory"
)

// pairRange is the largest value of a kept pair, the smallest being its negative: of the values of a standard Gaussian 6 in 100,000 lie
// beyond and are cut. With 8 bits a value, rounding then has a standard deviation of 0.009, where noise has 1.
const pairRange = 4

// validateNoised reports settings that need what a noisy image does not have.
func (e *ER) validateNoised() error {
	switch {
	case !e.Noised:
		return nil
	case e.Policy != memory.NameReservoir && e.Policy != memory.NameClassBalanced:
		return errors.Errorf("cl: er: policy %q compares images, and with noised there are noisy ones alone; choose %q or %q", e.Policy, memory.NameReservoir, memory.NameClassBalanced)
	case e.Schedule == ScheduleAdaptive:
		return errors.New("cl: er: schedule \"adaptive\" compares fresh and replayed losses at the same timesteps, and with noised the replayed ones have theirs; choose another schedule, or leave noised out")
	}
	return nil
}

// pairDraw is what is random about the pair made of image number offer of the stream, and its timestep, drawn first: a function of the
// seed and that number, so that it takes no memory.
func (e *ER) pairDraw(offer uint64) (rng *rand.Rand, t int) {
	rng = rand.New(rand.NewPCG(e.setup.Seed^drawPairs, offer))
	if e.timesteps != nil {
		return rng, e.timesteps.Draw(rng)
	}
	return rng, rng.IntN(e.setup.Timesteps)
}

// pairs are images about to be offered to the buffer as it keeps them: of each one noisy image x_t with what the network is to predict
// of it, channel beside channel, H×W×2C.
func (e *ER) pairs(images *datasets.Images) *datasets.Images {
	p, size := e.setup.Network.Process, images.ImageSize()
	out := &datasets.Images{N: images.N, H: images.H, W: images.W, C: 2 * images.C,
		Pixels: make([]uint8, 2*images.N*size), Labels: images.Labels}
	x, xt, pair := make([]float32, size), make([]float32, size), make([]float32, 2*size)
	for i := range images.N {
		rng, t := e.pairDraw(e.memory.Offered() + uint64(i))
		noise := normals(rng, size)
		datasets.Scale(x, images.Image(i))
		p.QSample(xt, x, noise, t)
		for k := range size {
			at := e.pairPlace(k)
			pair[at] = xt[k] / pairRange
			pair[at+e.setup.C] = float32(p.Target(float64(x[k]), float64(noise[k]), t) / pairRange)
		}
		datasets.Unscale(out.Pixels[2*i*size:], pair)
	}
	return out
}

// pairPlace is where value k of a noisy image lies in its pair; that of the target lies C further on.
func (e *ER) pairPlace(k int) int { return k/e.setup.C*2*e.setup.C + k%e.setup.C }

// pair are the i-th noisy image kept, its target and its timestep.
func (e *ER) pair(i int) (xt, target []float32, t int) {
	kept := e.memory.Images().Image(i)
	size, values := len(kept)/2, make([]float32, len(kept))
	datasets.Scale(values, kept)
	xt, target = make([]float32, size), make([]float32, size)
	for k := range size {
		at := e.pairPlace(k)
		xt[k], target[k] = pairRange*values[at], pairRange*values[at+e.setup.C]
	}
	_, t = e.pairDraw(e.memory.Items()[i].Offer)
	return xt, target, t
}

// offer gives images to the buffer, in the form in which it keeps them.
func (e *ER) offer(task int, images *datasets.Images) error {
	if e.Noised {
		images = e.pairs(images)
	}
	return e.memory.Add(task, images)
}

// recovered are the images that the pairs kept are of, as far as they can be told.
func (e *ER) recovered() *datasets.Images {
	p, kept := e.setup.Network.Process, e.memory.Images()
	out := &datasets.Images{N: kept.N, H: kept.H, W: kept.W, C: e.setup.C, Labels: kept.Labels}
	for i := range kept.N {
		xt, target, t := e.pair(i)
		for k := range xt {
			xt[k] = float32(p.X0(float64(xt[k]), float64(target[k]), t))
		}
		image := make([]uint8, len(xt))
		datasets.Unscale(image, xt)
		out.Pixels = append(out.Pixels, image...)
	}
	return out
}
