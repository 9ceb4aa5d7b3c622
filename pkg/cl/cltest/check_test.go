package cltest

import (
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/cl"
)

// TestCheck: the suite outside of tests finds what Conform does, and nothing in a sound strategy.
func TestCheck(t *testing.T) {
	newRig(t, sound(), "") // makes sure that there is a backend
	zero := func() cl.Strategy { a := sound(); a.Lambda = 0; return a }
	for name, tc := range map[string]struct {
		alter   func(*altered)
		zero    func() cl.Strategy
		failed  string // the check, and what its error says
		because string
		skipped int
	}{
		"sound":            {func(*altered) {}, zero, "", "", 0},
		"without a weight": {func(*altered) {}, nil, "", "", 1},
		"larger":           {func(a *altered) { a.Buffer = 12 }, zero, "bounded memory", "12 images stored", 0},
		"panics late":      {func(a *altered) { a.restore = func(b []byte) error { _ = b[1<<20]; return nil } }, zero, "resumed equals uninterrupted", "runtime error: index out of range [1048576]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Check(func() cl.Strategy { a := sound(); tc.alter(a); return a }, Options{MaxImages: 11, ZeroWeight: tc.zero})
			if err != nil || len(all) != len(checks) {
				t.Fatalf("%d outcomes of %d checks, %v", len(all), len(checks), err)
			}
			failed, skipped := "", 0
			for _, o := range all {
				if o.Err != nil && failed == "" {
					failed = o.Check
					if !strings.Contains(o.Err.Error(), tc.because) {
						t.Errorf("%s: %v; want %q", o.Check, o.Err, tc.because)
					}
				}
				if o.Skipped {
					skipped++
				}
			}
			if failed != tc.failed || skipped != tc.skipped || (all.Err() == nil) != (failed == "") {
				t.Errorf("%q failed first and %d were skipped (%v); want %q and %d", failed, skipped, all.Err(), tc.failed, tc.skipped)
			}
		})
	}
	if _, err := Check(func() cl.Strategy { panic("no settings") }, Options{}); err == nil || !strings.Contains(err.Error(), "no settings (check_test.go:") {
		t.Errorf("a strategy that cannot be made gives %v", err)
	}
}

// TestOutcomesMarkdown: a row a check, whatever its error says, and each reason once.
func TestOutcomesMarkdown(t *testing.T) {
	all := Outcomes{{Check: "a"}, {Check: "b", Err: errors.New("x | y\nz")}, {Check: "c", Skipped: true}, {Check: "d", Err: errors.New("d")},
		{Check: "e", Err: errors.New("x | y\nz")}}
	const want = "| the strategy … | |\n|---|---|\n| a | ✓ |\n| b | ✗ x \\| y z |\n| c | – not checked: no weight named |\n| d | ✗ d |\n" +
		"| e | ✗ for the same reason as “b” |\n"
	if got := all.Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := all.Err(); err == nil || err.Error() != "3 of 5 checks failed: b and 1 more (x | y\nz); d (d)" {
		t.Errorf("the error is %v", err)
	}
}
