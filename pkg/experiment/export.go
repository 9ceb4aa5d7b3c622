package experiment

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/models"
	"palimpsest/pkg/network"
	"palimpsest/pkg/results"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/words"
)

// Formats of [Export].
const (
	FormatDiffusers   = "diffusers"   // a folder, see [diffusers]
	FormatSafetensors = "safetensors" // a file: every weight by our names, with the network as JSON among its metadata
)

// ExportOptions say what [Export] writes.
type ExportOptions struct {
	Format    string // FormatDiffusers or FormatSafetensors
	Raw       bool   // the trained weights, not their average
	Task      int    // the network after this task, counted from 0, or that which generates its classes; -1: the newest
	Overwrite bool   // replace an export that is there
	Command   string // what the user typed, for the card
	Flags     bool   // errors call a field by the command line's flag for it: --task for Task

	Warn func(line string) // gets a line on damaged checkpoints that were passed over; nil: nobody does

	// Backend opens a backend, which is asked for only where the network depends on the task at sampling.
	Backend func() (compute.Backend, error)
}

// called is what errors call a field.
func (o ExportOptions) called(field string) string { return called(field, o.Flags) }

// Export writes the network of the run in the folder dir to the path to, a folder or a file by its format, whole or not at
// all. What the format cannot represent, or a network that was not kept, is an error of one line.
func Export(dir, to string, o ExportOptions) error {
	if o.Format != FormatDiffusers && o.Format != FormatSafetensors {
		return Refusef("format is %.100q; choose %q or %q", o.Format, FormatDiffusers, FormatSafetensors)
	}
	if to == "" {
		return Refusef("the export has no name; name the folder, or the file, to write")
	}
	if run, err := runAbove(to); err != nil {
		return err
	} else if run != "" {
		return Refusef("%s is within the run folder %s; name a place outside it for the export", to, run)
	}
	if err := o.free(to); err != nil {
		return err
	}
	e, err := openExport(dir, o)
	if err != nil {
		return err
	}
	if o.Format == FormatDiffusers {
		if err := e.model.Check(); err != nil {
			return errors.WithMessagef(err, "%s cannot be exported to diffusers; %s safetensors writes plain weights", dir, o.called("Format"))
		}
	}
	if err := e.read(dir, o); err != nil {
		return err
	}
	if o.Format == FormatSafetensors {
		return e.writeFile(to)
	}
	return e.writeFolder(dir, to, o)
}

// free reports a path that is taken.
func (o ExportOptions) free(to string) error {
	info, err := os.Stat(to)
	switch {
	case o.Format == FormatSafetensors && !strings.HasSuffix(to, ".safetensors"):
		return Refusef("%s is to be a file of %s safetensors; need a name that ends in .safetensors", to, o.called("Format"))
	case errors.Is(err, syscall.ENOTDIR):
		return Refusef("%s cannot be there: a part of its path is a file; name another place for the export", to)
	case err != nil && o.Format == FormatSafetensors:
		return refuse(atomicfile.Check(to))
	case err != nil:
		return refuse(atomicfile.CheckFolder(to))
	case !o.Overwrite:
		return Refusef("%s is there already; name another, or give %s", to, o.called("Overwrite"))
	case o.Format == FormatSafetensors:
		if err := atomicfile.Check(to); err != nil {
			return err
		}
		if _, metadata, err := safetensors.ReadHeader(to); err != nil || metadata["network"] == "" {
			return Refusef("%s is no export of this program; it is not overwritten: name another file", to)
		}
		return nil
	case !info.IsDir():
		return Refusef("%s is no folder; name one for the export", to)
	}
	return onlyExported(to)
}

// onlyExported refuses a folder, to be overwritten, with anything in it that is not as an export wrote it: that is somebody's own,
// such as the card once its author has gone on with it.
func onlyExported(to string) error {
	files, err := filesUnder(to)
	if err != nil || len(files) == 0 {
		return err
	}
	sums, err := readSums(to)
	if err != nil {
		return errors.WithMessage(err, to)
	}
	if sums == nil || !slices.Contains(files, diffusers.LabelsFile) {
		return Refusef("%s is no export of this program with a %s, so what is in it may be somebody's own; it is not overwritten: name another folder", to, sumsFile)
	}
	var added, changed []string
	for _, name := range files {
		want, ok := sums[name]
		if name == sumsFile {
			continue
		}
		if !ok {
			added = append(added, name)
		} else if sum, err := atomicfile.SHA256(filepath.Join(to, filepath.FromSlash(name))); err != nil || sum != want {
			changed = append(changed, name)
		}
	}
	switch {
	case len(changed) > 0:
		return Refusef("%s holds %s, changed since the export; it is not overwritten: name another folder, or move the changed files away", to, words.Some(changed, 5))
	case len(added) > 0:
		return Refusef("%s holds %s, which no export wrote; it is not overwritten: name another folder, or move them away", to, words.Some(added, 5))
	}
	return nil
}

// export is a network on its way out.
type export struct {
	config   Config
	bench    *datasets.Benchmark
	strategy cl.Strategy
	info     cl.Info
	needs    diffusion.Extra
	model    diffusers.Model
	state    *state       // of the checkpoint
	task     int          // the last that the network has learned, or that it generates; -1: it has not finished any
	within   bool         // it has learned from images of the task after that too
	origin   *models.Info // what training began with, of network.init; else nil
}

// openExport reads what a run is, without its weights.
func openExport(dir string, o ExportOptions) (*export, error) {
	c, err := settledConfig(dir)
	if err != nil {
		return nil, err
	}
	if err := CheckTrained(dir, nil); err != nil && len(keptNetworks(dir)) == 0 {
		return nil, err
	}
	if c.Network.Architecture == ArchitectureDiT {
		return nil, Refusef("the network of the run in %s is a transformer (network.architecture dit), and only U-Nets can be exported; its weights are in %s of each checkpoint, under names that say what they are", dir, diffusion.StateFile)
	}
	e := &export{config: c}
	if e.bench = storedBenchmark(c, dir); e.bench == nil {
		if e.bench, err = c.LoadBenchmark(); err != nil {
			return nil, err
		}
	}
	process, err := diffusion.New(c.Diffusion)
	if err != nil {
		return nil, err
	}
	if e.model.Net, err = c.unetConfig(e.bench, process); err != nil {
		return nil, err
	}
	e.model.Process = c.Diffusion
	if classes := e.model.Net.Classes; classes > 0 {
		e.model.Labels = diffusers.Labels{NoLabel: classes, Names: e.bench.ClassNames}
	}
	if c.Network.Init != "" {
		origin, err := models.Get(c.Network.Init)
		if err != nil {
			return nil, errors.WithMessage(err, "network.init")
		}
		e.origin = &origin
	}
	if e.strategy, err = cl.New(c.Strategy); err != nil {
		return nil, err
	}
	e.info = e.strategy.Info()
	setup := cl.SetupOf(e.bench, c.Loop, process)
	setup.ReplayRows = e.strategy.ReplayRows(c.Loop.ReplayRows)
	e.needs = e.strategy.Needs(setup)
	if o.Task < -1 || o.Task >= len(e.bench.Tasks) {
		return nil, Refusef("task is %d; the run in %s has tasks 0 to %d", o.Task, dir, len(e.bench.Tasks)-1)
	}
	if e.info.TaskAtSampling && o.Task < 0 {
		return nil, Refusef("the network of %s depends on the task: say with %s 0 to %d which task's classes the export is to generate", c.Strategy.Name, o.called("Task"), len(e.bench.Tasks)-1)
	}
	return e, nil
}

// read reads the weights.
func (e *export) read(dir string, o ExportOptions) error {
	folder, passed, err := e.newest(dir, o)
	if err != nil {
		return err
	}
	e.task, e.within = e.state.Position.Phase-1, e.state.Position.Step > 0
	if e.info.Stream == cl.AllTasks && e.task >= 0 {
		e.task = len(e.bench.Tasks) - 1
	}
	switch {
	case folder == "" && (e.info.TaskAtSampling || e.info.Stream == cl.AllTasks):
		return lostNetwork(dir, passed, o)
	case folder == "":
		task := o.Task
		if task < 0 {
			task = e.task
		}
		folder = snapshotFolder(dir, task)
		if !slices.Contains(keptNetworks(dir), task) {
			return lostNetwork(dir, passed, o)
		}
		if _, err := checkSums(folder); err != nil {
			return errors.WithMessage(lostNetwork(dir, passed, o), fmt.Sprintf("the network kept in %s is damaged (%v)", folder, err))
		}
		e.task, e.within = task, false
		if o.Warn != nil {
			o.Warn(fmt.Sprintf("warning: no checkpoint of %s has its network whole%s: this is the network kept after %s, in %s", dir, writeDamage(passed), words.Task(task), folder))
		}
	case e.info.TaskAtSampling:
		if o.Task > e.task {
			return Refusef("task %d is asked for: %s is not learned yet at the newest checkpoint of %s", o.Task, words.Task(o.Task), dir)
		}
		e.task, e.within = o.Task, false
		temporary, err := os.MkdirTemp("", "palimpsest-export-")
		if err != nil {
			return errors.WithStack(err)
		}
		defer os.RemoveAll(temporary)
		if err := e.generating(dir, temporary, o); err != nil {
			return err
		}
		folder = temporary
	case o.Task >= 0 && (o.Task != e.task || e.state.Position.Step != 0):
		folder = snapshotFolder(dir, o.Task)
		if !slices.Contains(keptNetworks(dir), o.Task) {
			return Refusef("task %d is asked for: the network after %s was not kept, only the newest, %s; runs made with %s keep_networks=true keep that of every task",
				o.Task, words.Task(o.Task), e.at(), o.called("Set"))
		}
		if _, err := checkSums(folder); err != nil {
			return errors.WithMessage(err, folder)
		}
		e.task, e.within = o.Task, false
	case o.Warn != nil:
		for _, line := range (found{filepath.Base(folder), passed}).warnings(dir) {
			o.Warn(line)
		}
	}
	which := "ema/"
	if o.Raw {
		which = "model/"
	}
	all, err := safetensors.ReadFilePart(filepath.Join(folder, diffusion.StateFile), which)
	if err != nil {
		return err
	}
	values := map[string][]float32{}
	for name, t := range all {
		if values[name], err = tensors.CopyFlatData[float32](t); err != nil {
			return err
		}
		if err := t.FinalizeAll(); err != nil {
			return err
		}
	}
	e.model.Weights, err = e.merged(values)
	return err
}

// at says of when the newest checkpoint is.
func (e *export) at() string {
	if p := e.state.Position; p.Step > 0 {
		return fmt.Sprintf("of step %d of %s", p.Step, words.Task(p.Phase))
	}
	return "of after " + words.Task(e.task)
}

// newest is the folder of the newest checkpoint that is whole, whose state it reads. Where none is, the folder is "", and the state
// is that of one of which only the network is damaged, or as far as result.json tells.
func (e *export) newest(dir string, o ExportOptions) (folder string, passed []damage, err error) {
	name, passed, err := newestWhole(dir, func(folder string) error {
		if _, err := checkSums(folder); err != nil {
			return err
		}
		text, err := atomicfile.Read(filepath.Join(folder, stateFile), mostState)
		if err != nil {
			return err
		}
		e.state, err = parseState(text)
		return err
	})
	if err != nil || name != "" {
		return filepath.Join(dir, "checkpoints", name), passed, err
	}
	for _, d := range passed {
		if e.state, err = wholeState(filepath.Join(dir, "checkpoints", d.name)); err == nil {
			return "", passed, nil
		}
	}
	done, err := results.Load(filepath.Join(dir, "result.json"))
	if err != nil {
		return "", passed, lostNetwork(dir, passed, o)
	}
	p := done.Provenance
	e.state = &state{Position: cl.Position{Phase: len(done.Evaluations)}, Evaluations: done.Evaluations, Images: p.ImagesSHA256, Init: p.Init, Command: p.Command, Commit: p.Commit}
	return "", passed, nil
}

// wholeState reads the state of a checkpoint whose other files may be damaged.
func wholeState(folder string) (*state, error) {
	sums, err := readSums(folder)
	if err != nil {
		return nil, err
	}
	if sum, err := atomicfile.SHA256(filepath.Join(folder, stateFile)); err != nil || sum != sums[stateFile] {
		return nil, errors.Errorf("%s is not as it was written", stateFile)
	}
	return readState(folder)
}

// keptNetworks are the tasks after which the run in dir kept its network, whole or not.
func keptNetworks(dir string) []int {
	found, err := atomicfile.Glob(dir, "snapshots/after_task_*")
	if err != nil {
		return nil // no folder that can be read
	}
	var tasks []int
	for _, folder := range found {
		if task, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(folder), "after_task_")); err == nil {
			tasks = append(tasks, task)
		}
	}
	slices.Sort(tasks)
	return tasks
}

// writeDamage lists damaged checkpoints in brackets.
func writeDamage(passed []damage) string {
	if len(passed) == 0 {
		return ""
	}
	var each []string
	for _, d := range passed {
		each = append(each, fmt.Sprintf("checkpoints/%s: %v", d.name, d.err))
	}
	return " (" + strings.Join(each, "; ") + ")"
}

// lostNetwork is the error of a run without a checkpoint that is whole; it says what is there still.
func lostNetwork(dir string, passed []damage, o ExportOptions) error {
	var whole []string
	for _, task := range keptNetworks(dir) {
		if _, err := checkSums(snapshotFolder(dir, task)); err == nil {
			whole = append(whole, fmt.Sprintf("%s (%s %d)", words.Task(task), o.called("Task"), task))
		}
	}
	again := fmt.Sprintf("make it again with `go run . run %s --dir FOLDER`", words.Shell(filepath.Join(dir, configFile)))
	switch {
	case len(passed) == 0 && len(whole) == 0:
		return noCheckpoint(dir)
	case len(whole) == 0:
		return errors.Errorf("no checkpoint of %s has its network whole%s, and no network kept after a task is; %s", dir, writeDamage(passed), again)
	}
	return errors.Errorf("no checkpoint of %s has its network whole%s; whole are the networks kept after %s, or %s", dir, writeDamage(passed), strings.Join(whole, ", "), again)
}

// generating saves to a folder the network that generates a task's classes.
func (e *export) generating(dir, to string, o ExportOptions) error {
	back, err := o.Backend()
	if err != nil {
		return err
	}
	trained, err := OpenToDraw(back, dir)
	if err != nil {
		return err
	}
	defer trained.Close()
	return trained.AtTask(o.Task, func() error { return trained.Network.Save(to) })
}

// merged adds adapters to their kernels, and returns the weights of the plain network.
func (e *export) merged(values map[string][]float32) (map[string][]float32, error) {
	plain := map[string][]float32{}
	dims := e.model.Dims()
	for name, d := range dims {
		kernel, ok := values[name]
		if !ok {
			return nil, errors.Errorf("the checkpoint has no weight %s", name)
		}
		plain[name] = kernel
		scope, last, _ := cutLast(name)
		down, up := values[scope+"/"+network.LoRAA], values[scope+"/"+network.LoRAB]
		if last != network.Kernel || down == nil {
			continue
		}
		inputs, out := network.Matrix(d)
		rank, scale := e.needs.LoRA, float32(e.needs.LoRAAlpha/float64(e.needs.LoRA))
		if len(down) != inputs*rank || len(up) != rank*out {
			return nil, errors.Errorf("the adapter of %s has %d and %d values; need rank %d", name, len(down), len(up), rank)
		}
		kernel = slices.Clone(kernel)
		for i := range inputs {
			for o := range out {
				sum := float32(0)
				for r := range rank {
					sum += down[i*rank+r] * up[r*out+o]
				}
				kernel[i*out+o] += scale * sum
			}
		}
		plain[name] = kernel
	}
	return plain, nil
}

// cutLast parts a path at its last slash.
func cutLast(path string) (before, after string, found bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// writeFile writes every weight by our names.
func (e *export) writeFile(to string) error {
	net, err := json.Marshal(e.model.Net)
	if err != nil {
		return errors.WithStack(err)
	}
	process, err := json.Marshal(e.model.Process)
	if err != nil {
		return errors.WithStack(err)
	}
	labels, err := json.Marshal(e.model.Labels)
	if err != nil {
		return errors.WithStack(err)
	}
	var all []safetensors.Tensor
	dims := e.model.Dims()
	for name, values := range e.model.Weights {
		all = append(all, safetensors.Tensor{Name: name, Value: tensors.FromFlatDataAndDimensions(values, dims[name]...)})
	}
	slices.SortFunc(all, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return safetensors.WriteFile(to, map[string]string{"format": "pt", "network": string(net), "process": string(process), "labels": string(labels)}, all)
}

// writeFolder writes the diffusers folder with its card.
func (e *export) writeFolder(dir, to string, o ExportOptions) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(to)), 0o755); err != nil {
		return errors.WithStack(err)
	}
	fresh, err := freeName(filepath.Clean(to))
	if err != nil {
		return err
	}
	err = atomicfile.WriteFolder(fresh, func(temporary string) error {
		if err := e.model.Write(temporary); err != nil {
			return err
		}
		sheet := ""
		if i := e.evaluation(); i >= 0 {
			if picture, err := atomicfile.Read(filepath.Join(dir, filepath.FromSlash(e.state.Evaluations[i].Sheet)), atomicfile.Large); err == nil {
				sheet = "samples.png"
				if err := atomicfile.Write(filepath.Join(temporary, sheet), picture); err != nil {
					return err
				}
			}
		}
		if err := atomicfile.Write(filepath.Join(temporary, "README.md"), []byte(e.card(filepath.Base(filepath.Clean(to)), sheet, o))); err != nil {
			return err
		}
		return writeSums(temporary, nil)
	})
	if err != nil || fresh == filepath.Clean(to) {
		return err
	}
	if err := onlyExported(to); err != nil { // it took a while
		return errors.WithMessagef(err, "the export is in %s", fresh)
	}
	return atomicfile.ReplaceFolder(fresh, filepath.Clean(to))
}

// evaluation is the index of the measurements after the network's last task; -1 where there are none.
func (e *export) evaluation() int {
	after := e.task
	if e.info.TaskAtSampling { // the measurements are of all tasks, each by the network that generates it
		after = e.state.Position.Phase - 1
	}
	return slices.IndexFunc(e.state.Evaluations, func(m results.Evaluation) bool { return m.AfterTask == after })
}
