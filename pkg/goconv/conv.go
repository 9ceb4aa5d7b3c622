package goconv

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapeinference"
	"github.com/pkg/errors"
)

// maxTaps keeps a graph small: each tap is a slice.
const maxTaps = 128

// maxMatrix is the size in bytes above which the matrix of all taps is not built: it is kept from the forward pass to the
// backward pass, and there is one a convolution. A variable for tests.
var maxMatrix = 64 << 20

// ConvGeneral implements compute.Function.
func (f *function) ConvGeneral(input, kernel compute.Value, axes compute.ConvolveAxesConfig, strides []int, paddings [][2]int,
	inputDilations, kernelDilations []int, channelGroups, batchGroups int) (compute.Value, error) {
	plain := func() (compute.Value, error) {
		return f.Function.ConvGeneral(input, kernel, axes, strides, paddings, inputDilations, kernelDilations, channelGroups, batchGroups)
	}
	if channelGroups > 1 || batchGroups > 1 {
		return plain()
	}
	c, ok, err := f.plan(input, kernel, axes, strides, paddings, inputDilations, kernelDilations)
	if err != nil {
		return nil, err
	}
	if !ok {
		return plain()
	}
	b := &chain{f: f}
	y := b.convolve(c, input, kernel, axes)
	return y, b.err
}

// conv is what a convolution comes to on two axes.
type conv struct {
	dtype          dtypes.DType
	bytes          int    // of an element
	batch, in, out int    // images, channels in, channels out
	side           [2]int // of the input
	window, result [2]int // sides of the kernel and of the output
	low, high      [2]int // zeros before and after
	stride         [2]int
	dilation       [2]int // of the kernel
	spread         [2]int // of the input: zeros between pixels are one less
}

// plan reads a convolution; ok is false where it is to stay the backend's own.
func (f *function) plan(input, kernel compute.Value, axes compute.ConvolveAxesConfig, strides []int, paddings [][2]int,
	inputDilations, kernelDilations []int) (c conv, ok bool, err error) {
	x, err := f.Shape(input)
	if err != nil {
		return c, false, err
	}
	w, err := f.Shape(kernel)
	if err != nil {
		return c, false, err
	}
	if _, err := shapeinference.ConvGeneral(x, w, axes, strides, paddings, inputDilations, kernelDilations, 1, 1); err != nil {
		return c, false, err
	}
	if x.Rank() != 4 || w.Rank() != 4 || len(axes.InputSpatial) != 2 || len(axes.KernelSpatial) != 2 || len(axes.OutputSpatial) != 2 ||
		x.IsDynamic() || w.IsDynamic() || x.DType != w.DType || x.DType != dtypes.Float32 && x.DType != dtypes.Float64 {
		return c, false, nil
	}
	c.dtype, c.bytes = x.DType, x.DType.Size()
	c.batch, c.in, c.out = x.Dimensions[axes.InputBatch], x.Dimensions[axes.InputChannels], w.Dimensions[axes.KernelOutputChannels]
	at := func(values []int, i int) int {
		if len(values) == 0 {
			return 1
		}
		return max(values[i], 1)
	}
	for i := range 2 {
		c.side[i], c.window[i] = x.Dimensions[axes.InputSpatial[i]], w.Dimensions[axes.KernelSpatial[i]]
		c.stride[i], c.dilation[i], c.spread[i] = at(strides, i), at(kernelDilations, i), at(inputDilations, i)
		var pad [2]int
		if len(paddings) > 0 {
			pad = paddings[i]
		}
		spread := (c.side[i]-1)*c.spread[i] + 1
		reach := (c.window[i]-1)*c.dilation[i] + 1
		room := pad[0] + spread + pad[1] - reach
		if pad[0] < 0 || pad[1] < 0 || c.side[i] < 1 || c.window[i] < 1 || room < 0 {
			return c, false, nil
		}
		c.result[i] = room/c.stride[i] + 1
		// No more zeros than are read: so this is the same for a convolution and its gradient by the kernel.
		c.low[i] = pad[0]
		c.high[i] = max(0, (c.result[i]-1)*c.stride[i]+reach-pad[0]-spread)
	}
	taps := min(c.window[0]*c.window[1], c.result[0]*c.result[1])
	return c, taps <= maxTaps && c.batch*c.in*c.out > 0, nil
}

// convolve builds the operations of c.
func (b *chain) convolve(c conv, input, kernel compute.Value, axes compute.ConvolveAxesConfig) compute.Value {
	// swapped: the taps are the outputs, as in a gradient by the kernel.
	swapped := c.window[0]*c.window[1] > c.result[0]*c.result[1]
	spatial := axes.InputSpatial
	if swapped {
		return b.swapped(c, b.transpose(input, axes.InputChannels, spatial[0], spatial[1], axes.InputBatch), kernel, axes)
	}
	x := b.transpose(input, axes.InputBatch, spatial[0], spatial[1], axes.InputChannels)
	w := b.transpose(kernel, axes.KernelSpatial[0], axes.KernelSpatial[1], axes.KernelInputChannels, axes.KernelOutputChannels)
	pixels, taps := c.batch*c.result[0]*c.result[1], c.window[0]*c.window[1]
	var y compute.Value
	slices := slicing{c.window, c.result, c.dilation, c.stride}
	if pixels*taps*c.in*c.bytes <= maxMatrix {
		matrix := b.reshape(b.join(b.slices(c, x, slices), 3), pixels, taps*c.in)
		y = b.dot(matrix, b.reshape(w, taps*c.in, c.out))
	} else {
		w = b.reshape(w, taps, c.in*c.out)
		for tap := range taps {
			part := b.dot(b.reshape(b.slice(c, b.after(x, y), slices, tap), pixels, c.in),
				b.reshape(b.row(w, tap, c.in*c.out), c.in, c.out))
			y = b.add(y, part)
		}
	}
	y = b.reshape(y, c.batch, c.result[0], c.result[1], c.out)
	return b.place(y, axes.OutputBatch, axes.OutputSpatial[0], axes.OutputSpatial[1], axes.OutputChannels)
}

// swapped builds the operations of c where x is [channels in, height, width, images]: the slices are one an output pixel.
func (b *chain) swapped(c conv, x, kernel compute.Value, axes compute.ConvolveAxesConfig) compute.Value {
	w := b.transpose(kernel, axes.KernelOutputChannels, axes.KernelInputChannels, axes.KernelSpatial[0], axes.KernelSpatial[1])
	pixels, taps := c.in*c.window[0]*c.window[1], c.result[0]*c.result[1]
	w = b.reshape(w, c.out, pixels)
	slices := slicing{c.result, c.window, c.stride, c.dilation}
	var y compute.Value
	if pixels*taps*c.batch*c.bytes <= maxMatrix {
		// The large factor stays in its order; turning it round would cost more than the product.
		y = b.dot(w, b.reshape(b.join(b.slices(c, x, slices), 3), pixels, taps*c.batch))
	} else {
		var parts []compute.Value
		for tap := range taps {
			var before compute.Value
			if tap > 0 {
				before = parts[tap-1]
			}
			part := b.dot(w, b.reshape(b.slice(c, b.after(x, before), slices, tap), pixels, c.batch))
			parts = append(parts, part)
		}
		y = b.join(parts, 1)
	}
	y = b.reshape(y, c.out, c.result[0], c.result[1], c.batch)
	return b.place(y, axes.OutputChannels, axes.OutputSpatial[0], axes.OutputSpatial[1], axes.OutputBatch)
}

// slicing says where the slices of taps lie: tap (i, j) begins at (i, j)·shift and takes every step-th of size pixels.
type slicing struct{ taps, size, shift, step [2]int }

// chain builds operations one after another and keeps the first error.
type chain struct {
	f   *function
	err error
}

// do runs op unless an operation before it failed.
func (b *chain) do(op func() (compute.Value, error)) compute.Value {
	if b.err != nil {
		return nil
	}
	v, err := op()
	b.err = errors.WithMessage(err, "an operation built out of others for pure Go")
	return v
}

// slices returns the slices of all taps of x, whose axes 1 and 2 are the image's.
func (b *chain) slices(c conv, x compute.Value, s slicing) []compute.Value {
	padded := b.pad(c, x)
	var out []compute.Value
	for tap := range s.taps[0] * s.taps[1] {
		out = append(out, b.sliceOf(padded, s, tap))
	}
	return out
}

func (b *chain) slice(c conv, x compute.Value, s slicing, tap int) compute.Value {
	return b.sliceOf(b.pad(c, x), s, tap)
}

func (b *chain) sliceOf(padded compute.Value, s slicing, tap int) compute.Value {
	return b.do(func() (compute.Value, error) {
		shape, err := b.f.Shape(padded)
		if err != nil {
			return nil, err
		}
		starts, limits, steps := make([]int, 4), slices.Clone(shape.Dimensions), []int{1, 1, 1, 1}
		for i, at := range [2]int{tap / s.taps[1], tap % s.taps[1]} {
			starts[1+i], steps[1+i] = at*s.shift[i], s.step[i]
			limits[1+i] = starts[1+i] + (s.size[i]-1)*s.step[i] + 1
		}
		return b.f.Slice(padded, starts, limits, steps)
	})
}

// pad puts c's zeros around and between the pixels of x.
func (b *chain) pad(c conv, x compute.Value) compute.Value {
	config := make([]compute.PadAxis, 4)
	needed := false
	for i := range 2 {
		config[1+i] = compute.PadAxis{Start: c.low[i], End: c.high[i], Interior: c.spread[i] - 1}
		needed = needed || config[1+i] != compute.PadAxis{}
	}
	if !needed {
		return x
	}
	return b.do(func() (compute.Value, error) {
		fill, err := b.f.zero(c.dtype)
		if err != nil {
			return nil, err
		}
		return b.f.Pad(x, fill, config...)
	})
}

// after returns x, computed after the value before where there is one: so that no two taps take memory at once.
func (b *chain) after(x, before compute.Value) compute.Value {
	if before == nil {
		return x
	}
	return b.do(func() (compute.Value, error) { return b.f.SchedulingBarrier(x, before) })
}

// transpose returns x with the given axes in their order.
func (b *chain) transpose(x compute.Value, axes ...int) compute.Value {
	if slices.IsSorted(axes) {
		return x
	}
	return b.do(func() (compute.Value, error) { return b.f.Transpose(x, axes...) })
}

// place returns x with its axes moved to where positions says.
func (b *chain) place(x compute.Value, positions ...int) compute.Value {
	axes := make([]int, len(positions))
	for axis, position := range positions {
		axes[position] = axis
	}
	return b.transpose(x, axes...)
}

func (b *chain) reshape(x compute.Value, dims ...int) compute.Value {
	return b.do(func() (compute.Value, error) { return b.f.Reshape(x, dims...) })
}

// row returns row i of the matrix w with n columns.
func (b *chain) row(w compute.Value, i, n int) compute.Value {
	return b.do(func() (compute.Value, error) { return b.f.Slice(w, []int{i, 0}, []int{i + 1, n}, []int{1, 1}) })
}

func (b *chain) join(parts []compute.Value, axis int) compute.Value {
	if len(parts) == 1 {
		return parts[0]
	}
	return b.do(func() (compute.Value, error) { return b.f.Concatenate(axis, parts...) })
}

// dot returns the product of two matrices.
func (b *chain) dot(x, y compute.Value) compute.Value {
	return b.do(func() (compute.Value, error) {
		return b.f.DotGeneral(x, []int{1}, nil, y, []int{0}, nil, compute.DotGeneralConfig{})
	})
}

// add returns sum + x, x where there is no sum yet.
func (b *chain) add(sum, x compute.Value) compute.Value {
	if sum == nil {
		return x
	}
	return b.do(func() (compute.Value, error) { return b.f.Add(sum, x) })
}

// zero returns the function's constant 0 of a type, one node for all: the backend takes two operations for one where they
// have the same inputs.
func (f *function) zero(dtype dtypes.DType) (compute.Value, error) {
	if v, ok := f.zeros[dtype]; ok {
		return v, nil
	}
	var flat any = []float32{0}
	if dtype == dtypes.Float64 {
		flat = []float64{0}
	}
	v, err := f.Constant(flat)
	if err != nil {
		return nil, err
	}
	f.zeros[dtype] = v
	return v, nil
}
