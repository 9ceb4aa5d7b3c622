package memory

import (
	"maps"
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
	byClass [][]int          // indices of items; see indicesByClass. nil: to be made when they are asked for
	classes []int            // offered so far, in the order of their first image
	place   map[int]int      // of each class in classes
	seen    []int            // images offered of each of classes
	offered uint64           // images offered so far

	apart apart
	sum   string // of the content; "" since it changed
}

// New returns an empty buffer for the given number of images, at least 1. seed feeds the policy's random choices. A policy without the
// measure that it chooses by is an error.
func New(capacity int, policy Policy, seed uint64) (*Buffer, error) {
	if capacity < 1 {
		return nil, errors.Errorf("memory: a buffer of %d images; need at least 1", capacity)
	}
	if policy == nil {
		return nil, errors.New("memory: a buffer without a policy; make one with memory.NewPolicy")
	}
	switch p := policy.(type) {
	case Herding:
		if p.Features == nil {
			return nil, errNoMeasure(p, "Features")
		}
	case ByLoss:
		if p.Losses == nil {
			return nil, errNoMeasure(p, "Losses")
		}
	}
	return &Buffer{capacity: capacity, policy: policy, seed: seed}, nil
}

// errNoMeasure is the error of a policy that has nothing to choose by.
func errNoMeasure(p Policy, field string) error {
	return errors.Errorf("memory: policy %q without %s (nil); give it the function, or make it with memory.NewPolicy", p.Name(), field)
}

// Add offers the images of a task, in their order, and keeps those the policy chooses. The images are copied. It
// returns an error, and changes nothing, if the set is invalid, differs in size from those before, or the policy
// fails.
func (b *Buffer) Add(task int, images *datasets.Images) error {
	if b.policy == nil {
		return errors.New("memory: a buffer that memory.New has not made holds nothing")
	}
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
	if p, ok := b.policy.(placer); ok {
		b.addInPlace(p, task, images)
		return nil
	}
	if p, ok := b.policy.(refuser); ok && p.refuses(b, images.Labels) {
		for _, label := range images.Labels {
			b.classes, b.seen = count(b.place, b.classes, b.seen, int(label))
		}
		b.offered, b.sum = b.offered+uint64(images.N), ""
		return nil
	}
	kept := b.Len()
	c := &Choice{Capacity: b.capacity, Seed: b.seed, Items: slices.Clone(b.items), Kept: kept,
		Classes: slices.Clone(b.classes), Seen: slices.Clone(b.seen)}
	place := maps.Clone(b.place)
	if place == nil {
		place = map[int]int{}
	}
	for i, label := range images.Labels {
		class := int(label)
		c.Items = append(c.Items, Item{Class: class, Task: task, Offer: b.offered + uint64(i)})
		c.Classes, c.Seen = count(place, c.Classes, c.Seen, class)
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
	b.images, b.items, b.byClass, b.classes, b.place, b.seen = c.Images(keep), items, nil, c.Classes, place, c.Seen
	b.offered, b.sum = b.offered+uint64(images.N), ""
	return nil
}

// count counts an image of a class.
func count(place map[int]int, classes, seen []int, class int) ([]int, []int) {
	k, known := place[class]
	if !known {
		k, classes, seen = len(classes), append(classes, class), append(seen, 0)
		place[class] = k
	}
	seen[k]++
	return classes, seen
}

// placer is a policy that decides about each image as it comes, by itself: it returns the place that image number offer of the stream
// takes in a buffer that holds so many, len if a new one, or -1. Images then cost no more in a large buffer than in a small one.
type placer interface {
	placeOf(seed, offer uint64, kept, capacity int) int
}

// addInPlace offers images to a placer, one after another.
func (b *Buffer) addInPlace(p placer, task int, images *datasets.Images) {
	if b.images == nil {
		b.images, b.place = &datasets.Images{H: images.H, W: images.W, C: images.C}, map[int]int{}
	}
	for i, label := range images.Labels {
		b.classes, b.seen = count(b.place, b.classes, b.seen, int(label))
		item := Item{Class: int(label), Task: task, Offer: b.offered}
		switch at := p.placeOf(b.seed, b.offered, len(b.items), b.capacity); {
		case at == len(b.items):
			b.items, b.images.Labels = append(b.items, item), append(b.images.Labels, label)
			b.images.Pixels = append(b.images.Pixels, images.Image(i)...)
			b.images.N++
		case at >= 0:
			b.items[at], b.images.Labels[at] = item, label
			copy(b.images.Image(at), images.Image(i))
		}
		b.offered++
	}
	b.byClass, b.sum = nil, ""
}

// refuser is a policy that can tell that a buffer keeps none of the images of these labels, and all that it has in their order, without
// looking at each of those. Of a long stream that is most of the time, and costs no more in a large buffer than in a small one.
type refuser interface {
	refuses(b *Buffer, labels []int32) bool
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

// Offered is how many images have been offered so far, which is the number of the next one in the stream.
func (b *Buffer) Offered() uint64 { return b.offered }

// Images are the images kept, nil before any was offered. They must not be changed, and are those of this moment: Add
// makes a new set or puts others into their places.
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
