package dit

import (
	"fmt"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Config is one network, with all its sizes. It implements [network.Network].
type Config struct {
	Height      int          `yaml:"height" json:"height"` // of an image, in pixels
	Width       int          `yaml:"width" json:"width"`
	Channels    int          `yaml:"channels" json:"channels"`
	OutChannels int          `yaml:"out_channels" json:"out_channels"` // Channels, or twice as many where a variance is learned
	Classes     int          `yaml:"classes" json:"classes"`           // labels are 0 .. Classes, which itself means "no label"; 0: unconditional
	Patch       int          `yaml:"patch" json:"patch"`               // side of a patch in pixels
	Depth       int          `yaml:"depth" json:"depth"`               // blocks
	Hidden      int          `yaml:"hidden" json:"hidden"`             // features of a patch
	Heads       int          `yaml:"heads" json:"heads"`               // of attention
	LoRA        network.LoRA `yaml:"-" json:"-"`
}

// sizes are those of [dit] table 1, and a tiny one.
var sizes = []struct {
	name                 string
	depth, hidden, heads int
}{{"tiny", 5, 64, 4}, {"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}}

// patches are the sides of a patch in [dit].
var patches = []int{2, 4, 8}

// PresetNames lists the sizes known to [Preset], smallest first: "tiny", and those of [dit] with the patch's side, such as "S/2".
func PresetNames() []string {
	names := []string{sizes[0].name}
	for _, s := range sizes[1:] {
		for _, p := range patches {
			names = append(names, fmt.Sprintf("%s/%d", s.name, p))
		}
	}
	return names
}

// Preset returns the network of the given size for images of h×w pixels:
//
//   - tiny: 0.4 million parameters in patches of 2 pixels, for images of 16×16, with four fifths of the operations of the U-Net of
//     that name;
//   - S/2 to XL/8: those of [dit] table 1, with 33 (S), 130 (B), 458 (L) and 675 million parameters (XL); after the stroke is the
//     side of a patch.
//
// classes is the number of labels, 0 for an unconditional network.
func Preset(name string, h, w, channels, classes int) (Config, error) {
	c := Config{Height: h, Width: w, Channels: channels, OutChannels: channels, Classes: classes, Patch: 2}
	size, patch, found := strings.Cut(name, "/")
	for _, s := range sizes {
		if s.name != size || found != (s.name != sizes[0].name) {
			continue
		}
		for _, p := range patches {
			if found && fmt.Sprint(p) == patch {
				c.Patch = p
			}
		}
		if found && fmt.Sprint(c.Patch) != patch {
			break
		}
		c.Depth, c.Hidden, c.Heads = s.depth, s.hidden, s.heads
		return c, c.Validate()
	}
	return Config{}, errors.Errorf("dit: no size is named %.100q; choose one of %v", name, PresetNames())
}

// Shape implements [network.Network].
func (c Config) Shape() network.Shape {
	return network.Shape{H: c.Height, W: c.Width, Channels: c.Channels, OutChannels: c.OutChannels, Classes: c.Classes}
}

// Drops implements [network.Network]: the network has no dropout.
func (c Config) Drops() bool { return false }

// WithLoRA implements [network.Network].
func (c Config) WithLoRA(l network.LoRA) network.Network {
	c.LoRA = l
	return c
}

// Validate reports the first setting that no network can be built from.
func (c Config) Validate() error {
	switch {
	case c.Height <= 0 || c.Width <= 0 || c.Channels <= 0 || c.Patch <= 0 || c.Depth <= 0 || c.Hidden <= 0 || c.Heads <= 0:
		return errors.Errorf("dit: images of %d×%d pixels and %d channels, patch %d, depth %d, hidden %d, heads %d: all must be positive",
			c.Height, c.Width, c.Channels, c.Patch, c.Depth, c.Hidden, c.Heads)
	case c.Depth > network.MostBlocks:
		return errors.Errorf("dit: depth is %d; need at most %d blocks", c.Depth, network.MostBlocks)
	case c.weights() > network.MostWeights:
		return errors.Errorf("dit: depth %d and hidden %d make a network of more than %.2g weights; need at most %.2g", c.Depth, c.Hidden, c.weights(), network.MostWeights)
	case c.OutChannels != c.Channels && c.OutChannels != 2*c.Channels:
		return errors.Errorf("dit: out_channels is %d; it must be %d, or %d where the variance is learned", c.OutChannels, c.Channels, 2*c.Channels)
	case c.Height%c.Patch != 0 || c.Width%c.Patch != 0:
		up := func(side int) int { return (side + c.Patch - 1) / c.Patch * c.Patch }
		return errors.Errorf("dit: images of %d×%d pixels have no whole number of patches of %d; the next size that has is %d×%d: prepare them so (benchmark.prep), or set network.patch",
			c.Height, c.Width, c.Patch, up(c.Height), up(c.Width))
	case c.Hidden%4 != 0 || c.Hidden%c.Heads != 0:
		return errors.Errorf("dit: hidden is %d; need a multiple of 4, for positions, and of heads (%d)", c.Hidden, c.Heads)
	case c.Classes < 0:
		return errors.Errorf("dit: classes is %d; need 0 (unconditional) or more", c.Classes)
	}
	return c.LoRA.Validate()
}

// weights is how many the linear maps of the blocks have.
func (c Config) weights() float64 {
	return float64(c.Depth) * (4 + 2*widening + 6) * float64(c.Hidden) * float64(c.Hidden)
}

// RowValues is how many numbers one image has between two blocks.
func (c Config) RowValues() float64 {
	return float64(c.Height/c.Patch) * float64(c.Width/c.Patch) * float64(c.Hidden)
}

// Work is what one image costs in a forward pass, in floating-point operations: two for every multiplication with addition of
// the linear maps and of attention, as the U-Net's is counted. A training step costs three times that.
func (c Config) Work() float64 {
	n, d := float64(c.Height/c.Patch*c.Width/c.Patch), float64(c.Hidden)
	pixels := float64(c.Patch * c.Patch)
	block := n*(3*d*d+d*d+2*widening*d*d) + 2*n*n*d + 6*d*d
	return 2 * (float64(c.Depth)*block + n*pixels*d*float64(c.Channels+c.OutChannels) + timeFeatures*d + d*d + 2*d*d)
}
