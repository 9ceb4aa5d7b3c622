package dynamics

import (
	"context"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// Representation is a network as drift sees it: [diffusion.MidBlock] is one.
type Representation interface {
	// Output evaluates B noisy images x, [B, D] flat, at timesteps t [B] with labels y [B], and returns activations,
	// [B, features] flat.
	Output(x []float32, t, y []int32) ([]float32, error)
}

// Activations are a network's features of every noisy image of a probe.
type Activations struct {
	Axes
	Features int       // of an image
	Values   []float32 // [task, t, image, feature]
}

// Activations evaluates a representation. They may be large: tasks·timesteps·images·features values of 4 bytes.
func (p *Probe) Activations(ctx context.Context, r Representation) (*Activations, error) {
	a := &Activations{Axes: p.Axes}
	err := p.run(ctx, 0, len(p.Tasks), r.Output, func(b *rows, out []float32) error {
		if len(out) == 0 || len(out)%len(b.t) != 0 || (b.first > 0 && len(out) != a.Features*len(b.t)) {
			return errors.Errorf("dynamics: %d activations of %d images; need as many of each", len(out), len(b.t))
		}
		if b.first == 0 {
			a.Features = len(out) / len(b.t)
			a.Values = make([]float32, 0, len(p.Tasks)*len(p.Timesteps)*p.Images*a.Features)
		}
		a.Values = append(a.Values, out[:b.n*a.Features]...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// matrix holds the activations of a task's images at timestep number k, [image, feature].
func (a *Activations) matrix(task, k int) *mat.Dense {
	size := a.Images * a.Features
	first := (task*len(a.Timesteps) + k) * size
	m := mat.NewDense(a.Images, a.Features, nil)
	for i, v := range a.Values[first : first+size] {
		m.Set(i/a.Features, i%a.Features, float64(v))
	}
	return m
}

// Drift is how alike two networks' representations of the same noisy images are: 1 where nothing has changed but the
// basis and the scale.
type Drift struct {
	Axes
	CKA      []float64 // [task, t] plain, over a task's images
	Unbiased []float64 // [task, t]
}

// Drift compares with activations of another network, or the same one earlier, of the same probe. It needs 4 images of
// every task.
func (a *Activations) Drift(before *Activations) (*Drift, error) {
	if !a.Axes.Equal(before.Axes) {
		return nil, errors.New("dynamics: the activations are of different probes; evaluate both networks with one")
	}
	d := &Drift{Axes: a.Axes}
	for task := range a.Tasks {
		for k := range a.Timesteps {
			x, y := before.matrix(task, k), a.matrix(task, k)
			plain, err := CKA(x, y)
			if err != nil {
				return nil, errors.WithMessagef(err, "task %d at timestep %d", task, a.Timesteps[k])
			}
			unbiased, err := UnbiasedCKA(x, y)
			if err != nil {
				return nil, errors.WithMessagef(err, "task %d at timestep %d", task, a.Timesteps[k])
			}
			d.CKA, d.Unbiased = append(d.CKA, plain), append(d.Unbiased, unbiased)
		}
	}
	return d, nil
}
