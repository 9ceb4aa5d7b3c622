package cltest

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

const seed = 5

// describesItself: every line of Info is filled in, stays the same through a run, and the label begins with the name.
func describesItself(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	s := newStrategy()
	info := s.Info()
	for what, text := range map[string]string{"Name": info.Name, "Title": info.Title, "Paper": info.Paper, "Equation": info.Equation, "Stores": info.Stores} {
		if strings.TrimSpace(text) == "" || strings.Contains(text, "\n") {
			return errors.Errorf("Info.%s is %q; need one line", what, text)
		}
	}
	if !strings.HasPrefix(s.Label(), info.Name) {
		return errors.Errorf("the label %q does not begin with the name %q", s.Label(), info.Name)
	}
	if _, err := r.run(s, seed); err != nil {
		return err
	}
	if s.Info() != info {
		return errors.Errorf("Info changed in a run from %+v to %+v", info, s.Info())
	}
	return nil
}

// fixedShapes: each step has the configured rows, or those the strategy asked for, no weight is negative, and the run has as many
// steps as any other strategy's. What no network can take, such as another shape or a weight that is no number, the loop refuses
// itself.
func fixedShapes(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	c := Config()
	steps := 0
	w := &watch{Strategy: newStrategy(), step: func(s *cl.Step, _ cl.Stored) error {
		steps++
		if s.Fresh+s.Replay != r.rows {
			return errors.Errorf("the step has %d+%d rows; need %d", s.Fresh, s.Replay, r.rows)
		}
		for i, weight := range s.Batch.W {
			if weight < 0 {
				return errors.Errorf("%s weighs %g; need 0 or more", s.RowName(i), weight)
			}
		}
		return nil
	}}
	if _, err := r.run(w, seed); err != nil {
		return err
	}
	if steps != tasks*c.StepsPerTask {
		return errors.Errorf("%d steps in a run of %d tasks of %d", steps, tasks, c.StepsPerTask)
	}
	return nil
}

// seedsRepeat: two runs from one seed are equal, also with one strategy object: Begin starts over. The new strategy is in a
// wrapper, which must not hide anything of it but that it foresees its steps: what was prepared ahead is what would have been
// prepared in time.
func seedsRepeat(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	s := newStrategy()
	first, err := r.run(s, seed)
	if err != nil {
		return err
	}
	for _, again := range []struct {
		of, remedy string
		strategy   cl.Strategy
	}{
		{"a new strategy in a wrapper", "draw from Step.RNG, or seed by Setup.Seed, alone", &watch{Strategy: newStrategy()}},
		{"the same strategy", "Begin must set back what a run changes", s},
	} {
		second, err := r.run(again.strategy, seed)
		if err != nil {
			return err
		}
		if err := same(first[0], second[0]); err != nil {
			return errors.Errorf("a second run with %s: %v; %s", again.of, err, again.remedy)
		}
	}
	return nil
}

// resumes: a run stopped within a task, at the end of a task, after it, and before the last end, and continued by
// a new strategy and loop from what was saved, ends as the uninterrupted one.
func resumes(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	n := Config().StepsPerTask
	return r.endsAlike(newStrategy, 2, n, n+1, n+3, 2*n+4, tasks*(n+1)-1)
}

// extends: a run of all tasks but the last that goes on with that as with one that arrived later ends as the run that knew of it
// from the start, unless the strategy is refused for it. One that learns all tasks at once goes on from what it has learned, which
// is another thing.
func extends(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	if newStrategy().Info().Stream == cl.AllTasks {
		return nil
	}
	whole, err := r.run(newStrategy(), seed)
	if err != nil {
		return err
	}
	fewer := *r.bench
	fewer.Tasks = fewer.Tasks[:tasks-1]
	if newStrategy().Needs(cl.SetupOf(&fewer, r.config, r.network.Process)) != r.network.Extra() {
		return nil // its step is compiled for the number of tasks, and equal but for the last digits
	}
	var before []point
	err = r.with(&fewer, r.config, func() error {
		before, err = r.run(newStrategy(), seed, len(fewer.Tasks)*(1+r.config.StepsPerTask)-1) // before the last of them ends
		return err
	})
	if err != nil {
		return err
	}
	later := cl.SetupOf(r.bench, r.config, r.network.Process)
	later.Learned = len(fewer.Tasks)
	if cl.Check(newStrategy(), later) != nil {
		return nil
	}
	extended, err := r.resume(newStrategy(), seed, before[0])
	if err == nil {
		err = same(whole[0], extended)
	}
	return errors.WithMessagef(err, "a run of %d tasks that goes on with another", len(fewer.Tasks))
}

// padded is fine-tuning with as many replay rows as a strategy has at weight 0, since the noise of a step is a function of the
// number of its rows. A strategy that has none then is fine-tuning as it is.
type padded struct {
	cl.Finetune
	rows int
}

func (p *padded) ReplayRows(int) int { return p.rows }

// zeroWeight: with its own term weighed by 0 the strategy is fine-tuning, bit for bit.
func zeroWeight(r *rig, newStrategy func() cl.Strategy, o Options) (err error) {
	defer func(rows int) {
		r.rows = rows
		if back := r.use(newStrategy()); err == nil {
			err = back
		}
	}(r.rows)
	padded := &padded{rows: o.ZeroWeight().ReplayRows(r.config.ReplayRows)}
	r.rows = r.config.FreshRows + padded.rows
	if err := r.use(o.ZeroWeight()); err != nil {
		return err
	}
	zero, err := r.run(o.ZeroWeight(), seed)
	if err != nil {
		return err
	}
	if err := r.use(padded); err != nil {
		return err
	}
	finetune, err := r.run(padded, seed)
	if err != nil {
		return err
	}
	if !bytes.Equal(zero[0].network, finetune[0].network) {
		return errors.New("with weight 0 the network differs from fine-tuning's")
	}
	return nil
}

// boundedMemory: the strategy never stores more images than it declares, and it does store some where it may.
func boundedMemory(r *rig, newStrategy func() cl.Strategy, o Options) error {
	s := newStrategy()
	most := 0
	look := func() error {
		if im := s.Stored().Images; im != nil {
			most = max(most, im.N)
		}
		if most > o.MaxImages {
			return errors.Errorf("%d images stored, %d declared", most, o.MaxImages)
		}
		return nil
	}
	w := &watch{Strategy: s, step: func(*cl.Step, cl.Stored) error { return look() }, endTask: func(int) error { return look() }}
	if _, err := r.run(w, seed); err != nil {
		return err
	}
	if most == 0 && o.MaxImages > 0 {
		return errors.Errorf("no image stored in the whole run, up to %d declared", o.MaxImages)
	}
	return nil
}

// bookkeeping is what a strategy's state may take, in bytes, besides what it reports as stored.
const bookkeeping = 512

// reportsStored: the images reported are images of finished tasks with their labels, the bytes reported cover them,
// and the state written into a checkpoint is not larger than what is reported.
func reportsStored(r *rig, newStrategy func() cl.Strategy, o Options) error {
	s := newStrategy()
	known := r.known()
	look := func(task int) error {
		stored := s.Stored()
		if im := stored.Images; im != nil && im.N > 0 {
			if err := im.Validate(); err != nil {
				return err
			}
			if stored.Bytes < im.Bytes() {
				return errors.Errorf("%d bytes reported for %d images of %d", stored.Bytes, im.N, im.ImageSize())
			}
			for i := range im.N {
				from, ok := known[string(im.Image(i))]
				if (!ok && !o.Synthetic) || (ok && (from.task > task || from.label != im.Labels[i])) {
					return errors.Errorf("after task %d, stored image %d with label %d is not one of a finished task", task, i, im.Labels[i])
				}
			}
		}
		state, err := s.State()
		if err != nil {
			return err
		}
		if int64(len(state)) > stored.Bytes+bookkeeping {
			return errors.Errorf("after task %d the state has %d bytes, but %d are reported as stored", task, len(state), stored.Bytes)
		}
		return nil
	}
	_, err := r.run(&watch{Strategy: s, endTask: look}, seed)
	return err
}

// reportsCost: what the network keeps for the strategy is reported, and so is every row that a network evaluates besides
// the steps.
func reportsCost(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	l, err := r.open(newStrategy(), seed)
	if err != nil {
		return err
	}
	before := r.network.PredictionCalls()
	if _, err := r.finish(l, 0); err != nil {
		return err
	}
	stored, made := l.Stored(), r.network.PredictionCalls()-before
	if stored.Parameters < r.network.ExtraParameters() || stored.Bytes < 4*int64(stored.Parameters) {
		return errors.Errorf("%d parameters and %d bytes reported; the network keeps %d parameters beside its own", stored.Parameters, stored.Bytes, r.network.ExtraParameters())
	}
	if own := l.Strategy.Stored().ExtraEvaluations; own < made {
		return errors.Errorf("%d extra evaluations reported by the strategy; the network alone counted %d beside its steps", own, made)
	}
	return nil
}

// unlabelled is what the suite's networks know as no label; it says less of a stored image than its own label.
const unlabelled = 2 * tasks

// seesDeclared: every row that counts holds, with its own label, an image of the declared stream or one that was
// reported as stored before the step.
func seesDeclared(r *rig, newStrategy func() cl.Strategy, o Options) error {
	s, known := newStrategy(), r.known()
	stream, done := s.Info().Stream, 0
	w := &watch{Strategy: s, step: func(step *cl.Step, stored cl.Stored) error {
		held := map[string]int32{}
		if im := stored.Images; im != nil {
			for i := range im.N {
				held[string(im.Image(i))] = im.Labels[i]
			}
		}
		// The step itself does not tell a strategy that knows no borders.
		task := done / Config().StepsPerTask
		done++
		row := make([]uint8, side*side)
		b := step.Batch
		if len(b.W) != r.rows || len(b.Y) != r.rows || len(b.X) != r.rows*len(row) {
			return nil // which the loop refuses
		}
		for i, weight := range b.W {
			// A row can count by other losses than the denoising one; rows of pure noise show no image.
			counts := weight != 0 || (b.Distil != nil && b.Distil[i] != 0) || (b.TargetW != nil && b.TargetW[i] != 0)
			if !counts || (b.PureNoise != nil && b.PureNoise[i]) {
				continue
			}
			datasets.Unscale(row, step.Batch.X[i*len(row):(i+1)*len(row)])
			label := step.Batch.Y[i]
			if l, ok := held[string(row)]; ok && (label == int32(l) || label == unlabelled) {
				continue
			}
			from, ok := known[string(row)]
			switch {
			case !ok && o.Synthetic:
			case !ok:
				return errors.Errorf("%s holds an image of no task", step.RowName(i))
			case label != int32(from.label):
				return errors.Errorf("%s has label %d, its image %d", step.RowName(i), label, from.label)
			case stream == cl.CurrentTask && from.task != task, stream == cl.SeenTasks && from.task > task:
				return errors.Errorf("%s holds an image of task %d that is not reported as stored; keep old images in a buffer, or tell of them in Stored", step.RowName(i), from.task)
			}
		}
		return nil
	}}
	_, err := r.run(w, seed)
	return err
}

// toldAtSampling: a strategy that does not get the task at sampling has one network for all; one that does has a
// network of its own for a task before, and whoever asks for it, and fails on the way, leaves network and state bit for bit.
func toldAtSampling(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	l, err := r.open(newStrategy(), seed)
	if err != nil {
		return err
	}
	said := l.Strategy.Info().TaskAtSampling
	stop, differs := errors.New("stop"), false
	for !l.Done() {
		if l.PhaseDone() {
			if err := l.EndPhase(context.Background()); err != nil {
				return err
			}
			continue
		}
		if _, err := l.Step(); err != nil {
			return err
		}
		if !said && !l.PhaseDone() { // the end of a task is enough
			continue
		}
		before, err := r.save(l, 0)
		if err != nil {
			return err
		}
		for task := range tasks {
			var at point
			look := func() (err error) {
				if at, err = r.save(l, 0); err == nil {
					err = stop
				}
				return err
			}
			if said {
				err = l.AtTask(task, look)
			} else if err = l.Strategy.UseTask(task); err == nil {
				err = look()
			}
			if err != stop {
				return errors.Errorf("what is done for task %d at sampling ends with %v", task, err)
			}
			changed := !bytes.Equal(at.network, before.network)
			differs = differs || changed && task < l.LastTask()
			if changed && !said {
				return errors.Errorf("the network depends on the task at sampling, but Info does not say so")
			}
			after, err := r.save(l, 0)
			if err == nil {
				err = same(before, after)
			}
			if err != nil {
				return errors.WithMessagef(err, "back from sampling task %d", task)
			}
		}
	}
	if said && !differs {
		return errors.New("Info says that the network depends on the task at sampling, but it is the same for all tasks")
	}
	return nil
}

// leavesTasks: the images a strategy is given stay as they are.
func leavesTasks(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	defer func() { r.bench = NewBenchmark() }()
	if _, err := r.run(newStrategy(), seed); err != nil {
		return err
	}
	for i, task := range NewBenchmark().Tasks {
		if got := r.bench.Tasks[i].Train; !bytes.Equal(got.Flat(), task.Train.Flat()) || !slices.Equal(got.Labels, task.Train.Labels) {
			return errors.Errorf("the images of task %d changed in the run", i)
		}
	}
	return nil
}

// refusesState: bytes that are no state of the strategy, or only the beginning of one, are an error.
func refusesState(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	points, err := r.run(newStrategy(), seed)
	if err != nil {
		return err
	}
	good := points[0].state
	wrong := [][]byte{[]byte("not a state"), append(bytes.Clone(good), 0)}
	if len(good) > 0 {
		wrong = append(wrong, nil, good[:1], good[:len(good)/2], good[:len(good)-1])
	}
	for _, state := range wrong {
		s := newStrategy()
		if _, err := r.open(s, seed); err != nil {
			return err
		}
		if s.Restore(state) == nil {
			return errors.Errorf("%d bytes were restored that are no state (a state has %d)", len(state), len(good))
		}
	}
	return nil
}

// origin is where an image comes from.
type origin struct {
	task  int
	label int32
}

// known finds the benchmark's images by their pixels.
func (r *rig) known() map[string]origin {
	known := map[string]origin{}
	for i, task := range r.bench.Tasks {
		for j := range task.Train.N {
			known[string(task.Train.Image(j))] = origin{i, task.Train.Labels[j]}
		}
	}
	return known
}

// same compares two ends of a run.
func same(a, b point) error {
	switch {
	case !bytes.Equal(a.network, b.network):
		return errors.New("the network differs")
	case !bytes.Equal(a.state, b.state):
		return errors.New("the strategy's state differs")
	case !bytes.Equal(a.position, b.position):
		return errors.Errorf("the position is %s, not %s", b.position, a.position)
	}
	return nil
}

// worksOn: a resumed run equals an uninterrupted one, and each task's network draws finite images afterwards.
func worksOn(r *rig, newStrategy func() cl.Strategy) error {
	l, err := r.open(newStrategy(), seed)
	if err != nil {
		return err
	}
	points, err := r.finish(l, 0, Config().StepsPerTask+3)
	if err != nil {
		return err
	}
	if err := draws(l); err != nil {
		return err
	}
	resumed, err := r.resume(newStrategy(), seed, points[0])
	if err != nil {
		return err
	}
	return same(points[1], resumed)
}

// draws: each task's network draws finite images.
func draws(l *cl.Loop) error {
	n := l.Network
	sampler := diffusion.SamplerConfig{Name: n.Process.EvenSampler(), Steps: 3, Clip: true}
	for task := range tasks {
		err := l.AtTask(task, func() error {
			images, err := diffusion.Sample(context.Background(), n.Process, n.Denoiser(true), 1, side*side, []int32{int32(2 * task), int32(2*task + 1)}, sampler, 2, nil)
			if err != nil {
				return err
			}
			for i, x := range images {
				if !(x >= -1 && x <= 1) {
					return errors.Errorf("value %d of the images of task %d is %g", i, task, x)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
