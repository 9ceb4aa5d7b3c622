//go:build torture

// What befalls run folders, in earnest: real processes of the program itself, ended at random moments, beside others, on full
// disks and on damaged files. It takes an hour or so and is no part of the usual tests:
//
//	go test -tags torture -timeout 8h -v -run '^TestTorture' ./pkg/experiment                       all of it
//	go test -tags torture -v -run '^TestTortureKills$' ./pkg/experiment -args -kills 20 -seed 7     some of it again
//
// Each part prints what was tried, survived and lost, fails where anything was lost, and puts its last result in
// testdata/torture.json. Lost is a run that does not end as one left alone, to the last byte of weights, measurements and
// pictures; an error other than one line that says what is wrong; and a reader's failure.
package experiment

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cards"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
)

var (
	kills      = flag.Int("kills", 200, "how many times runs are ended, all strategies together")
	damages    = flag.Int("damages", 60, "how many damaged run folders are gone on with")
	seed       = flag.Uint64("seed", 0, "of all that is random; 0: the time")
	only       = flag.String("strategies", "", "comma-separated; default: all and the composites that have a card")
	concurrent = flag.Int("concurrent", max(1, runtime.NumCPU()/2), "how many runs are tortured at a time, each on one core")
)

// tortured is the last result of one part, as testdata/torture.json keeps it.
type tortured struct {
	Part     string         `json:"part"`
	Whole    bool           `json:"whole"` // the part came to its end
	Tried    int            `json:"tried"`
	Survived int            `json:"survived"`
	Lost     int            `json:"lost"`
	Of       map[string]int `json:"of,omitempty"` // what the tries were
	Losses   []string       `json:"losses,omitempty"`
	Seed     uint64         `json:"seed"`
	Seconds  float64        `json:"seconds"`
	Commit   string         `json:"commit"`
	Dirty    bool           `json:"dirty"` // the checkout had changes
	Machine  string         `json:"machine"`
	Date     string         `json:"date"`
}

const tortureFile = "testdata/torture.json"

// rack is one part at work.
type rack struct {
	*testing.T
	mu      sync.Mutex
	out     tortured
	rng     *rand.Rand
	program string
	start   time.Time
}

// newRack builds the program and reads the flags. At the end of the part its result is printed and stored.
func newRack(t *testing.T, part string) *rack {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	hash, dirty := host.Commit()
	r := &rack{T: t, rng: rand.New(rand.NewPCG(s, 0)), program: filepath.Join(t.TempDir(), "palimpsest"), start: time.Now(), out: tortured{
		Part: part, Of: map[string]int{}, Seed: s, Commit: hash, Dirty: dirty, Date: time.Now().UTC().Format(time.DateOnly),
		Machine: host.Line()}}
	if out, err := exec.Command("go", "build", "-o", r.program, "palimpsest").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if os.Getenv("XLA_FLAGS") == "" { // compiling is most of a small run
		t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	}
	t.Cleanup(func() {
		o := &r.out
		o.Whole = true
		r.store()
		r.Logf("%s: %d tried, %d survived, %d lost; %v; seed %d; %g s", o.Part, o.Tried, o.Survived, o.Lost, o.Of, o.Seed, o.Seconds)
		if o.Lost > 0 {
			r.Errorf("%s: %d lost", o.Part, o.Lost)
		}
	})
	return r
}

// store puts the part's result so far in place of its last one, so that a torture cut short tells what it has done.
func (r *rack) store() {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &r.out
	o.Seconds = float64(int(time.Since(r.start).Seconds()))
	var all []tortured
	if text, err := os.ReadFile(tortureFile); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			r.Errorf("%s: %v", tortureFile, err)
			return
		}
	}
	all = append(slices.DeleteFunc(all, func(old tortured) bool { return old.Part == o.Part }), *o)
	slices.SortFunc(all, func(a, b tortured) int { return cmp.Compare(a.Part, b.Part) })
	text, err := json.MarshalIndent(all, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(tortureFile), 0o755)
	}
	if err == nil {
		err = atomicfile.Write(tortureFile, append(text, '\n'))
	}
	if err != nil {
		r.Error(err)
	}
}

// count adds tries of a kind, and what was lost of them: one line, or "".
func (r *rack) count(kind string, n int, loss string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Of[kind] += n
	r.out.Tried += n
	if loss == "" {
		r.out.Survived += n
		return
	}
	r.out.Lost += n
	r.out.Losses = append(r.out.Losses, kind+": "+loss)
	r.Logf("LOST %s: %s", kind, loss)
}

// tortureConfig is a whole run, as small as one gets.
func tortureConfig(strategy string) (Config, error) {
	c := DefaultConfig()
	c.Benchmark.ClassOrder, c.Benchmark.Classes = "given", []int{7, 9, 0, 3}
	c.Network.Base, c.Network.Mults = 8, []int{1}
	c.Diffusion.T, c.Train.WarmUp = 20, 2
	c.Loop.StepsPerTask, c.Loop.FreshRows, c.Loop.ReplayRows = 6, 4, 4
	c.Evaluate.SamplesPerTask, c.Evaluate.Batch, c.Evaluate.AllowSmallN = 16, 32, true
	c.Evaluate.Sampler.Name, c.Evaluate.Sampler.Steps = "ddim", 2
	c.CheckpointEvery = 1
	name, measured := strings.CutSuffix(strategy, " measured")
	if measured { // everything that a run can write
		c.Probe = ProbeConfig{Every: 3, Images: 2, Timesteps: 3}
		c.BPD = BPDConfig{Images: 2, Terms: 5, Variants: true}
		c.Autopsy = AutopsyConfig{Images: 4, Timesteps: 2, Steps: 2, Thresholds: 3}
		c.Loop.TimestepSampler = "importance"
	}
	s, err := cl.New(cl.Spec{Name: name})
	if err != nil {
		return c, err
	}
	has, err := cl.Settings(s)
	if err != nil {
		return c, err
	}
	c.Strategy = cl.Spec{Name: name, Settings: map[string]any{}}
	for key := range has {
		for part, value := range map[string]any{"buffer": 12, "pool": 8, "fisher_rows": 8, "candidates": 8} {
			if key == part || strings.HasSuffix(key, "_"+part) {
				c.Strategy.Settings[key] = value
			}
		}
	}
	return c, c.Validate()
}

// TestTortureConfigs looks at all configurations before an hour is spent on them.
func TestTortureConfigs(t *testing.T) {
	r := &rack{T: t}
	for _, name := range r.victims() {
		if _, err := tortureConfig(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// victims are the strategies to be tortured.
func (r *rack) victims() []string {
	r.Helper()
	if *only != "" {
		return strings.Split(*only, ",")
	}
	names := append(cl.Names(), "er measured", "er+lwf")
	carded, err := cards.Names()
	if err != nil {
		r.Fatal(err)
	}
	for _, name := range carded {
		if strings.Contains(name, "+") {
			names = append(names, name)
		}
	}
	return names
}

// process prepares the program to go on with the run in dir, or to begin it, on one core unless free.
func (r *rack) process(ctx context.Context, dir string, free bool, args ...string) *exec.Cmd {
	args = append([]string{r.program}, args...)
	if args[len(args)-1] != dir {
		args = append(args, dir)
	}
	if !free && runtime.GOOS == "linux" {
		args = append([]string{"taskset", "-c", fmt.Sprint(len(dir) % runtime.NumCPU())}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// begin makes a run folder that holds nothing but a configuration.
func (r *rack) begin(dir string, c Config) {
	r.Helper()
	text, err := yaml.Marshal(c)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.yaml"), text, 0o644)
	}
	if err != nil {
		r.Error(err) // and what follows is lost
	}
}

// finish goes on with the run in dir to its end and says what is lost of it against want, which is all that [remains] of a
// run or one thing of it.
func (r *rack) finish(dir string, free bool, want map[string]string) string {
	out, err := r.process(r.Context(), dir, free, "resume").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("resume: %v: %s", err, lastLine(out))
	}
	have, err := remains(dir)
	if err != nil && len(want) > 1 {
		return "after the end: " + err.Error()
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			return name + " differs from that of a run left alone"
		}
	}
	if len(have) != len(want) && len(want) > 1 {
		return fmt.Sprintf("there are %d things at the end, and %d of a run left alone", len(have), len(want))
	}
	return ""
}

// remains is all of a finished run that does not tell of time and place.
func remains(dir string) (map[string]string, error) {
	all := map[string]string{}
	run, err := results.Load(filepath.Join(dir, "result.json"))
	if err != nil {
		return nil, err
	}
	measured, err := json.Marshal([]any{run.Evaluations, run.Losses, run.Sensitivity, run.Outside, run.Cost.StoredImages, run.Cost.StoredBytes})
	if err != nil {
		return nil, err
	}
	all["result.json"] = string(measured)
	names, err := checkpoints(dir)
	if err != nil {
		return all, err
	}
	if len(names) == 0 {
		return all, fmt.Errorf("no checkpoint is left")
	}
	if a, err := dynamics.LoadAutopsy(filepath.Join(dir, results.AutopsyFile)); err == nil {
		a.Command, a.Commit, a.Dirty = "", "", false
		text, err := json.Marshal(a)
		if err != nil {
			return all, err
		}
		all[results.AutopsyFile] = string(text)
	} else if !os.IsNotExist(err) {
		return all, err
	}
	files := []string{"metrics.csv", "losses.csv", "metrics.json", results.DynamicsFile, filepath.Join("checkpoints", names[len(names)-1], "network.safetensors")}
	pictures, err := filepath.Glob(filepath.Join(dir, "samples", "*"))
	if err != nil {
		return all, err
	}
	for _, p := range pictures {
		files = append(files, filepath.Join("samples", filepath.Base(p)))
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return all, err
		}
		all[name] = string(text)
	}
	leftovers, err := filepath.Glob(filepath.Join(dir, "*", ".writing-*"))
	if len(leftovers) > 0 {
		return all, fmt.Errorf("half-written folders are left: %v", leftovers)
	}
	return all, err
}

// lastLine is the last line of what a process wrote.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// watch calls f, from another goroutine, at each change among the names in dir and its folders, until stop is closed.
func watch(dir string, stop <-chan struct{}, f func(change int)) {
	tick := time.NewTicker(300 * time.Microsecond)
	defer tick.Stop()
	before, changes := "", 0
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		var now strings.Builder
		for _, sub := range []string{".", "checkpoints", "samples"} {
			entries, _ := os.ReadDir(filepath.Join(dir, sub)) // gone or not yet there is a state too
			for _, e := range entries {
				now.WriteString(e.Name() + " ")
			}
		}
		if now.String() != before {
			before = now.String()
			f(changes)
			changes++
		}
	}
}

// whole makes a run that is left alone; it returns what remains of it, how long it took and how often its folder changed.
func (r *rack) whole(dir string, c Config) (want map[string]string, took time.Duration, changes int, err error) {
	r.begin(dir, c)
	start, stop, done := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		watch(dir, stop, func(change int) { changes = change })
	}()
	out, err := r.process(r.Context(), dir, false, "resume").CombinedOutput()
	close(stop)
	<-done
	if err != nil {
		return nil, 0, 0, fmt.Errorf("a run left alone: %v: %s", err, lastLine(out))
	}
	want, err = remains(dir)
	return want, time.Since(start), changes, err
}

// TestTortureKills ends runs of every strategy at random moments, half of them by the clock and half when something changes
// in their folders, and goes on with them, on one core or all, after moving the times of their files at random.
func TestTortureKills(t *testing.T) {
	r := newRack(t, "kills")
	names := r.victims()
	share := make([]int, len(names))
	for i := range *kills {
		share[i%len(names)]++
	}
	type job struct {
		name  string
		kills int
		rng   *rand.Rand
	}
	jobs := make(chan job)
	var wait sync.WaitGroup
	for range *concurrent {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := range jobs {
				r.killOften(j.name, j.kills, j.rng)
				r.store()
			}
		}()
	}
	for i, name := range names {
		if share[i] > 0 {
			jobs <- job{name, share[i], rand.New(rand.NewPCG(r.out.Seed, uint64(i+1)))}
		}
	}
	close(jobs)
	wait.Wait()
}

// signals are how a run is ended; most often it is not asked.
var signals = []struct {
	name   string
	signal syscall.Signal
}{{"SIGKILL", syscall.SIGKILL}, {"SIGKILL", syscall.SIGKILL}, {"SIGTERM", syscall.SIGTERM}, {"SIGHUP", syscall.SIGHUP}, {"SIGINT", syscall.SIGINT}}

func (r *rack) killOften(name string, kills int, rng *rand.Rand) {
	base := r.TempDir()
	defer os.RemoveAll(base)
	c, err := tortureConfig(name)
	if err != nil {
		r.count("refused", 1, name+": "+err.Error())
		return
	}
	want, took, changes, err := r.whole(filepath.Join(base, "whole"), c)
	if err != nil {
		r.count("left alone", 1, name+": "+err.Error())
		return
	}
	for killed := 0; killed < kills; {
		dir := filepath.Join(base, fmt.Sprintf("broken%d", killed))
		r.begin(dir, c)
		kinds, over := map[string]int{}, false
		for ; killed < kills && !over; r.moveTimes(dir, rng) {
			s := signals[rng.IntN(len(signals))]
			struck, err := r.killOnce(dir, s.signal, rng, took, changes)
			switch {
			case struck:
				kinds[s.name]++
				killed++
			case err != nil:
				r.count("undisturbed", 1, name+": "+err.Error())
				return
			default:
				over = true
			}
		}
		loss := r.finish(dir, rng.IntN(2) == 0, want)
		if loss != "" {
			loss = name + ": " + loss
		}
		for kind, n := range kinds {
			r.count(kind, n, loss)
		}
		if err := os.RemoveAll(dir); err != nil {
			r.Error(err)
		}
	}
	r.Logf("%s: %d kills; %d changes of the folder in %s when left alone", name, kills, changes, took.Round(time.Second))
}

// killOnce goes on with the run in dir and ends the process. It says whether the process was at work then; if not, err is how
// it ended by itself.
func (r *rack) killOnce(dir string, s syscall.Signal, rng *rand.Rand, took time.Duration, changes int) (struck bool, err error) {
	cmd := r.process(r.Context(), dir, rng.IntN(4) == 0, "resume")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return false, err
	}
	done, stop := make(chan error, 1), make(chan struct{})
	defer close(stop)
	go func() { done <- cmd.Wait() }()
	strike := make(chan struct{})
	if rng.IntN(2) == 0 {
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(took))), func() { close(strike) })
		defer timer.Stop()
	} else {
		at, delay := 1+rng.IntN(max(1, changes/2)), time.Duration(rng.Int64N(int64(4*time.Millisecond)))
		go watch(dir, stop, func(change int) {
			if change == at {
				time.Sleep(delay)
				close(strike)
			}
		})
	}
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("%v: %s", err, lastLine(out.Bytes()))
		}
		return false, err
	case <-strike:
	}
	if cmd.Process.Signal(s) != nil {
		return false, <-done
	}
	err = <-done
	if bytes.Contains(out.Bytes(), []byte("goroutine ")) {
		return false, fmt.Errorf("it panicked: %s", lastLine(out.Bytes()))
	}
	return err != nil, nil
}

// moveTimes gives files of a run times long ago or to come, as a clock that is put right leaves them.
func (r *rack) moveTimes(dir string, rng *rand.Rand) {
	if rng.IntN(3) > 0 {
		return
	}
	r.mu.Lock()
	r.out.Of["clock moved"]++ // no try by itself
	r.mu.Unlock()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			at := time.Unix(rng.Int64N(1<<32), 0)
			_ = os.Chtimes(path, at, at)
		}
		return nil
	})
}

// TestTortureReaders looks at a run again and again while it writes a checkpoint at every step. Neither disturbs the other.
func TestTortureReaders(t *testing.T) {
	r := newRack(t, "readers")
	c, err := tortureConfig("er")
	if err != nil {
		t.Fatal(err)
	}
	c.Loop.StepsPerTask = 400
	base := t.TempDir()
	want, _, _, err := r.whole(filepath.Join(base, "whole"), c)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "read")
	r.begin(dir, c)
	writer := r.process(t.Context(), dir, false, "resume")
	var out bytes.Buffer
	writer.Stdout, writer.Stderr = &out, &out
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- writer.Wait() }()
	back, _, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer back.Finalize()
	for reading := true; reading; {
		select {
		case err := <-done:
			loss := ""
			if err != nil {
				loss = fmt.Sprintf("%v: %s", err, lastLine(out.Bytes()))
			}
			r.count("writer", 1, loss)
			reading = false
		default:
			n, err := OpenTrained(back, dir)
			switch {
			case err == nil:
				n.Close()
				r.count("opened", 1, "")
			case strings.Contains(err.Error(), "no checkpoint"):
				time.Sleep(50 * time.Millisecond)
			default:
				r.count("opened", 1, err.Error())
			}
			if r.out.Of["opened"]%40 == 1 {
				out, err := r.process(t.Context(), dir, true, "sample", "--steps", "2", "--count", "1", "-o", filepath.Join(base, "drawn.png"), dir).CombinedOutput()
				loss := ""
				if err != nil {
					loss = fmt.Sprintf("%v: %s", err, lastLine(out))
				}
				r.count("drawn from", 1, loss)
			}
		}
	}
	r.count("end", 1, r.finish(dir, false, want))
}

// TestTortureFullDisk runs on disks too small for it, and where files may not grow beyond a size, until there is room.
func TestTortureFullDisk(t *testing.T) {
	r := newRack(t, "full disk")
	c, err := tortureConfig("er measured")
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	want, _, _, err := r.whole(filepath.Join(base, "whole"), c)
	if err != nil {
		t.Fatal(err)
	}
	total, largest := sizes(t, filepath.Join(base, "whole"))
	disk := filepath.Join(base, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		dir, room := filepath.Join(disk, fmt.Sprint("run", i)), total*int64(i+1)/5
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", room), "none", disk).CombinedOutput(); err != nil {
			t.Logf("no small disk can be mounted here (%s): left out", lastLine(out))
			break
		}
		loss := func() string {
			defer func() {
				if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}()
			r.begin(dir, c)
			out, err := r.process(t.Context(), dir, false, "resume").CombinedOutput()
			if err != nil && !strings.Contains(lastLine(out), "no space left") {
				return fmt.Sprintf("%d bytes: %v: %s", room, err, lastLine(out))
			}
			if out, err := exec.Command("mount", "-o", fmt.Sprintf("remount,size=%d", 4*total), disk).CombinedOutput(); err != nil {
				return string(out)
			}
			return r.finish(dir, false, want)
		}()
		r.count("small disk", 1, loss)
	}
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Log("no prlimit here: left out")
		return
	}
	for i := range 3 {
		dir := filepath.Join(base, fmt.Sprint("limited", i))
		r.begin(dir, c)
		cmd := r.process(t.Context(), dir, false, "resume")
		cmd = exec.Command("prlimit", append([]string{fmt.Sprintf("--fsize=%d", largest*int64(i+1)/4)}, cmd.Args...)...)
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
			r.count("small files", 1, "a limit below the largest file was no hindrance")
		case !strings.Contains(lastLine(out), "file too large"):
			r.count("small files", 1, fmt.Sprintf("%v: %s", err, lastLine(out)))
		default:
			r.count("small files", 1, r.finish(dir, false, want))
		}
	}
}

// sizes are the bytes of all files of a folder, in pages, and of the largest.
func sizes(t *testing.T, dir string) (total, largest int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total, largest = total+(info.Size()+4095)&^4095+4096, max(largest, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total, largest
}

// TestTortureDamage goes on with interrupted and finished runs one of whose files is damaged. A run either ends as if nothing
// had been, or refuses in one line.
func TestTortureDamage(t *testing.T) {
	r := newRack(t, "damage")
	c, err := tortureConfig("er measured")
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	whole, half := filepath.Join(base, "whole"), filepath.Join(base, "half")
	want, _, _, err := r.whole(whole, c)
	if err != nil {
		t.Fatal(err)
	}
	r.begin(half, c)
	interrupted := false
	for !interrupted { // amid the second task
		cmd := r.process(t.Context(), half, false, "resume", "--progress=json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		go watch(half, stop, func(int) {
			if names, err := checkpoints(half); err == nil && len(names) > 0 && strings.HasPrefix(names[len(names)-1], "phase01-step000003") {
				_ = cmd.Process.Kill()
			}
		})
		_, _ = io.Copy(io.Discard, out)
		interrupted = cmd.Wait() != nil
		close(stop)
		if !interrupted {
			if err := os.RemoveAll(half); err != nil {
				t.Fatal(err)
			}
			r.begin(half, c)
		}
	}
	for range *damages {
		from, expected := half, want
		if r.rng.IntN(4) == 0 {
			// Of a finished run the result alone is read, which has a sum of itself.
			from, expected = whole, map[string]string{"result.json": want["result.json"]}
		}
		dir := filepath.Join(base, "damaged")
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		what, kind := r.damage(dir)
		out, err := r.process(t.Context(), dir, false, "resume").CombinedOutput()
		loss := ""
		switch line := lastLine(out); {
		case bytes.Contains(out, []byte("goroutine ")):
			loss = "it panicked: " + line
		case err != nil && !strings.HasPrefix(line, "error: "):
			loss = fmt.Sprintf("%v: %s", err, line)
		case err != nil:
			kind += ", refused"
		default:
			loss = r.finish(dir, false, expected)
			if name, _, differs := strings.Cut(loss, " differs"); differs && bytes.Contains(out, []byte("warning: the samples in "+name)) {
				loss, kind = "", kind+", picture lost and said"
			}
		}
		if loss != "" {
			loss = what + ": " + loss
		}
		r.count(kind, 1, loss)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// damage damages one file of a run folder, and says which and how.
func (r *rack) damage(dir string) (what, kind string) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != ".lock" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	pick := func() (string, []byte) {
		path := files[r.rng.IntN(len(files))]
		text, err := os.ReadFile(path)
		if err != nil {
			r.Fatal(err)
		}
		return path, text
	}
	path, text := pick()
	switch kind = []string{"truncated", "bit flipped", "removed", "swapped", "emptied", "overwritten"}[r.rng.IntN(6)]; kind {
	case "truncated":
		text = text[:r.rng.IntN(max(1, len(text)))]
	case "bit flipped":
		if len(text) > 0 {
			text[r.rng.IntN(len(text))] ^= 1 << r.rng.IntN(8)
		}
	case "removed":
		err = os.Remove(path)
	case "swapped":
		other, content := pick()
		if err = os.WriteFile(other, text, 0o644); err == nil {
			text = content
		}
	case "emptied":
		text = nil
	case "overwritten":
		for i := range min(len(text), 64) {
			text[i] = byte(r.rng.IntN(256))
		}
	}
	if err == nil && kind != "removed" {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		r.Fatal(err)
	}
	relative, _ := filepath.Rel(dir, path)
	return fmt.Sprintf("%s of %s %s", relative, filepath.Base(dir), kind), kind
}

// TestTortureTwoProcesses sets two processes on one folder: one makes the run, the other says why it does not.
func TestTortureTwoProcesses(t *testing.T) {
	r := newRack(t, "two processes")
	c, err := tortureConfig("er")
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	want, took, _, err := r.whole(filepath.Join(base, "whole"), c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		dir := filepath.Join(base, fmt.Sprint("both", i))
		r.begin(dir, c)
		delay := time.Duration(0)
		if i > 1 {
			delay = time.Duration(r.rng.Int64N(int64(took)))
		}
		ended := make(chan string, 2)
		for k := range 2 {
			go func() {
				time.Sleep(time.Duration(k) * delay)
				out, err := r.process(t.Context(), dir, false, "resume").CombinedOutput()
				switch line := lastLine(out); {
				case err == nil:
					ended <- ""
				case strings.Contains(line, "another process"):
					ended <- "refused"
				default:
					ended <- fmt.Sprintf("%v: %s", err, line)
				}
			}()
		}
		a, b := <-ended, <-ended
		loss := ""
		if a != "" && b != "" || a != "" && a != "refused" || b != "" && b != "refused" {
			loss = fmt.Sprintf("they ended as %q and %q", a, b)
		} else {
			loss = r.finish(dir, false, want)
		}
		r.count("pairs", 1, loss)
	}
}

// TestTortureCores begins a run on all cores and goes on with it on one, which cannot give the same digits everywhere: it must
// end, and what it says must tell.
func TestTortureCores(t *testing.T) {
	if runtime.NumCPU() < 2 || runtime.GOOS != "linux" {
		t.Skip("one core, or no taskset")
	}
	r := newRack(t, "cores")
	c, err := tortureConfig("er")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	r.begin(dir, c)
	cmd := r.process(t.Context(), dir, true, "resume")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go watch(dir, stop, func(int) {
		if names, err := checkpoints(dir); err == nil && len(names) > 1 {
			_ = cmd.Process.Kill()
		}
	})
	_ = cmd.Wait()
	close(stop)
	out, err := r.process(t.Context(), dir, false, "resume").CombinedOutput()
	loss := ""
	if err != nil {
		loss = fmt.Sprintf("%v: %s", err, lastLine(out))
	} else if !bytes.Contains(out, []byte("warning: this run is made for")) {
		loss = "it went on with fewer cores without a word"
	}
	r.count("fewer cores", 1, loss)
}

// TestTortureInOneProcess makes several runs in this process at once, stops one amid its work and looks at another meanwhile.
// It is for the race detector.
func TestTortureInOneProcess(t *testing.T) {
	if os.Getenv("XLA_FLAGS") == "" {
		t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	}
	base := t.TempDir()
	var wait sync.WaitGroup
	for i, name := range []string{"er measured", "er+ewc_rank1+generative_distillation", "packnet"} {
		c, err := tortureConfig(name)
		if err != nil {
			t.Fatal(err)
		}
		c.Seed = uint64(i)
		dir := filepath.Join(base, fmt.Sprint("run", i))
		wait.Add(1)
		go func() {
			defer wait.Done()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := Options{Log: io.Discard, Command: "torture", Progress: func(p Progress) {
				if i == 0 && p.Step > 7 {
					cancel()
				}
			}}
			if _, err := Run(ctx, c, dir, o); err != nil && i != 0 {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := Run(t.Context(), c, dir, Options{Log: io.Discard, Command: "torture"}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}()
	}
	finished := make(chan struct{})
	go func() { wait.Wait(); close(finished) }()
	back, _, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer back.Finalize()
	for {
		select {
		case <-finished:
			return
		case <-time.After(time.Second):
		}
		n, err := OpenTrained(back, filepath.Join(base, "run1"))
		if err == nil {
			n.Close()
		} else if msg := err.Error(); !strings.Contains(msg, "no checkpoint") && !strings.Contains(msg, "no run folder") &&
			!strings.Contains(msg, "has not begun to train yet") {
			t.Error(err)
		}
	}
}
