package unet

import "slices"

// Work is what one image costs in a forward pass, in floating-point operations: two for every multiplication with addition
// of the convolutions, the other linear maps and attention. What is done element by element is left out, as is usual. A
// training step costs three times that: the gradient needs one product for the inputs and one for the weights.
func (c Config) Work() float64 {
	total, width := 0.0, 4*c.Base
	product := func(times, in, out int) { total += 2 * float64(times) * float64(in) * float64(out) }
	conv := func(side, in, out int) { product(side*side, 9*in, out) }
	attention := func(side, channels int) {
		pixels := side * side
		product(pixels, channels, 4*channels) // query, key, value and the projection behind them
		product(2*pixels, pixels, channels)   // scores, and the mixture that they weigh
	}
	residual := func(side, in, out int, attend bool) {
		conv(side, in, out)
		conv(side, out, out)
		product(1, width, out)
		if in != out {
			product(side*side, in, out)
		}
		if attend {
			attention(side, out)
		}
	}
	product(1, c.Base, width)
	product(1, width, width)
	side, channels := c.ImageSize, c.Base
	conv(side, c.Channels, channels)
	skips := []int{channels}
	for level, mult := range c.Mults {
		for range c.ResBlocks {
			residual(side, channels, c.Base*mult, slices.Contains(c.Attention, side))
			channels = c.Base * mult
			skips = append(skips, channels)
		}
		if level < len(c.Mults)-1 {
			side /= 2
			conv(side, channels, channels)
			skips = append(skips, channels)
		}
	}
	for range 2 {
		residual(side, channels, channels, false)
	}
	if c.MidAttn {
		attention(side, channels)
	}
	for level, mult := range slices.Backward(c.Mults) {
		for range c.ResBlocks + 1 {
			residual(side, channels+skips[len(skips)-1], c.Base*mult, slices.Contains(c.Attention, side))
			channels, skips = c.Base*mult, skips[:len(skips)-1]
		}
		if level > 0 {
			side *= 2
			conv(side, channels, channels)
		}
	}
	conv(side, channels, c.OutChannels)
	return total
}
