package datasets

import (
	"cmp"
	"fmt"
	"math"

	"github.com/pkg/errors"

	"palimpsest/pkg/parallel"
)

// Prep is how images are brought to the size a model sees. It is the only place where
// pixels change; all of it stays in 8 bits, so that a likelihood keeps its 256 levels.
// The zero value is the default: padded to 32×32.
type Prep struct {
	// Size is the side of the square result, in pixels; 0 means 32.
	Size int `json:"size" yaml:"size"`
	// Height and Width, where they are not 0, take the place of Size: the result need not be square.
	Height int `json:"height,omitempty" yaml:"height"`
	Width  int `json:"width,omitempty" yaml:"width"`
	// Method is how an image of any size becomes one of that height and width:
	//
	//	"pad"      (the default, also "") the image in the middle of a black border; an image that is too large is first
	//	           reduced until it fits, in both directions alike
	//	"crop"     the image is reduced or enlarged, in both directions alike, until it just covers the result; what is left
	//	           over is cut off, the same amount on both sides
	//	"stretch"  height and width are changed separately, so a square may become oblong; "area" is another name for it
	//	"none"     images stay as they are and Size is ignored
	//
	// A pixel of an image whose size is changed is the mean of the area that it covers, rounded half up to 8 bits.
	Method string `json:"method" yaml:"method"`
	// Flip asks for random left-right flips of training images when batches are made
	// (see Flips and FlipRow). Apply does not flip, so evaluation never sees a flip.
	Flip bool `json:"flip" yaml:"flip"`
	// Border is how many black pixels are added on each of the four sides after all else:
	// images become Size+2·Border pixels high and wide. It makes a known, constant part of
	// an image; CropRows takes it off samples again.
	Border int `json:"border,omitempty" yaml:"border"`
	// Channels is 1 for grey images, 3 for images in colour; 0 leaves a set's images as they are. It is done before all
	// else. A grey image becomes three equal channels; of one in colour the luma of ITU-R BT.601 is taken,
	//
	//	Y = 0.299·R + 0.587·G + 0.114·B,
	//
	// rounded half up to 8 bits, so that a grey image turned into colour comes back as it was.
	Channels int `json:"channels,omitempty" yaml:"channels"`
	// SkipBroken goes on without the pictures of a set of one's own that cannot be read, and lists them in
	// [Dataset.Skipped]. Otherwise such a set is refused.
	SkipBroken bool `json:"skip_broken,omitempty" yaml:"skip_broken"`
}

// maxSide is the largest side of prepared images, in pixels.
const maxSide = 1024

// sides are the height and width of prepared images without their border. The defaults of p must be filled in. For the method
// "none" the result has no meaning.
func (p Prep) sides() (height, width int) {
	return cmp.Or(p.Height, p.Size), cmp.Or(p.Width, p.Size)
}

// normal fills in the defaults.
func (p Prep) normal() Prep {
	if p.Size == 0 {
		p.Size = 32
	}
	if p.Method == "" {
		p.Method = "pad"
	}
	return p
}

// Validate returns an error if the settings are out of range.
func (p Prep) Validate() error {
	q := p.normal()
	switch q.Method {
	case "pad", "crop", "stretch", "area", "none":
	default:
		return errors.Errorf("method %q; need \"pad\", \"crop\", \"stretch\", \"area\" or \"none\"", p.Method)
	}
	if q.Size < 1 || q.Size > maxSide {
		return errors.Errorf("size %d; need 1 to %d pixels (0 for 32)", p.Size, maxSide)
	}
	height, width := q.sides()
	if min(height, width) < 1 || max(height, width) > maxSide {
		return errors.Errorf("height %d and width %d; need 1 to %d pixels each (0 for size)", p.Height, p.Width, maxSide)
	}
	switch q.Channels {
	case 0, 1, 3:
	default:
		return errors.Errorf("%d channels; need 1 (grey), 3 (colour) or 0 (as the images are)", q.Channels)
	}
	inside := max(height, width)
	if q.Method == "none" {
		inside = 1 // at least; Apply will see
	}
	if widest := (maxSide - inside) / 2; q.Border < 0 || q.Border > widest {
		return errors.Errorf("border %d; need 0 to %d, so that images have at most %d pixels a side", p.Border, widest, maxSide)
	}
	return nil
}

// Shape is the height, width and number of channels that images of h×w pixels with c channels have after they were
// prepared. It returns the errors that [Prep.Apply] would return for such images: h, w and c have to be 1 or more.
func (p Prep) Shape(h, w, c int) (height, width, channels int, err error) {
	if err := p.Validate(); err != nil {
		return 0, 0, 0, err
	}
	if min(h, w, c) < 1 {
		return 0, 0, 0, errors.Errorf("images of %d×%d pixels with %d channels; need at least 1 of each", h, w, c)
	}
	p = p.normal()
	switch {
	case p.Channels == 0 || p.Channels == c:
	case c != 1 && c != 3:
		return 0, 0, 0, errors.Errorf("cannot make %d channels of %d; need images with 1 or 3", p.Channels, c)
	default:
		c = p.Channels
	}
	if p.Method != "none" {
		h, w = p.sides()
	}
	if max(h, w) > maxSide-2*p.Border { // images left at their own size
		return 0, 0, 0, errors.Errorf("a border of %d around %d×%d pixels; images have at most %d pixels a side",
			p.Border, h, w, maxSide)
	}
	return h + 2*p.Border, w + 2*p.Border, c, nil
}

// Apply returns the images at the prepared size: new pixels and the same labels, or im
// itself if nothing changes, so treat the result as read-only. It returns an error for
// settings out of range.
func (p Prep) Apply(im *Images) (*Images, error) {
	if err := im.Validate(); err != nil {
		return nil, err
	}
	h, w, c, err := p.Shape(im.H, im.W, im.C)
	if err != nil {
		return nil, err
	}
	p = p.normal()
	if h == im.H && w == im.W && c == im.C { // so without a border
		return im, nil
	}
	out := &Images{N: im.N, H: h, W: w, C: c, Labels: im.Labels, Pixels: make([]uint8, im.N*h*w*c)}
	bar := newLateBar(im.N, fmt.Sprintf("preparing images of %d×%d pixels", h, w))
	defer bar.end()
	const some = 64 // images of one goroutine at a time
	parallel.For((im.N+some-1)/some, func(k int) {
		preparer := newPreparer(p, c)
		for i := k * some; i < min(im.N, (k+1)*some); i++ {
			preparer.prepare(out.Image(i), im.Image(i), im.H, im.W, im.C)
			bar.add()
		}
	})
	return out, nil
}

// preparer prepares one image after another. It keeps what images of one size share, and is not safe for concurrent use.
type preparer struct {
	p        Prep
	channels int // of the result
	h, w     int // of the result, without its border; 0 for the method "none"
	from     [2]int
	size     [2]int // an image of the size from is brought to, before it is cut or padded
	rows     []span
	cols     []span
	scratch  [2][]uint8
}

// newPreparer returns one for settings whose defaults are filled in.
func newPreparer(p Prep, channels int) *preparer {
	q := &preparer{p: p, channels: channels}
	if p.Method != "none" {
		q.h, q.w = p.sides()
	}
	return q
}

// prepare writes an image [h,w,c] as it is once prepared to dst, which is black and of that size.
func (q *preparer) prepare(dst, src []uint8, h, w, c int) {
	src = recolour(&q.scratch[0], src, c, q.channels)
	c = q.channels
	if q.from != [2]int{h, w} {
		q.from = [2]int{h, w}
		q.size[0], q.size[1] = q.scaled(h, w)
		q.rows, q.cols = areaWeights(h, q.size[0]), areaWeights(w, q.size[1])
	}
	if q.size != q.from {
		size := q.size[0] * q.size[1] * c
		if cap(q.scratch[1]) < size {
			q.scratch[1] = make([]uint8, size)
		}
		small := q.scratch[1][:size]
		areaResize(small, src, h, w, c, q.rows, q.cols)
		src, h, w = small, q.size[0], q.size[1]
	}
	height, width := q.h, q.w
	if q.p.Method == "none" {
		height, width = h, w
	}
	height, width = height+2*q.p.Border, width+2*q.p.Border
	if q.p.Method == "crop" { // leaves the border free
		top, left := max(0, h-q.h)/2, max(0, w-q.w)/2
		src, h = src[(top*w+left)*c:], min(h, q.h)
		paste(dst, height, width, src, h, min(w, q.w), w, c)
		return
	}
	paste(dst, height, width, src, h, w, w, c)
}

// scaled is the size to which an image of h by w pixels is brought before it is cut or padded.
func (q *preparer) scaled(h, w int) (int, int) {
	by := 1.0 // the change of size that keeps the shape
	switch q.p.Method {
	case "stretch", "area":
		return q.h, q.w
	case "pad":
		by = min(1, float64(q.h)/float64(h), float64(q.w)/float64(w))
	case "crop":
		by = max(float64(q.h)/float64(h), float64(q.w)/float64(w))
	}
	if by == 1 {
		return h, w
	}
	height, width := int(math.Round(by*float64(h))), int(math.Round(by*float64(w)))
	if q.p.Method == "pad" {
		return max(1, min(q.h, height)), max(1, min(q.w, width))
	}
	return max(q.h, height), max(q.w, width)
}

// paste puts an image of h by w pixels, whose lines are stride pixels apart, in the middle of one of height by width.
func paste(dst []uint8, height, width int, src []uint8, h, w, stride, c int) {
	// An odd border puts the larger half below and to the right.
	top, left := (height-h)/2, (width-w)/2
	for y := range h {
		copy(dst[((y+top)*width+left)*c:], src[y*stride*c:(y*stride+w)*c])
	}
}

// recolour returns an image with one or three channels, see [Prep.Channels]: src itself if it has them, else one in scratch,
// which grows as it must.
func recolour(scratch *[]uint8, src []uint8, from, to int) []uint8 {
	if from == to {
		return src
	}
	out := (*scratch)[:0]
	if to == 3 {
		for _, v := range src {
			out = append(out, v, v, v)
		}
	} else {
		for px := src; len(px) > 0; px = px[3:] {
			out = append(out, uint8((299*int(px[0])+587*int(px[1])+114*int(px[2])+500)/1000))
		}
	}
	*scratch = out
	return out
}

// span is the input pixels that an output pixel covers along one axis: first, first+1, ...
// weigh weights[0], weights[1], ...
type span struct {
	first   int
	weights []int
}

// areaWeights gives the span of each of out pixels laid over in pixels. Measured in units
// in which an input pixel is out wide and an output pixel is in wide, all overlaps are whole
// numbers: the weights of a span sum to in, and each input pixel gives away out in all.
func areaWeights(in, out int) []span {
	spans := make([]span, out)
	for o := range spans {
		from, to := o*in, (o+1)*in
		s := span{first: from / out}
		for i := s.first; i*out < to; i++ {
			s.weights = append(s.weights, min(to, (i+1)*out)-max(from, i*out))
		}
		spans[o] = s
	}
	return spans
}

// areaResize writes the area average of src [h,w,c] to dst, in exact integers, rounded
// half up.
func areaResize(dst, src []uint8, h, w, c int, rows, cols []span) {
	total, k := h*w, 0 // the weights of a row span sum to h, of a column span to w
	for _, row := range rows {
		for _, col := range cols {
			for ch := range c {
				sum := 0
				for y, wy := range row.weights {
					line := ((row.first+y)*w+col.first)*c + ch
					for x, wx := range col.weights {
						sum += wy * wx * int(src[line+x*c])
					}
				}
				dst[k] = uint8((2*sum + total) / (2 * total))
				k++
			}
		}
	}
}
