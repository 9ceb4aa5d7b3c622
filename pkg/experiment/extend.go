package experiment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/draw"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/words"
)

// ExtendsConfig names the finished run that a run goes on with: its folder, which is needed until the first checkpoint, the
// SHA-256 of its result.json, and how many tasks it has learned.
type ExtendsConfig struct {
	Run    string `yaml:"run,omitempty"`
	SHA256 string `yaml:"sha256,omitempty"`
	Tasks  int    `yaml:"tasks,omitempty"`
}

// validate reports what names no run.
func (e ExtendsConfig) validate() error {
	if e == (ExtendsConfig{}) {
		return nil
	}
	if e.Run == "" || len(e.SHA256) != 64 || e.Tasks < 1 {
		return errors.Errorf("extends has run %q, sha256 %.100q, tasks %d; need all three, as `extend` writes them", e.Run, e.SHA256, e.Tasks)
	}
	return nil
}

// Extension is what a finished run is to learn besides. One of Tasks and Datasets is given.
type Extension struct {
	Tasks    string   // YAML lists of the classes of each task to come, by name or number: "[[8, 9]]"
	Datasets []string // sets to come, a task each

	Set []string // settings KEY=VALUE of what is measured, saved and computed on; none of what is learned may change

	Flags bool // errors call a field by the command line's flag for it: --dataset for Datasets
}

// called is what errors call a field.
func (x Extension) called(field string) string { return called(field, x.Flags) }

// mayChange begins the settings that an extended run may have otherwise than the run it extends: none changes what is learned or
// how tasks are measured that were measured before.
var mayChange = []string{"checkpoint_every", "keep_networks", "cores", "backend.devices", "probe.", "autopsy.", "bpd."}

// Of returns the configuration of the run that goes on with the finished one in the folder dir. Its name is that of the run and
// the number of tasks.
func (x Extension) Of(dir string) (Config, error) {
	c, err := trainedConfig(dir)
	if err != nil {
		return c, err
	}
	c.Benchmark.Datasets = slices.Clone(c.Benchmark.Datasets)
	path := filepath.Join(dir, "result.json")
	done, err := results.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, errors.Errorf("the run in %s is not finished, and only a finished one is extended; finish it with `go run . resume %s`", dir, words.Shell(dir))
	}
	if err != nil {
		return c, err
	}
	if c.Benchmark.Blur > 0 {
		return c, errors.Errorf("the run in %s has blurred borders (benchmark.blur %g): images of the tasks to come would have had to come with its last one; make one run of all tasks", dir, c.Benchmark.Blur)
	}
	if rest := onlineRest(c, done); rest > 0 {
		return c, errors.Errorf("the run in %s learned from a stream that ended within a batch, %d of %d images full; a stream goes on only where its batches are full: make one run of all tasks",
			dir, rest, c.Loop.FreshRows)
	}
	switch {
	case x.Tasks != "" && len(x.Datasets) > 0:
		return c, Refusef("%s names classes of the run's own set and %s sets that follow, each a task; give one of them, and extend again for the other", x.called("Tasks"), x.called("Datasets"))
	case x.Tasks != "":
		err = x.addTasks(&c, done, dir)
	case len(x.Datasets) > 0:
		if err = x.keepTasks(&c, done, dir); err == nil {
			err = x.addSets(&c, done, dir)
		}
	default:
		err = Refusef("nothing is there to learn; give the classes of the tasks to come (%s '[[8, 9]]') or a set (%s NAME)", x.called("Tasks"), x.called("Datasets"))
	}
	if err != nil {
		return c, err
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return c, errors.WithStack(err)
	}
	sum, err := atomicfile.SHA256(path)
	if err != nil {
		return c, err
	}
	before := strings.TrimSuffix(c.RunName(), tasksSuffix(len(done.Benchmark.Tasks))) // where it extends another itself
	c.Extends = ExtendsConfig{Run: full, SHA256: sum, Tasks: len(done.Benchmark.Tasks)}
	tasks, err := c.tasks()
	if err != nil {
		return c, err
	}
	c.Name = before + tasksSuffix(tasks)
	return x.set(c)
}

// Folder is where the run of a configuration that [Extension.Of] made goes unless it is told: beside the finished one in the
// folder dir.
func (c Config) Folder(dir string) string {
	dir = filepath.Clean(dir)
	return strings.TrimSuffix(dir, tasksSuffix(c.Extends.Tasks)) + c.Name[strings.LastIndex(c.Name, "-"):]
}

// Begun finds a run with a checkpoint that extends the one that was in dir, and so needs that no more: in the folder to, or where
// that is "" beside dir. Of several it is one that learns what x says, of which it returns the configuration as well, and true. The
// folder is "" if there is none.
func (x Extension) Begun(dir, to string) (folder string, c Config, same bool) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", c, false
	}
	folders := []string{to}
	if to == "" {
		dir = filepath.Clean(dir)
		if folders, err = atomicfile.Glob(filepath.Dir(dir), "*"); err != nil {
			return "", c, false
		}
	}
	for _, at := range folders {
		began, err := StoredConfig(at)
		if err != nil || began.Extends.Run != full {
			continue
		}
		if names, err := checkpoints(at); err != nil || len(names) == 0 {
			continue
		}
		if folder = at; x.learnedBy(began) {
			if began, err = x.set(began); err == nil {
				return folder, began, true
			}
		}
	}
	return folder, c, false
}

// learnedBy says whether a run that extends another learns what x says beside what that had learned.
func (x Extension) learnedBy(c Config) bool {
	tasks, err := c.tasks()
	b := c.Benchmark
	if err != nil || (x.Tasks == "") == (len(x.Datasets) == 0) {
		return false
	}
	if sets := len(b.Datasets) - len(x.Datasets); x.Tasks == "" {
		if sets < 1 || tasks != c.Extends.Tasks+len(x.Datasets) {
			return false
		}
		for i, name := range x.Datasets {
			if full, err := datasets.Canonical(name); err != nil || full != b.Datasets[sets+i] {
				return false
			}
		}
		return true
	}
	var lists [][]string
	set, err := datasets.Describe(b.Datasets[0])
	if err != nil || yaml.Unmarshal([]byte(x.Tasks), &lists) != nil || len(b.Tasks) != tasks || tasks != c.Extends.Tasks+len(lists) {
		return false
	}
	return slices.EqualFunc(lists, b.Tasks[c.Extends.Tasks:], func(list, learned []string) bool {
		return slices.EqualFunc(list, learned, func(name, class string) bool {
			n, err := strconv.Atoi(name)
			return name == class || err == nil && n >= 0 && n < len(set.Classes) && set.Classes[n] == class
		})
	})
}

// tasksSuffix ends the name of a run that extends another, by how many tasks it has.
func tasksSuffix(tasks int) string { return fmt.Sprintf("-%dtasks", tasks) }

// onlineRest is how many images the last batch of an online stream had, 0 where it was full or there is no such stream.
func onlineRest(c Config, done *results.Run) int {
	if c.Benchmark.Stream != StreamOnline {
		return 0
	}
	images := 0
	for _, t := range done.Benchmark.Tasks {
		images += t.Train
	}
	return images % c.Loop.FreshRows
}

// addTasks appends tasks of the run's own set to a configuration.
func (x Extension) addTasks(c *Config, done *results.Run, dir string) error {
	b := &c.Benchmark
	if b.Scenario != ClassIncremental {
		return Refusef("%s names classes of the one set of a class-incremental run; the run in %s learns a set a task, give %s", x.called("Tasks"), dir, x.called("Datasets"))
	}
	if len(b.Datasets) > 1 {
		return Refusef("%s names classes of %s, but in the run in %s sets have followed it already; give %s", x.called("Tasks"), b.Datasets[0], dir, x.called("Datasets"))
	}
	var lists [][]string
	if err := yaml.Unmarshal([]byte(x.Tasks), &lists); err != nil || len(lists) == 0 {
		return Refusef("%s is %.100q; need the classes of each task to come, by name or number, such as '[[8, 9]]' or '[[rose, tulip], [daisy]]'", x.called("Tasks"), x.Tasks)
	}
	all := done.Benchmark.ClassNames
	set, _ := datasets.Describe(b.Datasets[0]) // none: where there is an error, opening the set will say so
	if cameAfter(set.Classes, all) {
		all = set.Classes
	}
	learned := map[string]int{}
	before := tasksByName(done)
	for i, names := range before {
		for _, name := range names {
			learned[name] = i
		}
	}
	for i, list := range lists {
		if len(list) == 0 {
			return Refusef("%s: %s to come lists no class", x.called("Tasks"), words.Task(i))
		}
		for k, name := range list {
			if n, err := strconv.Atoi(name); err == nil && !slices.Contains(all, name) {
				if n < 0 || n >= len(all) {
					return Refusef("%s: there is no class %d; %s has 0 to %d", x.called("Tasks"), n, b.Datasets[0], len(all)-1)
				}
				list[k] = all[n]
			} else if !slices.Contains(all, name) && slices.Contains(set.Classes, name) {
				return Refusef("%s: %s has a class %.100q now, but its name comes before others that the run in %s has learned, and labels go by the order of names; give it a name that comes after %q",
					x.called("Tasks"), b.Datasets[0], name, dir, all[len(all)-1])
			} else if !slices.Contains(all, name) {
				return Refusef("%s: %s has no class %.100q%s; what is in another set comes by %s", x.called("Tasks"), b.Datasets[0], name, words.DidYouMean(name, all), x.called("Datasets"))
			}
			if task, ok := learned[list[k]]; ok && task >= len(before) {
				return Refusef("%s: the class %q is listed twice", x.called("Tasks"), list[k])
			} else if ok {
				return Refusef("%s: the class %q is learned already, in %s", x.called("Tasks"), list[k], words.Task(task))
			}
			learned[list[k]] = len(before) + i
		}
	}
	b.Tasks = append(before, lists...)
	b.ClassOrder, b.Classes = "natural", nil
	return nil
}

// cameAfter says that classes have come to a set, after those that it had before.
func cameAfter(now, before []string) bool {
	return len(now) > len(before) && slices.Equal(now[:len(before)], before)
}

// tasksByName are the classes of each task of a run.
func tasksByName(done *results.Run) (tasks [][]string) {
	for _, t := range done.Benchmark.Tasks {
		var names []string
		for _, class := range t.Classes {
			names = append(names, done.Benchmark.ClassNames[class])
		}
		tasks = append(tasks, names)
	}
	return tasks
}

// keepTasks names the tasks of a run in its configuration where classes have come to its set since: whoever has it learn another set
// has not asked for those.
func (x Extension) keepTasks(c *Config, done *results.Run, dir string) error {
	b := &c.Benchmark
	if set, _ := datasets.Describe(b.Datasets[0]); b.Scenario == ClassIncremental && len(b.Datasets) == 1 && len(b.Tasks) == 0 && len(b.Classes) == 0 &&
		cameAfter(set.Classes, done.Benchmark.ClassNames) {
		b.Tasks, b.ClassOrder = tasksByName(done), "natural"
	}
	if now, err := c.tasks(); err == nil && now != len(done.Benchmark.Tasks) {
		return Refusef("%s: by its settings the run in %s has %s now, where it learned %d: classes have come to its sets since; take them out again, or make one run of all",
			x.called("Datasets"), dir, words.Count(now, "task"), len(done.Benchmark.Tasks))
	}
	return nil
}

// addSets appends sets, a task each, to a configuration.
func (x Extension) addSets(c *Config, done *results.Run, dir string) error {
	b := &c.Benchmark
	h, w, channels, err := datasets.PreparedShape(b.Prep, b.Datasets...)
	if err != nil {
		return err
	}
	if b.PartAll {
		return Refusef("%s brings a set as one task, and the run in %s parts all of its sets (benchmark.part_all); name all sets in a run of their own", x.called("Datasets"), dir)
	}
	learned := len(b.Datasets)
	for _, name := range x.Datasets {
		if err := datasets.Known(name); err != nil {
			return Refused{errors.WithMessage(err, x.called("Datasets"))}
		}
		full, err := datasets.Canonical(name)
		if err != nil {
			return Refused{errors.WithMessage(err, x.called("Datasets"))}
		}
		if at := slices.Index(b.Datasets, full); at >= learned {
			return Refusef("%s: %s is named twice; each set to come is one task", x.called("Datasets"), full)
		} else if at >= 0 {
			return Refusef("%s: %s is learned already in the run in %s", x.called("Datasets"), full, dir)
		}
		if err := datasets.CheckDistinct(append(slices.Clone(b.Datasets), full)...); err != nil {
			return Refused{errors.WithMessage(err, x.called("Datasets"))}
		}
		nh, nw, nc, err := datasets.PreparedShape(b.Prep, full)
		if err != nil {
			return Refused{errors.WithMessage(err, x.called("Datasets"))}
		}
		if nh != h || nw != w || nc != channels {
			return Refusef("%s: images of %s are %d×%d×%d once prepared, those of the run in %s %d×%d×%d, and its network takes no others", x.called("Datasets"), full, nh, nw, nc, dir, h, w, channels)
		}
		b.Datasets = append(b.Datasets, full)
	}
	return nil
}

// set puts the settings of x over a configuration.
func (x Extension) set(c Config) (Config, error) {
	if len(x.Set) == 0 {
		return c, nil
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return c, errors.Wrap(err, "configuration")
	}
	changed, err := overrideConfig(configFile, text, x.Set, func(setting string) string { return x.called("Set") + " " + setting })
	if err != nil {
		return c, err
	}
	for _, d := range differences(c, changed) {
		if !slices.ContainsFunc(mayChange, func(begin string) bool { return strings.HasPrefix(d.key, begin) }) {
			return c, Refusef("%s %s: an extended run goes on with the settings of the run before it; it may change %s", x.called("Set"), d.key, strings.ReplaceAll(strings.Join(mayChange, ", ")+",", ".,", ".…,"))
		}
	}
	return changed, nil
}

// extended is the run that a new one goes on with.
type extended struct {
	dir        string
	checkpoint string   // the folder of the end of its last task, before that was measured
	newer      []string // checkpoints of the same network after it
	done       *results.Run
}

// openExtended finds the run that c extends, as it was when c was made.
func (c Config) openExtended() (*extended, error) {
	e := &extended{dir: c.Extends.Run}
	path := filepath.Join(e.dir, "result.json")
	sum, err := atomicfile.SHA256(path)
	if os.IsNotExist(errors.Cause(err)) {
		return nil, errors.Errorf("the run that this one extends is no longer in %s, where it is needed until the first checkpoint; bring it back there, or give `extend` again with its new place", e.dir)
	}
	if err != nil {
		return nil, err
	}
	if sum != c.Extends.SHA256 {
		return nil, errors.Errorf("the run in %s, which this one extends, has another result than when it was to be extended: the SHA-256 of its result.json was %s, now it is %s; give `extend` again with another folder",
			e.dir, c.Extends.SHA256, sum)
	}
	if e.done, err = results.Load(path); err != nil {
		return nil, err
	}
	names, err := checkpoints(e.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		if _, step, _ := parseCheckpointName(name); step > 0 { // the end of the run is step 0 of a phase that it has not
			e.checkpoint = filepath.Join(e.dir, "checkpoints", name)
			return e, nil
		}
		e.newer = append(e.newer, name)
	}
	return nil, errors.Errorf("the run in %s keeps no checkpoint of the end of its last task, which is where it would be gone on from; make it again with `go run . run %s --dir FOLDER`",
		e.dir, words.Shell(filepath.Join(e.dir, configFile)))
}

// checkExtended reports, before a backend is opened, that a run of c could not go on with the one it extends.
func (c Config) checkExtended() error {
	e, err := c.openExtended()
	if err != nil {
		return err
	}
	_, err = e.state(c, nil)
	return err
}

// state reads the checkpoint that a run of c, of the given plan where there is one, goes on from.
func (e *extended) state(c Config, plan *cl.Plan) (*state, error) {
	summed, err := checkSums(e.checkpoint)
	if err != nil {
		return nil, errors.WithMessagef(err, "checkpoint %s is damaged", e.checkpoint)
	}
	s, err := readState(e.checkpoint)
	if err == nil && s.Version != 0 && !summed {
		err = errors.Errorf("it has no %s", sumsFile)
	}
	if err == nil && plan != nil {
		err = s.check(*plan)
	}
	if err != nil {
		return nil, errors.WithMessagef(err, "checkpoint %s", e.checkpoint)
	}
	began, err := StoredConfig(e.dir)
	if err != nil {
		return nil, err
	}
	if err := s.sameSettings(began); err != nil {
		return nil, errors.WithMessagef(err, "checkpoint %s", e.checkpoint)
	}
	if steps := s.Position.Total; s.LossCount != 0 || len(e.done.Evaluations) != len(s.Evaluations)+1 || steps != e.done.Evaluations[len(s.Evaluations)].Step {
		return nil, errors.Errorf("checkpoint %s is of step %d, and not of the end of the last task", e.checkpoint, steps)
	}
	return s, nil
}

// extend brings a run that has no checkpoint yet to the end of the run that it extends. It changes nothing in any folder.
func (r *run) extend() error {
	e, err := r.config.openExtended()
	if err != nil {
		return err
	}
	for _, name := range e.newer {
		if _, err := checkSums(filepath.Join(e.dir, "checkpoints", name)); err != nil {
			r.warn("checkpoint %s of %s is damaged (%v): the run goes on from %s, the one before it, which holds the same network", name, e.dir, err, filepath.Base(e.checkpoint))
		}
	}
	plan := r.loop.Plan()
	s, err := e.state(r.config, &plan)
	if err != nil {
		return err
	}
	// What was learned must be there still: of rehearsal, distillation and measurements nothing else would be true.
	first := *r.loop.Benchmark
	first.Tasks, first.ClassNames = first.Tasks[:r.config.Extends.Tasks], e.done.Benchmark.ClassNames
	now, err := first.ContentHash()
	if err != nil {
		return err
	}
	if err := s.sameImages(now, r.config.Benchmark.Datasets); err != nil {
		return err
	}
	if err := r.takeOver(e, s); err != nil {
		return err
	}
	// What was measured before knew nothing of the tasks to come. How near an image must be to be called a copy depends on the
	// images of all tasks; everything that the network of the metrics saw, on that.
	other := s.Extractor != "" && s.Extractor != r.measure.extractor.Identity()
	for i := range s.Evaluations {
		for k := range s.Evaluations[i].Tasks {
			t := &s.Evaluations[i].Tasks[k]
			t.Copies = nil
			if other {
				*t = results.TaskMetrics{Task: t.Task, N: t.N, BPD: t.BPD, ClippedPixels: t.ClippedPixels, RealClippedPixels: t.RealClippedPixels, IdenticalSamples: t.IdenticalSamples,
					Missing: map[string]string{"fid": "the run that is extended was judged by another network"}}
			}
		}
		if other {
			s.Evaluations[i].Union = results.UnionMetrics{N: s.Evaluations[i].Union.N}
		}
	}
	if other {
		r.warn("images are judged by another network than those of %s, which knows none of the new classes; of the measurements before %s only those that need none are kept, and forgetting is counted from there on. Where the first run names its judge (evaluate.extractor=FILE), that judges all",
			e.done.Name, words.Task(r.config.Extends.Tasks))
	}
	s.Images, s.Extractor, s.Dynamics = r.images, r.measure.extractor.Identity(), ""
	s.Extends = &results.Extends{Name: e.done.Name, SHA256: r.config.Extends.SHA256, Tasks: r.config.Extends.Tasks, Step: s.Position.Total}
	r.loop.Position, r.state, r.extended = s.Position, *s, e
	return nil
}

// takeOver puts network and strategy where the extended run left them.
func (r *run) takeOver(e *extended, s *state) error {
	if err := r.loop.Network.LoadGrown(e.checkpoint); err != nil {
		return err
	}
	defer r.keepApart("")
	r.keepApart(e.checkpoint)
	if err := cl.Guard(func() error { return r.loop.Strategy.Restore(s.Strategy) }); err != nil {
		if had, has := len(e.done.Benchmark.ClassNames), len(r.loop.Benchmark.ClassNames); has > had {
			return errors.WithMessagef(err, "strategy %s keeps a value for each of the network's weights, of which %d labels more make more; plan for them with network.classes=%d in the first run",
				r.loop.Strategy.Info().Name, has-had, has)
		}
		return err
	}
	return r.loop.RestoreTimesteps(s.Sampler)
}

// inherit brings into the folder of a run that extends another what that has beside its checkpoint: pictures of what was
// measured and, for an autopsy, the networks after each task. What is there already stays.
func (r *run) inherit(e *extended) error {
	return r.home.write(func() error {
		if err := r.home.subfolder("samples"); err != nil {
			return err
		}
		for _, v := range r.state.Evaluations {
			from := filepath.Join(e.dir, filepath.FromSlash(v.Sheet))
			picture, err := r.withMoreRows(from, e.done.Benchmark)
			if os.IsNotExist(errors.Cause(err)) {
				continue // finish says so
			}
			if err != nil && isDamage(err) {
				r.warn("the samples of the run before are left out: %v", err)
				delete(r.state.Pictures, v.Sheet)
				continue
			}
			if err != nil {
				return err
			}
			if err := atomicfile.Write(filepath.Join(r.dir, filepath.FromSlash(v.Sheet)), picture); err != nil {
				return err
			}
			sum := sha256.Sum256(picture)
			r.state.Pictures[v.Sheet] = hex.EncodeToString(sum[:])
		}
		if !r.keepsNetworks() || len(r.state.Evaluations) == 0 {
			return nil
		}
		if err := r.home.subfolder("snapshots"); err != nil {
			return err
		}
		for _, v := range r.state.Evaluations {
			final := snapshotFolder(r.dir, v.AfterTask)
			if _, err := os.Stat(final); err == nil {
				continue
			}
			from := snapshotFolder(e.dir, v.AfterTask)
			if _, err := os.Stat(from); os.IsNotExist(err) && !r.hasAutopsy() {
				continue // the run before did not keep it
			}
			if _, err := checkSums(from); err != nil {
				return errors.WithMessagef(err, "the network kept in %s is damaged; an extension with --set keep_networks=false --set autopsy.images=0 does not need it", from)
			}
			if err := r.loop.Network.LoadGrown(from); err != nil {
				return errors.WithMessagef(err, "the run in %s has no network of after %s for an autopsy; extend it with --set autopsy.images=0", e.dir, words.Task(v.AfterTask))
			}
			if err := writeFolder(final, nil, r.loop.Network.Save); err != nil {
				return err
			}
		}
		return r.loop.Network.LoadGrown(e.checkpoint)
	})
}

// withMoreRows is the sheet of samples in a file, of a run on a benchmark with fewer tasks, as one of the run's own: the classes of
// tasks to come, of which nothing was drawn, have black rows.
func (r *run) withMoreRows(path string, fewer results.Benchmark) ([]byte, error) {
	bench := r.measure.bench
	had, has := 0, 0
	for _, t := range fewer.Tasks {
		had += len(t.Classes)
	}
	for _, t := range bench.Tasks {
		has += len(t.Classes)
	}
	picture, err := sheet.Read(path)
	if err != nil {
		return nil, err
	}
	before, now := sheet.Rows(had, bench.H), sheet.Rows(has, bench.H)
	size := picture.Bounds().Size()
	l, ok := sheet.Find(size, len(before), bench.H, bench.W)
	if !ok {
		return nil, errors.Errorf("%s is %v pixels, which is not a sheet of %d rows of images of %d×%d pixels", path, size, len(before), bench.H, bench.W)
	}
	pitch := l.H + l.Gap
	out := image.NewRGBA(image.Rect(0, 0, size.X, len(now)*pitch-l.Gap))
	draw.Draw(out, out.Rect, image.Black, image.Point{}, draw.Src)
	for row, class := range now {
		if at := slices.Index(before, class); at >= 0 {
			draw.Draw(out, image.Rect(0, row*pitch, size.X, row*pitch+l.H), picture, picture.Bounds().Min.Add(image.Pt(0, at*pitch)), draw.Src)
		}
	}
	return sheet.PNG(out)
}
