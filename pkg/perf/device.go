package perf

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/results"
	"palimpsest/pkg/table"
	"palimpsest/pkg/unet"
	"palimpsest/pkg/words"
)

// DeviceOptions say what [MeasureDevice] measures.
type DeviceOptions struct {
	Networks []string // names of unet.Preset
	Rows     []int    // of a training step, half of them replayed
	Compute  []string // of [unet.Config.Compute]
	Devices  []int    // that the step's rows are parted among
	Seconds  float64  // that each case is measured for
	Limit    time.Duration
	File     string // of the results, renewed after every case; what it has is not measured again
	Anew     bool

	Command []string // this program, answering one case: [ServeDevice]
	Origin  Origin
	Log     io.Writer
}

// DeviceDefaults are the settings of a GPU's measurements.
func DeviceDefaults() DeviceOptions {
	return DeviceOptions{Networks: []string{"tiny", "small", "ddpm"}, Rows: []int{32, 128, 512}, Compute: []string{unet.Float32, unet.BFloat16}, Devices: []int{1}, Seconds: 2, Limit: 5 * time.Minute}
}

// DeviceResult is what was measured of a device.
type DeviceResult struct {
	Schema   int          `json:"schema"`
	Origin   Origin       `json:"origin"`
	Measured []DeviceCase `json:"measured"`
}

// DeviceCase is one thing that was measured of a device, or is to be.
type DeviceCase struct {
	What    string  `json:"what"` // "step", of a training loop with replay, or "product", of two square matrices
	Network string  `json:"network,omitempty"`
	Size    int     `json:"size"` // pixels a side, or rows of a matrix
	Rows    int     `json:"rows,omitempty"`
	Compute string  `json:"compute"`           // "float32" or "bfloat16"
	Devices int     `json:"devices,omitempty"` // that the rows are parted among; 0: they are not
	For     float64 `json:"-"`

	Backend    string  `json:"backend,omitempty"`
	Device     string  `json:"device,omitempty"`
	Precision  string  `json:"precision,omitempty"`       // what computes convolutions, and how
	Prepare    float64 `json:"prepare_seconds,omitempty"` // start, compilation, the first calls
	Calls      int     `json:"calls,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`                // of a call: the median
	Slowest    float64 `json:"slowest_seconds,omitempty"`        // of a call
	Host       float64 `json:"host_seconds,omitempty"`           // of a call: what the device does not work, the median
	Work       float64 `json:"operations,omitempty"`             // floating-point operations of a call
	Up         int64   `json:"bytes_up,omitempty"`               // taken to the device, a call
	Down       int64   `json:"bytes_down,omitempty"`             // and back
	Memory     int64   `json:"device_memory_bytes,omitempty"`    // in use on the card, all of it; 0: not known
	HostMemory int64   `json:"host_memory_peak_bytes,omitempty"` // of the process
	Failed     string  `json:"failed,omitempty"`
}

// Kinds of device cases besides Step.
const product = "product"

// same says whether two cases ask for the same.
func (c DeviceCase) same(d DeviceCase) bool {
	return c.What == d.What && c.Network == d.Network && (c.What == product || c.Size == d.Size) && c.Rows == d.Rows && c.Compute == d.Compute && c.Devices == d.Devices
}

// deviceSize is the side of the images that a network is measured with.
func deviceSize(network string) int {
	if strings.HasSuffix(network, "tiny") {
		return 16
	}
	return 32
}

// cases lists what is to be measured, the yardsticks first.
func (o DeviceOptions) cases() []DeviceCase {
	list := []DeviceCase{{What: product, Compute: unet.Float32}, {What: product, Compute: unet.BFloat16}}
	for _, name := range o.Networks {
		for _, rows := range o.Rows {
			for _, compute := range o.Compute {
				for _, devices := range o.Devices {
					if devices == 1 {
						devices = 0
					}
					list = append(list, DeviceCase{What: Step, Network: name, Size: deviceSize(name), Rows: rows, Compute: compute, Devices: devices})
				}
			}
		}
	}
	return list
}

// MeasureDevice measures training steps on the device that the backend opens, and what the device reaches in a plain product
// of matrices. Each case has a process of its own, so that its memory is its own and one that hangs or dies ends alone.
func MeasureDevice(ctx context.Context, o DeviceOptions) (*DeviceResult, error) {
	for _, name := range o.Networks {
		if isDiT(name) {
			return nil, experiment.Refusef("--networks has %s; --device measures U-Nets alone, leave it out", name)
		}
		if _, err := unetOf(name, deviceSize(name)); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(o.Rows, func(rows int) bool { return rows < 2 || rows%2 != 0 || rows > 1<<16 }) {
		return nil, experiment.Refusef("--rows-of-steps is %v; need even numbers from 2 to %d, for half of them are replayed", o.Rows, 1<<16)
	}
	if i := slices.IndexFunc(o.Compute, func(c string) bool { return c != unet.Float32 && c != unet.BFloat16 }); i >= 0 || len(o.Compute) == 0 {
		return nil, experiment.Refusef("--compute is %q; need %q, %q or both", o.Compute, unet.Float32, unet.BFloat16)
	}
	if len(o.Devices) == 0 || slices.Min(o.Devices) < 1 {
		return nil, experiment.Refusef("--devices is %v; need numbers from 1 on, such as 1,2,4", o.Devices)
	}
	if !(o.Seconds > 0 && o.Seconds <= 3600) {
		return nil, experiment.Refusef("--seconds is %g; need more than 0 and at most 3600", o.Seconds)
	}
	if err := os.MkdirAll(filepath.Dir(o.File), 0o755); err != nil {
		return nil, errors.WithStack(err)
	}
	r := &DeviceResult{Schema: Schema, Origin: o.Origin}
	if !o.Anew {
		if err := r.load(o.File); err != nil {
			return nil, err
		}
	}
	for _, c := range o.cases() {
		i := slices.IndexFunc(r.Measured, c.same)
		if i >= 0 && r.Measured[i].Failed == "" {
			continue
		}
		c.For = o.Seconds
		got := o.one(ctx, c)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if i >= 0 {
			r.Measured[i] = got
		} else {
			r.Measured = append(r.Measured, got)
		}
		fmt.Fprintln(o.Log, "  "+got.line())
		data, err := json.MarshalIndent(r, "", " ")
		if err == nil {
			err = atomicfile.Write(o.File, append(data, '\n'))
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// load takes over what a file has, where there is one.
func (r *DeviceResult) load(file string) error {
	stored, err := LoadDevice(filepath.Dir(file))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if have, now := stored.Origin, r.Origin; have.Commit != now.Commit || have.Machine.CPU != now.Machine.CPU || have.Machine.GPU != now.Machine.GPU {
		return errors.Errorf("%s was measured at commit %.12s on %s; this is %.12s on %s: measure --anew, or into another --store", file,
			have.Commit, cmp.Or(have.Machine.GPU, have.Machine.CPU), now.Commit, cmp.Or(now.Machine.GPU, now.Machine.CPU))
	}
	*r = *stored
	return nil
}

// one measures a case in a process of its own.
func (o DeviceOptions) one(ctx context.Context, c DeviceCase) DeviceCase {
	limited, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	question, err := json.Marshal(deviceQuestion{c, c.For})
	if err != nil {
		c.Failed = err.Error()
		return c
	}
	var answer bytes.Buffer
	var tail oneline.Tail
	cmd := exec.CommandContext(limited, o.Command[0], o.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(question), &answer, &tail, 5*time.Second
	err = cmd.Run()
	got := c
	if bad := json.Unmarshal(answer.Bytes(), &got); bad != nil && err == nil {
		err = errors.Wrap(bad, "its answer")
	}
	switch {
	case limited.Err() != nil:
		got.Failed = fmt.Sprintf("not done after %v", o.Limit)
	case err != nil:
		got.Failed = oneline.Text(cmp.Or(tail.Last(), err.Error()))
	}
	if got.Failed != "" {
		fmt.Fprint(o.Log, tail.String())
	}
	return got
}

// deviceQuestion is what the process of a case is asked.
type deviceQuestion struct {
	DeviceCase
	For float64 `json:"for"`
}

// step names a case of a training step.
func (c DeviceCase) step() string {
	name := fmt.Sprintf("%s %d×%d, %d rows, %s", c.Network, c.Size, c.Size, c.Rows, c.Compute)
	if c.Devices > 0 {
		name += ", " + words.Count(c.Devices, "device")
	}
	return name
}

// line says a case in one line.
func (c DeviceCase) line() string {
	name := fmt.Sprintf("%s, %s", c.What, c.Compute)
	if c.What == Step {
		name = c.step()
	}
	if c.Failed != "" {
		return name + ": failed: " + c.Failed
	}
	text := fmt.Sprintf("%s: %s a call, %.2f TFLOP/s", name, seconds(c.Seconds), c.Work/c.Seconds/1e12)
	if c.What == Step {
		text += fmt.Sprintf(", %.0f images/s, host %.1f %%", float64(c.Rows)/c.Seconds, 100*c.Host/c.Seconds)
	}
	return text + fmt.Sprintf(" (ready after %.0f s)", c.Prepare)
}

// ServeDevice measures the case that it reads and writes it with what was measured.
func ServeDevice(ctx context.Context, in io.Reader, out io.Writer) error {
	var q deviceQuestion
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return errors.Wrap(err, "reading the case")
	}
	c := q.DeviceCase
	start := time.Now()
	opened, choice, err := backend.Open()
	if err == nil {
		err = notAsked(choice)
	}
	if err != nil {
		return err
	}
	onCard := !strings.Contains(choice.Name, "cpu") && strings.Contains(strings.ToLower(choice.Config), "cuda")
	over := count(opened)
	c.Backend, c.Precision, c.Device = choice.Portable(), choice.Convolutions, over.DeviceDescription(0)
	var call func() (done int, err error)
	switch c.What {
	case Step:
		call, err = c.stepOfLoop(over)
	case product:
		call, err = c.products(over, onCard)
	default:
		err = errors.Errorf("perf: a device has no %q", c.What)
	}
	if err != nil {
		return err
	}
	for range 3 { // the first compiles
		if _, err := call(); err != nil {
			return err
		}
	}
	c.Prepare = micro(time.Since(start).Seconds())
	before := over.traffic.soFar()
	var walls, hosts []float64 // of one call each, or the mean over those that were done in one go
	for begin := time.Now(); len(walls) < 5 || time.Since(begin).Seconds() < q.For && len(walls) < 10000; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		running, start := over.traffic.soFar().running, time.Now()
		done, err := call()
		if err != nil {
			return err
		}
		wall := time.Since(start)
		each := func(d time.Duration) float64 { return d.Seconds() / float64(done) }
		walls, hosts = append(walls, each(wall)), append(hosts, each(wall-(over.traffic.soFar().running-running)))
		c.Calls += done
	}
	after := over.traffic.soFar()
	c.Up, c.Down = (after.up-before.up)/int64(c.Calls), (after.down-before.down)/int64(c.Calls)
	if c.Memory, err = cardMemory(ctx, onCard); err != nil {
		return err
	}
	c.Seconds, c.Slowest, c.Host, c.HostMemory = quantile(walls, 0.5), slices.Max(walls), quantile(hosts, 0.5), host.PeakMemory()
	return json.NewEncoder(out).Encode(c)
}

// stepOfLoop is a step of experience replay on images of noise: all that a run does between two evaluations.
func (c *DeviceCase) stepOfLoop(over *counted) (func() (int, error), error) {
	u, err := unetOf(c.Network, c.Size)
	if err != nil {
		return nil, err
	}
	u.Compute = c.Compute
	p, err := diffusion.New(quickProcess)
	if err != nil {
		return nil, err
	}
	n, err := diffusion.NewNetwork(over, p, u, quickTrain, 0)
	if err != nil {
		return nil, err
	}
	if err := n.Spread(max(1, c.Devices)); err != nil {
		return nil, err
	}
	bench := synthetic(Task{UNet: u, Growth: &Growth{Tasks: 2, Buffer: 200}})
	strategy := cl.NewER()
	strategy.Buffer = 200
	config := cl.LoopConfig{FreshRows: c.Rows / 2, ReplayRows: c.Rows / 2, StepsPerTask: 1 << 30}
	loop, err := cl.NewLoop(n, bench, strategy, config, cl.Setup{})
	if err != nil {
		return nil, err
	}
	if err := strategy.EndTask(0, bench.Tasks[0].Train); err != nil {
		return nil, err
	}
	loop.Position.Phase = 1
	c.Work = 3 * float64(c.Rows) * u.Work()
	seconds := 0. // a step
	return func() (int, error) {
		start := time.Now()
		row, err := loop.Steps(loop.Stride(seconds))
		if err == nil && loop.Position.Total > 1 { // the first compiles
			seconds = time.Since(start).Seconds() / float64(len(row))
		}
		return len(row), err
	}, nil
}

// products is a chain of products of square matrices of random numbers, as large as a card needs to be busy: zeros would be
// faster than real data.
func (c *DeviceCase) products(over *counted, onCard bool) (func() (int, error), error) {
	const chain = 8
	if c.Size == 0 {
		if c.Size = 512; onCard {
			c.Size = 8192
		}
	}
	dtype := map[string]dtypes.DType{unet.Float32: dtypes.Float32, unet.BFloat16: dtypes.BFloat16}[c.Compute]
	if dtype == dtypes.InvalidDType {
		return nil, errors.Errorf("perf: no products in %q", c.Compute)
	}
	c.Work = 2 * chain * float64(c.Size) * float64(c.Size) * float64(c.Size)
	draw, err := NewExec(over, func(g *Graph) []*Node {
		rng := Const(g, []uint64{1, 2, 3})
		var all []*Node
		for range 2 {
			var x *Node
			rng, x = RandomNormal(rng, shapes.Make(dtypes.Float32, c.Size, c.Size))
			// Variance 1/size, so that the products neither grow nor fade.
			all = append(all, ConvertDType(MulScalar(x, 1/math.Sqrt(float64(c.Size))), dtype))
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	matrices, err := draw.Call()
	if err != nil {
		return nil, err
	}
	multiply, err := NewExec(over, func(x, y *Node) []*Node {
		for range chain {
			x = Dot(x, y).Product()
		}
		return []*Node{x, ConvertDType(Slice(x, AxisRange(0, 1), AxisRange(0, 1)), dtypes.Float32)}
	})
	if err != nil {
		return nil, err
	}
	return func() (int, error) {
		out, err := multiply.Call(matrices[0], matrices[1])
		if err != nil {
			return 0, err
		}
		defer func() {
			for _, t := range out {
				t.MustFinalizeAll()
			}
		}()
		some, err := tensors.CopyFlatData[float32](out[1])
		if err == nil && !(some[0]*some[0] > 0) {
			err = errors.Errorf("a product of random matrices is %g", some[0])
		}
		return 1, err
	}, nil
}

// cardMemory is what is in use on the first NVIDIA card, by all processes, in bytes; 0 where that is not known.
func cardMemory(ctx context.Context, onCard bool) (int64, error) {
	if !onCard {
		return 0, nil
	}
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0").Output()
	if err != nil {
		return 0, ctx.Err()
	}
	mib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return 0, nil
	}
	return mib << 20, nil
}

// Text is the results as a table for a terminal.
func (r *DeviceResult) Text() string { return r.table().String() + "\n" }

// Markdown is the results as a table for a page.
func (r *DeviceResult) Markdown() string { return r.table().Markdown() }

// LoadDevice reads what a store has of a device.
func LoadDevice(store string) (*DeviceResult, error) {
	data, err := atomicfile.Read(DeviceFile(store), 64<<20)
	if err != nil {
		return nil, err
	}
	if err := results.CheckSchema(data, Schema); err != nil {
		return nil, errors.WithMessage(err, DeviceFile(store))
	}
	r := new(DeviceResult)
	if err := json.Unmarshal(data, r); err != nil || r.Schema != Schema {
		return nil, errors.Errorf("%s holds no measurements of a device that this version reads (%v); measure again with perf --device --anew", DeviceFile(store), err)
	}
	return r, nil
}

func (r *DeviceResult) table() *table.Table {
	best := map[string]float64{}
	for _, c := range r.Measured {
		if c.What == product && c.Failed == "" {
			best[c.Compute] = max(best[c.Compute], c.Work/c.Seconds)
		}
	}
	t := &table.Table{Head: "step"}
	columns := []table.Column{{Head: "images/s", Arrow: "↑"}, {Head: "step", Unit: "ms", Arrow: "↓"}, {Head: "TFLOP/s", Arrow: "↑"},
		{Head: "of a product's", Unit: "%", Arrow: "↑"}, {Head: "host", Unit: "%", Arrow: "↓"}, {Head: "up", Unit: "KiB"}, {Head: "down", Unit: "KiB"},
		{Head: "card", Unit: "MiB", Arrow: "↓"}, {Head: "ready", Unit: "s", Arrow: "↓"}}
	for _, c := range r.Measured {
		if c.What != Step {
			continue
		}
		t.Rows = append(t.Rows, c.step())
		values := []string{}
		if c.Failed == "" {
			share := "–"
			if best[c.Compute] > 0 {
				share = fmt.Sprintf("%.1f", 100*c.Work/c.Seconds/best[c.Compute]/float64(max(1, c.Devices)))
			}
			values = []string{fmt.Sprintf("%.0f", float64(c.Rows)/c.Seconds), fmt.Sprintf("%.3g", 1e3*c.Seconds), fmt.Sprintf("%.3g", c.Work/c.Seconds/1e12),
				share, fmt.Sprintf("%.1f", 100*c.Host/c.Seconds), fmt.Sprintf("%.1f", float64(c.Up)/1024), fmt.Sprintf("%.1f", float64(c.Down)/1024),
				fmt.Sprint(c.Memory >> 20), fmt.Sprintf("%.0f", c.Prepare)}
		}
		for i := range columns {
			cell := missing()
			if i < len(values) {
				cell = table.Cell{Text: values[i]}
			}
			columns[i].Cells = append(columns[i].Cells, cell)
		}
	}
	t.Sections = []table.Section{{Title: "training steps, experience replay", Columns: columns}}
	for _, c := range r.Measured {
		switch {
		case c.Failed != "":
			t.Warnings = append(t.Warnings, c.line())
		case c.What == product:
			t.Notes = append(t.Notes, fmt.Sprintf("Product of %d×%d matrices, %s: %.4g TFLOP/s (%s; convolutions: %s).", c.Size, c.Size, c.Compute,
				c.Work/c.Seconds/1e12, c.Device, cmp.Or(c.Precision, "XLA's own")))
		}
	}
	t.Notes = append(t.Notes, "Host: share of a step in which no program runs. Up, down: bytes moved a step. Card: memory in use on it, all of it.")
	o := r.Origin
	t.Notes = append(t.Notes, fmt.Sprintf("Machine: %s, %d cores beside it; commit %.12s.", cmp.Or(o.Machine.GPU, o.Machine.CPU), o.Machine.Cores, o.Commit))
	return t
}

// deviceFile is the name of the results of a store's device.
const deviceFile = "device.json"

// DeviceFile is where the results of a store's device lie.
func DeviceFile(store string) string { return filepath.Join(store, deviceFile) }
