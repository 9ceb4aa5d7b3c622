package diffusion

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
	"palimpsest/pkg/safetensors"
)

// LoadGrown is [Network.Load] from the folder of a network that may know fewer labels and be extended by less: what the file
// lacks stays as it is in this network, which is to be at its beginning. "No label" keeps what it has learned; labels that are
// new come before it. Rank-1 penalties keep their places. Everything else must agree as in Load.
func (n *Network) LoadGrown(dir string) error {
	if err := n.build(); err != nil {
		return err
	}
	path := filepath.Join(dir, StateFile)
	saved, err := safetensors.ReadFileAll(path)
	if err != nil {
		return errors.WithMessage(err, "diffusion")
	}
	for v := range n.store.IterVariables() {
		list, known := n.stored(v), 0
		for _, s := range list {
			if _, ok := saved[s.name]; ok {
				known++
			}
		}
		switch {
		case known == 0:
			continue // it is extended by more than that network was
		case known < len(list):
			return errors.Errorf("diffusion: %s has %d of the %d tensors of %s; it is of another network", path, known, len(list), v.Path())
		}
		if s := list[0]; s.part == nil && saved[s.name].Shape().Equal(s.shape) {
			if err := v.SetValue(saved[s.name]); err != nil {
				return err
			}
			delete(saved, s.name)
			continue
		}
		values, err := valuesOf(v)
		if err != nil {
			return err
		}
		rows := slices.ContainsFunc(n.vectors(), func(x vector) bool { return x.path == v.Path() && x.rows > 0 })
		size := len(values)
		if rows {
			size /= v.Shape().Dimensions[0]
		}
		for k, s := range list {
			have := saved[s.name]
			from, err := tensors.CopyFlatData[float32](have)
			if err != nil {
				return errors.WithMessagef(err, "diffusion: %s of %s", s.name, path)
			}
			delete(saved, s.name)
			want, had, to := s.shape.Dimensions, have.Shape().Dimensions, values
			labels := false
			if s.part != nil {
				w := n.tensors[k]
				labels = w.variable.Name() == network.Embedding
				if !rows { // as if it had one
					want, had = append([]int{1}, want...), append([]int{1}, had...)
				}
				to = values[w.first:]
			} else {
				size = 1
			}
			if !grows(want, had, labels) {
				return errors.Errorf("diffusion: %s of %s is %v, need %v, or with fewer labels; it is of another network", s.name, path, had, want)
			}
			inner := len(from) / had[0]
			for row := range had[0] {
				graft(to[row*size:], want[1:], from[row*inner:(row+1)*inner], had[1:])
			}
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			return err
		}
	}
	if len(saved) > 0 {
		return errors.Errorf("diffusion: %s has %s, which this network lacks; it is of another one", path, slices.Sorted(maps.Keys(saved))[0])
	}
	return nil
}

// grows says whether a tensor of dimensions had fits into one of dimensions want: as it is, with fewer rows on the first axis and,
// of embeddings of labels, on the second.
func grows(want, had []int, labels bool) bool {
	if len(want) != len(had) || had[0] > want[0] || had[0] < 1 {
		return false
	}
	first := 1
	if labels {
		if had[1] < 1 || had[1] > want[1] {
			return false
		}
		first = 2
	}
	return slices.Equal(want[first:], had[first:])
}

// graft puts the values of a tensor of dimensions had into one of dimensions want, of which the first axis may be longer: the
// last row, "no label", then goes to the last one.
func graft(to []float32, want []int, from []float32, had []int) {
	if len(had) == 0 || had[0] == want[0] {
		copy(to, from)
		return
	}
	width := len(from) / had[0]
	known := (had[0] - 1) * width
	copy(to, from[:known])
	copy(to[(want[0]-1)*width:want[0]*width], from[known:])
}
