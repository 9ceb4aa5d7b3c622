package datasets

import "image"

// chroma holds what differs between programs that enlarge planes of colour stored at half size: how many columns a plane must have, and
// what is added, in even and in odd columns, before a weighted sum of levels is divided by 16.
type chroma struct {
	leastColumns int
	rounds       [2]int
}

var jpegChroma, webpChroma = chroma{3, [2]int{8, 7}}, chroma{1, [2]int{8, 8}}

// fullChroma returns the planes of colour of a JPEG picture at the size of its plane of brightness. Where they are stored at half its
// width, height or both, each pixel is computed from its two nearest neighbours in each direction with weights 3 and 1. So does libjpeg
// (its "fancy upsampling", jdsample.c), and with it Pillow, OpenCV and browsers, and libwebp. The decoder's type only repeats the
// nearest pixel, which changes colours at edges by up to a hundred levels. For other ratios libjpeg repeats pixels too.
func fullChroma(m *image.YCbCr, how chroma) *image.YCbCr {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	halfWidth := m.SubsampleRatio == image.YCbCrSubsampleRatio422 || m.SubsampleRatio == image.YCbCrSubsampleRatio420
	halfHeight := m.SubsampleRatio == image.YCbCrSubsampleRatio420 || m.SubsampleRatio == image.YCbCrSubsampleRatio440
	cw, ch := w, h
	if halfWidth {
		cw = (w + 1) / 2
	}
	if halfHeight {
		ch = (h + 1) / 2
	}
	if !halfWidth && !halfHeight || halfWidth && cw < how.leastColumns || b.Min != (image.Point{}) {
		return m
	}
	out := &image.YCbCr{Y: m.Y, YStride: m.YStride, Cb: make([]uint8, w*h), Cr: make([]uint8, w*h), CStride: w, SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: b}
	sums := make([]int, cw) // of the two nearest rows, 3 to 1, or the row itself
	for _, plane := range []struct{ from, to []uint8 }{{m.Cb, out.Cb}, {m.Cr, out.Cr}} {
		at := func(y int) []uint8 { return plane.from[y*m.CStride:] }
		for y := range h {
			near, far, whole, round := y, y, 1, 0
			if halfHeight {
				near, far, whole, round = y/2, max(0, y/2-1), 4, 1
				if y%2 == 1 {
					far, round = min(ch-1, near+1), 2
				}
			}
			for x := range sums {
				if sums[x] = int(at(near)[x]); halfHeight {
					sums[x] = 3*sums[x] + int(at(far)[x])
				}
			}
			row := plane.to[y*w : (y+1)*w]
			if !halfWidth {
				for x, sum := range sums {
					row[x] = uint8((sum + round) / whole)
				}
				continue
			}
			rounds := [2]int{1, 2} // even and odd columns round apart, so that no level is favoured
			if halfHeight {
				rounds = how.rounds
			}
			for x := range row {
				near := x / 2
				far := max(0, near-1)
				if x%2 == 1 {
					far = min(cw-1, near+1)
				}
				row[x] = uint8((3*sums[near] + sums[far] + rounds[x%2]) / (4 * whole))
			}
		}
	}
	return out
}
