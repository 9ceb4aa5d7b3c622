package cl

import (
	"bytes"
	"hash/maphash"
	"slices"

	"palimpsest/datasets"
)

// HeldLimit is how many bytes of training images are kept on a device: ten times those of CIFAR-10, and little of the memory of
// any card that trains such networks. A benchmark that has more sends images with each step.
const HeldLimit = 2 << 30

// heldLimit is HeldLimit, for tests to lower.
var heldLimit int64 = HeldLimit

// heldImages finds images among those that the device holds: the training images of all tasks, one task after the other. Images that a
// buffer has kept are copies of these, so that they are found too, and a buffer's change takes nothing to the device.
type heldImages struct {
	all    *datasets.Images
	places map[uint64]int32 // of images by their hash; of equal hashes the first
	seed   maphash.Seed
}

// hold has the device keep the benchmark's training images where that saves something and they are not too many.
func (l *Loop) hold() error {
	if !l.Network.Apart() || l.Network.Devices() > 1 {
		return nil
	}
	var sets []*datasets.Images
	for _, t := range l.Benchmark.Tasks {
		sets = append(sets, t.Train)
	}
	all, err := datasets.Concat(sets...)
	if err != nil {
		return err
	}
	if int64(all.N)*int64(all.ImageSize()) > heldLimit {
		return nil
	}
	var levels [256]float32
	var values [256]uint8
	for v := range values {
		values[v] = uint8(v)
	}
	datasets.Scale(levels[:], values[:])
	if err := l.Network.Hold(all.Flat(), levels); err != nil {
		return err
	}
	h := &heldImages{all: all, places: make(map[uint64]int32, all.N), seed: maphash.MakeSeed()}
	for i := range all.N {
		hash := maphash.Bytes(h.seed, all.Image(i))
		if _, taken := h.places[hash]; !taken {
			h.places[hash] = int32(i)
		}
	}
	l.held = h
	return nil
}

// HeldImages is how many training images the device holds, from which it puts steps together; 0: rows are sent with each step.
func (l *Loop) HeldImages() int {
	if l.held == nil {
		return 0
	}
	return l.held.all.N
}

// place is where an image lies on the device, -1 if it does not.
func (h *heldImages) place(pixels []uint8) int32 {
	if h == nil {
		return -1
	}
	i, known := h.places[maphash.Bytes(h.seed, pixels)]
	if !known || !bytes.Equal(h.all.Image(int(i)), pixels) {
		return -1
	}
	return i
}

// checkPlaces drops the places of rows that the strategy has written over.
func (h *heldImages) checkPlaces(s *Step) {
	dim := s.imageSize()
	image := make([]float32, dim)
	for row, at := range s.Batch.Held {
		if at < 0 {
			continue
		}
		datasets.Scale(image, h.all.Image(int(at)))
		if !slices.Equal(image, s.Batch.X[row*dim:(row+1)*dim]) {
			s.Batch.Held[row] = -1
		}
	}
}
