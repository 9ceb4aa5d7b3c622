package diffusion

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// held are images that lie on the device for as long as the network does, so that a step names its rows instead of sending them.
type held struct {
	count  int
	pixels *tensors.Tensor // [count, H, W, C] uint8
	gather *Exec           // (pixels, places [R]) to rows [R, H, W, C]
}

// Hold takes images to the device, [N, H, W, C] with values from 0 to 255, of which levels [256] says what each is in a step's X.
// Steps whose rows are all of them ([Batch.Held]) are then put together there, by a small program that goes before the step's own,
// which stays as it is: so do all digits. Images held before are let go. One device holds images, several do not.
func (n *Network) Hold(pixels []uint8, levels [256]float32) error {
	if err := n.open(); err != nil {
		return err
	}
	size, u := n.Shape.Values(), n.Shape
	count := len(pixels) / size
	switch {
	case count == 0 || len(pixels)%size != 0:
		return errors.Errorf("diffusion: %d values to hold; need one or more images of %d", len(pixels), size)
	case n.mesh != nil:
		return errors.Errorf("diffusion: %d devices hold no images; send them with each step", n.Devices())
	}
	t := tensors.FromFlatDataAndDimensions(pixels, count, u.H, u.W, u.Channels)
	if err := t.ToDevice(n.backend, 0); err != nil {
		return errors.WithMessagef(err, "diffusion: taking %d images to the device", count)
	}
	gather, err := NewExec(n.backend, func(pixels, places *Node) *Node { return gatherRows(pixels, places, levels) })
	if err != nil {
		return err
	}
	n.held.drop()
	n.held = &held{count: count, pixels: t, gather: gather}
	return nil
}

// drop frees what is held.
func (h *held) drop() {
	if h != nil {
		_ = h.pixels.FinalizeAll() // of an array that nobody looks at any more
		h.gather.Finalize()
	}
}

// gatherRows builds rows [R, H, W, C] of pixels [N, H, W, C] by their places [R], those from N on being of mirror images. Levels are
// looked up, so that rows are, bit by bit, what the host would send.
func gatherRows(pixels, places *Node, levels [256]float32) *Node {
	g, rows := pixels.Graph(), places.Shape().Dimensions[0]
	count := Const(g, int32(pixels.Shape().Dimensions[0]))
	mirrored := GreaterOrEqual(places, count)
	images := Gather(pixels, InsertAxes(Where(mirrored, Sub(places, count), places), -1))
	images = Gather(Const(g, levels[:]), InsertAxes(ConvertDType(images, dtypes.Int32), -1))
	mirrored = BroadcastToDims(Reshape(mirrored, rows, 1, 1, 1), images.Shape().Dimensions...)
	return Where(mirrored, Reverse(images, 2), images)
}

// rows puts a step's images together on the device; nil where it does not hold all of them.
func (h *held) rows(b Batch) (*tensors.Tensor, error) {
	if b.Held == nil || slices.Contains(b.Held, -1) {
		return nil, nil
	}
	places := tensors.FromFlatDataAndDimensions(b.Held, len(b.Held))
	defer places.MustFinalizeAll()
	x, err := h.gather.Call1(h.pixels, places)
	return x, errors.WithMessage(err, "diffusion: putting a step's images together on the device")
}

// checkHeld reports rows that are none of the images held.
func (n *Network) checkHeld(b Batch) error {
	switch {
	case b.Held == nil:
		return nil
	case n.held == nil:
		return errors.New("diffusion: Batch.Held names images, but the device holds none; give them to Network.Hold")
	case len(b.Held) != len(b.T):
		return errors.Errorf("diffusion: a batch of %d rows has %d values in Held; need as many, or none", len(b.T), len(b.Held))
	}
	for i, at := range b.Held {
		if at < -1 || int(at) >= 2*n.held.count {
			return errors.Errorf("diffusion: Batch.Held of row %d is %d; need -1, or 0 to %d for one of the %d images held or its mirror image", i, at, 2*n.held.count-1, n.held.count)
		}
	}
	return nil
}
