package cl

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// LoopConfig holds what is the same for every strategy of a comparison.
type LoopConfig struct {
	FreshRows      int     `yaml:"fresh_rows" json:"fresh_rows"`           // rows of the task at hand a step
	ReplayRows     int     `yaml:"replay_rows" json:"replay_rows"`         // rows of the strategy's own a step, unless it chooses
	StepsPerTask   int     `yaml:"steps_per_task" json:"steps_per_task"`   // optimiser steps
	ResetOptimizer bool    `yaml:"reset_optimizer" json:"reset_optimizer"` // forget Adam's moments, the warm-up and the EMA's count at each task
	LabelDropout   float64 `yaml:"label_dropout" json:"label_dropout"`     // share of rows trained without their label, for guidance

	// TimestepSampler says how the timesteps of a step's rows are drawn: SampleUniform ("" is the same) or
	// SampleImportance.
	TimestepSampler string `yaml:"timestep_sampler" json:"timestep_sampler"`
}

// Validate reports the first setting no loop can run with.
func (c LoopConfig) Validate() error {
	switch {
	case c.FreshRows <= 0 || c.StepsPerTask <= 0:
		return errors.Errorf("cl: fresh_rows %d, steps_per_task %d; both must be positive", c.FreshRows, c.StepsPerTask)
	case c.ReplayRows < 0:
		return errors.Errorf("cl: replay_rows is %d; need 0 or more", c.ReplayRows)
	case !(c.LabelDropout >= 0 && c.LabelDropout < 1):
		return errors.Errorf("cl: label_dropout is %g; need 0 <= label_dropout < 1", c.LabelDropout)
	case c.TimestepSampler != "":
		return oneOf("timestep_sampler", c.TimestepSampler, timestepSamplers)
	}
	return nil
}

// Position says how far a loop has come; it is what a checkpoint must hold besides the states of the network, the strategy
// and the losses by which the loop draws timesteps.
type Position struct {
	Phase     int `json:"phase"`     // the phase at hand: a task, or 0 where all tasks are learned at once
	Step      int `json:"step"`      // steps done in it
	Total     int `json:"total"`     // steps done in all
	Optimiser int `json:"optimiser"` // steps since the optimiser started
}

// Loop trains one network on a benchmark under one strategy.
type Loop struct {
	Network   *diffusion.Network
	Benchmark *datasets.Benchmark
	Strategy  Strategy
	Config    LoopConfig
	Seed      uint64
	Position  Position

	// NetworkTime is spent in the network's own steps since the loop was made, results moved included, and inputs where they
	// were not moved during the step before ([Strategy].Foresees). What else a run takes is the price of the loop, the strategy and
	// whatever goes on around them.
	NetworkTime time.Duration

	knows       bool // the first task is not trained
	replayRows  int
	ends        []int                  // [taskEnds]; nil: the stream has borders
	losses      *diffusion.LossHistory // by which timesteps are drawn; nil: uniformly
	lossWeights []float64              // of training, by timestep; for losses
	stream      *datasets.Images       // what fresh rows of streamPhase are drawn from
	streamPhase int
	order       []int // permutation of the stream in orderEpoch
	orderEpoch  int
	ahead       *prepared   // the next step, where it was foreseen
	held        *heldImages // on the device; nil: none
}

// Independent random sequences of one run, which differ in the last word of their seed.
const (
	drawOrder = iota + 1
	drawTimesteps
	drawStrategy
	drawLabels
	drawNoise
	drawFlips
	drawMemory
	drawConsolidation
	drawTargets
	drawAdapters
	drawLosses
	drawPairs
)

// SetupOf is what strategies learn of a loop over a benchmark and a network of process p, except for the seed and
// whatever there is of the run besides: a network, and functions that look at images. The replay rows are the loop's. It panics if
// there is no benchmark or no process.
func SetupOf(b *datasets.Benchmark, c LoopConfig, p *diffusion.Process) Setup {
	if b == nil || p == nil || p.Schedule == nil {
		panic(errors.Errorf("cl.SetupOf: there is no benchmark (%t) or no process (%t); give both", b == nil, p == nil || p.Schedule == nil))
	}
	return Setup{Tasks: len(b.Tasks), StepsPerTask: c.StepsPerTask, FreshRows: c.FreshRows, ReplayRows: c.ReplayRows,
		Online: b.Online, H: b.H, W: b.W, C: b.C, Classes: len(b.ClassNames), Timesteps: p.T, Process: p}
}

// NewLoop prepares a loop at its beginning and calls the strategy's Begin.
func NewLoop(n *diffusion.Network, b *datasets.Benchmark, s Strategy, c LoopConfig, setup Setup) (*Loop, error) {
	switch {
	case n == nil:
		return nil, errors.New("cl.NewLoop: no network (nil); make one by diffusion.NewNetwork")
	case b == nil:
		return nil, errors.New("cl.NewLoop: no benchmark (nil); make one by datasets.ClassIncremental or DomainIncremental")
	case s == nil:
		return nil, errors.New("cl.NewLoop: no strategy (nil); make one by cl.New")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.LabelDropout > 0 && n.Shape.Classes == 0 {
		return nil, errors.New("cl: label_dropout needs a class-conditional network; this one has no labels")
	}
	if err := b.Validate(); err != nil {
		return nil, errors.WithMessage(err, "cl")
	}
	if b.H != n.Shape.H || b.W != n.Shape.W || b.C != n.Shape.Channels {
		return nil, errors.Errorf("cl: the benchmark's images are %dx%dx%d but the network's %dx%dx%d; prepare the images or size the network to match",
			b.H, b.W, b.C, n.Shape.H, n.Shape.W, n.Shape.Channels)
	}
	if n.Shape.Classes > 0 && len(b.ClassNames) > n.Shape.Classes {
		return nil, errors.Errorf("cl: the benchmark has %d classes but the network knows %d; give it %d", len(b.ClassNames), n.Shape.Classes, len(b.ClassNames))
	}
	if b.Online && c.ResetOptimizer {
		return nil, errors.New("cl: reset_optimizer starts the optimiser anew at each task, and an online stream has no borders between tasks; leave it out")
	}
	for i, t := range b.Tasks {
		if t.Train.N == 0 {
			return nil, errors.Errorf("cl: task %d (%s) has no training images", i, t.Name)
		}
	}
	known := SetupOf(b, c, n.Process)
	known.Learned = setup.Learned
	if err := Check(s, known); err != nil {
		return nil, err
	}
	known.Seed, known.Features, known.Judge = setup.Seed, setup.Features, setup.Judge
	setup = known.toldTo(s)
	setup.ReplayRows = s.ReplayRows(c.ReplayRows)
	if needs := s.Needs(setup); needs != (diffusion.Extra{}) {
		if err := n.Extend(needs); err != nil {
			return nil, errors.WithMessagef(err, "strategy %s", s.Info().Name)
		}
	}
	setup.Network = n
	if err := Guard(func() error { return s.Begin(setup) }); err != nil {
		return nil, err
	}
	l := &Loop{Network: n, Benchmark: b, Strategy: s, Config: c, Seed: setup.Seed, replayRows: setup.ReplayRows, streamPhase: -1}
	if b.Online {
		l.ends = taskEnds(b, c.FreshRows)
	}
	return l, firstError(l.openTimesteps(), l.hold())
}

// KnowFirst says, once and before anything else, that the network knows the first task, because it was trained on it elsewhere: the
// task is not trained, and the strategy is given its images as of one that was. begin says that this is the run's beginning,
// and not that it goes on from a checkpoint. Where all tasks are learned at once it does nothing.
func (l *Loop) KnowFirst(begin bool) error {
	if l.Strategy.Info().Stream == AllTasks {
		return nil
	}
	switch {
	case len(l.Benchmark.Tasks) < 2:
		return errors.New("cl: the one task is known, and there is no other to learn")
	case l.Benchmark.Online:
		return errors.New("cl: an online stream has no borders between tasks, so that none of them can be known; leave network.knows out, or the stream")
	}
	l.knows = true
	if !begin {
		return nil
	}
	if l.tellsBorders() {
		if err := Guard(func() error { return l.Strategy.BeginTask(0, l.Benchmark.Tasks[0].Train) }); err != nil {
			return errors.WithMessagef(err, "strategy %s before task 0", l.Strategy.Info().Name)
		}
	}
	l.Position = Position{Step: l.PhaseSteps(), Total: l.PhaseSteps()}
	return nil
}

// Close frees what the strategy holds outside of Go's memory. The network is its owner's to close, afterwards.
func (l *Loop) Close() {
	l.ahead.drop()
	l.ahead = nil
	l.Strategy.Close()
}

// Phases is the number of training phases: one a task, or a single one where the strategy learns all tasks at once.
func (l *Loop) Phases() int {
	if l.Strategy.Info().Stream == AllTasks {
		return 1
	}
	return len(l.Benchmark.Tasks)
}

// ReplayRows is the number of rows a step has besides Config.FreshRows: those of the strategy, or Config.ReplayRows where
// it does not choose them. Where a strategy learns from more than the task at hand, they are fresh rows too.
func (l *Loop) ReplayRows() int { return l.replayRows }

// PhaseSteps is the number of steps of the phase at hand, of the last one where all are done.
func (l *Loop) PhaseSteps() int { return l.phaseSteps(min(l.Position.Phase, l.Phases()-1)) }

// phaseSteps is the number of steps of a phase. Batches of an online stream run across the borders between tasks, and a phase ends
// with the batch that brings the last image of its task; it has no step where that came with the batch before.
func (l *Loop) phaseSteps(phase int) int {
	switch {
	case l.Strategy.Info().Stream == AllTasks:
		return l.TotalSteps()
	case l.ends == nil:
		return l.Config.StepsPerTask
	case phase == 0:
		return l.ends[0]
	}
	return l.ends[phase] - l.ends[phase-1]
}

// TotalSteps is the number of steps of the run, the same for every strategy: StepsPerTask for each task or, of an online stream,
// as many as its images fill batches of fresh rows.
func (l *Loop) TotalSteps() int {
	if l.ends != nil {
		return l.ends[len(l.ends)-1]
	}
	return len(l.Benchmark.Tasks) * l.Config.StepsPerTask
}

// taskEnds are the numbers of steps after which all images of each task of an online stream have come.
func taskEnds(b *datasets.Benchmark, rows int) (ends []int) {
	images := 0
	for _, t := range b.Tasks {
		images += t.Train.N
		ends = append(ends, (images+rows-1)/rows)
	}
	return ends
}

// online says that the fresh rows come from one stream without borders.
func (l *Loop) online() bool { return l.Benchmark.Online && l.Strategy.Info().Stream == CurrentTask }

// tellsBorders says that the strategy is told of the begin and end of tasks. One that learns all tasks at once has nothing to
// carry over, so it is not called.
func (l *Loop) tellsBorders() bool {
	info := l.Strategy.Info()
	return !l.Benchmark.Online && info.Stream != AllTasks && info.Borders != NoBorders
}

// Done says that every phase has been trained and ended.
func (l *Loop) Done() bool { return l.Position.Phase >= l.Phases() }

// PhaseDone says that the phase at hand has had all its steps and waits for EndPhase.
func (l *Loop) PhaseDone() bool { return l.Position.Step >= l.PhaseSteps() }

// LastTask is the index of the newest task in the phase at hand.
func (l *Loop) LastTask() int {
	if l.Strategy.Info().Stream == AllTasks {
		return len(l.Benchmark.Tasks) - 1
	}
	return l.Position.Phase
}

// Step does the next optimiser step of the phase at hand.
func (l *Loop) Step() (diffusion.StepResult, error) {
	results, err := l.Steps(1)
	if len(results) == 0 {
		return diffusion.StepResult{}, err
	}
	return results[0], err
}

// Steps does the next optimiser steps of the phase at hand, the given number of them or fewer, at least one: the device goes
// from each to the next without waiting for anyone to look at what became of the one before, as far as steps can be foreseen
// ([Strategy].Foresees) and the phase goes. It returns what each step did. The strategy is told of all of them afterwards, in their
// order. Where a step fails, those before it are returned with the error, and the loop must be made again from what was saved
// last: the network may have gone on.
func (l *Loop) Steps(most int) ([]diffusion.StepResult, error) {
	if l.Done() || l.PhaseDone() {
		return nil, errors.Errorf("cl: no step is left in phase %d of %d", l.Position.Phase, l.Phases())
	}
	if most < 1 {
		return nil, errors.Errorf("cl: %d steps; need at least 1", most)
	}
	if l.Position.Step == 0 && l.tellsBorders() {
		task := l.Position.Phase
		if err := Guard(func() error { return l.Strategy.BeginTask(task, l.Benchmark.Tasks[task].Train) }); err != nil {
			return nil, errors.WithMessagef(err, "strategy %s before task %d", l.Strategy.Info().Name, task)
		}
	}
	p, err := l.next()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	row, failed := l.do(p, most)
	l.NetworkTime += time.Since(start)
	var results []diffusion.StepResult
	for _, d := range row {
		if err := l.learn(d.step, d.result); err != nil {
			return results, err
		}
		l.Position = l.Position.after()
		results = append(results, d.result)
	}
	return results, failed
}

// learn tells the loop and the strategy what became of a step.
func (l *Loop) learn(s *Step, res diffusion.StepResult) error {
	if err := l.learnTimesteps(s, res.Rows); err != nil {
		return err
	}
	if err := Guard(func() error { return l.Strategy.AfterStep(s, res) }); err != nil {
		return errors.WithMessagef(err, "strategy %s after step %d of task %d", l.Strategy.Info().Name, s.Index, s.Task)
	}
	if l.online() {
		if err := Guard(func() error { return l.Strategy.Arrive(l.stream.Select(l.arriving())) }); err != nil {
			return errors.WithMessagef(err, "strategy %s, images of step %d", l.Strategy.Info().Name, s.Index)
		}
	}
	return nil
}

// Stride is how many steps, of so many seconds each, a loop is to do at a time ([Loop.Steps]) where nothing else sets an end: as many
// as fill a fifth of a second where the device has a memory of its own, so that it waits for the host that seldom and people do not
// notice; else 1, for where the processor itself computes there is nothing to wait for. 0 seconds are not known yet.
func (l *Loop) Stride(seconds float64) int {
	if !l.Network.Apart() || !(seconds > 0) {
		return 1
	}
	return int(min(max(1, 0.2/seconds), maxStride))
}

// maxStride bounds what a step's numbers and their bookkeeping take.
const maxStride = 100

// EndPhase gives the strategy the finished task's images and moves on to the next phase. Where it fails, or ctx ends, the
// loop must be made again from what was saved last.
func (l *Loop) EndPhase(ctx context.Context) error {
	if l.Done() || !l.PhaseDone() {
		return errors.Errorf("cl: phase %d has %d of %d steps; it has not ended", l.Position.Phase, l.Position.Step, l.PhaseSteps())
	}
	l.ahead.drop()
	l.ahead = nil
	if l.tellsBorders() {
		task := l.Position.Phase
		if err := Guard(func() error { return l.Strategy.EndTask(task, l.Benchmark.Tasks[task].Train) }); err != nil {
			return errors.WithMessagef(err, "strategy %s at the end of task %d", l.Strategy.Info().Name, task)
		}
		if task < len(l.Benchmark.Tasks)-1 {
			if err := Guard(func() error { return l.Strategy.Consolidate(ctx, task, l.Benchmark.Tasks[task].Train) }); err != nil {
				return errors.WithMessagef(err, "strategy %s after task %d", l.Strategy.Info().Name, task)
			}
		}
	}
	l.Position.Phase++
	l.Position.Step = 0
	if l.Strategy.Info().Restarts && !l.Done() {
		l.Position.Optimiser = 0
		return l.Network.Reset(l.Seed)
	}
	if l.Config.ResetOptimizer && !l.Done() {
		l.Position.Optimiser = 0
		return l.Network.ResetOptimizer()
	}
	return nil
}

// Stored is what the strategy stores and has spent. To what it says itself it adds what the network keeps for it, the rows
// its teacher has evaluated in the steps, and the images of other tasks that its declared stream needs kept: those of the
// tasks before the one at hand, or, where all tasks are learned at once, all.
func (l *Loop) Stored() Stored {
	s, tasks := l.Strategy.Stored(), l.Benchmark.Tasks
	if extra := l.Network.Extra(); extra != (diffusion.Extra{}) {
		s.Parameters += l.Network.ExtraParameters()
		s.Bytes += 4 * int64(l.Network.ExtraParameters())
		if extra.Teacher { // in the compiled step it evaluates every row
			s.ExtraEvaluations += int64(l.Position.Total) * int64(l.Config.FreshRows+l.replayRows)
		}
	}
	switch l.Strategy.Info().Stream {
	case CurrentTask:
		return s
	case SeenTasks:
		tasks = tasks[:l.Position.Phase]
	}
	for _, t := range tasks {
		s.StreamImages += t.Train.N
		s.Bytes += t.Train.Bytes()
	}
	return s
}

// rng is the random sequence of one kind for the step at hand.
func (l *Loop) rng(kind uint64) *rand.Rand {
	return rand.New(rand.NewPCG(l.Seed, uint64(l.Position.Phase)<<48^uint64(l.Position.Step)<<8^kind))
}

// batch is the step as the network gets it: fresh rows, then what the strategy makes of them, then weights that make up
// for the timesteps drawn, labels dropped and rows flipped.
func (l *Loop) batch() (*Step, error) {
	s, err := l.prepare()
	if err != nil {
		return nil, err
	}
	b := &s.Batch
	pixels, rows := len(b.X), len(b.T)
	if err := Guard(func() error { return l.Strategy.BeforeStep(s) }); err != nil {
		return nil, errors.WithMessagef(err, "strategy %s, task %d, step %d", l.Strategy.Info().Name, s.Task, s.Index)
	}
	// Another shape would compile another step.
	if len(b.X) != pixels || len(b.Y) != rows || len(b.T) != rows || len(b.W) != rows {
		return nil, errors.Errorf("cl: strategy %s left %d pixels, %d labels, %d timesteps and %d weights of a batch of %d rows and %d pixels; it must change contents, never shapes",
			l.Strategy.Info().Name, len(b.X), len(b.Y), len(b.T), len(b.W), rows, pixels)
	}
	if err := s.check(); err != nil {
		return nil, errors.WithMessagef(err, "strategy %s, task %d, step %d", l.Strategy.Info().Name, s.Task, s.Index)
	}
	if err := s.weighTimesteps(); err != nil {
		return nil, errors.WithMessagef(err, "strategy %s, task %d, step %d", l.Strategy.Info().Name, s.Task, s.Index)
	}
	if l.held != nil {
		l.held.checkPlaces(s)
	}
	l.dropLabels(s)
	l.flip(s)
	return s, nil
}

// prepare draws the step's fresh rows and timesteps and repeats fresh rows in the replay rows with weight 0.
func (l *Loop) prepare() (*Step, error) {
	if err := l.openStream(); err != nil {
		return nil, err
	}
	c, rows, dim := l.Config, l.Config.FreshRows+l.replayRows, l.stream.ImageSize()
	fresh := c.FreshRows
	if l.Strategy.Info().Stream != CurrentTask {
		fresh = rows
	}
	s := &Step{Task: l.LastTask(), Index: l.Position.Step, Fresh: fresh, Replay: rows - fresh,
		StreamImages: l.stream.N, RNG: l.rng(drawStrategy), classes: l.Network.Shape.Classes, timesteps: l.Network.Process.T}
	if l.Benchmark.Online || l.Strategy.Info().Borders == NoBorders {
		s.Task, s.Index, s.StreamImages = 0, l.Position.Total, 0
	}
	var arriving []int // in an online stream
	filled := fresh
	if l.online() {
		arriving = l.arriving()
		filled = len(arriving)
	}
	s.Batch = diffusion.Batch{X: make([]float32, rows*dim), Y: make([]int32, rows), T: make([]int32, rows), W: make([]float32, rows)}
	if l.held != nil {
		s.held, s.Batch.Held = l.held, make([]int32, rows)
	}
	l.sampleTimesteps(s)
	for i := range rows {
		if i < filled {
			j := 0
			if arriving != nil {
				j = arriving[i]
			} else {
				j = l.draw(l.Position.Step*fresh + i)
			}
			image := l.stream.Image(j)
			datasets.Scale(s.Batch.X[i*dim:(i+1)*dim], image)
			s.place(i, image)
			s.Batch.Y[i], s.Batch.W[i] = l.stream.Labels[j], float32(1/float64(filled))
		} else {
			j := (i - filled) % filled
			if i >= fresh {
				j = (i - fresh) % filled
			}
			copy(s.Batch.X[i*dim:(i+1)*dim], s.Batch.X[j*dim:(j+1)*dim])
			if s.held != nil {
				s.Batch.Held[i] = s.Batch.Held[j]
			}
			s.Batch.Y[i] = s.Batch.Y[j]
		}
	}
	return s, nil
}

// openStream points the loop at the images of the phase at hand.
func (l *Loop) openStream() error {
	phase := l.Position.Phase
	if l.streamPhase == phase || l.online() && l.stream != nil {
		return nil
	}
	first, last := phase, phase
	switch stream := l.Strategy.Info().Stream; {
	case stream == SeenTasks:
		first = 0
	case stream == AllTasks || l.online():
		first, last = 0, len(l.Benchmark.Tasks)-1
	}
	var sets []*datasets.Images
	for _, t := range l.Benchmark.Tasks[first : last+1] {
		sets = append(sets, t.Train)
	}
	stream, err := datasets.Concat(sets...)
	if err != nil {
		return err
	}
	l.stream, l.streamPhase, l.orderEpoch = stream, phase, -1
	if l.online() {
		l.order = l.order[:0]
		for k, t := range l.Benchmark.Tasks {
			first := len(l.order)
			for _, i := range l.permutation(k, 0, t.Train.N) {
				l.order = append(l.order, first+i)
			}
		}
	}
	return nil
}

// arriving are the indices of the images that come with the step at hand of an online stream: of each task in turn, in the order in
// which the task's own first epoch would have them.
func (l *Loop) arriving() []int {
	first := l.Position.Total * l.Config.FreshRows
	return l.order[first:min(first+l.Config.FreshRows, len(l.order))]
}

// permutation is the order of the n images of a phase's epoch.
func (l *Loop) permutation(phase, epoch, n int) []int {
	return rand.New(rand.NewPCG(l.Seed, uint64(phase)<<48^uint64(epoch)<<8^drawOrder)).Perm(n)
}

// draw returns the index of the n-th image of the phase: every epoch is a new permutation of the stream.
func (l *Loop) draw(n int) int {
	epoch := n / l.stream.N
	if epoch != l.orderEpoch {
		l.order, l.orderEpoch = l.permutation(l.Position.Phase, epoch, l.stream.N), epoch
	}
	return l.order[n%l.stream.N]
}

// given says that a row's noise and prediction are given, so that its image must stay as it is, and its label too unless the row is noisy.
func (s *Step) given(row int) bool { return s.Batch.GivenNoise != nil && s.Batch.GivenNoise[row] }

// dropLabels hides a share of the labels from the network.
func (l *Loop) dropLabels(s *Step) {
	if l.Config.LabelDropout == 0 {
		return
	}
	rng := l.rng(drawLabels)
	for i := range s.Batch.Y {
		if rng.Float64() < l.Config.LabelDropout && (!s.given(i) || s.noisy[i]) {
			s.Batch.Y[i] = int32(l.Network.Shape.Classes)
		}
	}
}

// flip mirrors half of the rows where the benchmark's preparation asks for it.
func (l *Loop) flip(s *Step) {
	if !l.Benchmark.Prep.Flip {
		return
	}
	b, dim := l.Benchmark, l.stream.ImageSize()
	for i, yes := range datasets.Flips(l.rng(drawFlips).Uint64(), uint64(l.Position.Total), len(s.Batch.T)) {
		if yes && !s.given(i) {
			datasets.FlipRow(s.Batch.X[i*dim:(i+1)*dim], b.H, b.W, b.C)
			if s.held != nil && s.Batch.Held[i] >= 0 {
				s.Batch.Held[i] += int32(l.held.all.N)
			}
		}
	}
}
