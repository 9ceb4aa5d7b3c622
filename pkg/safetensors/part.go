package safetensors

import (
	"io"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Part is a tensor within a vector [N], or within rows [R, N], where R is the length of its first axis: of the vector, or
// of each row, the values from First on.
type Part struct {
	First int
	Dims  []int // its shape
}

// Copy sets this part of whole to the values of a tensor of its shape and type.
func (p *Part) Copy(whole, value *tensors.Tensor) error {
	shape, runs, err := p.within(whole.Shape())
	if err != nil {
		return errors.WithMessage(err, "safetensors")
	}
	if !value.Shape().Equal(shape) {
		return errors.Errorf("safetensors: a tensor of %s is no part of %s", value.Shape(), shape)
	}
	var inner error
	err = whole.MutableBytes(func(to []byte) {
		inner = value.ConstBytes(func(from []byte) {
			for _, r := range runs {
				from = from[copy(to[r[0]:r[1]], from):]
			}
		})
	})
	if err == nil {
		err = inner
	}
	return errors.WithMessage(err, "safetensors")
}

// within is a part's shape in a tensor of the given one, and the bytes it takes there, row by row.
func (p *Part) within(whole shapes.Shape) (shape shapes.Shape, runs [][2]int, err error) {
	rows, size, item := 1, 1, whole.DType.Size()
	for _, d := range p.Dims {
		size *= d
	}
	if whole.Rank() == 2 {
		rows = whole.Dimensions[0]
		if len(p.Dims) == 0 || p.Dims[0] != rows || rows == 0 {
			return shape, nil, errors.Errorf("%v is no part of %d rows, which need to be its first axis", p.Dims, rows)
		}
		size /= rows
	}
	if whole.Rank() < 1 || whole.Rank() > 2 || p.First < 0 || size < 0 || size > whole.Dimensions[whole.Rank()-1]-p.First {
		return shape, nil, errors.Errorf("a part of %v from %d on does not lie within %s", p.Dims, p.First, whole)
	}
	for r := range rows {
		first := r*whole.Dimensions[whole.Rank()-1] + p.First
		runs = append(runs, [2]int{first * item, (first + size) * item})
	}
	return shapes.Make(whole.DType, p.Dims...), runs, nil
}

// shape is that of the tensor in a file.
func (t Tensor) shape() (shapes.Shape, error) {
	if t.Part == nil {
		return t.Value.Shape(), nil
	}
	shape, _, err := t.Part.within(t.Value.Shape())
	return shape, err
}

// write writes the file's values, data being those of Value.
func (t Tensor) write(w io.Writer, data []byte) error {
	runs := [][2]int{{0, len(data)}}
	if t.Part != nil {
		_, parts, err := t.Part.within(t.Value.Shape())
		if err != nil {
			return err
		}
		runs = parts
	}
	for _, r := range runs {
		if _, err := w.Write(data[r[0]:r[1]]); err != nil {
			return err
		}
	}
	return nil
}
