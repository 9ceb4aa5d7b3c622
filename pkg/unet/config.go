package unet

import (
	"math"
	"palimpsest/pkg/network"
	"slices"

	"github.com/pkg/errors"
)

// Config describes one U-Net. The zero value is not usable: start from [Preset].
type Config struct {
	ImageSize   int     `yaml:"image_size" json:"image_size"`     // height and width in pixels; divisible by 2^(len(Mults)-1)
	Channels    int     `yaml:"channels" json:"channels"`         // colour channels of an image
	OutChannels int     `yaml:"out_channels" json:"out_channels"` // Channels, or 2·Channels where a variance is learned
	Base        int     `yaml:"base" json:"base"`                 // feature channels at full resolution
	Mults       []int   `yaml:"mults" json:"mults"`               // feature channels of each level, in multiples of Base
	ResBlocks   int     `yaml:"res_blocks" json:"res_blocks"`     // residual blocks a level on the way down; one more on the way up
	Attention   []int   `yaml:"attention" json:"attention"`       // resolutions (in pixels) with self-attention after each residual block
	MidAttn     bool    `yaml:"mid_attention" json:"mid_attention"`
	Heads       int     `yaml:"heads" json:"heads"`     // attention heads
	Groups      int     `yaml:"groups" json:"groups"`   // groups of every GroupNorm
	Dropout     float64 `yaml:"dropout" json:"dropout"` // rate inside residual blocks while training
	Classes     int     `yaml:"classes" json:"classes"` // labels are 0 .. Classes; Classes itself means "no label". 0: unconditional

	// Compute is the numbers that convolutions, the other maps over pixels and attention's products compute with, and that
	// activations between them are kept in: Float32 ("" is the same) or BFloat16. Weights, embeddings, normalisation, softmax
	// and what goes in and comes out are float32 always.
	Compute string `yaml:"compute,omitempty" json:"compute,omitempty"`

	// LoRA says which adapters the network has. It is set by whoever needs them, and no part of a stored configuration.
	LoRA network.LoRA `yaml:"-" json:"-"`
}

// What a network computes with.
const (
	Float32  = "float32"
	BFloat16 = "bfloat16" // eight bits of precision; for processors that have matrix units for it
)

// PresetNames lists the sizes known to [Preset], smallest first.
func PresetNames() []string { return []string{"tiny", "small", "ddpm"} }

// Preset returns the U-Net of the given size for square images:
//
//   - tiny: 0.6 million parameters, minutes on two cores;
//   - small: 4 million, hours on two cores, minutes on a GPU;
//   - ddpm: the CIFAR-10 network of [ddpm] appendix B, 35.7 million at 3 channels without labels.
//
// classes is the number of labels, 0 for an unconditional network.
func Preset(name string, imageSize, channels, classes int) (Config, error) {
	c := Config{ImageSize: imageSize, Channels: channels, OutChannels: channels, Classes: classes, Heads: 1}
	switch name {
	case "tiny":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 16, []int{1, 2, 4}, 1, 8
	case "small":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 64, []int{1, 2, 2}, 1, 16
		c.Attention, c.MidAttn, c.Heads, c.Dropout = []int{imageSize / 4}, true, 4, 0.1
	case "ddpm":
		c.Base, c.Mults, c.ResBlocks, c.Groups = 128, []int{1, 2, 2, 2}, 2, 32
		c.Attention, c.MidAttn, c.Dropout = []int{16}, true, 0.1
	default:
		return Config{}, errors.Errorf("unet: no size is named %q; choose one of %v", name, PresetNames())
	}
	return c, c.Validate()
}

// Shape implements [network.Network].
func (c Config) Shape() network.Shape {
	return network.Shape{ImageSize: c.ImageSize, Channels: c.Channels, OutChannels: c.OutChannels, Classes: c.Classes}
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
	if c.ImageSize <= 0 || c.Channels <= 0 || c.Base <= 0 || len(c.Mults) == 0 || c.ResBlocks <= 0 || c.Heads <= 0 || c.Groups <= 0 {
		return errors.Errorf("unet: image_size %d, channels %d, base %d, %d mults, res_blocks %d, heads %d, groups %d: all must be positive",
			c.ImageSize, c.Channels, c.Base, len(c.Mults), c.ResBlocks, c.Heads, c.Groups)
	}
	if c.OutChannels != c.Channels && c.OutChannels != 2*c.Channels {
		return errors.Errorf("unet: out_channels is %d; it must be %d, or %d where the variance is learned", c.OutChannels, c.Channels, 2*c.Channels)
	}
	if step := 1 << (len(c.Mults) - 1); c.ImageSize%step != 0 {
		return errors.Errorf("unet: image_size %d cannot be halved %d times; use a multiple of %d or fewer mults", c.ImageSize, len(c.Mults)-1, step)
	}
	if c.Base%2 != 0 || c.Base < 4 {
		return errors.Errorf("unet: base is %d; the sinusoidal time embedding needs an even number from 4 on", c.Base)
	}
	for _, m := range c.Mults {
		if width := m * c.Base; m <= 0 || width%c.Groups != 0 || width%c.Heads != 0 {
			return errors.Errorf("unet: mult %d of base %d gives %d channels; need a positive multiple of groups (%d) and of heads (%d)",
				m, c.Base, width, c.Groups, c.Heads)
		}
	}
	resolutions := make([]int, len(c.Mults))
	for level := range c.Mults {
		resolutions[level] = c.ImageSize >> level
	}
	for _, r := range c.Attention {
		if !slices.Contains(resolutions, r) {
			return errors.Errorf("unet: attention at %d pixels, but the levels have %v", r, resolutions)
		}
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		return errors.Errorf("unet: dropout is %g; need 0 <= dropout < 1", c.Dropout)
	}
	if c.Compute != "" && c.Compute != Float32 && c.Compute != BFloat16 {
		return errors.Errorf("unet: compute is %.100q; choose %q or %q", c.Compute, Float32, BFloat16)
	}
	if c.LoRA.Rank < 0 || c.LoRA.Rank > 0 && !(c.LoRA.Alpha > 0) || math.IsInf(c.LoRA.Alpha, 0) {
		return errors.Errorf("unet: adapters of rank %d and alpha %g; need a rank of 1 or more with a finite alpha > 0, or rank 0 for none",
			c.LoRA.Rank, c.LoRA.Alpha)
	}
	if c.Classes < 0 {
		return errors.Errorf("unet: classes is %d; need 0 (unconditional) or more", c.Classes)
	}
	return nil
}
