package perf

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/dit"
	"palimpsest/pkg/executables"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/fastconv"
	"palimpsest/pkg/host"
	"palimpsest/pkg/unet"
)

// Options say what [Measure] measures.
type Options struct {
	Networks []string // of [Networks]
	Sizes    []int    // pixels a side
	What     []string // of [Whats]
	Threads  []string // "1": one process on one core; "all": one process on all
	Peers    []string // of [Peers]
	Growth   bool     // how cost grows, in place of all this
	Device   bool     // training steps on the device that the backend opens, with peers on the same
	Batches  []int    // with Device: rows of a training step, in place of Batch
	Compute  []string // with Device: of [unet.Config.Compute]
	// PeerDevice is PyTorch's name of the device, with Device: "cuda", or "cpu".
	PeerDevice string
	Rounds     int
	Batch      int // rows of a training step
	Rows       int // of a forward call
	Samples    int // images drawn

	Store string // folder of the results
	Anew  bool   // measure again what is stored

	Command []string                                                        // this program, answering tasks: [Serve]
	Python  func(ctx context.Context, peer string) (python string, e error) // that has a peer's packages
	Origin  Origin
	Log     io.Writer
}

// Defaults are the settings of the stored measurements, except for peers.
func Defaults() Options {
	return Options{Networks: []string{"tiny", "small", "dit-tiny"}, Sizes: []int{16, 32}, What: Whats(), Threads: []string{"1", "all"},
		Rounds: 7, Batch: 32, Rows: 250, Samples: 100}
}

// Peers are the names of those we can be compared with.
func Peers() []string { return []string{"torch", "jax"} }

// Names of the contestants. All that compare do so with PyTorch as it comes.
const (
	ours         = "ours"
	oursXLA      = "ours-xla"
	oursGo       = "ours-go"
	torch        = "torch"
	torchLast    = "torch-channels-last"
	torchCompile = "torch-compiled"
	oursHalf     = "ours-bfloat16"
	torchHalf    = "torch-bfloat16"
	torchBest    = "torch-bfloat16-compiled"
	jax          = "jax"
)

// quiet is the load below which a machine counts as quiet, in processors that others keep busy.
const quiet = 0.3

// Validate reports the first setting that nothing can be measured with.
func (o Options) Validate() error {
	for _, list := range []struct {
		flag         string
		given, known []string
	}{
		{"--networks", o.Networks, Networks()}, {"--what", o.What, Whats()},
		{"--threads", o.Threads, []string{"1", "all"}}, {"--peers", o.Peers, Peers()},
	} {
		if len(list.given) == 0 && list.flag != "--peers" {
			return errors.Errorf("%s names nothing; choose of %q", list.flag, list.known)
		}
		for _, name := range list.given {
			if !slices.Contains(list.known, name) {
				return errors.Errorf("%s has %q; choose of %q", list.flag, name, list.known)
			}
		}
	}
	for _, n := range []struct {
		flag  string
		value int
		most  int
	}{{"--rounds", o.Rounds, 1000}, {"--batch", o.Batch, 1 << 16}, {"--rows", o.Rows, 1 << 16}, {"--samples", o.Samples, 1 << 16}} {
		if n.value < 1 || n.value > n.most {
			return errors.Errorf("%s is %d; need 1 to %d", n.flag, n.value, n.most)
		}
	}
	if o.Growth && len(o.Peers) > 0 {
		return errors.New("--growth is measured of ours alone; leave out --peers")
	}
	if !canPin && slices.Contains(o.Threads, "1") {
		return errors.New("--threads 1 needs Linux, where a process can be kept to one core; measure with --threads all")
	}
	if len(o.Sizes) == 0 {
		return errors.New("--sizes names nothing; give pixels a side, for instance 16,32")
	}
	for _, name := range o.Networks {
		for _, size := range o.Sizes {
			if _, err := taskOf(name, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// ditPrefix begins the names of package dit's sizes here.
const ditPrefix = "dit-"

// Networks are the names of the networks that can be measured: the sizes of package unet, and those of package dit after "dit-".
func Networks() []string {
	names := unet.PresetNames()
	for _, size := range dit.PresetNames() {
		names = append(names, ditPrefix+size)
	}
	return names
}

func isDiT(name string) bool { return strings.HasPrefix(name, ditPrefix) }

// taskOf is a task with the network of a name, for the classes of the benchmarks: of grey images, or for ddpm of CIFAR-10's.
func taskOf(name string, size int) (t Task, err error) {
	t = Task{Process: quickProcess, Train: quickTrain}
	if isDiT(name) {
		t.DiT, err = dit.Preset(strings.TrimPrefix(name, ditPrefix), size, size, 1, 10)
	} else {
		t.UNet, err = unetOf(name, size)
	}
	return t, err
}

func unetOf(name string, size int) (unet.Config, error) {
	return unet.Preset(name, size, size, channelsOf(name), 10)
}

func channelsOf(name string) int {
	if name == "ddpm" {
		return 3
	}
	return 1
}

// process and training are those of the quick benchmark.
var (
	quickProcess = experiment.DefaultConfig().Diffusion
	quickTrain   = experiment.DefaultConfig().Train
)

// Measure measures what o asks for and has not been measured, one case after another.
func Measure(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	r := &runner{dir: o.Store, rounds: o.Rounds, anew: o.Anew, log: o.Log, start: startProcess, settle: 250 * time.Millisecond, free: host.FreeMemory, most: mostCalls,
		origin: Sitting{Origin: o.Origin, Load: load()}}
	if r.origin.Load > quiet {
		r.say("WARNING: the machine is not quiet (others keep %.2f processors busy): what is measured says little, and the tables will say so", r.origin.Load)
	}
	if o.Device { // calls take milliseconds
		r.most = 200
	}
	if o.Growth {
		return o.measureGrowth(ctx, r)
	}
	scratch, err := os.MkdirTemp("", "palimpsest-perf-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(scratch)
	pythons, err := o.openPeers(ctx, scratch)
	if err != nil {
		return err
	}
	for _, name := range o.Networks {
		sizes := o.Sizes
		if o.Device {
			sizes = []int{deviceSize(name)}
		}
		for _, size := range sizes {
			base, err := taskOf(name, size)
			if err != nil {
				return err
			}
			channels, file := base.network().Shape().Channels, strings.ReplaceAll(name, "/", "")
			parameters := 0
			if len(o.Peers) > 0 {
				if base.Example, parameters, err = o.makeExample(ctx, scratch, base); err != nil {
					return err
				}
			}
			for _, rows := range o.Batches {
				c := Case{Name: fmt.Sprintf("%s-%d-device-step-%d", file, size, rows), What: Step, Network: name, Size: size, Channels: channels, Rows: rows, Device: true}
				all, err := o.contestants(base, c, pythons, scratch)
				if err != nil {
					return err
				}
				r.say("%s %d×%d, step of %d rows on the device:", name, size, size, rows)
				// One after another against the reference, so that what was measured is kept when one is cut short.
				for i := 2; i <= len(all); i++ {
					if err := r.race(ctx, c, all[:i], torch, parameters); err != nil {
						return err
					}
				}
			}
			for _, threads := range o.Threads {
				if o.Device {
					break
				}
				for _, what := range o.What {
					c := Case{What: what, Network: name, Size: size, Channels: channels, Rows: o.rows(what), OneCore: threads == "1"}
					c.Name = fmt.Sprintf("%s-%d-%s-%s", file, size, map[bool]string{true: "onecore", false: "allcores"}[c.OneCore], strings.ReplaceAll(what, "+", "p"))
					all, err := o.contestants(base, c, pythons, scratch)
					if err != nil {
						return err
					}
					r.say("%s %d×%d, %s of %d rows, %s:", name, size, size, what, c.Rows, coresOf(c))
					if err := r.race(ctx, c, all, torch, parameters); err != nil {
						return err
					}
				}
			}
			if base.Example != "" {
				if err := os.RemoveAll(base.Example); err != nil {
					return errors.WithStack(err)
				}
			}
		}
	}
	return nil
}

// load is how many processors were busy during the last two seconds, in which this program does nothing; -1 where that is not known.
func load() float64 {
	before, err := busy()
	if err != nil {
		return -1
	}
	const wait = 2
	time.Sleep(wait * time.Second)
	after, err := busy()
	if err != nil {
		return -1
	}
	return (after - before) / wait
}

// busy is how long the machine's processors have worked since it started, in seconds, all together, for whomever: a virtual
// machine's host, too, as far as it says so. It fails on other systems than Linux.
func busy() (float64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, errors.WithStack(err)
	}
	var user, nice, system, idle, disk, interrupts, soft, stolen float64
	if _, err := fmt.Sscanf(string(text), "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &disk, &interrupts, &soft, &stolen); err != nil {
		return 0, errors.Wrap(err, "/proc/stat")
	}
	const ticks = 100 // a second, in all that Linux tells programs
	return (user + nice + system + interrupts + soft + stolen) / ticks, nil
}

// rows is how many rows a case has.
func (o Options) rows(what string) int {
	switch what {
	case Step:
		return o.Batch
	case Forward:
		return o.Rows
	case Bound:
		return 256
	}
	return o.Samples
}

// mode is a way to run PyTorch, and the contestant's name in it.
type mode struct{ name, mode, compute string }

// contestants lists who takes part in a case.
func (o Options) contestants(base Task, c Case, pythons map[string]string, scratch string) ([]Contestant, error) {
	t := base
	t.What, t.Rows, t.Example = c.What, c.Rows, ""
	// What is kept from another process would hide the memory and the time that compilation takes.
	const compile = executables.Env + "=off"
	all := []Contestant{{Name: ours, Task: t, Command: o.Command, Env: []string{fastconv.Env + "=", compile}}}
	if !isDiT(c.Network) { // which has no convolutions
		all = append(all, Contestant{Name: oursXLA, Task: t, Command: o.Command, Env: []string{fastconv.Env + "=off", compile}})
	}
	if o.Device {
		all = nil
	}
	// In pure Go a larger network takes minutes a call, and sampling is forward calls.
	if !o.Device && strings.HasSuffix(c.Network, "tiny") && (c.What == Step || c.What == Forward) {
		all = append(all, Contestant{Name: oursGo, Task: t, Command: o.Command, Env: []string{compute.ConfigEnvVar + "=go"}})
	}
	if c.What == Bound {
		return all, nil
	}
	t, err := t.forPeers()
	if err != nil {
		return nil, err
	}
	t.Example = base.Example
	for _, peer := range o.Peers {
		command := []string{pythons[peer], filepath.Join(scratch, peer+"_peer.py")}
		if peer == jax {
			all = append(all, Contestant{Name: jax, Task: t, Command: command})
			continue
		}
		modes := []mode{{torch, "eager", ""}, {torchLast, "channels-last", ""}, {torchCompile, "compiled", ""}}
		if o.Device {
			t.Device = o.PeerDevice
			modes = modes[:1] // the reference, with which all others are compared
			for _, compute := range o.Compute {
				own := t
				own.UNet.Compute, own.Device, own.Example, own.Signal, own.Sigma = compute, "", "", nil, nil
				name := ours
				if compute == unet.BFloat16 {
					name = oursHalf
					modes = append(modes, []mode{{torchHalf, "channels-last", compute}, {torchBest, "compiled channels-last", compute}}...)
				} else {
					modes = append(modes, []mode{{torchLast, "channels-last", ""}, {torchCompile, "compiled", ""}}...)
				}
				all = append(all, Contestant{Name: name, Task: own, Command: o.Command}) // a card's memory is not the process's
			}
		}
		if isDiT(c.Network) {
			modes = slices.DeleteFunc(modes, func(m mode) bool { return m.name == torchLast }) // of convolutions
		}
		for _, v := range modes {
			t.Mode, t.Compute = v.mode, v.compute
			all = append(all, Contestant{Name: v.name, Task: t, Command: command})
		}
	}
	if o.Device { // the reference first, what compiles for long last
		slices.SortStableFunc(all, func(a, b Contestant) int { return rank(a) - rank(b) })
	}
	return all, nil
}

// rank is a contestant's place among those of a device.
func rank(c Contestant) int {
	switch {
	case c.Name == torch:
		return 0
	case strings.HasPrefix(c.Name, ours):
		return 1
	case strings.Contains(c.Task.Mode, "compiled"):
		return 3
	}
	return 2
}

//go:embed peers/*.py
var peerScripts embed.FS

// openPeers writes the peers' scripts to a folder and finds the Pythons that run them.
func (o Options) openPeers(ctx context.Context, dir string) (pythons map[string]string, err error) {
	pythons = map[string]string{}
	for _, peer := range o.Peers {
		if pythons[peer], err = o.Python(ctx, peer); err != nil {
			return nil, err
		}
	}
	files, err := peerScripts.ReadDir("peers")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	for _, f := range files {
		text, err := peerScripts.ReadFile("peers/" + f.Name())
		if err == nil {
			err = atomicfile.Write(filepath.Join(dir, f.Name()), text)
		}
		if err != nil {
			return nil, err
		}
	}
	return pythons, nil
}

// makeExample has our program write what peers are held to, and returns its folder and the network's number of parameters.
func (o Options) makeExample(ctx context.Context, scratch string, t Task) (dir string, parameters int, err error) {
	if dir, err = os.MkdirTemp(scratch, "example-"); err != nil {
		return "", 0, errors.WithStack(err)
	}
	t.What, t.Example, t.Rows = example, dir, 1
	e, r, err := startProcess(ctx, Contestant{Task: t, Command: o.Command}, false)
	if err != nil {
		return "", 0, errors.WithMessage(err, "making an output that peers are held to")
	}
	e.stop()
	return dir, r.Parameters, nil
}

// measureGrowth measures how the cost of a tiny network's step grows with one thing at a time.
func (o Options) measureGrowth(ctx context.Context, r *runner) error {
	for _, axis := range growthAxes {
		c := Case{Name: "growth-" + axis.name, Grows: axis.title, What: Step, Network: "tiny", Size: 16, Channels: 1, Rows: o.Batch}
		var all []Contestant
		for _, value := range axis.values {
			t, err := taskOf(c.Network, c.Size)
			if err != nil {
				return err
			}
			t.What, t.Rows, t.Growth = Step, c.Rows, &Growth{Tasks: 2, Buffer: 200}
			axis.set(&t, value)
			t.UNet.Classes = max(t.UNet.Classes, 2*t.Growth.Tasks)
			if err := t.UNet.Validate(); err != nil {
				return err
			}
			all = append(all, Contestant{Name: strconv.Itoa(value), Task: t, Command: o.Command})
		}
		r.say("growth with %s:", axis.title)
		if err := r.race(ctx, c, all, "", 0); err != nil {
			return err
		}
	}
	return nil
}

// growthAxes are the things that cost grows with.
var growthAxes = []struct {
	name, title string
	values      []int
	set         func(t *Task, value int)
}{
	{"batch", "rows of a step", []int{8, 16, 32, 64, 128}, func(t *Task, v int) { t.Rows = v }},
	{"width", "feature channels", []int{8, 16, 32, 64}, func(t *Task, v int) { t.UNet.Base = v }},
	{"resolution", "pixels a side", []int{8, 16, 32, 64}, func(t *Task, v int) { t.UNet.ImageSize = v }},
	{"tasks", "tasks learned", []int{1, 2, 5, 10, 20, 50, 100}, func(t *Task, v int) { t.Growth.Tasks = v }},
	{"buffer", "images in the buffer", []int{1e3, 1e4, 1e5, 1e6}, func(t *Task, v int) { t.Growth.Buffer = v }},
	{"penalties", "rank-1 penalties", []int{0, 1, 2, 4, 8, 16}, func(t *Task, v int) { t.Growth.Penalties, t.Growth.Tasks = v, 0 }},
}

// coresOf says on how many cores a case runs.
func coresOf(c Case) string {
	if c.Device {
		return "the device"
	}
	if c.OneCore {
		return "one core"
	}
	return "all cores"
}

// Markdown is the tables of a folder's results as Markdown: "perf", the comparison, or "growth".
func Markdown(all []*Result, name string) (string, error) {
	t, err := tableOf(all, name)
	if err != nil || t == nil {
		return notMeasured(name), err
	}
	return t.Markdown(), nil
}

// Text is [Markdown] for a terminal.
func Text(all []*Result, name string) (string, error) {
	t, err := tableOf(all, name)
	if err != nil || t == nil {
		return notMeasured(name), err
	}
	return t.String() + "\n", nil
}

// notMeasured says how the measurements of a table are made, where there are none.
func notMeasured(name string) string {
	if name == sectionGrowth {
		return "Not measured yet; `go run . perf --growth` does.\n"
	}
	return "Not measured yet; `go run . perf --peers torch,jax` does.\n"
}
