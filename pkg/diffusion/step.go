package diffusion

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Batch is one training step's input of R rows; R is the same at every step of a run, so the step compiles once. The
// fields after W need a network extended by what they name ([Network.Extend]); left nil or 0 they do nothing.
type Batch struct {
	X []float32 // [R, H, W, C] images in [-1, 1]
	Y []int32   // [R] labels; ignored by an unconditional network
	T []int32   // [R] timesteps
	W []float32 // [R] weight of each row in the loss, times its timestep's own ([TrainConfig.LossWeight])

	// Held [R] are the places of the rows among the images that the device holds ([Network.Hold]), that plus the number of these for
	// a mirror image, or -1 for a row that is none of them. Where there is no -1 the device takes the rows from there. X is the same
	// nonetheless, for the host to look at. nil: X is sent.
	Held []int32

	// Distil [R] weighs, for each row, the mean of (prediction - teacher's prediction)² at the same x_t and t
	// ([Extra.Teacher]); the teacher sees the labels TeacherY [R] where they are set, Y elsewhere. Variances are not
	// distilled. Timesteps have no weights of their own here, nor below.
	Distil   []float32
	TeacherY []int32
	// Noise [R, H, W, C] replaces the step's own draw in the rows that GivenNoise [R] marks, and TargetW [R] weighs, for
	// each row, the mean of (prediction - Target)², Target being [R, H, W, C] ([Extra.Given]).
	Noise      []float32
	GivenNoise []bool
	Target     []float32
	TargetW    []float32
	// PureNoise [R] marks rows whose x_t is the noise alone, with no trace of X, whatever t (any [Extra]): pure Gaussian
	// noise, or, in rows that GivenNoise marks too, an x_t that is given. The denoising loss means nothing there, so W
	// must be 0.
	PureNoise []bool
	// Reference [R] marks the rows whose loss Σ W_i·w(t_i)·l_i is not minimised but must not grow: the gradient of
	// everything else is projected against theirs ([Extra.Projection]).
	Reference []bool
	// Strengths of the quadratic penalty ([Extra.Penalty]) and of the rank-1 penalties ([Extra.Directions]) in the loss.
	PenaltyStrength   float64
	DirectionStrength float64
}

// StepResult is what one step did.
type StepResult struct {
	Loss     float64   // what was minimised, before the update: Denoise, and the four parts after it where there are any
	Rows     []float32 // [R] l_i, each the mean over a row's dimensions ([TrainConfig.Objective])
	GradNorm float64   // norm of the gradient of Loss, masked and projected, before clipping

	Denoise    float64 // Σ W_i·w(t_i)·l_i, w being the timestep's own weight, without reference rows
	Distil     float64 // Σ Distil_i·mean (prediction - teacher's)²
	Target     float64 // Σ TargetW_i·mean (prediction - Target)²
	Penalty    float64 // the quadratic penalty times its strength
	Directions float64 // the rank-1 penalties times theirs

	Reference   float64 // Σ W_i·w(t_i)·l_i of the reference rows
	Projected   bool    // their gradient opposed that of Loss, which was projected
	TeacherRows int     // rows the teacher evaluated
}

// columns of the per-row coefficients the step graph takes.
const (
	colSignal = iota // sqrt(ᾱ)
	colSigma         // sqrt(1-ᾱ)
	colWeight        // weight of the row
	colMeanX0        // posterior mean's weight of x_0
	colMeanXt        // posterior mean's weight of x_t
	colLogPosterior
	colLogVar // ln of the reverse step's variance; the largest where it is learned
	colFirst  // 1 at t = 0
	numCols
)

// coefficients returns what the step graph needs to know of each row's timestep t [R] and weight w [R], [R, numCols];
// weights [T] are those of the timesteps.
func (p *Process) coefficients(t []int32, w []float32, weights []float64) ([]float32, error) {
	if err := p.timestepsInRange(t); err != nil {
		return nil, err
	}
	coef := make([]float32, len(t)*numCols)
	for i, t := range t {
		c := coef[i*numCols:]
		c[colSignal], c[colSigma], c[colWeight] = float32(p.Signal[t]), float32(p.Sigma[t]), w[i]*float32(weights[t])
		c[colMeanX0], c[colMeanXt] = float32(p.PosteriorMeanX0[t]), float32(p.PosteriorMeanXt[t])
		c[colLogPosterior], c[colLogVar] = float32(p.PosteriorLogVar[t]), float32(p.ReverseLogVar(int(t), 1))
		if t == 0 {
			c[colFirst] = 1
		}
	}
	return coef, nil
}

// Step does one optimiser step on b. index counts the steps since the optimiser started (from 0) and sets the
// warm-up and the EMA's decay; the noise and dropout masks are a function of noiseSeed and the batch's shape alone,
// so a step can be repeated exactly.
func (n *Network) Step(b Batch, index int, noiseSeed uint64) (StepResult, error) {
	p, err := n.Prepare(b, index, noiseSeed)
	if err != nil {
		return StepResult{}, err
	}
	return n.Do(p)
}

// Prepared is a step that lies on the device and waits to be done, once, by [Network.Do].
type Prepared struct {
	inputs []any // tensors
	rows   int
	index  int
}

// Drop frees what will not be done.
func (p *Prepared) Drop() {
	for _, input := range p.inputs {
		_ = input.(*tensors.Tensor).FinalizeAll() // of arrays that nobody looks at any more
	}
	p.inputs = nil
}

// Prepare is the part of [Network.Step] that needs no weights: it checks the batch and takes it to the device. It may run
// while another step is done, the first excepted.
func (n *Network) Prepare(b Batch, index int, noiseSeed uint64) (*Prepared, error) {
	rows, dim := len(b.T), n.Shape.Values()
	if rows == 0 || len(b.X) != rows*dim || len(b.W) != rows || len(b.Y) != rows {
		return nil, errors.Errorf("diffusion: a batch of %d timesteps has %d pixels, %d labels and %d weights; need %d, %d and %d",
			rows, len(b.X), len(b.Y), len(b.W), rows*dim, rows, rows)
	}
	if index < 0 {
		return nil, errors.Errorf("diffusion: the index of a step is %d; need that of steps since the optimiser started, from 0", index)
	}
	if err := n.labelsInRange(b.Y); err != nil {
		return nil, err
	}
	if err := n.build(); err != nil {
		return nil, err
	}
	if err := n.checkTerms(b); err != nil {
		return nil, err
	}
	if err := n.checkHeld(b); err != nil {
		return nil, err
	}
	b = b.filledUp(n.Devices())
	coef, err := n.Process.coefficients(b.T, b.W, n.weights)
	if err != nil {
		return nil, err
	}
	lr := n.Train.LearningRate
	if index < n.Train.WarmUp {
		lr *= float64(index+1) / float64(n.Train.WarmUp)
	}
	decay := min(n.Train.EMA, float64(1+index)/float64(10+index))
	u := n.Shape
	images := perRow(b.X, u.H, u.W, u.Channels)
	if x, err := n.held.rows(b); err != nil {
		return nil, err
	} else if x != nil {
		images = placed(x)
	} else if i := notFinite(b.X); i >= 0 {
		return nil, errors.Errorf("diffusion: row %d of X has the value %g; need finite ones, images being in [-1, 1]", i/dim, b.X[i])
	}
	for i, part := range [][]float32{b.Noise, b.Target} {
		if at := notFinite(part); at >= 0 {
			return nil, errors.Errorf("diffusion: row %d of %s has the value %g; need finite ones", at/dim, []string{"Noise", "Target"}[i], part[at])
		}
	}
	inputs := append([]input{images, perRow(b.T), perRow(b.Y), perRow(coef, numCols),
		whole([]float32{float32(lr), float32(decay)}), whole(rngState(noiseSeed))}, n.termInputs(b)...)
	if err := n.shard(inputs, rows); err != nil {
		return nil, err
	}
	p := &Prepared{rows: rows, index: index}
	if p.inputs, err = n.place(inputs); err != nil {
		p.Drop()
		return nil, err
	}
	return p, nil
}

// Do does a step that was prepared for this network.
func (n *Network) Do(p *Prepared) (StepResult, error) {
	o, err := n.Launch(p)
	if err != nil {
		return StepResult{}, err
	}
	return o.Result()
}

// Outcome is what a step left on the device, to be read once.
type Outcome struct {
	network  *Network
	prepared *Prepared
	out      []*tensors.Tensor
}

// Launch does a step that was prepared for this network and leaves its numbers on the device: the next one may be launched at
// once, before or while [Outcome.Result] reads them.
func (n *Network) Launch(p *Prepared) (*Outcome, error) {
	if p == nil || p.inputs == nil {
		return nil, errors.New("diffusion: a step that was not prepared, or was done or dropped already; prepare each by Network.Prepare")
	}
	if err := n.open(); err != nil {
		p.Drop()
		return nil, err
	}
	if n.stepRows != 0 && p.rows != n.stepRows { // the program is of so many
		p.Drop()
		return nil, errors.Errorf("diffusion: a step of %d rows after one of %d; need as many in every step", p.rows, n.stepRows)
	}
	n.stepped = true
	out, err := n.step.Call(p.inputs...)
	if err != nil {
		p.Drop()
		return nil, errors.WithMessage(err, "diffusion: training step")
	}
	n.stepRows = p.rows
	return &Outcome{n, p, out}, nil
}

// Result reads what a step did and frees what it left on the device. Its error is [Diverged] where the loss is no number.
func (o *Outcome) Result() (StepResult, error) {
	n, p, out := o.network, o.prepared, o.out
	defer func() {
		p.Drop()
		for _, t := range out {
			_ = t.FinalizeAll() // of arrays that nobody looks at any more
		}
	}()
	var res StepResult
	scalars, err := tensors.CopyFlatData[float32](out[0])
	switch {
	case err != nil:
	case n.far:
		first := 2 + len(n.scalars())
		scalars, res.Rows = scalars[:first], scalars[first:]
	default:
		res.Rows, err = tensors.CopyFlatData[float32](out[1])
	}
	if err != nil {
		return StepResult{}, errors.WithMessage(err, "diffusion: reading what a training step did")
	}
	res.Rows = res.Rows[:p.rows] // without those that fill up
	res.Loss, res.GradNorm = float64(scalars[0]), float64(scalars[1])
	res.Denoise = res.Loss // unless a term says otherwise
	for i, s := range n.scalars() {
		s.set(&res, float64(scalars[2+i]))
	}
	if math.IsNaN(res.Loss) || math.IsInf(res.Loss, 0) {
		return res, Divergedf("diffusion: the loss is %g at step %d; lower learning_rate (now %g) or clip_norm (now %g; 0 clips nothing), and use another --dir, or remove the run folder, for the changed setting",
			res.Loss, p.index, n.Train.LearningRate, n.Train.ClipNorm)
	}
	return res, nil
}

// rngState spreads a seed over the state of GoMLX's counter-based generator.
func rngState(seed uint64) []uint64 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	src := rand.NewChaCha8(key)
	state := make([]uint64, RNGStateShape.Size())
	for i := range state {
		state[i] = src.Uint64()
	}
	return state
}
