package cltest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/janpfeifer/gonb/gonbui"
	"github.com/pkg/errors"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
)

// Outcome is what one check of the suite found.
type Outcome struct {
	Check   string
	Err     error // nil: passed
	Skipped bool  // the check needs Options.ZeroWeight, and there is none
}

// Outcomes are those of the whole suite, in its order.
type Outcomes []Outcome

// Check is [Conform] outside of tests, for a program or a notebook: it runs the suite on the strategies that newStrategy
// returns, on the backend of the process (backend.Shared), and says what each check found. A strategy that panics fails the check.
// The error is of the suite itself: no backend, or no place for its files. It takes some seconds, most of them for compiling
// the network's step.
func Check(newStrategy func() cl.Strategy, o Options) (Outcomes, error) {
	dir, err := os.MkdirTemp("", "cltest")
	if err != nil {
		return nil, errors.Wrap(err, "cltest: a folder for the suite's files")
	}
	defer os.RemoveAll(dir)
	var r *rig
	err = cl.Guard(func() (err error) {
		r, err = newRigIn(dir, openBackend, newStrategy(), "")
		return err
	})
	if err != nil {
		return nil, errors.WithMessage(err, "cltest: the suite cannot begin")
	}
	var all Outcomes
	for _, c := range checks {
		one := Outcome{Check: c.name, Skipped: c.needsWeight && o.ZeroWeight == nil}
		if !one.Skipped {
			one.Err = cl.Guard(func() error { return c.run(r, newStrategy, o) })
		}
		all = append(all, one)
	}
	return all, nil
}

// ShowCheck displays what [Check] finds as a table below the running cell, and returns an error if a check failed. Outside a
// notebook it displays nothing.
func ShowCheck(newStrategy func() cl.Strategy, o Options) error {
	all, err := Check(newStrategy, o)
	if err != nil {
		return err
	}
	gonbui.DisplayMarkdown(all.Markdown())
	gonbui.Sync() // what a program displays just before its end is lost otherwise
	return all.Err()
}

// Err is nil if no check failed, and otherwise names those that did, and each reason once: a strategy that cannot take a step
// fails most checks for one.
func (all Outcomes) Err() error {
	var first error
	var reasons []string
	checks, failed := map[string][]string{}, 0
	for _, o := range all {
		if o.Err == nil {
			continue
		}
		if first == nil {
			first = o.Err
		}
		failed++
		reason := o.Err.Error()
		if checks[reason] == nil {
			reasons = append(reasons, reason)
		}
		checks[reason] = append(checks[reason], o.Check)
	}
	if failed == 0 {
		return nil
	}
	for i, reason := range reasons {
		who := checks[reason][0]
		if more := len(checks[reason]) - 1; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		reasons[i] = fmt.Sprintf("%s (%s)", who, reason)
	}
	return &failure{fmt.Sprintf("%d of %d checks failed: %s", failed, len(all), strings.Join(reasons, "; ")), first}
}

// failure is the error of checks that failed.
type failure struct {
	text  string
	first error // what the first of them found, which knows the place in the strategy where it panicked
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.first }

// Markdown is a table with a row a check.
func (all Outcomes) Markdown() string {
	var b strings.Builder
	b.WriteString("| the strategy … | |\n|---|---|\n")
	told := map[string]string{} // the check that failed first, by its reason
	for _, o := range all {
		found := "✓"
		switch {
		case o.Skipped:
			found = "– not checked: no weight named"
		case o.Err != nil:
			reason := o.Err.Error()
			if before, ok := told[reason]; ok {
				found = "✗ for the same reason as “" + before + "”"
				break
			}
			told[reason] = o.Check
			found = "✗ " + strings.NewReplacer("\n", " ", "|", "\\|").Replace(reason)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", o.Check, found)
	}
	return b.String()
}

// openBackend opens the backend that checks outside of tests share.
var openBackend = sync.OnceValues(func() (compute.Backend, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := kernelsetup.EnsurePlugin(ctx, os.Stderr); err != nil {
		return nil, err
	}
	b, _, err := backend.Shared()
	return b, err
})
