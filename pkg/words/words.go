package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Missing stands for a number that was not measured.
const Missing = "–"

// mostDecimals is how many decimals the smallest float64 has, 2^-1074: all that come after them are 0.
const mostDecimals = 1074

// Number writes v with a proper minus sign, no "-0.0", and 0 to 1074 decimals, more than which no number has.
func Number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return Missing
	}
	text := strconv.FormatFloat(v, 'f', min(max(decimals, 0), mostDecimals), 64)
	if math.Abs(v) >= 1e9 { // of a run that diverged: digits would say nothing
		text = strconv.FormatFloat(v, 'g', 3, 64)
	}
	if digits, negative := strings.CutPrefix(text, "-"); negative {
		if strings.Trim(digits, "0.") == "" {
			return digits
		}
		return "−" + digits
	}
	return text
}

// PlusMinus writes "12.34 ± 0.05", "12.34 ± –" where there is no spread: of one value, or of none.
func PlusMinus(value, spread float64, decimals int) string {
	return Number(value, decimals) + " ± " + Number(spread, decimals)
}

// Short writes v with at most five digits; thousands get a thin gap.
func Short(v float64) string {
	v = math.Round(v*1e9) / 1e9
	text := strconv.FormatFloat(math.Abs(v), 'g', 5, 64)
	if math.Abs(v) >= 1e4 && math.Abs(v) < 1e9 && v == math.Trunc(v) {
		text = strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
		for at := len(text) - 3; at > 0; at -= 3 {
			text = text[:at] + "\u00a0" + text[at:]
		}
	}
	if v < 0 {
		return "−" + text
	}
	return text
}

// Round keeps the given number of significant digits.
func Round(v float64, digits int) float64 {
	if v == 0 || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, float64(digits-1)-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// ByteUnit chooses the unit in which v bytes are read best.
func ByteUnit(v float64) (name string, size float64) {
	switch {
	case v >= 1<<30:
		return "GiB", 1 << 30
	case v >= 1<<20:
		return "MiB", 1 << 20
	case v >= 1<<10:
		return "KiB", 1 << 10
	}
	return "bytes", 1
}

// Fraction writes a ratio in words where it has them.
func Fraction(v float64) string {
	if math.Abs(v-1.0/3) < 1e-3 {
		return "a third of"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " times"
}

// Times writes how often.
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Seeds writes a number of seeds.
func Seeds(n int) string { return Count(n, "seed") }

// Count writes a number of things whose name takes an s: "1 task", "4 tasks".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// SeedList writes seeds: "0, 1, 2".
func SeedList(list []uint64) string {
	text := ""
	for i, s := range list {
		if i > 0 {
			text += ", "
		}
		text += strconv.FormatUint(s, 10)
	}
	return text
}

// List joins names with commas and "and".
func List(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Some joins names with commas: all of them where there are at most most, else the first of them and the last, and how many there are.
func Some(names []string, most int) string {
	if len(names) <= most || len(names) < 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, …, %s (%d in all)", strings.Join(names[:max(most-1, 1)], ", "), names[len(names)-1], len(names))
}

// Task names task j, from 1.
func Task(j int) string { return fmt.Sprintf("task %d", j+1) }

// Possessive is the genitive of a table's row: a label's last part may be a plural, "er, 9 steps".
func Possessive(label string) string {
	if strings.Contains(label, ", ") && strings.HasSuffix(label, "s") {
		return label + "'"
	}
	return label + "'s"
}

// UpperFirst writes the first letter, of one byte, in upper case.
func UpperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// OneLine joins the lines of a text.
func OneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Checksum writes " (SHA-256 01234567…)", "" for none.
func Checksum(sum string) string {
	if sum == "" {
		return ""
	}
	return " (SHA-256 " + sum[:min(8, len(sum))] + "…)"
}

// Shell writes an argument, or a path, as a shell reads it back, whatever is in it: unchanged where that does, else in single
// quotes. Every command that a message names with a path writes it so.
func Shell(argument string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-+=./:,@%^…", r)
	}
	if argument != "" && strings.IndexFunc(argument, func(r rune) bool { return !plain(r) }) < 0 {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
