package unet

import "slices"

// Work is what one image costs in a forward pass, in floating-point operations: two for every multiplication with addition
// of the convolutions, the other linear maps and attention. What is done element by element is left out, as is usual. A
// training step costs three times that: the gradient needs one product for the inputs and one for the weights.
func (c Config) Work() float64 {
	total, width := 0.0, 4*c.Base
	pixels := func(level int) int {
		h, w := c.sides()
		return (h >> level) * (w >> level)
	}
	product := func(times, in, out int) { total += 2 * float64(times) * float64(in) * float64(out) }
	conv := func(level, in, out int) { product(pixels(level), 9*in, out) }
	attention := func(level, channels int) {
		product(pixels(level), channels, 4*channels)      // query, key, value and the projection behind them
		product(2*pixels(level), pixels(level), channels) // scores, and the mixture that they weigh
	}
	residual := func(level, in, out int, attend bool) {
		conv(level, in, out)
		conv(level, out, out)
		product(1, width, out)
		if c.Form.ScaleShift {
			product(1, width, out)
		}
		if in != out {
			product(pixels(level), in, out)
		}
		if attend {
			attention(level, out)
		}
	}
	product(1, c.Base, width)
	product(1, width, width)
	channels, last := c.Base, len(c.Mults)-1
	conv(0, c.Channels, channels)
	skips := []int{channels}
	for level, mult := range c.Mults {
		for range c.ResBlocks {
			residual(level, channels, c.Base*mult, slices.Contains(c.Attention, c.resolutions()[level]))
			channels = c.Base * mult
			skips = append(skips, channels)
		}
		if level < last {
			conv(level+1, channels, channels)
			skips = append(skips, channels)
		}
	}
	for range 2 {
		residual(last, channels, channels, false)
	}
	if c.MidAttn {
		attention(last, channels)
	}
	for level, mult := range slices.Backward(c.Mults) {
		for range c.ResBlocks + 1 {
			residual(level, channels+skips[len(skips)-1], c.Base*mult, slices.Contains(c.Attention, c.resolutions()[level]))
			channels, skips = c.Base*mult, skips[:len(skips)-1]
		}
		if level > 0 {
			conv(level-1, channels, channels)
		}
	}
	conv(0, channels, c.OutChannels)
	return total
}
