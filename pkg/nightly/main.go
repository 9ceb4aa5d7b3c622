// Command nightly runs what takes too long for every change:
//
//	go run ./pkg/nightly                    all of the following, half an hour to hours
//	go run ./pkg/nightly fuzz               every fuzz target for thirty seconds
//	go run ./pkg/nightly race               the race detector over the packages that run without XLA, and over pkg/experiment
//	go run ./pkg/nightly sanitize           the kernels written in C under the compiler's sanitisers
//	go run ./pkg/nightly neon               the same kernels built for arm64, in an emulator
//	go run ./pkg/nightly torture            200 kills and everything else that can befall a run folder
//	go run ./pkg/nightly containers         the processor's image built and tried, docker/try.sh
//
// Once in a while, and after a change to a reader, every target is run to a million executions, which is written down in
// .ci/fuzz.json, and the inputs found on the way that reach new code are kept next to the seeds:
//
//	go run ./pkg/nightly fuzz -times 1000000 -record -keep 6 -match FuzzConfig
//
// What was stopped goes on from the record while the target's package is as it was, and what has its number is left out.
//
// It leaves nothing but those files, what Go's fuzzer writes to testdata/fuzz when a target fails, and the result of the
// torture in pkg/experiment/testdata/torture.json.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/errors"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "nightly:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return errors.WithStack(err)
	}
	if len(args) == 0 {
		// A failure of one is no reason to leave out the others.
		var failed []string
		for _, name := range []string{"fuzz", "race", "sanitize", "neon", "torture", "containers"} {
			if err := parts[name](ctx, nil); err != nil {
				fmt.Fprintf(os.Stderr, "nightly: %s: %v\n", name, err)
				failed = append(failed, name)
			}
		}
		if len(failed) > 0 {
			return errors.Errorf("%s failed", strings.Join(failed, ", "))
		}
		return nil
	}
	part, ok := parts[args[0]]
	if !ok {
		return errors.Errorf("there is no part %q; need fuzz, race, sanitize, neon, torture or containers, or nothing for all", args[0])
	}
	return part(ctx, args[1:])
}

// parts are what can be asked for by name.
var parts = map[string]func(ctx context.Context, args []string) error{"fuzz": fuzz, "race": race, "sanitize": sanitize, "neon": neon, "torture": torture, "containers": containers}

// race runs the race detector over the packages whose tests open no backend, and over those of pkg/experiment that run
// several smallest networks at a time.
func race(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return errors.Errorf("race takes no arguments, got %q", args)
	}
	list, err := output(ctx, "go", "list", "-test", "-f", `{{if .ForTest}}{{.ForTest}} {{join .Deps ","}}{{end}}`, "./...")
	if err != nil {
		return err
	}
	withBackend, seen := map[string]bool{}, map[string]bool{}
	var all []string
	for line := range strings.Lines(list) {
		pkg, deps, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pkg == "" {
			continue
		}
		if !seen[pkg] {
			seen[pkg] = true
			all = append(all, pkg)
		}
		if strings.Contains(deps, "/pkg/backend/backendtest") {
			withBackend[pkg] = true
		}
	}
	command := append(slices.Clone(raceTest), "-timeout", "40m")
	for _, pkg := range all {
		if !withBackend[pkg] && !strings.HasSuffix(pkg, "/pkg/experiment") {
			command = append(command, pkg)
		}
	}
	if err := show(ctx, command...); err != nil {
		return err
	}
	return show(ctx, append(slices.Clone(raceTest), "-tags", "torture", "-timeout", "40m", "-run", "^TestTortureInOneProcess$", "./pkg/experiment")...)
}

// raceTest runs tests under the race detector. With it the compiler checks how pointers are made of numbers, which the matrix
// product of GoMLX's pure-Go backend does in a way that is refused although it reads nothing but its slices.
var raceTest = []string{"go", "test", "-race", "-gcflags=github.com/gomlx/compute/...=-d=checkptr=0"}

// torture runs the torture of pkg/experiment; its arguments go to the test, for instance -kills 20 -seed 7.
func torture(ctx context.Context, args []string) error {
	return show(ctx, append([]string{"go", "test", "-tags", "torture", "-timeout", "8h", "-v", "-run", "^TestTorture", "./pkg/experiment", "-args"}, args...)...)
}

// containers builds the images of the folder docker and tries them; its arguments go to the script.
func containers(ctx context.Context, args []string) error {
	return show(ctx, append([]string{"docker/try.sh"}, args...)...)
}

// show runs a command whose output is the user's.
func show(ctx context.Context, command ...string) error {
	fmt.Println("+", strings.Join(command, " "))
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return errors.WithMessage(c.Run(), strings.Join(command[:min(len(command), 3)], " "))
}

// output is what a command writes, without the last line's end.
func output(ctx context.Context, command ...string) (string, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	return strings.TrimRight(string(out), "\n"), errors.WithMessage(err, strings.Join(command, " "))
}

// flags of fuzz.
type options struct {
	time   string
	times  int
	match  string
	record bool
	keep   int
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("nightly fuzz", flag.ContinueOnError)
	f.StringVar(&o.time, "time", "30s", "how long each target runs")
	f.IntVar(&o.times, "times", 0, "how many executions each target makes, in place of -time")
	f.StringVar(&o.match, "match", ".", "run the targets whose package and name, \"pkg/memory FuzzUnmarshal\", match this regular expression")
	f.BoolVar(&o.record, "record", false, "write what was done to "+recordFile)
	f.IntVar(&o.keep, "keep", 0, "keep at most so many of the new inputs of each target in its testdata/fuzz")
	err = f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = errors.Errorf("fuzz takes flags alone, got %q", f.Args())
	}
	return o, err
}
