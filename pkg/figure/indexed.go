package figure

import (
	"cmp"
	"image"
	"image/color"
	"maps"
	"slices"
)

// indexed returns a picture of at most 256 colours, which as a PNG has a third of the size: the edges of lines and letters are
// drawn in thousands of shades. The most frequent colours stay as they are. Each other one becomes one of them that is near in
// red, green and blue, as near as that number of colours allows: within a dozen of 256 levels in figures of this package.
func indexed(picture *image.RGBA) *image.Paletted {
	counts := map[color.RGBA]int{}
	for i := 0; i < len(picture.Pix); i += 4 {
		counts[at(picture, i)]++
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B), cmp.Compare(a.A, b.A))
	})
	var kept []color.RGBA
	for near := 0; near == 0 || len(kept) > 256; near++ {
		kept = kept[:0]
		for _, c := range frequent {
			if !slices.ContainsFunc(kept, func(k color.RGBA) bool { return distance(c, k) <= near }) {
				kept = append(kept, c)
			}
			if len(kept) > 256 {
				break
			}
		}
	}
	index := map[color.RGBA]uint8{}
	for c := range counts {
		best := 0
		for i, k := range kept {
			if distance(c, k) < distance(c, kept[best]) {
				best = i
			}
		}
		index[c] = uint8(best)
	}
	var palette color.Palette
	for _, c := range kept {
		palette = append(palette, c)
	}
	out := image.NewPaletted(picture.Rect, palette)
	for i := range out.Pix {
		out.Pix[i] = index[at(picture, 4*i)]
	}
	return out
}

// at is the colour whose bytes begin at the given one. The rows of pictures here lie without gaps.
func at(picture *image.RGBA, i int) color.RGBA {
	return color.RGBA{picture.Pix[i], picture.Pix[i+1], picture.Pix[i+2], picture.Pix[i+3]}
}

// distance is the largest difference of two colours in red, green, blue or opacity.
func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return max(d(a.R, b.R), d(a.G, b.G), d(a.B, b.B), d(a.A, b.A))
}
