//go:build cgo && linux && amd64

package executables_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/executables"
	"palimpsest/pkg/fastconv"
	"palimpsest/pkg/kept"
	"palimpsest/pkg/unet"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// open opens the backend and has executables kept in dir.
func open(t *testing.T, dir string) compute.Backend {
	t.Helper()
	if !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" {
		t.Skip("no plugin for this machine, or another backend asked for")
	}
	b := backendtest.Open(t)
	executables.Keep(t, dir)
	return b
}

// values compiles a graph with package fastconv's kernels, random numbers, a sort and a reduction, and returns its values.
func values(t *testing.T, b compute.Backend) []byte {
	t.Helper()
	exec, err := NewExec(b, func(x, w, gain *Node) []*Node {
		state, noise := RandomNormal(Const(x.Graph(), []uint64{1, 2, 3}), shapes.Make(x.DType(), 2, 8, 8, 16))
		plain := func(x, gamma, beta *Node) *Node { return Sigmoid(Mul(x, Reshape(Add(gamma, beta), 1, 1, 1, 16))) }
		y := Convolve(Add(x, noise), w).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
		if z := fastconv.NormSiLU(y, gain, gain, 4, plain); z != nil {
			y = z
		}
		loss := ReduceAllSum(Exp(Neg(Square(y))))
		return append(Gradient(loss, x, w), Sort(y, 1, true), loss, state)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	ramp := func(dims ...int) *tensors.Tensor {
		v := make([]float32, shapes.Make(0, dims...).Size())
		for i := range v {
			v[i] = float32(math.Sin(float64(i)))
		}
		return tensors.FromFlatDataAndDimensions(v, dims...)
	}
	out, err := exec.Call(ramp(2, 8, 8, 16), ramp(3, 3, 16, 16), ramp(16))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, o := range out {
		all = fmt.Append(all, o.Shape(), "\n")
		if err := o.ConstBytes(func(data []byte) { all = append(all, data...) }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// What is loaded computes the bits of what was compiled; a damaged file is compiled anew and replaced; and one compiled for
// another number of cores is another.
func TestLoadedEqualsCompiled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "executables")
	b := open(t, dir)
	before, spent := executables.Loads(), executables.Spent()
	want := values(t, b)
	if executables.Spent() <= spent {
		t.Errorf("to compile took no time: %v before, %v after", spent, executables.Spent())
	}
	if n := executables.Loads() - before; n != 0 {
		t.Fatalf("%d executables came from an empty folder", n)
	}
	again := func(what string, loads int64) {
		t.Helper()
		before := executables.Loads()
		if got := values(t, b); !bytes.Equal(got, want) {
			t.Errorf("%s: the values differ", what)
		}
		if n := executables.Loads() - before; n != loads {
			t.Errorf("%s: %d executables were loaded, want %d", what, n, loads)
		}
	}
	again("compiled before", 1)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v; want one file", files, err)
	}
	for _, damage := range []func(file []byte) []byte{
		func(file []byte) []byte { return file[:len(file)/2] },
		func(file []byte) []byte { file[len(file)/2] ^= 1; return file },
	} {
		file, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[0], damage(file), 0o600); err != nil {
			t.Fatal(err)
		}
		again("damaged", 0)
		again("replaced", 1)
	}
	if backend.Cores() > 1 {
		_, release, err := backend.UseCores(1)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		before := executables.Loads()
		values(t, b)
		if n := executables.Loads() - before; n != 0 {
			t.Errorf("an executable for %d cores was loaded on one", backend.Cores())
		}
	}
}

// train makes some training steps of the least network, extended by what methods need, and returns the weights and what the
// steps told.
func train(t *testing.T, b compute.Backend, extra diffusion.Extra) []byte {
	t.Helper()
	process, err := diffusion.New(diffusion.Config{T: 20, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	u := unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 8, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2, Dropout: 0.1}
	n, err := diffusion.NewNetwork(b, process, u, diffusion.TrainConfig{LearningRate: 1e-2, ClipNorm: 1, EMA: 0.9}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Extend(extra); err != nil {
		t.Fatal(err)
	}
	const rows, steps = 2, 3
	batch := diffusion.Batch{X: make([]float32, rows*16), Y: make([]int32, rows), T: []int32{3, 17}, W: []float32{0.5, 0.5}}
	for i := range batch.X {
		batch.X[i] = float32(math.Cos(float64(i)))
	}
	var all []byte
	for i := range steps {
		r, err := n.Step(batch, i, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		all = fmt.Appendf(all, "%v %v %v\n", r.Loss, r.Rows, r.GradNorm)
	}
	dir := t.TempDir()
	if err := n.Save(dir); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("the network saved %v, %v", files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// A training step that is loaded takes over its weights' memory and gives theirs back as one compiled does, step after step.
// One with every term that a method may add is the same program each time it is built, and is found again.
func TestLoadedTrainingStep(t *testing.T) {
	for name, extra := range map[string]diffusion.Extra{
		"plain":    {},
		"extended": {Teacher: true, Given: true, Penalty: true, Directions: 2, Projection: true, Mask: true, Path: true, LoRA: 2, LoRAAlpha: 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "executables")
			b := open(t, dir)
			want := train(t, b, extra)
			compiled, _, err := (kept.Store{Dir: dir}).Held()
			if err != nil {
				t.Fatal(err)
			}
			before := executables.Loads()
			got := train(t, b, extra)
			if n := executables.Loads() - before; n != int64(compiled) || n == 0 {
				t.Errorf("%d of %d executables were loaded", n, compiled)
			}
			if !bytes.Equal(got, want) {
				t.Error("a loaded training step led to other weights")
			}
		})
	}
}

// childEnv set, this test binary computes once and says what it did.
const childEnv = "PALIMPSEST_TEST_EXECUTABLES"

// Processes that share a folder compute the same, at once and one after the other, and so does one that is to keep nothing.
func TestProcesses(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		var b compute.Backend
		if dir == "off" {
			b = backendtest.Open(t)
		} else {
			b = open(t, dir)
		}
		_, choice, err := backend.Shared()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(values(t, b))
		fmt.Printf("child: %x; %d loaded; %s\n", sum, executables.Loads(), choice.Executables)
		return
	}
	dir := filepath.Join(t.TempDir(), "executables")
	open(t, dir)
	start := func(value string, more ...string) func() string {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), childEnv+"="+value, executables.Env+"="+value)
		cmd.Env = append(cmd.Env, more...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() string {
			err := cmd.Wait()
			_, said, found := strings.Cut(out.String(), "child: ")
			if said, _, _ = strings.Cut(said, "\n"); err != nil || !found {
				t.Fatalf("%v\n%s", err, &out)
			}
			return said
		}
	}
	var said []string
	for range 2 {
		first, second := start(dir), start(dir)
		said = append(said, first(), second())
	}
	said = append(said, start("off")())
	sum, _, _ := strings.Cut(said[0], ";")
	want := []string{sum + "; 1 loaded; kept in " + dir, sum + "; 1 loaded; kept in " + dir, sum + "; 0 loaded; not kept (" + executables.Env + "=off)"}
	if !slices.Equal(said[2:], want) || !strings.HasPrefix(said[1], sum) {
		t.Errorf("the processes said\n%s", strings.Join(said, "\n"))
	}
	if files, _, err := (kept.Store{Dir: dir}).Held(); err != nil || files != 1 {
		t.Errorf("%d files, %v; want one", files, err)
	}
	// XLA's own convolutions are another program, kept like any other.
	plain := start(dir, fastconv.Env+"=off")()
	loaded := start(dir, fastconv.Env+"=off")()
	if strings.HasPrefix(plain, sum) || strings.Replace(plain, " 0 loaded", " 1 loaded", 1) != loaded {
		t.Errorf("without fastconv, one process said\n%s\nthen another\n%s", plain, loaded)
	}
}

// A child compiles to the bits of what this process compiles, and one that fails is done without.
func TestChildCompiles(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "executables"))
	executables.ByChild(t, math.MaxInt)
	want := values(t, b)
	for _, c := range []struct {
		broken string // what a child finds in the environment
		by     int64
	}{{"", 1}, {"go", 0}} {
		executables.Keep(t, newDir(t)) // an empty folder
		executables.ByChild(t, 0)
		if c.broken != "" {
			t.Setenv(backend.CacheEnv, "/dev/null/none") // the child finds no plugin there, and so keeps no executables
		}
		before, loaded := executables.Children(), executables.Loads()
		if got := values(t, b); !bytes.Equal(got, want) {
			t.Errorf("%q: the values differ from those of a program compiled here", c.broken)
		}
		if by, n := executables.Children()-before, executables.Loads()-loaded; by != c.by || n != 0 {
			t.Errorf("%q: %d programs were compiled by a child, %d found; want %d and none", c.broken, by, n, c.by)
		}
	}
}

// A child ends with its parent.
func TestChildEndsWithParent(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		b := open(t, dir)
		executables.ByChild(t, 0)
		for {
			executables.Keep(t, newDir(t))
			values(t, b)
		}
	}
	open(t, newDir(t))
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childEnv+"="+newDir(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var child int
	for child == 0 {
		select {
		case err := <-ended:
			t.Fatalf("the parent ended, %v, before a child was seen", err)
		case <-time.After(time.Millisecond):
			child = childOf(cmd.Process.Pid)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	for deadline := time.Now().Add(30 * time.Second); named(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child outlives its parent")
		}
	}
}

// newDir names a folder that is not there yet.
func newDir(t *testing.T) string { return filepath.Join(t.TempDir(), "executables") }

// childOf is the process that compiles for parent, 0 where there is none.
func childOf(parent int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, task := range tasks {
		list, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil && named(pid) {
				return pid
			}
		}
	}
	return 0
}

// named says whether a process is one that compiles for another. One that has ended has no command line.
func named(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(line), executables.ChildName)
}
