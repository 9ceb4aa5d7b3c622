package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestPlusMinus(t *testing.T) {
	if got := PlusMinus(4.1234, math.NaN(), 3); got != "4.123 ± –" {
		t.Errorf("one value: %q", got)
	}
	if got := PlusMinus(4.1234, 0.05, 2); got != "4.12 ± 0.05" {
		t.Errorf("%q", got)
	}
}

func TestNumber(t *testing.T) {
	for _, tc := range []struct {
		v        float64
		decimals int
		want     string
	}{
		{12.345, 1, "12.3"}, {-12.345, 2, "−12.35"}, {0, 1, "0.0"}, {-0.04, 1, "0.0"}, {math.Copysign(0, -1), 0, "0"}, {math.NaN(), 3, Missing},
		{999_999_999, 0, "999999999"}, {1e9, 3, "1e+09"}, {1.5, -1, "2"}, {0.5, 1 << 40, "0.5" + strings.Repeat("0", 1073)}, {-1e45, 1, "−1e+45"}, {-0.05, 1, "−0.1"},
	} {
		if got := Number(tc.v, tc.decimals); got != tc.want {
			t.Errorf("%g with %d decimals is %q, want %q", tc.v, tc.decimals, got, tc.want)
		}
	}
}

// Short keeps five digits: reading it back gives the number to half a unit of the fifth, whatever its size and sign.
func TestShort(t *testing.T) {
	for want, v := range map[string]float64{"0.1": 0.1, "3": 3, "12\u00a0345": 12345, "1\u00a0234\u00a0567": 1234567, "−0.25": -0.25, "0": 1e-12, "1.2346": 1.23456, "1e+09": 1e9} {
		if got := Short(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
	for v := 1e-4; v < 1e8; v *= 1.37 {
		for _, signed := range []float64{v, -v} {
			text := strings.NewReplacer("−", "-", "\u00a0", "").Replace(Short(signed))
			back, err := strconv.ParseFloat(text, 64)
			if err != nil || math.Abs(back/signed-1) > 0.6e-4 {
				t.Errorf("%g is written %q, which reads as %g (%v)", signed, text, back, err)
			}
		}
	}
}

func TestRound(t *testing.T) {
	for _, tc := range []struct {
		v      float64
		digits int
		want   float64
	}{{1234.5, 3, 1230}, {-0.012345, 2, -0.012}, {0, 3, 0}, {9.996, 3, 10}} {
		if got := Round(tc.v, tc.digits); math.Abs(got-tc.want) > 1e-12*math.Abs(tc.want) {
			t.Errorf("%g to %d digits is %g, want %g", tc.v, tc.digits, got, tc.want)
		}
	}
	if got := Round(math.NaN(), 2); !math.IsNaN(got) {
		t.Errorf("no number is rounded to %g", got)
	}
}

// The unit is the greatest of which there is one whole.
func TestByteUnit(t *testing.T) {
	for v, want := range map[float64]string{0: "bytes", 1023: "bytes", 1024: "KiB", 1<<20 - 1: "KiB", 1 << 20: "MiB", 1 << 30: "GiB", 1 << 40: "GiB"} {
		name, size := ByteUnit(v)
		if name != want || v > 0 && v/size < 1 {
			t.Errorf("%g bytes are in %s of %g", v, name, size)
		}
	}
}

// Names are near whatever their case, and where they begin as typed.
func TestDidYouMean(t *testing.T) {
	for word, want := range map[string]string{
		"ER": "er", "ERR": "er", "cifar": "cifar-10", "Cifar-1O": "cifar-10", "fashoin-mnist": "fashion-mnist", "quite-another": "",
	} {
		have := DidYouMean(word, []string{"joint", "er", "ewc", "cifar-100", "cifar-10", "fashion-mnist"})
		if want != "" {
			want = fmt.Sprintf(" (did you mean %q?)", want)
		}
		if have != want {
			t.Errorf("%s: %q, want %q", word, have, want)
		}
	}
}

func TestCounts(t *testing.T) {
	for got, want := range map[string]string{
		Seeds(1): "1 seed", Seeds(3): "3 seeds", Times(1): "once", Times(2): "2 times", SeedList(nil): "", SeedList([]uint64{0, 7}): "0, 7",
		Some([]string{"a", "b"}, 1): "a, b", Some([]string{"a", "b", "c", "d"}, 4): "a, b, c, d", Some([]string{"a", "b", "c", "d"}, 3): "a, b, …, d (4 in all)",
		Task(0): "task 1", Fraction(1.0 / 3): "a third of", Fraction(0.5): "0.5 times",
		List(nil): "", List([]string{"a"}): "a", List([]string{"a", "b"}): "a and b", List([]string{"a", "b", "c"}): "a, b and c",
		UpperFirst("fID"): "FID", OneLine(" a\n\tb  c "): "a b c", Checksum(""): "", Checksum("0123456789abcdef"): " (SHA-256 01234567…)", Checksum("012"): " (SHA-256 012…)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestShell(t *testing.T) {
	for in, want := range map[string]string{
		"runs/er-lambda0.3": "runs/er-lambda0.3", "runs/ü": "runs/ü", "": "''", "/tmp/a b ü": "'/tmp/a b ü'", "it's": `'it'\''s'`,
		"a;b": "'a;b'", "~x": "'~x'", "[mnist]": "'[mnist]'", "a\nb": "'a\nb'",
	} {
		if got := Shell(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestPossessive(t *testing.T) {
	for label, want := range map[string]string{"er": "er's", "mas": "mas's", "er λ=1, 600 steps": "er λ=1, 600 steps'", "er, N = 100": "er, N = 100's"} {
		if got := Possessive(label); got != want {
			t.Errorf("%s: %s, want %s", label, got, want)
		}
	}
}
