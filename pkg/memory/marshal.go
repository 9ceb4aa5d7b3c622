package memory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

const (
	magic     = "palimpsest memory 1\n" // labels and classes are bytes
	wideMagic = "palimpsest memory 2\n" // they are uint32, since one is above 255; equally long
	maxTask   = math.MaxUint32
	itemBytes = 4 + 8 // task and number in the stream, beside the label
)

// header is the fixed part of a buffer's bytes, after the magic and the policy's name.
type header struct {
	Capacity, Seed, Offered uint64
	Classes                 uint32 // pairs of class and count follow,
	N, H, W, C              uint32 // then N labels, tasks and numbers, then the pixels, then the SHA-256 of all before
}

// classCount is one class offered and how many images of it were.
type classCount struct {
	Class uint32
	Seen  uint64
}

// byteCount is a classCount of version 1.
type byteCount struct {
	Class uint8
	Seen  uint64
}

// MarshalBinary returns all that the buffer holds, images and bookkeeping, little-endian with a SHA-256 at the end, or, where it is
// kept apart ([Buffer.KeepApart]), what names that content. Equal buffers give equal bytes.
func (b *Buffer) MarshalBinary() ([]byte, error) {
	if b.Apart() {
		sum, err := b.Sum()
		return append([]byte(apartMagic), sum...), err
	}
	var out bytes.Buffer
	out.Grow(int(b.Bytes()))
	err := b.WriteContent(&out)
	return out.Bytes(), err
}

// WriteContent writes what MarshalBinary returns of a buffer that is not kept apart.
func (b *Buffer) WriteContent(to io.Writer) error {
	if b.policy == nil {
		return errors.New("memory: a buffer that memory.New has not made holds nothing")
	}
	name := b.policy.Name()
	if len(name) > math.MaxUint8 {
		return errors.Errorf("memory: the policy's name has %d bytes; need at most %d", len(name), math.MaxUint8)
	}
	h := header{Capacity: uint64(b.capacity), Seed: b.seed, Offered: b.offered, Classes: uint32(len(b.classes)), N: uint32(len(b.items))}
	wide := b.labelBytes() == 4
	begin := magic
	if wide {
		begin = wideMagic
	}
	if b.images != nil {
		h.H, h.W, h.C = uint32(b.images.H), uint32(b.images.W), uint32(b.images.C)
	}
	pairs, narrowPairs := make([]classCount, len(b.classes)), make([]byteCount, len(b.classes))
	for k, class := range b.classes {
		pairs[k], narrowPairs[k] = classCount{uint32(class), uint64(b.seen[k])}, byteCount{uint8(class), uint64(b.seen[k])}
	}
	labels, narrowLabels := make([]uint32, len(b.items)), make([]uint8, len(b.items))
	tasks, offers := make([]uint32, len(b.items)), make([]uint64, len(b.items))
	for i, item := range b.items {
		labels[i], narrowLabels[i], tasks[i], offers[i] = uint32(item.Class), uint8(item.Class), uint32(item.Task), item.Offer
	}
	parts := []any{[]byte(begin), byte(len(name)), []byte(name), h, narrowPairs, narrowLabels, tasks, offers}
	if wide {
		parts = []any{[]byte(begin), byte(len(name)), []byte(name), h, pairs, labels, tasks, offers}
	}
	if b.images != nil {
		parts = append(parts, b.images.Pixels)
	}
	sum := sha256.New()
	both := io.MultiWriter(to, sum)
	for _, part := range parts {
		if err := binary.Write(both, binary.LittleEndian, part); err != nil {
			return errors.Wrap(err, "memory: writing a buffer")
		}
	}
	_, err := to.Write(sum.Sum(nil))
	return errors.Wrap(err, "memory: writing a buffer")
}

// UnmarshalBinary replaces what the buffer holds by what MarshalBinary wrote of a buffer with the same capacity,
// policy and seed. Anything else is an error and leaves the buffer as it was. The buffer must come from [New].
func (b *Buffer) UnmarshalBinary(data []byte) error {
	if b.policy == nil {
		return errors.New("memory: a buffer is restored into one made by memory.New with the run's capacity, policy and seed")
	}
	sum := ""
	if name, apart := bytes.CutPrefix(data, []byte(apartMagic)); apart {
		var err error
		sum = string(name)
		if data, err = b.readApart(string(name)); err != nil {
			return err
		}
	}
	wide := bytes.HasPrefix(data, []byte(wideMagic))
	if len(data) < sha256.Size+len(magic) || !wide && !bytes.HasPrefix(data, []byte(magic)) {
		return errors.Errorf("memory: %d bytes that do not begin with %q are not a stored buffer", len(data), magic)
	}
	content := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:], data[len(content):]) {
		return errors.New("memory: the stored buffer is damaged: its SHA-256 does not match; restore an earlier checkpoint")
	}
	in := bytes.NewReader(content[len(magic):])
	length, err := in.ReadByte()
	if err != nil {
		return errors.New("memory: the stored buffer ends before its policy's name")
	}
	name := make([]byte, length)
	var h header
	if err := readAll(in, name, &h); err != nil {
		return err
	}
	if string(name) != b.policy.Name() || h.Capacity != uint64(b.capacity) || h.Seed != b.seed {
		return errors.Errorf("memory: the stored buffer has capacity %d, policy %q and seed %d; this run has %d, %q and %d",
			h.Capacity, name, h.Seed, b.capacity, b.policy.Name(), b.seed)
	}
	restored, err := h.read(in, wide)
	if err != nil {
		return err
	}
	restored.capacity, restored.policy, restored.seed, restored.apart = b.capacity, b.policy, b.seed, b.apart
	restored.sum = sum
	*b = *restored
	return nil
}

// read reads what follows the header and checks that it is of one piece.
func (h header) read(in *bytes.Reader, wide bool) (*Buffer, error) {
	// Sizes are compared with what is there before anything is allocated. Sides are bounded so that products fit.
	const maxSide = 1 << 14
	label, classes := uint64(1), uint32(256)
	if wide {
		label, classes = 4, datasets.MaxClasses
	}
	if h.Classes > classes || uint64(h.N) > h.Capacity || h.H > maxSide || h.W > maxSide || h.C > maxSide {
		return nil, errors.Errorf("memory: the stored buffer claims %d classes and %d images of %dx%dx%d at capacity %d; that is impossible",
			h.Classes, h.N, h.H, h.W, h.C, h.Capacity)
	}
	size := uint64(h.H) * uint64(h.W) * uint64(h.C)
	need := uint64(h.Classes)*(label+8) + uint64(h.N)*(label+itemBytes)
	if uint64(h.N) > 0 && size > (math.MaxInt64-need)/uint64(h.N) {
		return nil, errors.Errorf("memory: the stored buffer claims %d images of %d bytes; that is impossible", h.N, size)
	}
	if need += uint64(h.N) * size; uint64(in.Len()) != need {
		return nil, errors.Errorf("memory: the stored buffer has %d bytes after its header; %d classes and %d images of %dx%dx%d need %d",
			in.Len(), h.Classes, h.N, h.H, h.W, h.C, need)
	}
	pairs, labels := make([]classCount, h.Classes), make([]int32, h.N)
	tasks, offers, pixels := make([]uint32, h.N), make([]uint64, h.N), make([]uint8, uint64(h.N)*size)
	if wide {
		if err := readAll(in, pairs, labels); err != nil {
			return nil, err
		}
	} else {
		narrowPairs, narrowLabels := make([]byteCount, h.Classes), make([]uint8, h.N)
		if err := readAll(in, narrowPairs, narrowLabels); err != nil {
			return nil, err
		}
		for k, p := range narrowPairs {
			pairs[k] = classCount{uint32(p.Class), p.Seen}
		}
		labels = datasets.WideLabels(narrowLabels)
	}
	if err := readAll(in, tasks, offers, pixels); err != nil {
		return nil, err
	}
	b := &Buffer{offered: h.Offered}
	seen := map[int]uint64{}
	var total uint64
	for _, p := range pairs {
		class := int(p.Class)
		if class >= datasets.MaxClasses || seen[class] > 0 || p.Seen == 0 || p.Seen > h.Offered-total {
			return nil, errors.Errorf("memory: the stored buffer counts class %d wrongly (%d of %d images)", class, p.Seen, h.Offered)
		}
		seen[class], total = p.Seen, total+p.Seen
		if b.place == nil {
			b.place = map[int]int{}
		}
		b.place[class] = len(b.classes)
		b.classes, b.seen = append(b.classes, class), append(b.seen, int(p.Seen))
	}
	if wide && b.labelBytes() == 1 {
		return nil, errors.New("memory: the stored buffer has wide labels but no class above 255; that is impossible")
	}
	if total != h.Offered {
		return nil, errors.Errorf("memory: the stored buffer's classes count %d images, but %d were offered", total, h.Offered)
	}
	taken := map[uint64]bool{}
	for i, label := range labels {
		if seen[int(label)] == 0 || offers[i] >= h.Offered || taken[offers[i]] {
			return nil, errors.Errorf("memory: image %d of the stored buffer has label %d and number %d, which does not fit the stream it records",
				i, label, offers[i])
		}
		taken[offers[i]] = true
		b.items = append(b.items, Item{Class: int(label), Task: int(tasks[i]), Offer: offers[i]})
	}
	if (size > 0) != (h.Offered > 0) || (size == 0 && h.H|h.W|h.C != 0) {
		return nil, errors.Errorf("memory: the stored buffer holds images of %dx%dx%d and was offered %d; that is impossible", h.H, h.W, h.C, h.Offered)
	}
	if size > 0 {
		b.images = &datasets.Images{N: int(h.N), H: int(h.H), W: int(h.W), C: int(h.C), Pixels: pixels, Labels: labels}
	}
	return b, nil
}

// readAll reads fixed-size values.
func readAll(in *bytes.Reader, values ...any) error {
	for _, v := range values {
		if err := binary.Read(in, binary.LittleEndian, v); err != nil {
			return errors.Wrap(err, "memory: the stored buffer is cut short")
		}
	}
	return nil
}
