package fastconv

import (
	"fmt"
	"strings"
	"testing"
)

// text is a convolution as go-xla writes it, with some of its words replaced by others.
func text(axes, x, w, y string, replace ...string) string {
	return strings.NewReplacer(replace...).Replace(fmt.Sprintf(`    %%3 = "stablehlo.convolution"(%%arg0, %%2#1) {
      batch_group_count = 1 : i64,
      dimension_numbers = #stablehlo.conv<%s>,
      feature_group_count = 1 : i64,
      lhs_dilation = array<i64: 1, 1>,
      padding = dense<[[1, 1], [1, 1]]> : tensor<2x2xi64>,
      precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>],
      rhs_dilation = array<i64: 1, 1>,
      window_reversal = array<i1: false, false>,
      window_strides = array<i64: 1, 1>
    } : (tensor<%sxf32>, tensor<%sxf32>) -> tensor<%sxf32>
`, axes, x, w, y))
}

const (
	plainAxes  = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
	inputAxes  = "[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]"
	filterAxes = "[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]"
)

func TestReplace(t *testing.T) {
	for _, tc := range []struct {
		name, text, kind string // kind "": left to XLA
	}{
		{"forward", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32"), forward},
		{"input gradient", text(inputAxes, "2x8x8x32", "3x3x16x32", "2x8x8x16"), inputGradient},
		{"filter gradient", text(filterAxes, "2x8x8x16", "2x8x8x32", "3x3x16x32"), filterGradient},
		{"odd sides and channels", text(plainAxes, "1x5x7x9", "3x3x9x511", "1x5x7x511"), forward},
		{"few channels in", text(plainAxes, "2x8x8x3", "3x3x3x32", "2x8x8x32"), forward},
		{"few channels out", text(plainAxes, "2x8x8x32", "3x3x32x1", "2x8x8x1"), ""},
		{"many channels", text(plainAxes, "2x8x8x1024", "3x3x1024x32", "2x8x8x32"), ""},
		{"small sides", text(plainAxes, "2x3x8x16", "3x3x16x32", "2x3x8x32"), ""},
		{"too large", text(plainAxes, "99999x99x99x16", "3x3x16x32", "99999x99x99x32"), ""},
		{"no such number", text(plainAxes, "99999999999999999999x8x8x16", "3x3x16x32", "99999999999999999999x8x8x32"), ""},
		{"a filter of 5×5", text(plainAxes, "2x8x8x16", "5x5x16x32", "2x8x8x32"), ""},
		{"shapes that disagree", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x16"), ""},
		{"one axis", text("[b, 0, f]x[0, i, o]->[b, 0, f]", "2x8x16", "3x16x32", "2x8x32"), ""},
		{"channels first", text("[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]", "2x16x8x8", "32x16x3x3", "2x32x8x8"), ""},
		{"stride 2", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "window_strides = array<i64: 1, 1>", "window_strides = array<i64: 2, 2>"), ""},
		{"no border", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "[[1, 1], [1, 1]]", "[[0, 0], [0, 0]]"), ""},
		{"groups", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "feature_group_count = 1", "feature_group_count = 2"), ""},
		{"dilation", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "rhs_dilation = array<i64: 1, 1>", "rhs_dilation = array<i64: 2, 2>"), ""},
		{"reversal", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "array<i1: false, false>", "array<i1: true, true>"), ""},
		{"float64", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "xf32", "xf64"), ""},
		{"precision", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32", "DEFAULT", "HIGHEST"), ""},
		{"cut short", text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32")[:300], ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			around := "module @m {\n" + tc.text + tc.text + "}\n"
			got, n := replace(around)
			if tc.kind == "" {
				if n != 0 || got != around {
					t.Errorf("%d convolutions were replaced:\n%s", n, got)
				}
				return
			}
			if n != 2 || strings.Contains(got, "convolution") || strings.Count(got, `"`+tc.kind+`"`) != 2 {
				t.Errorf("%d of 2 convolutions were replaced by %s:\n%s", n, tc.kind, got)
			}
			types := tc.text[strings.LastIndex(tc.text, ": (tensor"):]
			if !strings.HasPrefix(got, "module @m {\n    %3 = ") || !strings.HasSuffix(got, types+"}\n") || !strings.Contains(got, "(%arg0, %2#1)") {
				t.Errorf("what stands around a convolution has changed:\n%s", got)
			}
		})
	}
}

const (
	forwardBarrier = `    %9, %10, %11, %12, %13 = "stablehlo.optimization_barrier"(%8, %1, %arg2, %3#1, %4) : ` +
		`(tensor<2x64x32xf32>, tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<1x1x1x1x1xui16>) -> ` +
		`(tensor<2x64x32xf32>, tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<1x1x1x1x1xui16>)` + "\n"
	gradientBarrier = `    %30, %31, %32, %33, %34, %35, %36, %37 = "stablehlo.optimization_barrier"(%20, %21, %22, %1, %arg2, %3#1, %19, %4) : ` +
		`(tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<2x64x32xf32>, tensor<1x1x1x1x1xui16>) -> ` +
		`(tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<2x64x32xf32>, tensor<1x1x1x1x1xui16>)` + "\n"
)

// TestReplaceNorm makes sure that a marked barrier takes a kernel's result, and is itself unchanged.
func TestReplaceNorm(t *testing.T) {
	got, n := replace("{\n" + forwardBarrier + gradientBarrier + "}\n")
	const kernel = `    %palimpsest_8, %palimpsest_8_statistics = "stablehlo.custom_call"(%1, %arg2, %3#1) {api_version = 4 : i32, call_target_name = "palimpsest.norm_silu", ` +
		`operand_layouts = [dense<[2, 1, 0]> : tensor<3xindex>, dense<[1, 0]> : tensor<2xindex>, dense<[1, 0]> : tensor<2xindex>], ` +
		`result_layouts = [dense<[2, 1, 0]> : tensor<3xindex>, dense<[2, 1, 0]> : tensor<3xindex>]} : ` +
		`(tensor<2x64x32xf32>, tensor<8x4xf32>, tensor<8x4xf32>) -> (tensor<2x64x32xf32>, tensor<2x2x32xf32>)` + "\n"
	const gradient = `    %palimpsest_20, %palimpsest_21, %palimpsest_22 = "stablehlo.custom_call"(%1, %arg2, %3#1, %19, %palimpsest_8_statistics) {api_version = 4 : i32, call_target_name = "palimpsest.norm_silu.gradient", `
	want := "{\n" + kernel + strings.Replace(forwardBarrier, "(%8,", "(%palimpsest_8,", 1)
	if n != 2 || !strings.HasPrefix(got, want+gradient) ||
		!strings.HasSuffix(got, strings.Replace(gradientBarrier, "(%20, %21, %22,", "(%palimpsest_20, %palimpsest_21, %palimpsest_22,", 1)+"}\n") {
		t.Errorf("%d of 2 barriers were given kernels:\n%s", n, got)
	}
	// The statistics are those of the forward pass where that is in sight and of the same operands, else the gradient takes its own.
	for _, between := range []string{"  }\n  func.func @other() {\n", "  }, {\n", "}\n"} {
		got, n := replace("{\n" + forwardBarrier + between + gradientBarrier)
		if _, after, _ := strings.Cut(got, between); n != 2 || strings.Contains(after, "_statistics") {
			t.Errorf("%d of 2 barriers were given kernels, the second out of the first's sight:\n%s", n, got)
		}
	}
	if got, n := replace("{\n" + forwardBarrier + strings.Replace(gradientBarrier, "%arg2", "%2", 1)); n != 2 || strings.Count(got, "_statistics") != 1 {
		t.Errorf("%d of 2 barriers were given kernels, the second of another normalisation:\n%s", n, got)
	}
	for _, other := range []string{
		strings.ReplaceAll(forwardBarrier, "ui16", "ui32"),
		strings.ReplaceAll(forwardBarrier, "2x64x32xf32", "2x64x32xf64"),
		strings.ReplaceAll(forwardBarrier, "8x4xf32", "8xf32"),
		strings.Replace(forwardBarrier, "(%8, ", "(", 1),
		forwardBarrier[:200],
	} {
		if got, n := replace("{\n" + other); n != 0 || got != "{\n"+other {
			t.Errorf("%d barriers were given kernels:\n%s", n, got)
		}
	}
}

// sumBarrier is a barrier that ConvSum marks, of a convolution with so many of the terms' types.
func sumBarrier(terms ...string) string {
	operands, types := "%8, %1, %arg2, ", "tensor<2x8x8x32xf32>, tensor<2x8x8x16xf32>, tensor<3x3x16x32xf32>, "
	for i, t := range terms {
		operands, types = operands+fmt.Sprintf("%%5#%d, ", i), types+"tensor<"+t+">, "
	}
	types += "tensor<1x1x1x1x1x1xui16>"
	return fmt.Sprintf("    %%9:%d = \"stablehlo.optimization_barrier\"(%s%%4) : (%s) -> (%s)\n", 4+len(terms), operands, types, types)
}

// TestReplaceSum makes sure that a barrier of ConvSum takes the kernel's result where the kernel takes its terms.
func TestReplaceSum(t *testing.T) {
	const bias, image, other = "32xf32", "2x32xf32", "2x8x8x32xf32"
	for _, terms := range [][]string{{bias}, {image}, {other}, {bias, image}, {bias, other, bias}, {bias, image, other, bias}, {other, bias}} {
		before := sumBarrier(terms...)
		got, n := replace("{\n" + before + "}\n")
		call, after, _ := strings.Cut(strings.TrimPrefix(got, "{\n"), "\n")
		if n != 1 || !strings.HasPrefix(call, `    %palimpsest_8 = "stablehlo.custom_call"(%1, %arg2, %5#0`) || !strings.Contains(call, `"palimpsest.conv.sum"`) ||
			strings.Count(call, "index>") != len(terms)+3 || after != strings.Replace(before, "(%8,", "(%palimpsest_8,", 1)+"}\n" {
			t.Errorf("%v: %d of 1 barriers was given a kernel:\n%s", terms, n, got)
		}
	}
	double := strings.Replace(sumBarrier(bias, image), "2x8x8x16x", "2x4x4x16x", 2)
	if got, n := replace("{\n" + double + "}\n"); n != 1 || !strings.Contains(got, `"palimpsest.conv.doubled"`) {
		t.Errorf("a convolution of doubled pixels is not replaced:\n%s", got)
	}
	for _, other := range []string{
		strings.ReplaceAll(double, "2x4x4x16x", "2x4x8x16x"), strings.ReplaceAll(double, "2x4x4x16x", "2x4x5x16x"),
		sumBarrier(), sumBarrier("32xf64"), sumBarrier("16xf32"), sumBarrier(bias, bias), sumBarrier(image, bias), sumBarrier(bias, other, bias, bias),
		sumBarrier(bias, "2x8x8x16xf32"), strings.ReplaceAll(sumBarrier(bias), "3x3x", "5x5x"), strings.ReplaceAll(sumBarrier(bias), "8x8x", "8x"),
		strings.Replace(sumBarrier(bias), "(%8, ", "(", 1), sumBarrier(bias)[:200],
	} {
		if got, n := replace("{\n" + other); n != 0 || got != "{\n"+other {
			t.Errorf("%d barriers were given kernels:\n%s", n, got)
		}
	}
}

// TestReplaceGenerator makes sure that generators of many 32-bit words by Philox are replaced, and no others.
func TestReplaceGenerator(t *testing.T) {
	const text = `    %5, %6 = "stablehlo.rng_bit_generator"(%4) {
      rng_algorithm = #stablehlo<rng_algorithm PHILOX>
    } : (tensor<3xui64>) -> (tensor<3xui64>, tensor<2x16x64xui32>)
`
	const want = `    %5, %6 = "stablehlo.custom_call"(%4) {api_version = 4 : i32, call_target_name = "palimpsest.random_bits", ` +
		`operand_layouts = [dense<[0]> : tensor<1xindex>], result_layouts = [dense<[0]> : tensor<1xindex>, dense<[2, 1, 0]> : tensor<3xindex>]} : ` +
		`(tensor<3xui64>) -> (tensor<3xui64>, tensor<2x16x64xui32>)
`
	if got, n := replace("{\n" + text + "}\n"); n != 1 || got != "{\n"+want+"}\n" {
		t.Errorf("%d of 1 generator was replaced:\n%s", n, got)
	}
	for _, other := range []string{
		strings.Replace(text, "PHILOX", "THREE_FRY", 1), strings.Replace(text, "xui32", "xui64", 1), strings.Replace(text, "2x16x64", "1000", 1),
		strings.Replace(text, "2x16x64", "99999999x99999999x99999999", 1), strings.Replace(text, "2x16x64", "2xx16x64", 1), strings.ReplaceAll(text, "<3x", "<2x"), text[:90],
	} {
		if got, n := replace("{\n" + other); n != 0 || got != "{\n"+other {
			t.Errorf("%d generators were replaced:\n%s", n, got)
		}
	}
}

// TestReplaceJoin makes sure that channels are joined by the kernel where it takes both arrays.
func TestReplaceJoin(t *testing.T) {
	const text = `    %5 = "stablehlo.concatenate"(%4, %arg1) {
      dimension = 3 : i64
    } : (tensor<2x8x8x16xf32>, tensor<2x8x8x32xf32>) -> tensor<2x8x8x48xf32>
`
	const want = `    %5 = "stablehlo.custom_call"(%4, %arg1) {api_version = 4 : i32, call_target_name = "palimpsest.join", ` +
		`operand_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>, dense<[3, 2, 1, 0]> : tensor<4xindex>], result_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>]} : ` +
		`(tensor<2x8x8x16xf32>, tensor<2x8x8x32xf32>) -> tensor<2x8x8x48xf32>
`
	if got, n := replace("{\n" + text + "}\n"); n != 1 || got != "{\n"+want+"}\n" {
		t.Errorf("%d of 1 concatenation was replaced:\n%s", n, got)
	}
	for _, other := range []string{
		strings.Replace(text, "dimension = 3", "dimension = 2", 1), strings.ReplaceAll(text, "xf32", "xbf16"), strings.Replace(text, "%arg1", "%arg1, %6", 1),
		strings.Replace(text, "2x8x8x16", "1x8x8x16", 1), strings.Replace(text, "2x8x8x48", "2x8x8x49", 1), strings.ReplaceAll(text, "2x8x8", "2x8"),
		strings.ReplaceAll(text, "2x8x8", "99999x99x99"), strings.ReplaceAll(text, "8x48", "8x513"), text[:90],
	} {
		if got, n := replace("{\n" + other); n != 0 || got != "{\n"+other {
			t.Errorf("%d concatenations were replaced:\n%s", n, got)
		}
	}
}

// FuzzReplace makes sure that whatever the text, nothing but whole convolutions changes.
func FuzzReplace(f *testing.F) {
	f.Add(text(plainAxes, "2x8x8x16", "3x3x16x32", "2x8x8x32"))
	f.Add(text(filterAxes, "2x8x8x16", "2x8x8x32", "3x3x16x32") + text(inputAxes, "0x8x8x32", "3x3x16x32", "-1xx8x16"))
	f.Add("{\n" + forwardBarrier + gradientBarrier)
	f.Add("{\n" + sumBarrier("32xf32", "2x32xf32"))
	f.Add("{\n    %5 = \"stablehlo.concatenate\"(%4, %3) {\n      dimension = 3 : i64\n    } : (tensor<2x8x8x16xf32>, tensor<2x8x8x32xf32>) -> tensor<2x8x8x48xf32>\n")
	f.Fuzz(func(t *testing.T, program string) {
		got, n := replace(program)
		if n == 0 && got != program {
			t.Fatalf("nothing was replaced, but %q became %q", program, got)
		}
		const ours = `"stablehlo.custom_call"(`
		if before, after := strings.Count(program, ours), strings.Count(got, ours); after-before != n {
			t.Fatalf("%d calls became %d, though %d operations were replaced", before, after, n)
		}
		if before, after := strings.Count(program, barrier), strings.Count(got, barrier); before != after {
			t.Fatalf("%d barriers became %d", before, after)
		}
	})
}
