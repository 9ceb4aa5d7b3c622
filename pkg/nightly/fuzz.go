package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/host"
)

// recordFile holds the last recorded run of every target.
const recordFile = ".ci/fuzz.json"

// record is one target's last recorded run.
type record struct {
	Package     string  `json:"package"` // its folder
	Target      string  `json:"target"`
	Executions  int     `json:"executions"`
	Seconds     float64 `json:"seconds"`     // without compiling
	Interesting int     `json:"interesting"` // inputs found that reached new code
	Crashed     bool    `json:"crashed"`
	Commit      string  `json:"commit"`
	Dirty       bool    `json:"dirty"` // what it is built from had changes
	Machine     string  `json:"machine"`
	Date        string  `json:"date"`
}

// target is one fuzz function.
type target struct{ dir, name string }

func (t target) String() string { return t.dir + " " + t.name }

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// targets finds the fuzz functions below a folder by their text, which needs no compiler.
func targets(root string) (all []target, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range fuzzFunction.FindAllStringSubmatch(string(text), -1) {
			all = append(all, target{filepath.ToSlash(dir), m[1]})
		}
		return err
	})
	slices.SortFunc(all, func(a, b target) int { return cmp.Or(cmp.Compare(a.dir, b.dir), cmp.Compare(a.name, b.name)) })
	return all, errors.WithStack(err)
}

// fuzz runs the targets one after another, with one worker each, and fails where one of them did.
func fuzz(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	match, err := regexp.Compile(o.match)
	if err != nil {
		return errors.Wrap(err, "-match")
	}
	all, err := targets(".")
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t target) bool { return !match.MatchString(t.String()) })
	if len(all) == 0 {
		return errors.Errorf("no fuzz target matches %q", o.match)
	}
	temp, err := os.MkdirTemp("", "nightly-")
	if err != nil {
		return errors.WithStack(err)
	}
	defer os.RemoveAll(temp)
	var failed []string
	for _, t := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now, before := o, record{}
		if o.record && o.times > 0 {
			if before, err = t.before(ctx); err != nil {
				return err
			}
			if now.times -= before.Executions; now.times <= 0 {
				fmt.Printf("%-45s %9d executions, as recorded\n", t, before.Executions)
				continue
			}
		}
		r, err := t.run(ctx, now, temp)
		r.Executions, r.Seconds, r.Interesting = r.Executions+before.Executions, r.Seconds+before.Seconds, r.Interesting+before.Interesting
		if err != nil {
			failed = append(failed, t.String())
		}
		fmt.Printf("%-45s %9d executions in %6.0f s, %4d new inputs", t, r.Executions, r.Seconds, r.Interesting)
		if err != nil {
			fmt.Printf(", FAILED: %v", err)
		}
		fmt.Println()
		if o.record {
			if err := r.store(recordFile); err != nil {
				return err
			}
		}
		if o.keep > 0 {
			if err := t.keep(context.WithoutCancel(ctx), o.keep); err != nil {
				return err
			}
		}
	}
	if len(failed) > 0 {
		return errors.Errorf("%d of %d targets failed: %s", len(failed), len(all), strings.Join(failed, ", "))
	}
	return nil
}

// guides are the packages that tell the fuzzer of new code an input reaches, besides the target's own: the decoders below our
// readers. `go test -fuzz` asks every package of the program, and then spends most of an execution on looking through their
// counters: with those of GoMLX it is some ten times slower.
var guides = []string{"archive/tar", "compress/flate", "encoding/json", "gopkg.in/yaml.v3", "image/png", "palimpsest/pkg/safetensors", "palimpsest/pkg/settings"}

// build makes the test program of the target's package in a folder, unless it is there.
func (t target) build(ctx context.Context, temp string) (program string, err error) {
	program = filepath.Join(temp, strings.ReplaceAll(t.dir, "/", "-")+".test")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	command := []string{"go", "test", "-c", "-o", program}
	for _, pkg := range append(slices.Clone(guides), "palimpsest/"+t.dir) {
		command = append(command, "-gcflags="+pkg+"=-d=libfuzzer")
	}
	if out, err := exec.CommandContext(ctx, command[0], append(command[1:], "./"+t.dir)...).CombinedOutput(); err != nil {
		return "", errors.Errorf("%v: %s", err, tail(string(out)))
	}
	return program, nil
}

// before is the target's recorded run where that can go on: it was stopped before its end, and the package has not changed.
func (t target) before(ctx context.Context) (record, error) {
	all, err := records(recordFile)
	if err != nil {
		return record{}, err
	}
	at := slices.IndexFunc(all, func(r record) bool { return r.Package == t.dir && r.Target == t.name })
	if at < 0 || all[at].Crashed || all[at].Dirty {
		return record{}, nil
	}
	if exec.CommandContext(ctx, "git", "diff", "--quiet", all[at].Commit, "--", ":(glob)"+t.dir+"/*.go").Run() != nil {
		return record{}, nil
	}
	return all[at], nil
}

// run runs one target, whose program it makes in the folder temp.
func (t target) run(ctx context.Context, o options, temp string) (record, error) {
	r := record{Package: t.dir, Target: t.name, Machine: host.Line(), Date: time.Now().UTC().Format(time.DateOnly)}
	r.Commit, r.Dirty = host.Commit()
	program, err := t.build(ctx, temp)
	if err != nil {
		return r, err
	}
	cache, err := t.cache(ctx)
	if err != nil {
		return r, err
	}
	amount := o.time
	if o.times > 0 {
		amount = strconv.Itoa(o.times) + "x"
	}
	start := time.Now()
	// Without a bound, making one interesting input smaller may take a minute, in which nothing is executed.
	c := exec.CommandContext(ctx, program, "-test.run", "^$", "-test.fuzz", "^"+t.name+"$", "-test.fuzztime", amount, "-test.fuzzminimizetime", "100x",
		"-test.parallel", "1", "-test.timeout", "12h", "-test.fuzzcachedir", cache)
	c.Dir = t.dir
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it ends with what it has done so far
	c.Env = append(os.Environ(), "GOMAXPROCS=1")                      // there is one worker, and nobody for it to wait for
	out, err := c.CombinedOutput()
	if ctx.Err() != nil && c.ProcessState.ExitCode() == 0 {
		err = nil
	}
	r.Seconds = float64(time.Since(start).Round(100*time.Millisecond)) / float64(time.Second)
	r.Executions, r.Interesting = progress(string(out))
	if r.Crashed = err != nil; r.Crashed {
		err = errors.Errorf("%v: %s", err, tail(string(out)))
	}
	return r, err
}

// cache is where the inputs are that Go's fuzzer found for the package's targets.
func (t target) cache(ctx context.Context) (string, error) {
	cache, err := output(ctx, "go", "env", "GOCACHE")
	return filepath.Join(cache, "fuzz", "palimpsest", t.dir), err
}

var progressLine = regexp.MustCompile(`fuzz: elapsed: .*, execs: (\d+) .*, new interesting: (\d+) `)

// progress is what the last line of the fuzzer's output says.
func progress(out string) (executions, interesting int) {
	all := progressLine.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return 0, 0
	}
	last := all[len(all)-1]
	executions, _ = strconv.Atoi(last[1]) // digits
	interesting, _ = strconv.Atoi(last[2])
	return executions, interesting
}

// tail is the end of a text, from where the fuzzer's own lines stop.
func tail(out string) string {
	if at := strings.LastIndex(out, "fuzz: elapsed"); at >= 0 {
		out = out[at:]
	}
	return strings.TrimSpace(out[:min(len(out), 2000)])
}

// records reads a file of them, which need not be there.
func records(path string) (all []record, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	return all, errors.Wrap(err, path)
}

// store puts the record in place of the target's last one.
func (r record) store(path string) error {
	all, err := records(path)
	if err != nil {
		return err
	}
	all = append(slices.DeleteFunc(all, func(old record) bool { return old.Package == r.Package && old.Target == r.Target }), r)
	slices.SortFunc(all, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Target, b.Target))
	})
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(path, append(text, '\n'))
}

// mostKept is how many bytes an input has that is kept in the repository.
const mostKept = 3000

// keep copies up to n of the inputs that the fuzzer found for a target from Go's cache to its testdata, those of evenly
// spaced sizes.
func (t target) keep(ctx context.Context, n int) error {
	cache, err := t.cache(ctx)
	if err != nil {
		return err
	}
	from, to := filepath.Join(cache, t.name), filepath.Join(t.dir, "testdata", "fuzz", t.name)
	there, err := atomicfile.Glob(to, "*")
	if err != nil {
		return errors.WithStack(err)
	}
	found, err := atomicfile.Glob(from, "*")
	if err != nil {
		return errors.WithStack(err)
	}
	sizes := map[string]int64{}
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.Size() <= mostKept {
			sizes[path] = info.Size()
		}
	}
	found = slices.DeleteFunc(found, func(path string) bool { return sizes[path] == 0 })
	slices.SortFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(sizes[a], sizes[b]), cmp.Compare(a, b)) })
	n = min(n-len(there), len(found))
	if n <= 0 {
		return nil
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return errors.WithStack(err)
	}
	for i := range n {
		path := found[(2*i+1)*len(found)/(2*n)]
		text, err := os.ReadFile(path)
		if err != nil {
			return errors.WithStack(err)
		}
		if err := atomicfile.Write(filepath.Join(to, filepath.Base(path)), text); err != nil {
			return err
		}
	}
	return nil
}
