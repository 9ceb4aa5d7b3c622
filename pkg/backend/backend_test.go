package backend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/executables"
)

// fake returns probes of a machine where the configs that contain one of works open. A nil
// backend stands for an opened one: the choice alone is looked at.
func fake(user string, devices int, cpu, cuda bool, works ...string) (probes, *[]string) {
	var tried []string
	find := func(installed bool, path string) func() (string, error) {
		return func() (string, error) {
			if !installed {
				return "", errors.New(path + " is not installed")
			}
			return path, nil
		}
	}
	p := probes{
		user: user, xla: true, devices: []string{"/dev/nvidia0"}[:devices],
		cpu: find(cpu, "/p/cpu.so"), cuda: find(cuda, "/p/cuda.so"),
		newBackend: func(config string) (compute.Backend, layers, error) {
			tried = append(tried, config)
			if slices.ContainsFunc(works, func(w string) bool { return strings.Contains(config, w) }) {
				return nil, layers{}, nil
			}
			return nil, layers{}, errors.New("broken " + config + "\nwith a second line")
		},
	}
	return p, &tried
}

func TestOpenOrder(t *testing.T) {
	all := []string{"cuda.so", "cpu.so", "go:"}
	for _, tc := range []struct {
		name      string
		user      string
		devices   int
		cpu, cuda bool
		works     []string
		want      string   // Name
		tried     []string // configs, in order
		line      []string // parts of the line
		not       string   // what the line must not hold
	}{
		{"user first", "go:ops_sequential", 1, true, true, all, "user", []string{"go:ops_sequential"}, []string{"GOMLX_BACKEND=go:ops_sequential"}, "faster"},
		{"GPU next", "", 1, true, true, all, "xla:cuda", []string{"xla:/p/cuda.so"}, []string{"/dev/nvidia0"}, "faster"},
		{"no device", "", 0, true, true, all, "xla:cpu", []string{"xla:/p/cpu.so"}, []string{"no NVIDIA GPU"}, "faster"},
		{"device without plugin", "", 1, true, false, all, "xla:cpu", []string{"xla:/p/cpu.so"}, []string{"faster", "go run . setup --cuda"}, "did not open"},
		{"nothing installed", "", 0, false, false, all, "go", []string{"go:parallelism=-1"}, []string{"pure Go", "cpu.so is not installed"}, "GPU"},
		{"GPU broken", "", 1, true, true, []string{"cpu.so"}, "xla:cpu", []string{"xla:/p/cuda.so", "xla:/p/cpu.so"}, []string{"xla:cuda did not open (broken xla:/p/cuda.so)", "go run . doctor"}, "second line"},
		{"both broken", "", 1, true, true, []string{"go:"}, "go", []string{"xla:/p/cuda.so", "xla:/p/cpu.so", "go:parallelism=-1"}, []string{"xla:cuda did not", "xla:cpu did not"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, tried := fake(tc.user, tc.devices, tc.cpu, tc.cuda, tc.works...)
			_, choice, err := p.open()
			if err != nil {
				t.Fatal(err)
			}
			if choice.Name != tc.want || !slices.Equal(*tried, tc.tried) {
				t.Errorf("chose %s after %q, want %s after %q", choice.Name, *tried, tc.want, tc.tried)
			}
			line := choice.String()
			for _, part := range tc.line {
				if !strings.Contains(line, part) {
					t.Errorf("the line %q does not say %q", line, part)
				}
			}
			if tc.not != "" && strings.Contains(line, tc.not) || strings.Contains(line, "\n") {
				t.Errorf("the line %q says %q or is not one line", line, tc.not)
			}
		})
	}
}

func TestOpenWithoutXLA(t *testing.T) {
	p, tried := fake("", 1, true, true, "cuda.so", "cpu.so", "go:")
	p.xla = false
	p.noXLA = buildFix(func(name string) (string, error) { return "", errors.New("no " + name) })
	_, choice, err := p.open()
	if err != nil || choice.Name != "go" || len(*tried) != 1 {
		t.Errorf("chose %+v after %q with error %v, want go alone", choice, *tried, err)
	}
	if !strings.Contains(choice.Faster, "C compiler") {
		t.Errorf("Faster is %q, which does not name the C compiler XLA needs", choice.Faster)
	}
	if fix := buildFix(func(name string) (string, error) { return "/bin/" + name, nil }); !strings.Contains(fix, "CGO_ENABLED=1") || strings.Contains(fix, "install") {
		t.Errorf("with a C compiler at hand the advice is %q; want cgo switched on", fix)
	}
	p.noXLA = "" // no plugin exists for the system, so that no compiler helps
	if _, choice, err = p.open(); err != nil || choice.Faster != "" {
		t.Errorf("where no plugin exists, Faster is %q (%v); want none", choice.Faster, err)
	}
}

// Where a plugin exists the reason names the command that installs it; where none does, nothing is promised.
func TestOpenWithoutPlugin(t *testing.T) {
	p, _ := fake("", 0, false, false, "go:")
	p.cpu = func() (string, error) {
		return "", errors.New("xla-cpu is built for linux/amd64 only, this is linux/arm64")
	}
	_, choice, err := p.open()
	if err != nil || strings.Contains(choice.String(), "faster: XLA") || !strings.Contains(choice.Why, "linux/arm64") {
		t.Errorf("the line is %q (%v); want the reason and no promise of XLA", choice, err)
	}
}

func TestOpenNothingWorks(t *testing.T) {
	p, _ := fake("", 1, true, true)
	_, _, err := p.open()
	if err == nil || !strings.Contains(err.Error(), "xla:cuda did not open") || !strings.Contains(err.Error(), "doctor") {
		t.Errorf("error %v names neither what failed nor the command that helps", err)
	}
}

// What the user names and does not open is an error that lists the choices: nothing else takes its place.
func TestAskedDoesNotOpen(t *testing.T) {
	for user, want := range map[string]string{
		"foo": `no backend "foo"`, "foo:bar": `no backend "foo"`, "xla:cuda": "cuda.so is not installed", "go:bad": "go:bad,parallelism=-1 did not open",
	} {
		p, _ := fake(user, 1, true, false, "cpu.so")
		_, choice, err := p.open()
		if err == nil || choice.Config != "" {
			t.Fatalf("GOMLX_BACKEND=%s opens %s", user, choice.Config)
		}
		for _, part := range []string{"GOMLX_BACKEND=" + user, want, "go, or unset it"} {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("GOMLX_BACKEND=%s: %v; want one line with %q", user, err, part)
			}
		}
	}
}

// That nothing is kept is said with its reason, unless somebody wants it so.
func TestNoteOfExecutables(t *testing.T) {
	t.Setenv(executables.Env, "")
	if note := (Choice{Executables: "kept in /c"}).Note() + (Choice{}).Note(); note != "" {
		t.Errorf("where programs are kept, or never are, it says %q", note)
	}
	c := Choice{Executables: notKept + "(/c is drwxrwxrwx)"}
	if note := c.Note(); !strings.Contains(note, "compiles its programs anew") || !strings.Contains(note, "(/c is drwxrwxrwx)") {
		t.Errorf("where they are not it says %q", note)
	}
	t.Setenv(executables.Env, "off")
	if note := c.Note(); note != "" {
		t.Errorf("where that is asked for it says %q", note)
	}
}

func TestResolve(t *testing.T) {
	p, _ := fake("", 0, true, true)
	for user, want := range map[string]string{
		"xla":               "xla:/p/cpu.so",
		"xla:cpu":           "xla:/p/cpu.so",
		"xla:cuda,notf32":   "xla:/p/cuda.so,notf32",
		"xla:/mine.so":      "xla:/mine.so",
		"go":                "go:parallelism=-1",
		"go:ops_sequential": "go:ops_sequential",
		"go:ops_parallel":   "go:ops_parallel,parallelism=-1",
		"go:parallelism=0":  "go:parallelism=0",
	} {
		if got, err := p.resolve(user); got != want || err != nil {
			t.Errorf("GOMLX_BACKEND=%s opens %s (%v), want %s", user, got, err, want)
		}
	}
}

// TestNewBackend opens for real what needs no plugin: pure Go, and three ways to fail.
func TestNewBackend(t *testing.T) {
	b, over, err := newBackend(pureGo)
	if err != nil || b == nil || !strings.Contains(over.convolutions, "goconv") {
		t.Fatalf("pure Go did not open: %v; its convolutions are %q", err, over.convolutions)
	}
	notALibrary := filepath.Join(t.TempDir(), "pjrt_c_api_cuda_plugin.so")
	if err := os.WriteFile(notALibrary, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"nosuch:x", "xla:/nosuch.so", "xla:" + notALibrary} {
		if b, _, err := newBackend(config); err == nil || b != nil {
			t.Errorf("%s gave backend %v, error %v; want nil and an error", config, b, err)
		}
	}
}

// The Go backend waits for itself where all of a limited pool's workers wait for workers. The product that hangs then is one
// whose operations are more at a time than workers: here sixteen matrix products for one worker.
func TestPureGoNeverHangs(t *testing.T) {
	for config, opens := range map[string]bool{
		"go:parallelism=-1": true, "go:parallelism=0": true, "go:ops_sequential": true, "go:parallelism=1,ops_sequential": true,
		"go:ops_sequential,creation_order": true, "go:parallelism=4,parallelism=-1": true, "go:ops_parallel,parallelism=-1": true,
		"go": false, "go:": false, "go:parallelism=1": false, "go:parallelism=64": false, "go:ops_sequential,ops_parallel": false,
		"go:creation_order": false, "go:parallelism=2,ops_parallel": false, "go:parallelism=x": false,
	} {
		b, _, err := newBackend(config)
		if (err == nil) != opens {
			t.Errorf("%s: opened %v, error %v; want opened %v", config, b != nil, err, opens)
		}
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: the error is not one line: %v", config, err)
			}
			continue
		}
		defer b.Finalize()
		done := make(chan error, 1)
		go func() {
			_, err := graph.CallOnce(b, func(x *graph.Node) *graph.Node {
				var all []*graph.Node
				for i := range 16 {
					all = append(all, graph.Dot(graph.AddScalar(x, float64(i)), x).Product())
				}
				return graph.ReduceAllSum(graph.Concatenate(all, 0))
			}, tensors.FromScalarAndDimensions(float32(1), 64, 64))
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", config, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s hangs", config)
		}
	}
	for _, config := range []string{"go", "go:", "go:creation_order", "go:ops_sequential,ops_parallel"} {
		if err := refuseDeadlock(safeGo(config)); err != nil {
			t.Errorf("%s becomes %s, and that is refused: %v", config, safeGo(config), err)
		}
	}
}

func TestPluginPath(t *testing.T) {
	t.Setenv(CacheEnv, t.TempDir())
	if !CPU.Supported() {
		t.Skip("no plugin for this machine")
	}
	if _, err := CPUPluginPath(); err == nil || !strings.Contains(err.Error(), "go run . setup") {
		t.Errorf("a missing plugin gives %v, which does not name the command", err)
	}
	dir, err := CPU.Dir()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, CPU.File)
	for _, file := range []string{library, filepath.Join(dir, StampName)} {
		if path, err := CPUPluginPath(); err == nil {
			t.Errorf("an unfinished installation gives %s", path)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := CPUPluginPath(); err != nil || path != library {
		t.Errorf("path %q, error %v; want %q", path, err, library)
	}
	if _, err := CUDAPluginPath(); err == nil || !strings.Contains(err.Error(), "setup --cuda") {
		t.Errorf("a missing CUDA plugin gives %v, which does not name the command", err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv(CacheEnv, "relative")
	dir, err := CacheDir()
	if err == nil || !strings.Contains(err.Error(), CacheEnv+` is "relative"; need an absolute path`) {
		t.Errorf("%s=relative gives %q, error %v; want it refused", CacheEnv, dir, err)
	}
	t.Setenv(CacheEnv, "")
	t.Setenv("XDG_CACHE_HOME", "/c")
	t.Setenv("HOME", "/h")
	dir, err = CacheDir()
	if err != nil || filepath.Base(dir) != "palimpsest" {
		t.Errorf("without %s the folder is %q, error %v", CacheEnv, dir, err)
	}
}

func TestLimitThreads(t *testing.T) {
	for _, tc := range []struct {
		threads, processors int
		have, want          string
	}{
		{8, 8, "", ""},      // no quota: XLA counts by itself
		{2, 64, "", "2"},    // a quota of two on a large machine
		{2, 64, "16", "16"}, // the user's own number
	} {
		t.Setenv(threadsEnv, tc.have)
		if err := limitThreads(tc.threads, tc.processors); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv(threadsEnv); got != tc.want {
			t.Errorf("%d threads on %d processors, %s=%q: it becomes %q, want %q", tc.threads, tc.processors, threadsEnv, tc.have, got, tc.want)
		}
	}
}

// A CUDA plugin computes float32 as float32, unless the user asks for TF32.
func TestTrueFloat32(t *testing.T) {
	for _, tc := range []struct{ config, env, opens, says, left string }{
		{"xla:/p/cuda.so", "", "xla:/p/cuda.so,tf32=false", "without TF32", "0"},
		{"xla:/p/cuda.so,preallocate=true", "", "xla:/p/cuda.so,preallocate=true,tf32=false", "without TF32", "0"},
		{"xla:/p/cuda.so,notf32", "", "xla:/p/cuda.so,notf32", "without TF32", "0"},
		{"xla:/p/cuda.so,tf32=false", "0", "xla:/p/cuda.so,tf32=false", "without TF32", "0"},
		{"xla:/p/cuda.so,tf32", "", "xla:/p/cuda.so,tf32", "as TF32", ""},
		{"xla:/p/cuda.so,tf32=true", "", "xla:/p/cuda.so,tf32=true", "as TF32", ""},
		{"xla:/p/cuda.so", "1", "xla:/p/cuda.so,tf32=false", tf32Env + "=1", "1"},
	} {
		t.Setenv(tf32Env, tc.env)
		opens, says, err := trueFloat32(tc.config)
		if err != nil || opens != tc.opens || !strings.Contains(says, tc.says) || os.Getenv(tf32Env) != tc.left {
			t.Errorf("%s with %s=%q opens %s, says %q and leaves %q (%v); want %s, %q and %q", tc.config, tf32Env, tc.env, opens, says,
				os.Getenv(tf32Env), err, tc.opens, tc.says, tc.left)
		}
	}
}

// XLA is told of the first folder that has the library of mathematical functions, which a Python environment may lack.
func TestCUDAFolderHasItsLibrary(t *testing.T) {
	site := t.TempDir()
	plugin := filepath.Join(site, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	library := func(dir string) {
		if err := os.MkdirAll(filepath.Join(dir, "nvvm", "libdevice"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "nvvm", "libdevice", "libdevice.10.bc"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	toolkit := t.TempDir()
	library(toolkit)
	t.Setenv("CUDA_HOME", toolkit)
	t.Setenv("GOPJRT_CUDA_CHECKS", "")
	if err := os.MkdirAll(filepath.Join(site, "nvidia", "cu13", "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{toolkit, filepath.Join(site, "nvidia", "cu13")} {
		t.Setenv("XLA_FLAGS", "--xla_gpu_autotune_level=2")
		if err := prepareCUDA(plugin); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv("XLA_FLAGS"); got != "--xla_gpu_autotune_level=2 --xla_gpu_cuda_data_dir="+want {
			t.Errorf("XLA_FLAGS is %q, want the folder %s", got, want)
		}
		library(filepath.Join(site, "nvidia", "cu13"))
	}
	// What shortens compilation is asked of the version that is known to have it, and not over the user's head.
	if err := os.MkdirAll(filepath.Dir(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(plugin), "version.py"), []byte("__version__ = \"0.11.2\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=true")
	if err := prepareCUDA(plugin); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("XLA_FLAGS"); !strings.Contains(got, "fusion_autotuner=false") || strings.Count(got, "triton_gemm") != 1 {
		t.Errorf("XLA_FLAGS is %q", got)
	}
}
