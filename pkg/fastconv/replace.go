package fastconv

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The names under which the plugin knows the kernels, see plugin.c.
const (
	norm           = "palimpsest.norm_silu"
	normGradient   = "palimpsest.norm_silu.gradient"
	forward        = "palimpsest.conv.forward"
	inputGradient  = "palimpsest.conv.input_gradient"
	filterGradient = "palimpsest.conv.filter_gradient"
)

// The shapes the kernels take and win at. Fewer channels leave vectors half empty; a side below 4 leaves most of a tile
// empty; more channels were never tried.
const (
	minChannels, maxChannels = 8, 512
	minSide                  = 4
	maxTiles                 = 1 << 24 // keeps all counts far inside C's int
)

const (
	convolution = `"stablehlo.convolution"(`
	barrier     = `"stablehlo.optimization_barrier"(`
)

// convolutionText is a convolution of one group, with stride 1, a border of one and no dilation, as go-xla writes it: the
// groups are both operands, how their axes are named, and the three types. A convolution written in any other way is left
// to XLA.
var convolutionText = regexp.MustCompile(`^"stablehlo\.convolution"\((%[\w#]+), (%[\w#]+)\) \{\s*` +
	`batch_group_count = 1 : i64,\s*` +
	`dimension_numbers = #stablehlo\.conv<([^<>]*->[^<>]*)>,\s*` +
	`feature_group_count = 1 : i64,\s*` +
	`lhs_dilation = array<i64: 1, 1>,\s*` +
	`padding = dense<\[\[1, 1\], \[1, 1\]\]> : tensor<2x2xi64>,\s*` +
	`precision_config = \[#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>\],\s*` +
	`rhs_dilation = array<i64: 1, 1>,\s*` +
	`window_reversal = array<i1: false, false>,\s*` +
	`window_strides = array<i64: 1, 1>\s*` +
	`\} : \(tensor<([\dx]+)xf32>, tensor<([\dx]+)xf32>\) -> tensor<([\dx]+)xf32>`)

// kinds tells what a convolution is by the names of its axes (b batch, f features, i and o channels in and out, as
// StableHLO writes them). Autodiff sends the forward pass and both gradients through convolutions.
var kinds = map[string]string{
	"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]": forward,
	"[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]": inputGradient,
	"[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]": filterGradient,
}

// barrierText is a barrier that [NormSiLU] and its gradient mark: the groups are its operands and its type.
var barrierText = regexp.MustCompile(`^"stablehlo\.optimization_barrier"\(([^()]*)\)(?: \{\s*\})? : \(([^()]*), tensor<1x1x1x1x1xui16>\) -> \([^()]*\)`)

// replace returns a StableHLO program with the operations that this package computes turned into calls of its kernels,
// and how many they are. All else stays as it is, byte by byte.
func replace(program string) (string, int) {
	var out strings.Builder
	n := 0
	for {
		at := min(index(program, convolution), index(program, barrier))
		if at == len(program) {
			out.WriteString(program)
			return out.String(), n
		}
		line := strings.LastIndexByte(program[:at], '\n') + 1
		if m := convolutionText.FindStringSubmatch(program[at:]); m != nil {
			if kernel := convolutionKernel(m); kernel != "" {
				out.WriteString(program[:at] + kernel)
				program = program[at+len(m[0]):]
				n++
				continue
			}
		} else if m := barrierText.FindStringSubmatch(program[at:]); m != nil && line > 0 {
			if kernel, instead := normKernel(m); kernel != "" {
				// The kernel's statement comes on a line before, and the barrier takes its results.
				out.WriteString(program[:line] + kernel + "\n" + program[line:at] + instead + m[0][len(barrier)+len(m[1]):])
				program = program[at+len(m[0]):]
				n++
				continue
			}
		}
		out.WriteString(program[:at+1])
		program = program[at+1:]
	}
}

// index is where word first stands in text, the length of text where it does not.
func index(text, word string) int {
	if at := strings.Index(text, word); at >= 0 {
		return at
	}
	return len(text)
}

// normKernel returns, for a match of barrierText, the statement that calls a kernel, and the barrier up to the end of its
// operands with the results of the kernel among them; "" where no kernel computes it.
func normKernel(m []string) (kernel, instead string) {
	operands, types := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
	kind, results := norm, 1
	if len(types) == 7 {
		kind, results = normGradient, 3
	}
	if len(types) != 4 && len(types) != 7 || len(operands) != len(types)+1 {
		return "", ""
	}
	var names, layouts []string
	for i, t := range types {
		d := tensorText.FindStringSubmatch(t)
		if d == nil || !operandText.MatchString(operands[i]) {
			return "", ""
		}
		layout := "dense<[2, 1, 0]> : tensor<3xindex>"
		if d[1] == "" {
			layout = "dense<[1, 0]> : tensor<2xindex>"
		}
		layouts = append(layouts, layout)
	}
	for i := range results {
		names = append(names, "%palimpsest_"+strings.TrimPrefix(strings.ReplaceAll(operands[i], "#", "_"), "%"))
	}
	kernel = fmt.Sprintf("    %s = %s", strings.Join(names, ", "), kernelCall(strings.Join(operands[results:len(types)], ", "), kind,
		strings.Join(layouts[results:], ", "), strings.Join(layouts[:results], ", "),
		fmt.Sprintf("(%s) -> (%s)", strings.Join(types[results:], ", "), strings.Join(types[:results], ", "))))
	return kernel, barrier + strings.Join(append(names, operands[results:]...), ", ")
}

var (
	tensorText  = regexp.MustCompile(`^tensor<\d+x\d+(x\d+)?xf32>$`)
	operandText = regexp.MustCompile(`^%[\w#]+$`)
)

// kernelCall returns the call of a kernel: its operands, name, the layouts of what it takes and gives (row by row; XLA would
// choose its own), and its type.
func kernelCall(operands, kind, takes, gives, types string) string {
	return fmt.Sprintf(`"stablehlo.custom_call"(%s) {api_version = 4 : i32, call_target_name = "%s", `+
		`operand_layouts = [%s], result_layouts = [%s]} : %s`, operands, kind, takes, gives, types)
}

// convolutionKernel returns the call of a kernel for a match of convolutionText, "" where none computes it.
func convolutionKernel(m []string) string {
	kind := kinds[m[3]]
	x, w, y := sides(m[4]), sides(m[5]), sides(m[6])
	if kind == "" || x == nil || w == nil || y == nil || !fits(kind, x, w, y) {
		return ""
	}
	const layout = "dense<[3, 2, 1, 0]> : tensor<4xindex>"
	return kernelCall(m[1]+", "+m[2], kind, layout+", "+layout, layout,
		fmt.Sprintf("(tensor<%sxf32>, tensor<%sxf32>) -> tensor<%sxf32>", m[4], m[5], m[6]))
}

// fits says whether the three shapes of a convolution belong together and are ones the kernels take.
func fits(kind string, x, w, y []int) bool {
	b, height, width, c := x[0], x[1], x[2], x[3]
	k := y[3]
	var agree bool
	switch kind {
	case forward:
		agree = slices.Equal(w, []int{3, 3, c, k}) && slices.Equal(y, []int{b, height, width, k})
	case inputGradient:
		agree = slices.Equal(w, []int{3, 3, k, c}) && slices.Equal(y, []int{b, height, width, k})
	case filterGradient:
		agree = slices.Equal(w, []int{b, height, width, k}) && slices.Equal(y, []int{3, 3, c, k})
	}
	between := func(n, low, high int) bool { return low <= n && n <= high }
	return agree && between(c, minChannels, maxChannels) && between(k, minChannels, maxChannels) &&
		between(height, minSide, maxTiles) && between(width, minSide, maxTiles) && between(b, 1, maxTiles) &&
		float64(b)*float64(height)*float64(width) <= maxTiles
}

// sides parses "2x8x8x16", four sides; nil where it is not that.
func sides(text string) []int {
	parts := strings.Split(text, "x")
	if len(parts) != 4 {
		return nil
	}
	out := make([]int, 4)
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out[i] = n
	}
	return out
}
