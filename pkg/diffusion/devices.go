package diffusion

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// rowsAxis is the one axis of the mesh of devices, along which the rows of a step are parted.
const rowsAxis = "rows"

// Spread has the training step compute on the first devices of the network's backend, each on as many of the step's rows:
// every device holds all weights and the optimiser's state, and the sums over rows, of which loss and gradient are made, run
// over the rows of all. The step's program is the one of a single device, partitioned by XLA; so its results are the same but
// for the order in which they are summed. Rows that do not divide evenly are filled up with some of no weight. All else that
// a network computes (predictions, samples, importances) stays on the first device.
//
// It is for before the first [Network.Step]. It fails where the backend has fewer devices.
func (n *Network) Spread(devices int) error {
	if err := n.open(); err != nil {
		return err
	}
	have := n.backend.NumDevices()
	switch {
	case devices < 1 || devices > have:
		return errors.Errorf("diffusion: a step on %d devices of a backend that has %d; need 1 to %d", devices, have, have)
	case n.stepped:
		return errors.Errorf("diffusion: spreading over %d devices after the first step; call Spread right after NewNetwork", devices)
	case n.mesh != nil:
		return errors.Errorf("diffusion: spread over %d devices already, now over %d; call Spread once", n.mesh.NumDevices(), devices)
	case devices == 1:
		return nil
	}
	mesh, err := distributed.NewDeviceMesh([]int{devices}, []string{rowsAxis})
	if err != nil {
		return err
	}
	n.mesh = mesh
	n.step.AutoSharding(mesh).WithOutputShardingSpecs(distributed.NewReplicatedShardingSpec(mesh))
	return nil
}

// Devices is how many devices the training step computes on.
func (n *Network) Devices() int {
	if n.mesh == nil {
		return 1
	}
	return n.mesh.NumDevices()
}

// input is one of the arrays that a step takes.
type input struct {
	rank   int  // number of axes
	parted bool // the first axis is the step's rows
	part   func(of, parts int) *tensors.Tensor
}

// whole is an input that every device sees.
func whole[T float32 | uint64](values []T) input {
	return input{rank: 1, part: func(int, int) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(values, len(values)) }}
}

// perRow is an input with values of the given dimensions for each row.
func perRow[T float32 | int32](values []T, dims ...int) input {
	size := 1
	for _, d := range dims {
		size *= d
	}
	return input{rank: 1 + len(dims), parted: true, part: func(i, parts int) *tensors.Tensor {
		rows := len(values) / size / parts
		return tensors.FromFlatDataAndDimensions(values[i*rows*size:(i+1)*rows*size], append([]int{rows}, dims...)...)
	}}
}

// placed is an input that lies on the one device already.
func placed(t *tensors.Tensor) input {
	return input{rank: t.Rank(), parted: true, part: func(int, int) *tensors.Tensor { return t }}
}

// place takes the inputs of a step to the devices: to the first all of its own, then to the second. It returns what it has
// placed where it fails, too.
func (n *Network) place(inputs []input) (placed []any, err error) {
	devices := n.Devices()
	for device := range devices {
		for _, in := range inputs {
			t := in.part(device, devices)
			if err := t.MaterializeOnDevice(n.backend, true, compute.DeviceNum(device)); err != nil {
				return placed, errors.WithMessage(err, "diffusion: taking a batch to the device")
			}
			placed = append(placed, t)
		}
	}
	return placed, nil
}

// shard tells the step, before the first of them, which of its inputs are parted among the devices. It sees to it that all
// steps have as many rows: the program knows how many of them fill up.
func (n *Network) shard(inputs []input, rows int) error {
	if n.mesh == nil || n.rows == rows {
		return nil
	}
	if n.rows != 0 {
		return errors.Errorf("diffusion: a step of %d rows after one of %d; need as many in every step", rows, n.rows)
	}
	specs := make([]*distributed.ShardingSpec, len(inputs))
	for i, in := range inputs {
		axes := make([]distributed.AxisSpec, in.rank)
		if in.parted {
			axes[0] = distributed.AxisSpec{rowsAxis}
		}
		var err error
		if specs[i], err = distributed.NewShardingSpec(n.mesh, axes...); err != nil {
			return err
		}
	}
	n.step.WithInputShardingSpecs(specs...)
	n.rows = rows
	return nil
}

// filledUp is b with rows to a multiple of devices. Those added are the first row again, so that nothing that is computed
// for them is beyond what it is for other rows, without any weight.
func (b Batch) filledUp(devices int) Batch {
	rows := len(b.T)
	more := (devices - rows%devices) % devices
	if more == 0 {
		return b
	}
	b.X, b.Y, b.T, b.Held = again(b.X, rows, more), again(b.Y, rows, more), again(b.T, rows, more), again(b.Held, rows, more)
	b.Noise, b.Target, b.TeacherY = again(b.Noise, rows, more), again(b.Target, rows, more), again(b.TeacherY, rows, more)
	b.GivenNoise, b.PureNoise = unmarked(b.GivenNoise, more), unmarked(b.PureNoise, more)
	b.Reference = unmarked(b.Reference, more)
	b.W, b.Distil, b.TargetW = unmarked(b.W, more), unmarked(b.Distil, more), unmarked(b.TargetW, more)
	return b
}

// again is values, of a number of rows, with the first row's appended some times; nil for nil.
func again[T any](values []T, rows, times int) []T {
	return slices.Concat(values, slices.Repeat(values[:len(values)/rows], times))
}

// unmarked is values with zeros appended; nil for nil.
func unmarked[T any](values []T, more int) []T {
	if values == nil {
		return nil
	}
	return slices.Concat(values, make([]T, more))
}
