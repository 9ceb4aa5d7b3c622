package diffusers

import (
	"fmt"
	"slices"

	"palimpsest/pkg/network"
	"palimpsest/pkg/unet"
)

// kind is how the values of a weight lie in the two forms.
type kind int

const (
	vector    kind = iota // [n] in both
	rows                  // [n, m] in both
	linear                // [in, out] here, [out, in] there
	conv                  // [3, 3, in, out] here, [out, in, 3, 3] there
	pointwise             // [in, out] here, [out, in, 1, 1] there
)

// weight is one tensor under its two names.
type weight struct {
	ours, theirs string
	kind         kind
	ourDims      []int
}

// theirDims is the tensor's shape there.
func (w weight) theirDims() []int {
	d := w.ourDims
	switch w.kind {
	case linear:
		return []int{d[1], d[0]}
	case conv:
		return []int{d[3], d[2], 3, 3}
	case pointwise:
		return []int{d[1], d[0], 1, 1}
	}
	return d
}

// toTheirs writes a tensor's values in their order.
func (w weight) toTheirs(values []float32) []float32 {
	d := w.ourDims
	switch w.kind {
	case linear, pointwise:
		return network.SwapAxes(values, 1, d[0], d[1])
	case conv: // by [out, 9, in]
		return network.SwapAxes(network.SwapAxes(values, 1, 9*d[2], d[3]), d[3], 9, d[2])
	}
	return slices.Clone(values)
}

// toOurs is the inverse of toTheirs.
func (w weight) toOurs(values []float32) []float32 {
	d := w.ourDims
	switch w.kind {
	case linear, pointwise:
		return network.SwapAxes(values, 1, d[1], d[0])
	case conv:
		return network.SwapAxes(network.SwapAxes(values, d[3], d[2], 9), 1, d[3], 9*d[2])
	}
	return slices.Clone(values)
}

// old are the names of attention's weights in models from before diffusers 0.13, by those of today.
var old = map[string]string{".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}

// weights lists every weight of a network.
func weights(c unet.Config) []weight {
	var list []weight
	add := func(ours, theirs string, k kind, dims ...int) {
		list = append(list, weight{ours, theirs, k, dims})
	}
	pair := func(ours, theirs string, k kind, dims ...int) { // with its biases
		add(ours+"/weights", theirs+".weight", k, dims...)
		add(ours+"/biases", theirs+".bias", vector, dims[len(dims)-1])
	}
	norm := func(ours, theirs string, channels int) {
		add(ours+"/gain", theirs+".weight", vector, channels)
		add(ours+"/offset", theirs+".bias", vector, channels)
	}
	width := 4 * c.Base
	residual := func(ours, theirs string, in, out int) {
		norm(ours+"/norm0", theirs+".norm1", in)
		pair(ours+"/conv0", theirs+".conv1", conv, 3, 3, in, out)
		embedded := out
		if c.Form.ScaleShift {
			embedded = 2 * out
		}
		pair(ours+"/embed", theirs+".time_emb_proj", linear, width, embedded)
		norm(ours+"/norm1", theirs+".norm2", out)
		pair(ours+"/conv1", theirs+".conv2", conv, 3, 3, out, out)
		if in != out {
			pair(ours+"/skip", theirs+".conv_shortcut", pointwise, in, out)
		}
	}
	attention := func(ours, theirs string, channels int, plain bool) {
		if !plain {
			norm(ours+"/norm", theirs+".group_norm", channels)
		}
		for _, m := range [][2]string{{"query", "to_q"}, {"key", "to_k"}, {"value", "to_v"}, {"project", "to_out.0"}} {
			pair(ours+"/"+m[0], theirs+"."+m[1], linear, channels, channels)
		}
	}
	pair("time0", "time_embedding.linear_1", linear, c.Base, width)
	pair("time1", "time_embedding.linear_2", linear, width, width)
	if c.Classes > 0 {
		add("label/embedding", "class_embedding.weight", rows, c.Classes+1, width)
	}
	pair("in", "conv_in", conv, 3, 3, c.Channels, c.Base)
	channels := c.Base
	skips := []int{channels}
	attends := attending(c)
	for level, mult := range c.Mults {
		for i := range c.ResBlocks {
			ours, theirs := fmt.Sprintf("down%d_%d", level, i), fmt.Sprintf("down_blocks.%d", level)
			residual(ours, fmt.Sprintf("%s.resnets.%d", theirs, i), channels, c.Base*mult)
			channels = c.Base * mult
			if attends[level] {
				attention(ours+"/attention", fmt.Sprintf("%s.attentions.%d", theirs, i), channels, false)
			}
			skips = append(skips, channels)
		}
		if level < len(c.Mults)-1 {
			pair(fmt.Sprintf("down%d_pool", level), fmt.Sprintf("down_blocks.%d.downsamplers.0.conv", level), conv, 3, 3, channels, channels)
			skips = append(skips, channels)
		}
	}
	residual("mid0", "mid_block.resnets.0", channels, channels)
	if c.MidAttn {
		attention("mid_attention", "mid_block.attentions.0", channels, c.Form.PlainMid)
	}
	residual("mid1", "mid_block.resnets.1", channels, channels)
	for level, mult := range slices.Backward(c.Mults) {
		theirs := fmt.Sprintf("up_blocks.%d", len(c.Mults)-1-level)
		for i := range c.ResBlocks + 1 {
			ours := fmt.Sprintf("up%d_%d", level, i)
			residual(ours, fmt.Sprintf("%s.resnets.%d", theirs, i), channels+skips[len(skips)-1], c.Base*mult)
			channels, skips = c.Base*mult, skips[:len(skips)-1]
			if attends[level] {
				attention(ours+"/attention", fmt.Sprintf("%s.attentions.%d", theirs, i), channels, false)
			}
		}
		if level > 0 {
			pair(fmt.Sprintf("up%d_grow", level), theirs+".upsamplers.0.conv", conv, 3, 3, channels, channels)
		}
	}
	norm("out_norm", "conv_norm_out", channels)
	pair("out", "conv_out", conv, 3, 3, channels, c.OutChannels)
	return list
}

// attending says of every level whether its blocks end in attention.
func attending(c unet.Config) []bool {
	levels := make([]bool, len(c.Mults))
	for level := range levels {
		levels[level] = slices.Contains(c.Attention, side(c)>>level)
	}
	return levels
}

// side is what resolutions are named by.
func side(c unet.Config) int {
	shape := c.Shape()
	return min(shape.H, shape.W)
}
