package cltest

import (
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
)

// unequal is the suite's benchmark with tasks of unequal size: all 24 images of the first task's two classes, one image of one class
// of the second, and seven images of the third, one of them of the one class and six of the other.
func unequal() *datasets.Benchmark {
	b := NewBenchmark()
	b.Tasks[1].Train, b.Tasks[1].Classes = b.Tasks[1].Train.Select([]int{1}), b.Tasks[1].Classes[1:]
	b.Tasks[2].Train = b.Tasks[2].Train.Select([]int{0, 1, 3, 5, 7, 9, 11})
	return b
}

// with runs f on another benchmark and loop.
func (r *rig) with(b *datasets.Benchmark, c cl.LoopConfig, f func() error) error {
	bench, config := r.bench, r.config
	defer func() { r.bench, r.config = bench, config }()
	r.bench, r.config = b, c
	return f()
}

// endsAlike: a run is repeated by its seed, and by a new strategy from what was saved after each of the events listed.
func (r *rig) endsAlike(newStrategy func() cl.Strategy, save ...int) error {
	points, err := r.run(newStrategy(), seed, save...)
	if err != nil {
		return err
	}
	end := points[len(points)-1]
	for _, p := range points {
		resumed, err := r.resume(newStrategy(), seed, p)
		if err == nil {
			err = same(end, resumed)
		}
		if err != nil {
			return errors.WithMessagef(err, "stopped %s and resumed by a new strategy, which State and Restore must make the same", p.where)
		}
	}
	return nil
}

// copesWithUnequal: tasks of one image, and classes of one, are learned like others, with the promised memory, and a run through them
// that was stopped goes on as if it had not been.
func copesWithUnequal(r *rig, newStrategy func() cl.Strategy, o Options) error {
	return r.with(unequal(), r.config, func() error {
		if err := boundedMemory(r, newStrategy, o); err != nil {
			return err
		}
		n := r.config.StepsPerTask
		return r.endsAlike(newStrategy, n+1, n+3, 2*n+3)
	})
}

// toldOfBorders: a strategy that needs borders is refused where there are none, before it begins. Any other learns from a stream
// without borders, of which it is told nothing but the images, once each; a run through it repeats and resumes. One that says that it
// knows no borders is not told of them where there are some.
func toldOfBorders(r *rig, newStrategy func() cl.Strategy, o Options) error {
	info := newStrategy().Info()
	if info.Borders != cl.NeedsBorders && (info.Restarts || info.Stream == cl.SeenTasks) {
		return errors.New("Info says that it needs no borders, but it starts anew at each task or learns from all tasks so far")
	}
	online, config := unequal(), r.config
	online.Online, config.ResetOptimizer = true, false
	var told string
	arrived := map[string]int{}
	watched := func() *watch {
		return &watch{Strategy: newStrategy(), border: func(hook string) { told = hook },
			step: func(s *cl.Step, _ cl.Stored) error {
				if s.Task != 0 {
					return errors.Errorf("step %d says that it is of task %d", s.Index, s.Task)
				}
				return nil
			},
			arrive: func(im *datasets.Images) error {
				for i := range im.N {
					arrived[string(im.Image(i))]++
				}
				return nil
			}}
	}
	if info.Borders == cl.NoBorders {
		if _, err := r.run(watched(), seed); err != nil {
			return err
		}
		if told != "" {
			return errors.Errorf("%s is called, but Info says that the method is told of no borders", told)
		}
	}
	return r.with(online, config, func() error {
		_, err := r.run(watched(), seed)
		var missing *cl.BordersMissing
		if info.Borders == cl.NeedsBorders {
			if !errors.As(err, &missing) {
				return errors.Errorf("in a stream without borders the strategy is not refused as it should be: %v", err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if told != "" {
			return errors.Errorf("%s is called in a stream without borders", told)
		}
		if info.Stream == cl.CurrentTask {
			for i, t := range online.Tasks {
				for k := range t.Train.N {
					if n := arrived[string(t.Train.Image(k))]; n != 1 {
						return errors.Errorf("image %d of task %d arrived %d times", k, i, n)
					}
				}
			}
		}
		if err := boundedMemory(r, newStrategy, o); err != nil {
			return err
		}
		return r.endsAlike(newStrategy, 1, 6, 8)
	})
}

// looksAtClasses: a strategy that says it does not look at classes makes the same of images that are all of one class, where the
// network cannot tell classes apart either: every label begins with the embedding of no label, which alone is trained.
func looksAtClasses(r *rig, newStrategy func() cl.Strategy, _ Options) error {
	// A rank-1 penalty moves the labels' own weights along the gradient of the labels that the network is handed, so that these
	// weights come to differ without anybody looking at classes.
	if newStrategy().Info().Labels || r.network.Extra().Directions > 0 {
		return nil
	}
	config := r.config
	config.LabelDropout = 1 - 1e-9
	merged := NewBenchmark()
	for i := range merged.Tasks {
		merged.Tasks[i].Classes = []int{0}
		clear(merged.Tasks[i].Train.Labels)
	}
	var ends [2][]float32
	for i, b := range []*datasets.Benchmark{NewBenchmark(), merged} {
		err := r.with(b, config, func() error {
			l, err := r.open(newStrategy(), seed)
			if err != nil {
				return err
			}
			if err := sameEmbeddings(l); err != nil {
				return err
			}
			if _, err := r.finish(l, 0); err != nil {
				return err
			}
			// Not all that is saved with the network: an importance of the labels' own weights is of the labels that the network is handed.
			for _, ema := range []bool{false, true} {
				weights, err := l.Network.Weights(ema)
				if err != nil {
					return err
				}
				ends[i] = append(ends[i], weights...)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if !slices.Equal(ends[0], ends[1]) {
		return errors.New("what it learns depends on the classes of images beyond what the network is handed, but Info.Labels does not say so")
	}
	return nil
}

// sameEmbeddings gives all labels the embedding of no label.
func sameEmbeddings(l *cl.Loop) error {
	n := l.Network
	none, err := n.LabelWeights([]int{unlabelled})
	if err != nil {
		return err
	}
	for _, ema := range []bool{false, true} {
		weights, err := n.Weights(ema)
		if err != nil {
			return err
		}
		var embedding []float32
		for i, of := range none {
			if of {
				embedding = append(embedding, weights[i])
			}
		}
		for class := range unlabelled {
			marks, err := n.LabelWeights([]int{class})
			if err != nil {
				return err
			}
			k := 0
			for i, of := range marks {
				if of {
					weights[i] = embedding[k]
					k++
				}
			}
		}
		if err := n.SetWeights(weights, ema); err != nil {
			return err
		}
	}
	return nil
}
