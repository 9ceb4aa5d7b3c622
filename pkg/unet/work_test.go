package unet

import (
	"math"
	"testing"
)

func TestWork(t *testing.T) {
	// One level of one block without attention at 2×2 pixels, base 4: counted by hand. In: 4 pixels of 9·1·4. Down, and the
	// two in the middle: 2·4·9·4·4 and the embedding 16·4. Up: the same twice, the first convolution and the skip from 8.
	c := Config{ImageSize: 2, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 1}
	embedding, in, out := 4*16+16*16, 4*9*4, 4*9*4
	plain, up := 2*4*9*16+16*4, 4*9*32+4*9*16+16*4+4*32
	if want := 2.0 * float64(embedding+in+out+3*plain+2*up); c.Work() != want {
		t.Errorf("a small network has %g operations; counted by hand %g", c.Work(), want)
	}
	c.MidAttn = true
	if more := c.Work() - 2*float64(embedding+in+out+3*plain+2*up); more != 2*(4*4*16+2*4*4*4) {
		t.Errorf("attention over 4 pixels of 4 channels adds %g operations", more)
	}
	// Twice as wide: twice the pixels, four times the pairs of them.
	wide, square := c, c
	wide.Width = 4
	square.MidAttn, wide.MidAttn = false, false
	once := float64(embedding) + 5*16*4 // of the embedding, whatever the size
	if got, want := wide.Work()-2*once, 2*(square.Work()-2*once); got != want {
		t.Errorf("twice as wide, a network has %g operations beside the embedding's, not %g", got, want)
	}
	plainWork := wide.Work()
	wide.MidAttn = true
	if more := wide.Work() - plainWork; more != 2*(8*4*16+2*8*8*4) {
		t.Errorf("attention over 8 pixels of 4 channels adds %g operations", more)
	}
	// Counted in XLA's programs of the presets' forward passes, in millions.
	for _, p := range []struct {
		name           string
		size, channels int
		want           float64
	}{{"tiny", 16, 1, 45}, {"small", 32, 1, 1979}, {"ddpm", 32, 3, 12444}} {
		c, err := Preset(p.name, p.size, p.size, p.channels, 10)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Work() / 1e6; math.Abs(got-p.want) > 0.02*p.want {
			t.Errorf("%s has %.1f million operations an image, not about %g", p.name, got, p.want)
		}
	}
}
