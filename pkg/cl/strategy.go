package cl

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
)

// Stream says which images a strategy's fresh rows come from.
type Stream int

const (
	CurrentTask Stream = iota // the task that has just arrived
	SeenTasks                 // it and all tasks before it; all rows of a step are fresh
	AllTasks                  // every task at once, in one phase as long as all others' together; all rows are fresh
)

// Borders says what a method makes of the borders between tasks, and with it of which task is at hand.
type Borders int

const (
	NeedsBorders Borders = iota // it works at the begin or end of a task, or counts tasks, so it cannot learn from a stream without borders
	UsesBorders                 // it is told of borders where there are any, and does without where there are none
	NoBorders                   // it is told of none: every step is of task 0, and BeginTask, EndTask and Consolidate are never called
)

// Info describes a method to a reader.
type Info struct {
	Name     string // as in configurations, "er"
	Title    string // "experience replay"
	Paper    string // where it comes from
	Equation string // its loss, one line
	Stores   string // what it keeps between tasks
	Stream   Stream

	// What the method may know of the stream beside images and their order: its borders; the classes of images, which all methods
	// hand to the network with their rows, and one that Labels is true of looks at itself, say to keep equally many of each.
	Borders Borders
	Labels  bool

	// Teacher says which weights teach, TeachAverage or TeachTrained, where the network is extended by a teacher, of which it
	// has one. "" where there is none.
	Teacher string

	// Restarts: at every task the network starts again, at its initial weights and with a new optimiser.
	Restarts bool

	// TaskAtSampling: the network that generates depends on the task asked for, which UseTask gives to the method.
	// Where it is false the method never learns the task.
	TaskAtSampling bool
}

// Setup is what a strategy learns of the run before the first task.
type Setup struct {
	Seed                  uint64
	Tasks                 int // 1 for a method that is told of no borders
	Learned               int // of the tasks, those of a run that this one extends, which knew of no others; 0: it extends none
	StepsPerTask          int
	Online                bool // the images come once each, in one stream without borders ([datasets.Benchmark].Online)
	FreshRows, ReplayRows int
	H, W, C               int
	Classes               int
	Timesteps             int                // T of the diffusion process
	Process               *diffusion.Process // nil where it is not known yet

	// Network is the network at work, extended by what the strategy Needs. A strategy may change what it was
	// extended by and read everything; training is the loop's. It is nil where only settings are examined.
	Network *diffusion.Network

	// Features maps prepared images to classifier features, a row an image, for herding. It is nil where the run
	// has no extractor.
	Features func(*datasets.Images) (*mat.Dense, error)

	// Judge names the class that the run's classifier sees in each of some images, for counts of what was generated; nothing
	// is learned from it. It returns nil, or is nil, where the run has no classifier.
	Judge func(*datasets.Images) ([]int, error)
}

// rng is the random sequence of a strategy's work at the end of a task.
func (s Setup) rng(task int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed, uint64(task)<<48^drawConsolidation))
}

// Stored is what a strategy holds now and what it has spent so far besides the training step itself.
type Stored struct {
	Images           *datasets.Images // nil or empty: none
	StreamImages     int              // images of other tasks kept for the declared stream; filled in by [Loop.Stored]
	Bytes            int64            // of everything stored
	Parameters       int              // values kept besides the trained weights; [Loop.Stored] adds those of the network's extensions
	ExtraEvaluations int64            // rows run through a network, forwards or forwards and backwards, besides those of the step; [Loop.Stored] adds the teacher's
}

// Strategy is one continual-learning method. The exported fields of a strategy are its settings, with yaml names.
//
// A type embeds [Base], which does nothing in each of these methods but the first two, or something made of it ([Replay],
// [Teaching], [InNetwork]), and writes those in which the method does something. There are no optional methods besides, so
// a wrapper that embeds the interface hands on everything, and a [Composite] without one of them does not compile.
type Strategy interface {
	// Info describes the method, Label names its variants in tables: "er λ=0.3". Warnings has a line for each
	// setting that is right and yet unwise, which begins with the method's name.
	Info() Info
	Label() string
	Warnings() []string

	// Validate reports the first setting that no run can use, so that [New] refuses it.
	Validate() error

	// ReplayRows is the number of replay rows of a step, 0 or more. [NewLoop] asks once, before all that follows, with the
	// loop's replay_rows; the answer holds for the whole run and comes back in [Setup]. The fresh rows stay as they are, so
	// fewer replay rows make cheaper steps. A method whose weight is 0 asks for none: it is fine-tuning at fine-tuning's price.
	ReplayRows(loop int) int

	// Check reports why the strategy cannot begin, by what is known before there is a network. Begin calls it.
	Check(Setup) error

	// Needs is what the method needs of the training step besides the denoising loss. [NewLoop] asks before Begin, with all of
	// Setup but Network, and extends the network by the answer. What a strategy keeps in the extended network is saved with the
	// network and is no part of State; [Loop.Stored] counts it. A strategy whose weight is 0 needs nothing, so that the step
	// compiled is fine-tuning's.
	Needs(Setup) diffusion.Extra

	// Begin checks the setup and prepares for a run. It may be called again, for another run.
	Begin(Setup) error

	// BeginTask is given a task's training images before its first step, and again where a run goes on from just before that.
	BeginTask(task int, train *datasets.Images) error

	// BeforeStep may fill the replay rows of s, change the weights of any row and choose timesteps of replay rows.
	BeforeStep(s *Step) error

	// Foresees says that a step may be prepared while the one before is still being done: BeforeStep then looks at the step, at
	// settings and at what was left by Begin, BeginTask, EndTask, Consolidate and Restore, neither at the network's weights
	// nor at what became of earlier steps, and changes nothing but the step.
	Foresees() bool

	// AfterStep learns from a step's outcome: s is the step as it was trained on, its weights times what makes up for the
	// timesteps drawn ([SampleImportance]), and r has the loss of each row before the update. Of a strategy that foresees its steps,
	// later ones may have been done by then: the network's weights are those after the last of them.
	AfterStep(s *Step, r diffusion.StepResult) error

	// EndTask is given the finished task's training images, once.
	EndTask(task int, train *datasets.Images) error

	// Arrive is given the images that a step of a stream without borders was trained on, after AfterStep, once. It is called in
	// place of BeginTask, EndTask and Consolidate, of a method that does not need borders ([Info].Borders).
	Arrive(images *datasets.Images) error

	// Consolidate works with the network at a task's end: it follows EndTask, with the same images, but not after the last
	// task, which nothing follows. It may take long; when ctx ends it returns an error, and the run goes on from its last
	// checkpoint.
	Consolidate(ctx context.Context, task int, train *datasets.Images) error

	// UseTask puts into the network, weights and averages alike, what generates a task's classes, and for -1 what training
	// goes on from. It is called where [Info].TaskAtSampling says that the network depends on the task: see [Loop.AtTask].
	// A task that has not been learned has the network as it is. The loop puts weights and averages back itself, so a
	// strategy that changes nothing else has nothing to do at -1. UseTask is no part of training: it leaves State as it is.
	//
	// In class-incremental runs of a class-conditional network the label implies the task, so that getting it is no
	// advantage over a method that only sees the label; elsewhere it is one.
	UseTask(task int) error

	// Stored reports the memory and its cost, Generated has an entry for each task so far in which generated images are
	// replayed.
	Stored() Stored
	Generated() []Generated

	// Buffers are the memories whose content State may leave out, so that whoever saves it stores a large one once, as long as it stays
	// the same ([memory.Buffer.KeepApart]). They are the same from Begin on.
	Buffers() []*memory.Buffer

	// State and Restore carry everything that the methods above changed in a run through a checkpoint. Restore is called
	// after Begin.
	State() ([]byte, error)
	Restore([]byte) error

	// Close frees compiled graphs and other things outside of Go's memory ([Loop.Close]). It may be called more than once,
	// and Begin may follow it. State needs none of what is closed.
	Close()
}

// Base is a strategy that trains on the fresh rows alone and keeps nothing, except for Info and Label, which it lacks. Embed it
// with the tag `yaml:"-"`, as it is not a setting.
type Base struct{}

// Warnings has none.
func (Base) Warnings() []string { return nil }

// Validate accepts all settings.
func (Base) Validate() error { return nil }

// ReplayRows is 0: a step costs its fresh rows alone.
func (Base) ReplayRows(int) int { return 0 }

// Check accepts every run.
func (Base) Check(Setup) error { return nil }

// Needs nothing.
func (Base) Needs(Setup) diffusion.Extra { return diffusion.Extra{} }

// Begin accepts every run.
func (Base) Begin(Setup) error { return nil }

// BeginTask does nothing.
func (Base) BeginTask(int, *datasets.Images) error { return nil }

// BeforeStep leaves the step as it is.
func (Base) BeforeStep(*Step) error { return nil }

// Foresees is false, which is always right.
func (Base) Foresees() bool { return false }

// AfterStep learns nothing.
func (Base) AfterStep(*Step, diffusion.StepResult) error { return nil }

// EndTask keeps nothing.
func (Base) EndTask(int, *datasets.Images) error { return nil }

// Arrive keeps nothing.
func (Base) Arrive(*datasets.Images) error { return nil }

// Consolidate does nothing.
func (Base) Consolidate(context.Context, int, *datasets.Images) error { return nil }

// UseTask leaves the network as it is.
func (Base) UseTask(int) error { return nil }

// Stored is nothing.
func (Base) Stored() Stored { return Stored{} }

// Generated is nothing.
func (Base) Generated() []Generated { return nil }

// Buffers has none.
func (Base) Buffers() []*memory.Buffer { return nil }

// State is empty.
func (Base) State() ([]byte, error) { return nil, nil }

// Restore accepts the empty state alone.
func (Base) Restore(state []byte) error {
	if len(state) > 0 {
		return errors.Errorf("cl: %d bytes of state for a strategy that stores nothing; they belong to another strategy", len(state))
	}
	return nil
}

// Close has nothing to free.
func (Base) Close() {}

// Check reports why a strategy could not begin in a loop of the given setup, which [SetupOf] makes. For one that needs borders,
// in a stream that has none, it is a [*BordersMissing].
func Check(s Strategy, setup Setup) error {
	if s == nil {
		return errors.New("cl.Check: no strategy (nil); make one by cl.New")
	}
	if err := CheckBorders(s, setup.Online); err != nil {
		return err
	}
	setup = setup.toldTo(s)
	setup.ReplayRows = s.ReplayRows(setup.ReplayRows)
	if setup.ReplayRows < 0 {
		return errors.Errorf("cl: strategy %s asks for %d replay rows a step; need 0 or more", s.Info().Name, setup.ReplayRows)
	}
	return s.Check(setup)
}

// rowsFor is ReplayRows of a strategy whose term has a weight: none where that is 0, or else its own number of rows or,
// where that is 0, the loop's.
func rowsFor(weight float64, own, loop int) int {
	switch {
	case weight == 0:
		return 0
	case own == 0:
		return loop
	}
	return own
}

// needRows reports that a strategy with a weight has nowhere to put what it replays.
func needRows(name string, weight float64, s Setup) error {
	if weight == 0 || s.ReplayRows > 0 {
		return nil
	}
	return errors.Errorf("cl: %s needs replay rows, but has %d; set replay_rows, or the strategy's rows, to 1 or more", name, s.ReplayRows)
}

// needNetwork reports that a strategy which looks at its network when it begins has none.
func needNetwork(name string, s Setup) error {
	if s.Network == nil {
		return errors.Errorf("cl: %s begins without a network; NewLoop gives it one", name)
	}
	return nil
}

// Step is one training step before it is done.
type Step struct {
	Task, Index  int             // Index counts the steps of this task
	Batch        diffusion.Batch // rows 0 .. Fresh-1 are fresh, the other Replay ones repeat them with weight 0; so do fresh rows for which a stream without borders has no image left
	Fresh        int
	Replay       int
	StreamImages int        // how many images the fresh rows are drawn from; 0 in a stream without borders, whose length nobody knows
	RNG          *rand.Rand // for the strategy alone; a function of seed, task and index

	offset int         // of the strategy's replay rows within all: those of a [Composite]'s parts follow one another
	drawn  []int32     // timesteps of all rows as the loop or SetTimestep chose them
	chosen []bool      // rows whose timestep is the strategy's
	filled []bool      // replay rows that the strategy gave an image, by their place in the batch
	noisy  []bool      // replay rows that the strategy gave x_t and its target
	held   *heldImages // that the device takes rows from; nil: all are sent
	factor []float64   // by which drawn rows make up for their timestep's probability; nil: it is uniform

	classes, timesteps int // that the network knows; 0: it is told no class, or the step was made by hand

	parts []freshWeights // of the fresh rows, as each part of a [Composite] would have them
	whole freshWeights   // that the step has
}

// Row is where replay row i (0 .. Replay-1) lies in the batch. It panics if there is no such row.
func (s *Step) Row(i int) int {
	if i < 0 || i >= s.Replay {
		if s.Replay == 0 {
			panic(fmt.Sprintf("row %d; this step has no replay rows: ReplayRows asks for some", i))
		}
		panic(fmt.Sprintf("row %d; this step has %d replay rows (0 … %d)", i, s.Replay, s.Replay-1))
	}
	return s.Fresh + s.offset + i
}

// SetReplay puts an image into replay row i (0 .. Replay-1) with a weight in the loss. The row keeps its timestep, and
// the weight is that of a uniform one: see [SampleImportance]. It panics if there is no such row, if the image is of another size, if the
// network does not know the label, or if the weight is no finite number.
func (s *Step) SetReplay(i int, pixels []uint8, label int32, weight float64) {
	s.put(s.Row(i), pixels, label, weight)
}

// put is SetReplay for a row of the batch, which may be a fresh one.
func (s *Step) put(row int, pixels []uint8, label int32, weight float64) {
	dim := s.imageSize()
	if len(pixels) != dim {
		panic(fmt.Sprintf("an image of %d values; this step's have %d", len(pixels), dim))
	}
	s.needLabel(row, label)
	s.Batch.W[row] = s.weight(row, "weight", weight)
	datasets.Scale(s.Batch.X[row*dim:(row+1)*dim], pixels)
	s.place(row, pixels)
	s.Batch.Y[row] = label
	if s.filled != nil { // not a step made by hand
		s.filled[row] = true
	}
}

// place notes that a row of the batch is an image that the device may hold.
func (s *Step) place(row int, pixels []uint8) {
	if s.held != nil {
		s.Batch.Held[row] = s.held.place(pixels)
	}
}

// weight is a weight as the network takes it. It panics with what is no number, where it came from being a line above; what is
// written into the batch past it [Step.check] finds.
func (s *Step) weight(row int, of string, weight float64) float32 {
	w := float32(weight)
	if err := s.checkWeight(row, of, w); err != nil {
		panic(err.Error())
	}
	return w
}

func (s *Step) checkWeight(row int, of string, w float32) error {
	if v := float64(w); math.IsNaN(v) || math.IsInf(v, 0) {
		return errors.Errorf("%s: the %s is %g; need a number", s.RowName(row), of, v)
	}
	return nil
}

// needLabel panics with a label that the network does not know.
func (s *Step) needLabel(row int, label int32) {
	if err := s.checkLabel(row, label); err != nil {
		panic(err.Error())
	}
}

func (s *Step) checkLabel(row int, label int32) error {
	if s.classes > 0 && (label < 0 || int(label) > s.classes) {
		return errors.Errorf("%s: the label is %d; need a class (0 … %d), or %d for none", s.RowName(row), label, s.classes-1, s.classes)
	}
	return nil
}

// What the weights of a row are called.
const (
	distilWeight = "weight of its distance to the teacher"
	targetWeight = "weight of its distance to a target"
)

// imageSize is the number of values of an image.
func (s *Step) imageSize() int { return len(s.Batch.X) / len(s.Batch.Y) }

// check reports what no network can learn from: rows that hold no image, or count by what is no number, or whose label the network
// does not know.
func (s *Step) check() error {
	b, dim := &s.Batch, s.imageSize()
	for i := range b.T {
		for _, w := range []struct {
			of     string
			values []float32
		}{{"weight", b.W}, {distilWeight, b.Distil}, {targetWeight, b.TargetW}} {
			if w.values == nil {
				continue
			}
			if len(w.values) != len(b.T) {
				return errors.Errorf("there are %d values for the %s of each of %d rows", len(w.values), w.of, len(b.T))
			}
			if err := s.checkWeight(i, w.of, w.values[i]); err != nil {
				return err
			}
		}
		if i >= s.Fresh && b.W[i] != 0 && !s.filled[i] && slices.Equal(b.X[i*dim:(i+1)*dim], b.X[(i-s.Fresh)%s.Fresh*dim:][:dim]) {
			return errors.Errorf("%s weighs %g and holds no image of the strategy; put one there with SetReplay, or leave its weight 0", s.RowName(i), b.W[i])
		}
		if err := s.checkLabel(i, b.Y[i]); err != nil {
			return err
		}
		for k, x := range b.X[i*dim : (i+1)*dim] {
			if !(x >= -math.MaxFloat32 && x <= math.MaxFloat32) {
				return errors.Errorf("%s: value %d of the image is %g; need one from -1 to 1", s.RowName(i), k, x)
			}
		}
	}
	return nil
}

// RowName is what a strategy calls a row of the batch: its replay rows count from 0, as SetReplay has them.
func (s *Step) RowName(row int) string {
	if row < s.Fresh {
		return fmt.Sprintf("fresh row %d", row)
	}
	return fmt.Sprintf("row %d", row-s.Fresh-s.offset)
}

// SetTimestep gives replay row i (0 .. Replay-1) a timestep of the strategy's own choice, 0 .. T-1. The row's weight then
// stands as it is, since only the strategy knows with what probability it chose. Timesteps are changed by this alone. It panics if
// there is no such timestep.
func (s *Step) SetTimestep(i int, t int32) {
	row := s.Row(i)
	if s.timesteps > 0 && (t < 0 || int(t) >= s.timesteps) {
		panic(fmt.Sprintf("%s: the timestep is %d; need one of 0 … %d", s.RowName(row), t, s.timesteps-1))
	}
	s.Batch.T[row] = t
	if s.drawn != nil { // not a step made by hand
		s.drawn[row], s.chosen[row] = t, true
	}
}

// SetDistil weighs, in the given row of the batch, the distance to the teacher's prediction. The network must be extended
// by diffusion.Extra.Teacher. The weight is that of a uniform timestep, as in SetReplay. It panics if there is no such row, or the weight
// is no finite number.
func (s *Step) SetDistil(row int, weight float64) {
	if row < 0 || row >= len(s.Batch.T) {
		panic(fmt.Sprintf("row %d of the batch; it has %d (0 … %d): Step.Row has that of a replay row", row, len(s.Batch.T), len(s.Batch.T)-1))
	}
	if s.Batch.Distil == nil {
		s.Batch.Distil = make([]float32, len(s.Batch.T))
	}
	s.Batch.Distil[row] = s.weight(row, distilWeight, weight)
}

// SetPureNoise makes replay row i pure Gaussian noise under a label, with no image and no weight in the denoising loss.
func (s *Step) SetPureNoise(i int, label int32) {
	if s.Batch.PureNoise == nil {
		s.Batch.PureNoise = make([]bool, len(s.Batch.T))
	}
	row := s.Row(i)
	s.needLabel(row, label)
	s.Batch.PureNoise[row], s.Batch.W[row], s.Batch.Y[row] = true, 0, label
}

// SetReference makes replay row i one whose loss must not grow, instead of one that is trained on. The network must be
// extended by diffusion.Extra.Projection.
func (s *Step) SetReference(i int) {
	if s.Batch.Reference == nil {
		s.Batch.Reference = make([]bool, len(s.Batch.T))
	}
	s.Batch.Reference[s.Row(i)] = true
}

// SetTarget gives replay row i its noise and weighs its distance to a given prediction, both of an image's size. The
// network must be extended by diffusion.Extra.Given. The row keeps its label and is not mirrored, since the target would
// not follow; its timestep is the one the prediction was made at ([Step.SetTimestep]).
func (s *Step) SetTarget(i int, noise, target []float32, weight float64) {
	b, row, dim := &s.Batch, s.Row(i), s.imageSize()
	if len(noise) != dim || len(target) != dim {
		panic(fmt.Sprintf("noise of %d values and a target of %d; this step's images have %d", len(noise), len(target), dim))
	}
	if b.TargetW == nil {
		b.Noise, b.GivenNoise = make([]float32, len(b.X)), make([]bool, len(b.T))
		b.Target, b.TargetW = make([]float32, len(b.X)), make([]float32, len(b.T))
	}
	copy(b.Noise[row*dim:(row+1)*dim], noise)
	copy(b.Target[row*dim:(row+1)*dim], target)
	b.GivenNoise[row], b.TargetW[row] = true, s.weight(row, targetWeight, weight)
}

// SetNoisy makes replay row i a noisy image x_t with what the network is to predict of it at timestep t, both of an image's size, and
// weighs the distance of its prediction from that. The network must be extended by diffusion.Extra.Given. The row is not mirrored, since
// the target would not follow; its label is left out as often as those of other rows ([LoopConfig].LabelDropout).
func (s *Step) SetNoisy(i int, xt, target []float32, t, label int32, weight float64) {
	// x_t is the given noise of a row that is noise alone.
	s.SetPureNoise(i, label)
	s.SetTimestep(i, t)
	s.SetTarget(i, xt, target, weight)
	if s.noisy != nil { // not a step made by hand
		s.noisy[s.Row(i)] = true
	}
}
