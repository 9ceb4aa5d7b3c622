package goconv

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// Wrap returns inner, a pure-Go backend of GoMLX, with its convolutions turned into matrix products. What inner computes
// otherwise, its buffers and its settings stay.
func Wrap(inner compute.Backend) compute.Backend { return &backend{inner} }

type backend struct{ compute.Backend }

func (b *backend) Builder(name string) compute.Builder {
	inner := &builder{Builder: b.Backend.Builder(name), backend: b}
	inner.main = inner.wrap(inner.Builder.Main(), nil)
	return inner
}

func (b *backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	inner, err := b.Backend.BufferFromFlatData(device, flat, shape)
	if err != nil {
		return nil, err
	}
	return &buffer{inner, b}, nil
}

func (b *backend) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	inner, flat, err := b.Backend.NewSharedBuffer(device, shape)
	if err != nil {
		return nil, nil, err
	}
	return &buffer{inner, b}, flat, nil
}

// buffer is one of the backend's that names the wrapped backend as its own: GoMLX refuses a tensor that another backend holds.
type buffer struct {
	compute.Buffer
	backend *backend
}

func (b *buffer) Backend() compute.Backend { return b.backend }

func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	inner, err := b.Buffer.CopyToDevice(device)
	if err != nil {
		return nil, err
	}
	return &buffer{inner, b.backend}, nil
}

// executable wraps the buffers that come out and unwraps those that go in.
type executable struct {
	compute.Executable
	backend *backend
}

func (e *executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	inner := make([]compute.Buffer, len(inputs))
	for i, input := range inputs {
		if wrapped, ok := input.(*buffer); ok {
			inner[i] = wrapped.Buffer
		} else {
			inner[i] = input // the backend says what is wrong
		}
	}
	outputs, err := e.Executable.Execute(inner, donate, device)
	if err != nil {
		return nil, err
	}
	for i, output := range outputs {
		outputs[i] = &buffer{output, e.backend}
	}
	return outputs, nil
}

// builder wraps the functions of a computation, and what it is compiled to.
type builder struct {
	compute.Builder
	backend *backend
	main    *function
}

func (b *builder) Main() compute.Function { return b.main }

func (b *builder) NewFunction(name string) (compute.Function, error) {
	f, err := b.Builder.NewFunction(name)
	if err != nil {
		return nil, err
	}
	return b.wrap(f, nil), nil
}

func (b *builder) Compile() (compute.Executable, error) {
	inner, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	return &executable{inner, b.backend}, nil
}

func (b *builder) wrap(f, parent compute.Function) *function {
	return &function{Function: f, builder: b, parent: parent, zeros: map[dtypes.DType]compute.Value{}}
}

// function replaces ConvGeneral. The other methods hand the backend its own functions where it expects functions.
type function struct {
	compute.Function
	builder *builder
	parent  compute.Function
	zeros   map[dtypes.DType]compute.Value
}

func (f *function) Builder() compute.Builder { return f.builder }

func (f *function) Parent() compute.Function { return f.parent }

func (f *function) Closure() (compute.Function, error) {
	c, err := f.Function.Closure()
	if err != nil {
		return nil, err
	}
	return f.builder.wrap(c, f), nil
}

func (f *function) Call(callee compute.Function, inputs ...compute.Value) ([]compute.Value, error) {
	return f.Function.Call(unwrap(callee), inputs...)
}

func (f *function) Sort(comparator compute.Function, axis int, isStable bool, inputs ...compute.Value) ([]compute.Value, error) {
	return f.Function.Sort(unwrap(comparator), axis, isStable, inputs...)
}

func (f *function) While(cond, body compute.Function, state ...compute.Value) ([]compute.Value, error) {
	return f.Function.While(unwrap(cond), unwrap(body), state...)
}

func (f *function) If(pred compute.Value, onTrue, onFalse compute.Function) ([]compute.Value, error) {
	return f.Function.If(pred, unwrap(onTrue), unwrap(onFalse))
}

func unwrap(f compute.Function) compute.Function {
	if wrapped, ok := f.(*function); ok {
		return wrapped.Function
	}
	return f
}
