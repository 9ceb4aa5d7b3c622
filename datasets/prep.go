package datasets

import (
	"github.com/pkg/errors"
)

// Prep is how images are brought to the size a model sees. It is the only place where
// pixels change; all of it stays in 8 bits, so that a likelihood keeps its 256 levels.
// The zero value is the default: padded to 32×32.
type Prep struct {
	// Size is the side of the square result, in pixels; 0 means 32.
	Size int `json:"size" yaml:"size"`
	// Method is "pad" (the default, also ""): a black border, the image in the middle;
	// "area": each new pixel is the mean of the area it covers, rounded half up to 8 bits;
	// "none": images stay as they are and Size is ignored.
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
}

// maxSide is the largest side of prepared images, in pixels.
const maxSide = 1024

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
	case "pad", "area", "none":
	default:
		return errors.Errorf("datasets.Prep: method %q; need \"pad\", \"area\" or \"none\"", p.Method)
	}
	if q.Size < 1 || q.Size > maxSide {
		return errors.Errorf("datasets.Prep: size %d; need 1 to %d pixels (0 for 32)", p.Size, maxSide)
	}
	switch q.Channels {
	case 0, 1, 3:
	default:
		return errors.Errorf("datasets.Prep: %d channels; need 1 (grey), 3 (colour) or 0 (as the images are)", q.Channels)
	}
	inside := q.Size
	if q.Method == "none" {
		inside = 1 // at least; Apply will see
	}
	if widest := (maxSide - inside) / 2; q.Border < 0 || q.Border > widest {
		return errors.Errorf("datasets.Prep: border %d; need 0 to %d, so that images have at most %d pixels a side", p.Border, widest, maxSide)
	}
	return nil
}

// Shape is the height, width and number of channels that images of h×w pixels with c channels have once they are
// prepared. It returns the errors of [Prep.Apply], for images that need not be there.
func (p Prep) Shape(h, w, c int) (height, width, channels int, err error) {
	if err := p.Validate(); err != nil {
		return 0, 0, 0, err
	}
	p = p.normal()
	switch {
	case p.Channels == 0 || p.Channels == c:
	case c != 1 && c != 3:
		return 0, 0, 0, errors.Errorf("datasets.Prep: cannot make %d channels of %d; need images with 1 or 3", p.Channels, c)
	default:
		c = p.Channels
	}
	if p.Method != "none" {
		if p.Method == "pad" && (h > p.Size || w > p.Size) {
			return 0, 0, 0, errors.Errorf("datasets.Prep: cannot pad %dx%d images to %dx%d; take a larger size or the method \"area\"",
				h, w, p.Size, p.Size)
		}
		h, w = p.Size, p.Size
	}
	h, w = h+2*p.Border, w+2*p.Border
	if max(h, w) > maxSide { // images left at their own size
		return 0, 0, 0, errors.Errorf("datasets.Prep: a border of %d around %dx%d pixels; images have at most %d pixels a side",
			p.Border, h-2*p.Border, w-2*p.Border, maxSide)
	}
	return h, w, c, nil
}

// Apply returns the images at the prepared size: new pixels and the same labels, or im
// itself if nothing changes, so treat the result as read-only. It returns an error for
// settings out of range and for padding to less than the images have.
func (p Prep) Apply(im *Images) (*Images, error) {
	if err := im.Validate(); err != nil {
		return nil, err
	}
	h, w, c, err := p.Shape(im.H, im.W, im.C)
	if err != nil {
		return nil, err
	}
	p = p.normal()
	out := p.resize(recolour(im, c))
	if p.Border == 0 {
		return out, nil
	}
	return centre(out, h, w), nil
}

// recolour returns the images with one or three channels, see [Prep.Channels], or im itself if they have them.
func recolour(im *Images, channels int) *Images {
	if channels == im.C {
		return im
	}
	out := &Images{N: im.N, H: im.H, W: im.W, C: channels, Labels: im.Labels, Pixels: make([]uint8, 0, im.N*im.H*im.W*channels)}
	if channels == 3 {
		for i := range im.N {
			for _, v := range im.Image(i) {
				out.Pixels = append(out.Pixels, v, v, v)
			}
		}
		return out
	}
	for i := range im.N {
		for px := im.Image(i); len(px) > 0; px = px[3:] {
			out.Pixels = append(out.Pixels, uint8((299*int(px[0])+587*int(px[1])+114*int(px[2])+500)/1000))
		}
	}
	return out
}

// resize returns the images at p's size without its border, or im itself if that is theirs.
func (p Prep) resize(im *Images) *Images {
	if p.Method == "none" || (im.H == p.Size && im.W == p.Size) {
		return im
	}
	if p.Method == "area" {
		out := &Images{N: im.N, H: p.Size, W: p.Size, C: im.C, Labels: im.Labels,
			Pixels: make([]uint8, im.N*p.Size*p.Size*im.C)}
		rows, cols := areaWeights(im.H, p.Size), areaWeights(im.W, p.Size)
		for i := range im.N {
			areaResize(out.Image(i), im.Image(i), im.H, im.W, im.C, rows, cols)
		}
		return out
	}
	return centre(im, p.Size, p.Size)
}

// centre puts the images in the middle of black ones of h by w pixels, which are no smaller.
func centre(im *Images, h, w int) *Images {
	out := &Images{N: im.N, H: h, W: w, C: im.C, Labels: im.Labels, Pixels: make([]uint8, im.N*h*w*im.C)}
	// An odd border puts the larger half below and to the right.
	top, left := (h-im.H)/2, (w-im.W)/2
	for i := range im.N {
		src, dst := im.Image(i), out.Image(i)
		for y := range im.H {
			copy(dst[((y+top)*w+left)*im.C:], src[y*im.W*im.C:(y+1)*im.W*im.C])
		}
	}
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
