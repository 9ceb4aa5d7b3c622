package memory

import (
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

// Buffer keeps at most its capacity of the images offered to it; its policy chooses which. It is not safe for
// concurrent use.
type Buffer struct {
	capacity int
	policy   Policy
	seed     uint64

	images  *datasets.Images // those kept; nil before the first are offered
	items   []Item           // one an image kept
	byClass [][]int          // indices of items; see indicesByClass
	classes []int            // offered so far, in the order of their first image
	seen    []int            // images offered of each of classes
	offered uint64           // images offered so far
}

// New returns an empty buffer for the given number of images, at least 1. seed feeds the policy's random choices.
func New(capacity int, policy Policy, seed uint64) (*Buffer, error) {
	if capacity < 1 {
		return nil, errors.Errorf("memory: a buffer of %d images; need at least 1", capacity)
	}
	if policy == nil {
		return nil, errors.New("memory: a buffer without a policy; make one with memory.NewPolicy")
	}
	return &Buffer{capacity: capacity, policy: policy, seed: seed}, nil
}

// Add offers the images of a task, in their order, and keeps those the policy chooses. The images are copied. It
// returns an error, and changes nothing, if the set is invalid, differs in size from those before, or the policy
// fails.
func (b *Buffer) Add(task int, images *datasets.Images) error {
	if err := images.Validate(); err != nil {
		return err
	}
	if task < 0 || task > maxTask {
		return errors.Errorf("memory: task %d; need 0 to %d", task, maxTask)
	}
	if b.images != nil && (images.H != b.images.H || images.W != b.images.W || images.C != b.images.C) {
		return errors.Errorf("memory: images of %dx%dx%d offered to a buffer of %dx%dx%d; bring them to one size with datasets.Prep",
			images.H, images.W, images.C, b.images.H, b.images.W, b.images.C)
	}
	if images.N == 0 {
		return nil
	}
	kept := b.Len()
	c := &Choice{Capacity: b.capacity, Seed: b.seed, Items: slices.Clone(b.items), Kept: kept,
		Classes: slices.Clone(b.classes), Seen: slices.Clone(b.seen)}
	for i, label := range images.Labels {
		class := int(label)
		c.Items = append(c.Items, Item{Class: class, Task: task, Offer: b.offered + uint64(i)})
		k := slices.Index(c.Classes, class)
		if k < 0 {
			k, c.Classes, c.Seen = len(c.Classes), append(c.Classes, class), append(c.Seen, 0)
		}
		c.Seen[k]++
	}
	size := images.ImageSize()
	c.Images = func(index []int) *datasets.Images {
		out := &datasets.Images{N: len(index), H: images.H, W: images.W, C: images.C,
			Pixels: make([]uint8, 0, len(index)*size), Labels: make([]int32, 0, len(index))}
		for _, i := range index {
			from := images
			if i < kept {
				from = b.images
			} else {
				i -= kept
			}
			out.Pixels, out.Labels = append(out.Pixels, from.Image(i)...), append(out.Labels, from.Labels[i])
		}
		return out
	}
	keep, err := b.policy.Choose(c)
	if err != nil {
		return err
	}
	if err := validChoice(keep, len(c.Items), b.capacity); err != nil {
		return errors.WithMessagef(err, "memory: policy %q", b.policy.Name())
	}
	items := make([]Item, len(keep))
	for k, i := range keep {
		items[k] = c.Items[i]
	}
	b.images, b.items, b.byClass, b.classes, b.seen = c.Images(keep), items, indicesByClass(items), c.Classes, c.Seen
	b.offered += uint64(images.N)
	return nil
}

// validChoice reports a choice no policy may make.
func validChoice(keep []int, items, capacity int) error {
	if len(keep) > capacity {
		return errors.Errorf("chose %d images for %d places", len(keep), capacity)
	}
	taken := make([]bool, items)
	for _, i := range keep {
		if i < 0 || i >= items || taken[i] {
			return errors.Errorf("chose item %d of %d twice or outside of what was offered", i, items)
		}
		taken[i] = true
	}
	return nil
}

// Len is the number of images kept.
func (b *Buffer) Len() int { return len(b.items) }

// Images are the images kept, nil before any was offered. They must not be changed, and are those of this moment: Add
// makes a new set.
func (b *Buffer) Images() *datasets.Images { return b.images }

// Items describes each of the images kept, in the order of Images. It must not be changed.
func (b *Buffer) Items() []Item { return b.items }

// Bytes is what the images kept take with their bookkeeping: their pixels, and 13 bytes each for label, task and
// number in the stream, or 16 where a label is above 255.
func (b *Buffer) Bytes() int64 {
	if b.images == nil {
		return 0
	}
	return int64(len(b.images.Pixels)) + int64(len(b.items))*int64(b.labelBytes()+itemBytes)
}

// labelBytes is how many bytes a label takes when the buffer is stored.
func (b *Buffer) labelBytes() int {
	if len(b.classes) > 0 && slices.Max(b.classes) > math.MaxUint8 {
		return 4
	}
	return 1
}
