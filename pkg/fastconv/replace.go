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
	randomBits     = "palimpsest.random_bits"
	forward        = "palimpsest.conv.forward"
	forwardSum     = "palimpsest.conv.sum"
	doubled        = "palimpsest.conv.doubled"
	inputGradient  = "palimpsest.conv.input_gradient"
	filterGradient = "palimpsest.conv.filter_gradient"
	half           = "palimpsest.conv.half"
	one            = "palimpsest.conv.one"
	join           = "palimpsest.join"
	residual       = "palimpsest.residual"
)

// The shapes the kernels take and win at. Fewer channels leave vectors half empty, but for those that a forward pass sums over;
// a side below 4 leaves most of a tile empty; more channels were never tried.
const (
	minChannels, maxChannels = 8, 512
	minSide                  = 4
	minPlain                 = 256     // outputs of a channel of a convolution with stride 2, or with one channel
	maxTiles                 = 1 << 24 // keeps all counts far inside C's int
)

// partitioned is in the first line of a program for several devices. XLA parts its own operations among them, but not a
// call, whose operands it would bring together on each.
const partitioned = "stablehlo.num_partitions"

const (
	convolution = `"stablehlo.convolution"(`
	barrier     = `"stablehlo.optimization_barrier"(`
	generator   = `"stablehlo.rng_bit_generator"(`
	concatenate = `"stablehlo.concatenate"(`
)

// convolutionText is a convolution of one group, with a border of one, above and to the left too or not, and no dilation, as go-xla
// writes it: the groups are both operands, how their axes are named, border, strides, and the three types. A convolution written in any other way is left
// to XLA.
var convolutionText = regexp.MustCompile(`^"stablehlo\.convolution"\((%[\w#]+), (%[\w#]+)\) \{\s*` +
	`batch_group_count = 1 : i64,\s*` +
	`dimension_numbers = #stablehlo\.conv<([^<>]*->[^<>]*)>,\s*` +
	`feature_group_count = 1 : i64,\s*` +
	`lhs_dilation = array<i64: 1, 1>,\s*` +
	`padding = dense<(\[\[1, 1\], \[1, 1\]\]|\[\[0, 1\], \[0, 1\]\])> : tensor<2x2xi64>,\s*` +
	`precision_config = \[#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>\],\s*` +
	`rhs_dilation = array<i64: 1, 1>,\s*` +
	`window_reversal = array<i1: false, false>,\s*` +
	`window_strides = array<i64: (1, 1|2, 2)>\s*` +
	`\} : \(tensor<([\dx]+)xf32>, tensor<([\dx]+)xf32>\) -> tensor<([\dx]+)xf32>`)

// kinds tells what a convolution is by the names of its axes (b batch, f features, i and o channels in and out, as
// StableHLO writes them). Autodiff sends the forward pass and both gradients through convolutions.
var kinds = map[string]string{
	"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]": forward,
	"[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]": inputGradient,
	"[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]": filterGradient,
}

// barrierText is a barrier that [NormSiLU] and its gradient mark, or [ConvSum], or [ResidualBlock]: the groups are its operands, its
// type, and what is more in the marks of the latter two.
var barrierText = regexp.MustCompile(`^"stablehlo\.optimization_barrier"\(([^()]*)\)(?: \{\s*\})? : \(([^()]*), tensor<1x1x1x1x1((?:x1)*)xui16>\) -> \([^()]*\)`)

// generatorText is a generator of 32-bit words by Philox: the groups are the state and the words' shape.
var generatorText = regexp.MustCompile(`^"stablehlo\.rng_bit_generator"\((%[\w#]+)\) \{\s*rng_algorithm = #stablehlo<rng_algorithm PHILOX>\s*\} : ` +
	`\(tensor<3xui64>\) -> \(tensor<3xui64>, tensor<([\dx]+)xui32>\)`)

// joinText puts the channels of two arrays of images behind one another: the groups are the operands, and the three shapes.
var joinText = regexp.MustCompile(`^"stablehlo\.concatenate"\((%[\w#]+, %[\w#]+)\) \{\s*dimension = 3 : i64\s*\} : ` +
	`\(tensor<([\dx]+)xf32>, tensor<([\dx]+)xf32>\) -> tensor<([\dx]+)xf32>`)

// replace returns a StableHLO program with the operations that this package computes turned into calls of its kernels,
// and how many they are. All else stays as it is, byte by byte.
func replace(program string) (string, int) {
	if head, _, _ := strings.Cut(program, "\n"); strings.Contains(head, partitioned) {
		return program, 0
	}
	var out strings.Builder
	n, whole := 0, program
	known := map[string]statistics{}
	for {
		at := min(index(program, convolution), index(program, barrier), index(program, generator), index(program, concatenate))
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
		} else if m := generatorText.FindStringSubmatch(program[at:]); m != nil {
			if kernel := generatorKernel(m); kernel != "" {
				out.WriteString(program[:at] + kernel)
				program = program[at+len(m[0]):]
				n++
				continue
			}
		} else if m := joinText.FindStringSubmatch(program[at:]); m != nil {
			if kernel := joinKernel(m); kernel != "" {
				out.WriteString(program[:at] + kernel)
				program = program[at+len(m[0]):]
				n++
				continue
			}
		} else if m := barrierText.FindStringSubmatch(program[at:]); m != nil && line > 0 {
			begin := len(whole) - len(program) + line
			inScope := func(s statistics) bool { return visible(whole[s.begin:begin]) }
			kernel, instead := "", ""
			switch m[3] {
			case "":
				kernel, instead = normKernel(m, begin, known, inScope)
			case "x1":
				kernel, instead = sumKernel(m)
			case "x1x1":
				kernel, instead = residualKernel(m)
			}
			if kernel != "" {
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

// statistics is a result of a normalisation's kernel, whose statement begins at a place of the program's text.
type statistics struct {
	name, shape string
	begin       int
}

// visible says whether what the first of some lines defines can be used after the last: whether none of them is indented
// less than the first, which would end the function or the block that the first belongs to.
func visible(lines string) bool {
	indentation := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	first := -1
	for line := range strings.Lines(lines) {
		if first < 0 {
			first = indentation(line)
		}
		if indentation(line) < first {
			return false
		}
	}
	return true
}

// normKernel returns, for a match of barrierText, the statement that calls a kernel, and the barrier up to the end of its
// operands with the results of the kernel among them; "" where no kernel computes it. A gradient is given the statistics of
// its forward pass where that came before, of which known keeps account: of the same x and parameters.
func normKernel(m []string, begin int, known map[string]statistics, inScope func(statistics) bool) (kernel, instead string) {
	operands, types := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
	kind, results := norm, 1
	if len(types) == 7 {
		kind, results = normGradient, 3
	}
	if len(types) != 4 && len(types) != 7 || len(operands) != len(types)+1 {
		return "", ""
	}
	for i, t := range types {
		if !tensorText.MatchString(t) || !operandText.MatchString(operands[i]) {
			return "", ""
		}
	}
	var names []string
	for i := range results {
		names = append(names, ourName(operands[i]))
	}
	given, gives, takes := slices.Clone(operands[results:len(types)]), types[:results], slices.Clone(types[results:])
	of, all := strings.Join(given[:3], ", "), names
	if kind == norm {
		d := xText.FindStringSubmatch(takes[0])
		if d == nil {
			return "", ""
		}
		s := statistics{names[0] + "_statistics", fmt.Sprintf("tensor<%sx2x%sxf32>", d[1], d[2]), begin}
		known[of] = s
		all, gives = append(slices.Clone(names), s.name), append(slices.Clone(gives), s.shape)
	} else if s, found := known[of]; found && inScope(s) {
		given, takes = append(given, s.name), append(takes, s.shape)
	}
	return statement(all, given, kind, takes, gives), barrier + strings.Join(append(names, operands[results:]...), ", ")
}

// sumKernel is normKernel for a barrier of [ConvSum].
func sumKernel(m []string) (kernel, instead string) {
	fitsAs := func(kind string) func(d [][]int) bool {
		return func(d [][]int) bool {
			if len(d) < 4 {
				return false
			}
			y, x, w := d[0], d[1], d[2]
			return len(y) == 4 && len(x) == 4 && len(w) == 4 && fits(kind, x, w, y) && sumFits(y, d[3:])
		}
	}
	if kernel, instead = markedKernel(m, doubled, fitsAs(doubled)); kernel != "" {
		return kernel, instead
	}
	return markedKernel(m, forwardSum, fitsAs(forward))
}

// residualKernel is normKernel for a barrier of [ResidualBlock].
func residualKernel(m []string) (kernel, instead string) {
	return markedKernel(m, residual, residualFits)
}

// markedKernel is normKernel for a barrier whose first operand a kernel makes of all others but the mark, of shapes that it fits.
func markedKernel(m []string, kind string, fits func(d [][]int) bool) (kernel, instead string) {
	operands, types := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
	if len(operands) != len(types)+1 {
		return "", ""
	}
	var d [][]int
	for i, t := range types {
		text := typeText.FindStringSubmatch(t)
		if text == nil || !operandText.MatchString(operands[i]) {
			return "", ""
		}
		d = append(d, sides(text[1]))
	}
	if !fits(d) {
		return "", ""
	}
	name := ourName(operands[0])
	return statement([]string{name}, operands[1:len(types)], kind, types[1:], types[:1]),
		barrier + strings.Join(append([]string{name}, operands[1:]...), ", ")
}

// sumFits says whether the shapes of what is added to a convolution's result are those the kernel takes, in its order.
func sumFits(y []int, added [][]int) bool {
	bias, image := []int{y[3]}, []int{y[0], y[3]}
	for i, want := range [][]int{bias, image, y, bias} {
		if len(added) > 0 && slices.Equal(added[0], want) {
			added = added[1:]
		} else if i == 2 { // there is no bias of the other without the other
			break
		}
	}
	return len(added) == 0
}

var (
	typeText    = regexp.MustCompile(`^tensor<([\dx]+)xf32>$`)
	tensorText  = regexp.MustCompile(`^tensor<\d+x\d+(x\d+)?xf32>$`)
	xText       = regexp.MustCompile(`^tensor<(\d+)x\d+x(\d+)xf32>$`)
	operandText = regexp.MustCompile(`^%[\w#]+$`)
)

// ourName names a kernel's result after the value that it stands for.
func ourName(operand string) string {
	return "%palimpsest_" + strings.TrimPrefix(strings.ReplaceAll(operand, "#", "_"), "%")
}

// statement is the line that calls a kernel: the names of its results, its operands, and their types.
func statement(results, operands []string, kind string, takes, gives []string) string {
	return fmt.Sprintf("    %s = %s", strings.Join(results, ", "), kernelCall(strings.Join(operands, ", "), kind, layouts(takes), layouts(gives),
		fmt.Sprintf("(%s) -> (%s)", strings.Join(takes, ", "), strings.Join(gives, ", "))))
}

// layouts are those of arrays of some types, row by row.
func layouts(types []string) string {
	var all []string
	for _, t := range types {
		var order []string
		for axis := strings.Count(t, "x") - 1; axis >= 0; axis-- {
			order = append(order, strconv.Itoa(axis))
		}
		all = append(all, fmt.Sprintf("dense<[%s]> : tensor<%dxindex>", strings.Join(order, ", "), len(order)))
	}
	return strings.Join(all, ", ")
}

// minWords is how few words are left to XLA, which fuses them with what uses them.
const minWords = 1024

// generatorKernel returns the call of a kernel for a match of generatorText, "" where none computes it.
func generatorKernel(m []string) string {
	words := 1
	for _, side := range sides(m[2]) {
		if side < 1 || side > maxTiles || words > maxTiles*maxChannels/side {
			return ""
		}
		words *= side
	}
	if words < minWords {
		return ""
	}
	state, out := []string{"tensor<3xui64>"}, []string{"tensor<3xui64>", "tensor<" + m[2] + "xui32>"}
	return kernelCall(m[1], randomBits, layouts(state), layouts(out), fmt.Sprintf("(%s) -> (%s)", state[0], strings.Join(out, ", ")))
}

// joinKernel returns the call of a kernel for a match of joinText, "" where none computes it. XLA would join the channels again for
// each operation that reads them in another shape, as the normalisation and the 1×1 product after a skip connection do.
func joinKernel(m []string) string {
	a, b, out := sides(m[2]), sides(m[3]), sides(m[4])
	if len(a) != 4 || len(b) != 4 || len(out) != 4 || !slices.Equal(a[:3], b[:3]) || !slices.Equal(a[:3], out[:3]) || a[3]+b[3] != out[3] {
		return ""
	}
	between := func(n, low, high int) bool { return low <= n && n <= high }
	if !between(a[3], minChannels, maxChannels) || !between(b[3], minChannels, maxChannels) || !between(a[0], 1, maxTiles) ||
		!between(a[1], 1, maxTiles) || !between(a[2], 1, maxTiles) || float64(a[0])*float64(a[1])*float64(a[2]) > maxTiles {
		return ""
	}
	const layout = "dense<[3, 2, 1, 0]> : tensor<4xindex>"
	return kernelCall(m[1], join, layout+", "+layout, layout,
		fmt.Sprintf("(tensor<%sxf32>, tensor<%sxf32>) -> tensor<%sxf32>", m[2], m[3], m[4]))
}

// kernelCall returns the call of a kernel: its operands, name, the layouts of what it takes and gives (row by row; XLA would
// choose its own), and its type.
func kernelCall(operands, kind, takes, gives, types string) string {
	return fmt.Sprintf(`"stablehlo.custom_call"(%s) {api_version = 4 : i32, call_target_name = "%s", `+
		`operand_layouts = [%s], result_layouts = [%s]} : %s`, operands, kind, takes, gives, types)
}

// convolutionKernel returns the call of a kernel for a match of convolutionText, "" where none computes it.
func convolutionKernel(m []string) string {
	kind := kinds[m[3]]
	x, w, y := sides(m[6]), sides(m[7]), sides(m[8])
	switch around, stride := m[4] == "[[1, 1], [1, 1]]", m[5]; {
	case kind == forward && !around && stride == "2, 2":
		kind = half
	case kind == forward && around && stride == "1, 1" && len(y) == 4 && y[3] == 1:
		kind = one
	case !around || stride != "1, 1":
		return ""
	}
	if kind == "" || len(x) != 4 || len(w) != 4 || len(y) != 4 || !fits(kind, x, w, y) {
		return ""
	}
	const layout = "dense<[3, 2, 1, 0]> : tensor<4xindex>"
	return kernelCall(m[1]+", "+m[2], kind, layout+", "+layout, layout,
		fmt.Sprintf("(tensor<%sxf32>, tensor<%sxf32>) -> tensor<%sxf32>", m[6], m[7], m[8]))
}

// fits says whether the three shapes of a convolution belong together and are ones the kernels take.
func fits(kind string, x, w, y []int) bool {
	b, height, width, c := x[0], x[1], x[2], x[3]
	k := y[3]
	if kind == doubled {
		height, width = 2*height, 2*width
	}
	between := func(n, low, high int) bool { return low <= n && n <= high }
	small := between(height, minSide, maxTiles) && between(width, minSide, maxTiles) && between(b, 1, maxTiles) &&
		float64(b)*float64(height)*float64(width) <= maxTiles
	var agree bool
	switch kind {
	case forward, doubled:
		agree = slices.Equal(w, []int{3, 3, c, k}) && slices.Equal(y, []int{b, height, width, k})
	case inputGradient:
		agree = slices.Equal(w, []int{3, 3, k, c}) && slices.Equal(y, []int{b, height, width, k})
	case half: // XLA sums fewer outputs, and those of other channels, in another order
		return small && c == k && (c == 16 || c == 32) && height%2 == 0 && width%2 == 0 && b*height*width/4 >= minPlain &&
			slices.Equal(w, []int{3, 3, c, k}) && slices.Equal(y, []int{b, height / 2, width / 2, k})
	case one:
		return small && c == 16 && b*height*width >= minPlain && slices.Equal(w, []int{3, 3, c, 1}) && slices.Equal(y, []int{b, height, width, 1})
	case filterGradient:
		agree = slices.Equal(w, []int{b, height, width, k}) && slices.Equal(y, []int{3, 3, c, k})
	}
	least := minChannels
	if kind == forward {
		least = 1
	}
	return agree && small && between(c, least, maxChannels) && between(k, minChannels, maxChannels)
}

// sides parses "2x8x8x16"; nil where it is not that.
func sides(text string) []int {
	parts := strings.Split(text, "x")
	out := make([]int, len(parts))
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out[i] = n
	}
	return out
}
