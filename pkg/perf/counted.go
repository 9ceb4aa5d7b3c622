package perf

import (
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// traffic is what went through a backend.
type traffic struct {
	sync.Mutex
	counts
	now   int       // programs that run
	since time.Time // when the first of them started
}

// run counts a program while it runs.
func (t *traffic) run(program func()) {
	t.Lock()
	if t.now++; t.now == 1 {
		t.since = time.Now()
	}
	t.Unlock()
	program()
	t.Lock()
	defer t.Unlock()
	t.programs++
	if t.now--; t.now == 0 {
		t.running += time.Since(t.since)
	}
}

// add adds to the counts.
func (t *traffic) add(what func(*counts)) {
	t.Lock()
	defer t.Unlock()
	what(&t.counts)
}

// soFar is what was counted until now.
func (t *traffic) soFar() counts {
	t.Lock()
	defer t.Unlock()
	return t.counts
}

type counts struct {
	programs int           // run
	running  time.Duration // in which there were programs between their start and the moment at which the device had ended them
	up, down int64         // bytes of arrays taken to the device and back
}

// counted lays a count over a backend. XLA's programs end before their calls return (go-xla waits), so that the rest of the
// time is the host's alone.
type counted struct {
	compute.Backend
	traffic *traffic
}

func count(b compute.Backend) *counted { return &counted{b, new(traffic)} }

// Unwrap shows package fastconv what lies below.
func (c *counted) Unwrap() compute.Backend { return c.Backend }

func (c *counted) Builder(name string) compute.Builder {
	return &countedBuilder{c.Backend.Builder(name), c}
}

func (c *counted) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	inner, err := c.Backend.BufferFromFlatData(device, flat, shape)
	if err != nil {
		return nil, err
	}
	c.traffic.add(func(n *counts) { n.up += shape.ByteSize() })
	return &countedBuffer{inner, c}, nil
}

func (c *counted) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	inner, flat, err := c.Backend.NewSharedBuffer(device, shape)
	if err != nil {
		return nil, nil, err
	}
	c.traffic.add(func(n *counts) { n.up += shape.ByteSize() })
	return &countedBuffer{inner, c}, flat, nil
}

// countedBuffer names the upper backend as its own: GoMLX refuses a tensor that another backend holds.
type countedBuffer struct {
	compute.Buffer
	counted *counted
}

func (b *countedBuffer) Backend() compute.Backend { return b.counted }

func (b *countedBuffer) ToFlatData(flat any) error {
	b.read()
	return b.Buffer.ToFlatData(flat)
}

func (b *countedBuffer) Data() (any, error) {
	b.read()
	return b.Buffer.Data()
}

func (b *countedBuffer) read() {
	if shape, err := b.Shape(); err == nil { // else the reading fails too
		b.counted.traffic.add(func(n *counts) { n.down += shape.ByteSize() })
	}
}

func (b *countedBuffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	inner, err := b.Buffer.CopyToDevice(device)
	if err != nil {
		return nil, err
	}
	return &countedBuffer{inner, b.counted}, nil
}

type countedBuilder struct {
	compute.Builder
	counted *counted
}

func (b *countedBuilder) Compile() (compute.Executable, error) {
	inner, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	return &countedExecutable{inner, b.counted}, nil
}

type countedExecutable struct {
	compute.Executable
	counted *counted
}

func (e *countedExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	for i, input := range inputs {
		if over, ok := input.(*countedBuffer); ok {
			input = over.Buffer
		}
		inner[i] = input // one of another backend is refused below
	}
	var outputs []compute.Buffer
	var err error
	e.counted.traffic.run(func() { outputs, err = e.Executable.Execute(inner, donate, device) })
	if err != nil {
		return nil, err
	}
	for i, output := range outputs {
		outputs[i] = &countedBuffer{output, e.counted}
	}
	return outputs, nil
}
