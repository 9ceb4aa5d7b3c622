package experiment

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
)

// Study is a set of runs that are compared.
type Study struct {
	Dir  string // of the run folders, one a run
	Runs []Config

	// Elsewhere says that other machines make the runs: what this one has does not matter.
	Elsewhere bool

	checked bool // by Check
}

// StudyOptions say how a study is run.
type StudyOptions struct {
	Workers  int                 // processes at a time; with 0 or 1 and no Spawn the runs take turns in this process
	Log      io.Writer           // lines for people; nil: none
	Progress func(StudyProgress) // called a few times a second; nil: none
	Command  string              // what the user typed, stored with the results
	Options  Options             // of runs in this process

	// Missing says whether the study can do without a run that failed with err; its result is then nil. nil: it cannot.
	Missing func(c Config, err error) bool

	// Spawn starts a process that does the run in dir as worker number w (0 .. Workers-1), writes each Progress as a
	// JSON line to out, and exits with 0 once the run is finished. It must end when ctx does, saving a checkpoint. The
	// errors of [Processes] say whether another try can help; others are taken for ones where it can.
	// nil: the runs are done in this process.
	Spawn func(ctx context.Context, dir string, w int, out io.Writer) error
}

// StudyProgress is how far a study has come.
type StudyProgress struct {
	Done, Runs int
	Active     []Progress
	Fraction   float64
	ETA        time.Duration // 0 while unknown
}

// Validate reports the first run that cannot be made, or two that share a folder.
func (s Study) Validate() error {
	seen := map[string]bool{}
	for _, c := range s.Runs {
		if err := c.Validate(); err != nil {
			return errors.WithMessagef(err, "run %s", c.RunName())
		}
		if seen[c.RunName()] {
			return Refusef("two runs would be one, %s: a strategy, a value of a sweep or a variant is given twice; leave one of them out", c.RunName())
		}
		seen[c.RunName()] = true
	}
	return nil
}

// claim makes the folders of all runs, none before it is known that all can be had, and returns those that were not there.
func (s Study) claim(log io.Writer) (made []string, err error) {
	for _, c := range s.Runs {
		if _, _, err := claimable(c, filepath.Join(s.Dir, c.RunName())); err != nil {
			return nil, err
		}
	}
	say := func(line string) {
		if log != nil {
			io.WriteString(log, line+"\n")
		}
	}
	for _, c := range s.Runs {
		dir := filepath.Join(s.Dir, c.RunName())
		if _, claimed, err := claimable(c, dir); err == nil && claimed {
			have, err := claimedAs(dir)
			if err != nil {
				return made, err
			}
			unlock := func() {}
			if changed(have, c, dir) != "" { // not under a run at work
				lock, err := lockFolder(dir)
				if err != nil {
					return made, err
				}
				unlock = func() { lock.Unlock() }
			}
			err = follow(c, dir, say)
			unlock()
			if err != nil {
				return made, err
			}
			continue
		}
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			made = append(made, dir)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return made, err
		}
		lock, err := lockFolder(dir) // another study may be at work there
		if err != nil {
			return made, err
		}
		if lock.over != "" {
			say(lock.over)
		}
		err = claim(c, dir, say)
		lock.Unlock()
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// Do makes all runs of the study that are not finished yet, each in its folder below Dir, and returns the results in
// the order of Runs. Finished runs are read, begun ones go on. A process that died is tried once more; one that said what
// is wrong would say it again. When ctx ends every run saves a checkpoint first.
func (s Study) Do(ctx context.Context, opt StudyOptions) ([]*results.Run, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	made, err := s.claim(opt.Log)
	if err != nil {
		return nil, err
	}
	runs, err := s.work(ctx, opt)
	if errors.As(err, new(Refused)) {
		for _, dir := range made {
			dropUnbegun(dir)
		}
		_ = os.Remove(s.Dir) // unless something is in it
	}
	return runs, err
}

// dropUnbegun removes the folder of a run that was claimed by this study and refused before it began, with what it says of that.
func dropUnbegun(dir string) {
	lock, err := lockFolder(dir)
	if err != nil {
		return
	}
	defer lock.Unlock()
	if began, err := hasBegun(dir); err != nil || began {
		return
	}
	for _, name := range []string{configFile, logName, holderFile, lockFile} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	_ = os.Remove(dir) // unless something is in it
}

// work makes the runs of a study whose folders are claimed.
func (s Study) work(ctx context.Context, opt StudyOptions) ([]*results.Run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatcher(s, opt)
	queue := make(chan Config, len(s.Runs))
	for _, c := range s.Runs {
		queue <- c
	}
	close(queue)
	var missing sync.Map // names of runs that the study does without
	var wait sync.WaitGroup
	for w := range max(1, opt.Workers) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for c := range queue {
				if ctx.Err() != nil {
					return
				}
				err := s.do(ctx, c, w, opt, watch)
				if err != nil && ctx.Err() == nil && opt.Missing != nil && opt.Missing(c, err) {
					missing.Store(c.RunName(), true)
					watch.update(Progress{Run: c.RunName(), Stage: "done", Fraction: 1})
				} else if err != nil {
					cancel(errors.WithMessagef(err, "run %s", c.RunName()))
					return
				}
			}
		}()
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.read(&missing)
}

// Prepare makes the folders of all runs, each with its configuration, for processes that make the runs with [Resume]; log gets
// lines for people.
func (s Study) Prepare(log io.Writer) error {
	if err := s.Check(); err != nil {
		return err
	}
	_, err := s.claim(log)
	return err
}

// Results reads the results of a study whose runs are all finished but those that are named, in the order of Runs; of these there are none.
func (s Study) Results(but ...string) ([]*results.Run, error) {
	var missing sync.Map
	for _, name := range but {
		missing.Store(name, true)
	}
	return s.read(&missing)
}

// read reads the results of all runs but those whose names are in missing, which are nil.
func (s Study) read(missing *sync.Map) ([]*results.Run, error) {
	var runs []*results.Run
	for _, c := range s.Runs {
		if _, ok := missing.Load(c.RunName()); ok {
			runs = append(runs, nil)
			continue
		}
		dir := filepath.Join(s.Dir, c.RunName())
		if _, claimed, err := claimable(c, dir); err != nil {
			return nil, err
		} else if !claimed {
			return nil, errors.Errorf("%s became another run's while this study was at work; start it again in a folder of its own", dir)
		}
		r, err := results.Load(filepath.Join(dir, "result.json"))
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// do makes one run, here or in a process of its own.
func (s Study) do(ctx context.Context, c Config, w int, opt StudyOptions, watch *watcher) error {
	dir := filepath.Join(s.Dir, c.RunName())
	if isFinished(dir) {
		watch.update(Progress{Run: c.RunName(), Stage: "done", Fraction: 1})
		return nil
	}
	if opt.Spawn == nil {
		o := opt.Options
		o.Command, o.Log, o.Progress = opt.Command, opt.Log, watch.update
		_, err := Run(ctx, c, dir, o)
		return err
	}
	for attempt := 1; ; attempt++ {
		reader, writer := io.Pipe()
		finished := make(chan error, 1)
		go func() {
			err := opt.Spawn(ctx, dir, w, writer)
			writer.Close()
			finished <- err
		}()
		for lines := json.NewDecoder(reader); ; {
			var p Progress
			if err := lines.Decode(&p); err != nil {
				break
			}
			for _, line := range p.Warnings {
				if opt.Log != nil {
					io.WriteString(opt.Log, c.RunName()+": "+line+"\n")
				}
			}
			watch.update(p)
		}
		reader.CloseWithError(io.EOF)
		err := <-finished
		if err == nil || ctx.Err() != nil || attempt == 2 || isPermanent(err) {
			return err
		}
		if opt.Log != nil {
			io.WriteString(opt.Log, c.RunName()+": "+err.Error()+"; going on from its last checkpoint\n")
		}
	}
}

// watcher joins the progress of all runs.
type watcher struct {
	mu    sync.Mutex
	opt   StudyOptions
	order []string
	last  map[string]Progress
}

func newWatcher(s Study, opt StudyOptions) *watcher {
	w := &watcher{opt: opt, last: map[string]Progress{}}
	for _, c := range s.Runs {
		w.order = append(w.order, c.RunName())
	}
	return w
}

// update takes in the progress of one run and passes on that of the study.
func (w *watcher) update(p Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[p.Run] = p
	if w.opt.Progress != nil {
		w.opt.Progress(w.study())
	}
}

// study sums up: what is left of the runs at work by their own estimate, and of those that wait by the mean of the
// whole times of the others.
func (w *watcher) study() StudyProgress {
	s := StudyProgress{Runs: len(w.order)}
	var left, longest, whole, fractions float64
	known, waiting := 0, 0
	for _, name := range w.order {
		p, ok := w.last[name]
		fractions += p.Fraction
		switch {
		case !ok || p.ETA == 0 && p.Stage != "done":
			waiting++
			if ok {
				s.Active = append(s.Active, p)
			}
		case p.Stage == "done":
			s.Done++
		default:
			s.Active = append(s.Active, p)
			left += p.ETA.Seconds()
			longest = max(longest, p.ETA.Seconds())
			whole += p.ETA.Seconds() / max(1e-3, 1-p.Fraction)
			known++
		}
	}
	s.Fraction = fractions / float64(max(1, s.Runs))
	if known > 0 {
		left += float64(waiting) * whole / float64(known)
		s.ETA = time.Duration(max(longest, left/float64(max(1, w.opt.Workers))) * float64(time.Second))
	}
	return s
}
