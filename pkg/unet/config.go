package unet

import (
	"fmt"
	"palimpsest/pkg/network"
	"slices"

	"github.com/pkg/errors"
)

// Config describes one U-Net. The zero value is not usable: start from [Preset].
type Config struct {
	ImageSize   int     `yaml:"image_size" json:"image_size"`           // height in pixels, and width unless Width is given; divisible by 2^(len(Mults)-1)
	Width       int     `yaml:"width,omitempty" json:"width,omitempty"` // width in pixels, divisible like the height; 0: as the height
	Channels    int     `yaml:"channels" json:"channels"`               // colour channels of an image
	OutChannels int     `yaml:"out_channels" json:"out_channels"`       // Channels, or 2·Channels where a variance is learned
	Base        int     `yaml:"base" json:"base"`                       // feature channels at full resolution
	Mults       []int   `yaml:"mults" json:"mults"`                     // feature channels of each level, in multiples of Base
	ResBlocks   int     `yaml:"res_blocks" json:"res_blocks"`           // residual blocks a level on the way down; one more on the way up
	Attention   []int   `yaml:"attention" json:"attention"`             // resolutions with self-attention after each residual block, by the shorter side in pixels
	MidAttn     bool    `yaml:"mid_attention" json:"mid_attention"`
	Heads       int     `yaml:"heads" json:"heads"`     // attention heads
	Groups      int     `yaml:"groups" json:"groups"`   // groups of every GroupNorm
	Dropout     float64 `yaml:"dropout" json:"dropout"` // rate inside residual blocks while training
	Classes     int     `yaml:"classes" json:"classes"` // labels are 0 .. Classes; Classes itself means "no label". 0: unconditional

	// Compute is the numbers that convolutions, the other maps over pixels and attention's products compute with, and that
	// activations between them are kept in: Float32 ("" is the same) or BFloat16. Weights, embeddings, normalisation, softmax
	// and what goes in and comes out are float32 always.
	Compute string `yaml:"compute,omitempty" json:"compute,omitempty"`

	// Form is what networks trained elsewhere have otherwise. Its zero value is [ddpm]'s.
	Form Form `yaml:"form,omitempty" json:"form,omitzero"`

	// LoRA says which adapters the network has. It is set by whoever needs them, and no part of a stored configuration.
	LoRA network.LoRA `yaml:"-" json:"-"`
}

// Form holds what U-Nets of one plan differ in from code to code; the names in brackets are those of diffusers' UNet2DModel.
type Form struct {
	HeadDim    int     `yaml:"head_dim,omitempty" json:"head_dim,omitempty"`       // channels of an attention head, as many heads as that makes [attention_head_dim]; 0: Heads heads
	NormEps    float64 `yaml:"norm_eps,omitempty" json:"norm_eps,omitempty"`       // added to every GroupNorm's variance [norm_eps]; 0: 1e-6
	CosFirst   bool    `yaml:"cos_first,omitempty" json:"cos_first,omitempty"`     // of the features of time cosines come before sines [flip_sin_to_cos]
	OpenFreq   bool    `yaml:"open_freq,omitempty" json:"open_freq,omitempty"`     // their slowest frequency is above 1/10000, not at it [freq_shift 0, not 1]
	PadAround  bool    `yaml:"pad_around,omitempty" json:"pad_around,omitempty"`   // zeros all around where pixels are halved, not below and to the right [downsample_padding 1, not 0]
	ScaleShift bool    `yaml:"scale_shift,omitempty" json:"scale_shift,omitempty"` // time and label scale and shift what the second norm gives, in place of an addition before it [resnet_time_scale_shift]
	PlainMid   bool    `yaml:"plain_mid,omitempty" json:"plain_mid,omitempty"`     // the middle block's attention has no GroupNorm, as diffusers has it with scale_shift [attn_norm_num_groups]
}

// What a network computes with.
const (
	Float32  = "float32"
	BFloat16 = "bfloat16" // eight bits of precision; for processors that have matrix units for it
)

// PresetNames lists the sizes known to [Preset], smallest first.
func PresetNames() []string { return []string{"tiny", "small", "ddpm"} }

// attended is the largest resolution at which a preset attends: the work grows with the fourth power of the side.
const attended = 24

// Preset returns the U-Net of the given size for images of h×w pixels:
//
//   - tiny: 0.6 million parameters, minutes on two cores;
//   - small: 4 million, hours on two cores, minutes on a GPU;
//   - ddpm: the CIFAR-10 network of [ddpm] appendix B, 35.7 million at 3 channels without labels.
//
// small attends at its last level, ddpm at the first one of at most 24 pixels (16 of 32). Where images are so large that the last
// level has more, both get further levels of the base width in front, one for each doubling.
//
// classes is the number of labels, 0 for an unconditional network.
func Preset(name string, h, w, channels, classes int) (Config, error) {
	c := Config{ImageSize: h, Channels: channels, OutChannels: channels, Classes: classes, Heads: 1}
	if w != h {
		c.Width = w
	}
	switch name {
	case "tiny":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 16, []int{1, 2, 4}, 1, 8
	case "small":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 64, []int{1, 2, 2}, 1, 16
		c.MidAttn, c.Heads, c.Dropout = true, 4, 0.1
		c.deepen()
		c.Attention = []int{c.resolutions()[len(c.Mults)-1]}
	case "ddpm":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 128, []int{1, 2, 2, 2}, 2, 32
		c.MidAttn, c.Dropout = true, 0.1
		c.deepen()
		for _, r := range c.resolutions() {
			if r <= attended {
				c.Attention = []int{r}
				break
			}
		}
	default:
		return Config{}, errors.Errorf("unet: no size is named %q; choose one of %v", name, PresetNames())
	}
	return c, c.Validate()
}

// deepen adds levels in front until the last one is small enough for attention or cannot be halved again.
func (c *Config) deepen() {
	h, w := c.sides()
	for last := len(c.Mults) - 1; min(h, w)>>last > attended && h%(2<<last) == 0 && w%(2<<last) == 0; last++ {
		c.Mults = append([]int{1}, c.Mults...)
	}
}

// sides are the height and the width of the images in pixels.
func (c Config) sides() (h, w int) {
	if c.Width == 0 {
		return c.ImageSize, c.ImageSize
	}
	return c.ImageSize, c.Width
}

// resolutions are the shorter sides of the levels in pixels.
func (c Config) resolutions() []int {
	h, w := c.sides()
	all := make([]int, len(c.Mults))
	for level := range all {
		all[level] = min(h, w) >> level
	}
	return all
}

// Shape implements [network.Network].
func (c Config) Shape() network.Shape {
	h, w := c.sides()
	return network.Shape{H: h, W: w, Channels: c.Channels, OutChannels: c.OutChannels, Classes: c.Classes}
}

// Drops implements [network.Network].
func (c Config) Drops() bool { return c.Dropout > 0 }

// WithLoRA implements [network.Network].
func (c Config) WithLoRA(l network.LoRA) network.Network {
	c.LoRA = l
	return c
}

// Validate reports the first setting that no network can be built from.
func (c Config) Validate() error {
	if c.ImageSize <= 0 || c.Width < 0 || c.Channels <= 0 || c.Base <= 0 || len(c.Mults) == 0 || c.ResBlocks <= 0 || c.Heads <= 0 || c.Groups <= 0 {
		return errors.Errorf("unet: image_size %d, width %d (0: as the height), channels %d, base %d, %d mults, res_blocks %d, heads %d, groups %d: all must be positive",
			c.ImageSize, c.Width, c.Channels, c.Base, len(c.Mults), c.ResBlocks, c.Heads, c.Groups)
	}
	if err := c.checkSize(); err != nil {
		return err
	}
	if c.OutChannels != c.Channels && c.OutChannels != 2*c.Channels {
		return errors.Errorf("unet: out_channels is %d; it must be %d, or %d where the variance is learned", c.OutChannels, c.Channels, 2*c.Channels)
	}
	if h, w := c.sides(); h%(1<<(len(c.Mults)-1)) != 0 || w%(1<<(len(c.Mults)-1)) != 0 {
		return c.cannotHalve()
	}
	if c.Base%2 != 0 || c.Base < 4 {
		return errors.Errorf("unet: base is %d; the sinusoidal time embedding needs an even number from 4 on", c.Base)
	}
	for level, m := range c.Mults {
		attends := slices.Contains(c.Attention, c.resolutions()[level]) || c.MidAttn && level == len(c.Mults)-1
		if width := m * c.Base; attends && m > 0 && c.Form.HeadDim > 0 && width%c.Form.HeadDim != 0 {
			return errors.Errorf("unet: mult %d of base %d gives %d channels, where there is attention; need a multiple of form.head_dim (%d)", m, c.Base, width, c.Form.HeadDim)
		}
		if width := m * c.Base; m <= 0 || width%c.Groups != 0 || width%c.Heads != 0 {
			return errors.Errorf("unet: mult %d of base %d gives %d channels; need a positive multiple of groups (%d) and of heads (%d)",
				m, c.Base, width, c.Groups, c.Heads)
		}
	}
	for _, r := range c.Attention {
		if resolutions := c.resolutions(); !slices.Contains(resolutions, r) {
			return errors.Errorf("unet: attention at %d pixels, but the levels have %v", r, resolutions)
		}
	}
	if c.Form.HeadDim < 0 || !(c.Form.NormEps >= 0 && c.Form.NormEps < 1) {
		return errors.Errorf("unet: form.head_dim is %d, norm_eps %g; need 0 or more, and 0 <= norm_eps < 1", c.Form.HeadDim, c.Form.NormEps)
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		return errors.Errorf("unet: dropout is %g; need 0 <= dropout < 1", c.Dropout)
	}
	if c.Compute != "" && c.Compute != Float32 && c.Compute != BFloat16 {
		return errors.Errorf("unet: compute is %.100q; choose %q or %q", c.Compute, Float32, BFloat16)
	}
	if err := c.LoRA.Validate(); err != nil {
		return err
	}
	if c.Classes < 0 {
		return errors.Errorf("unet: classes is %d; need 0 (unconditional) or more", c.Classes)
	}
	return nil
}

// mostLevels halve images of the largest side that there can be.
const mostLevels = 24

// checkSize refuses, before anything is built, a network of more blocks or weights than can be meant. Counted are the weights of
// every block's second convolution, from as many channels to as many, which are fewer than half of them all.
func (c Config) checkSize() error {
	if len(c.Mults) > mostLevels {
		return errors.Errorf("unet: %d mults; need at most %d, since each but the first halves the image", len(c.Mults), mostLevels)
	}
	perLevel := 2*float64(c.ResBlocks) + 1
	if blocks := float64(len(c.Mults))*perLevel + 2; blocks > network.MostBlocks {
		return errors.Errorf("unet: res_blocks %d on %d levels makes %.0f residual blocks; need at most %d", c.ResBlocks, len(c.Mults), blocks, network.MostBlocks)
	}
	weights := 0.0
	for _, m := range c.Mults {
		width := float64(m) * float64(c.Base)
		weights += perLevel * 9 * width * width
	}
	if weights > network.MostWeights {
		return errors.Errorf("unet: base %d, mults %v and res_blocks %d make a network of more than %.2g weights; need at most %.2g", c.Base, c.Mults, c.ResBlocks, weights, network.MostWeights)
	}
	return nil
}

// RowValues is how many numbers one image has at full resolution inside the network.
func (c Config) RowValues() float64 {
	h, w := c.sides()
	return float64(h) * float64(w) * float64(c.Base)
}

// cannotHalve is the error of sides that the levels do not divide: it names the nearest sizes that they do.
func (c Config) cannotHalve() error {
	h, w := c.sides()
	step := 1 << (len(c.Mults) - 1)
	up := func(side int) int { return (side + step - 1) / step * step }
	nearest := fmt.Sprintf("the next size that can is %d×%d", up(h), up(w))
	if h >= step && w >= step {
		nearest = fmt.Sprintf("the next sizes that can are %d×%d and %d×%d", h/step*step, w/step*step, up(h), up(w))
	}
	return errors.Errorf("unet: images of %d×%d pixels cannot be halved %d times; %s: prepare them so (benchmark.prep), or use fewer network.mults", h, w, len(c.Mults)-1, nearest)
}
