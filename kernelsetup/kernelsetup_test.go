package kernelsetup

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/backend"
)

// checkout makes a checkout with the given notebooks, each of one code cell.
func checkout(t *testing.T, cells map[string]string) string {
	t.Helper()
	repo := t.TempDir()
	write(t, filepath.Join(repo, "go.mod"), "module "+Module+"\n\ngo 1.26.5\n")
	for name, source := range cells {
		write(t, filepath.Join(repo, "notebooks", "x"), "")
		nb := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: source}}}
		if err := nb.Write(filepath.Join(repo, "notebooks", name)); err != nil {
			t.Fatal(err)
		}
	}
	return repo
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := writeFile(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestFindRepo(t *testing.T) {
	repo := checkout(t, nil)
	inner := filepath.Join(repo, "a", "b")
	write(t, filepath.Join(inner, "go.mod"), "// a comment\nmodule other\n")
	if got, err := FindRepo(inner); err != nil || got != repo {
		t.Errorf("from a nested module: %q, %v; want %q", got, err, repo)
	}
	if _, err := FindRepo(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not inside a checkout") {
		t.Errorf("outside: %v", err)
	}
}

func TestSpec(t *testing.T) {
	repo := checkout(t, nil)
	t.Setenv("PATH", "/user/bin")
	k := newKernel(repo, "/tools/gonb/gonb", []string{"/tools/gonb", "/tools/goimports", "/go/bin"})
	for range 2 { // written on every start
		if err := k.writeSpec(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(repo, ".jupyter", "kernels", "gonb", "kernel.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	want := []string{"/tools/gonb/gonb", "--kernel", "{connection_file}", "-raw_error=true", "-go_work=" + repo, "-extra_log=" + repo + "/.jupyter/kernel.log",
		"-logtostderr=false", "-stderrthreshold=FATAL"}
	if !slices.Equal(s.Argv, want) {
		t.Errorf("argv %q, want %q", s.Argv, want)
	}
	for name, value := range map[string]string{
		"PATH": "/tools/gonb:/tools/goimports:/go/bin:/user/bin", "GOFLAGS": "-ldflags=-s", "GOWORK": "", "GOPROXY": "off",
	} {
		if got, ok := s.Env[name]; !ok || got != value {
			t.Errorf("%s=%q (%v), want %q", name, got, ok, value)
		}
	}
	if s.Language != "go" || s.InterruptMode != "message" {
		t.Errorf("language %q, interrupt mode %q", s.Language, s.InterruptMode)
	}
	if argv := k.Options(repo).Command("f"); !slices.Contains(argv, "-logtostderr=true") {
		t.Errorf("a program's kernel is started by %q: it could not read why it failed", argv)
	}
}

func TestLabCommand(t *testing.T) {
	repo := checkout(t, map[string]string{"01_b.ipynb": "", "00_a.ipynb": ""})
	k := newKernel(repo, "/gonb", nil)
	for _, tc := range []struct {
		name          string
		o             LabOptions
		root, display bool
		want          []string
		not           string
	}{
		{"plain", LabOptions{}, false, true, []string{"--LabApp.default_url=/lab/tree/notebooks/00_a.ipynb", "--ServerApp.root_dir=" + repo}, "--no-browser --allow-root"},
		{"no display", LabOptions{}, false, false, []string{"--no-browser"}, "--allow-root"},
		{"root", LabOptions{NoBrowser: true}, true, true, []string{"--allow-root", "--no-browser"}, "port"},
		{"by name", LabOptions{Notebook: "01_b.ipynb", Port: 8899}, false, true, []string{"--LabApp.default_url=/lab/tree/notebooks/01_b.ipynb", "--ServerApp.port=8899"}, "--no-browser"},
		{"by path", LabOptions{Notebook: "notebooks/01_b.ipynb"}, false, true, []string{"--LabApp.default_url=/lab/tree/notebooks/01_b.ipynb"}, ""},
	} {
		argv, err := labCommand("/j", k, tc.o, tc.root, tc.display)
		if err != nil {
			t.Fatal(err)
		}
		if argv[0] != "/j/bin/jupyter" || argv[1] != "lab" {
			t.Errorf("%s: the command is %q", tc.name, argv[:2])
		}
		for _, word := range tc.want {
			if !slices.Contains(argv, word) {
				t.Errorf("%s: %q lacks %s", tc.name, argv, word)
			}
		}
		for _, word := range strings.Fields(tc.not) {
			if strings.Contains(strings.Join(argv[2:], " "), word) {
				t.Errorf("%s: %q has %s", tc.name, argv, word)
			}
		}
	}
	for name, want := range map[string]string{"nosuch.ipynb": "00_a.ipynb, 01_b.ipynb", os.TempDir(): "outside the checkout"} {
		if _, err := labCommand("/j", k, LabOptions{Notebook: name}, false, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

func TestLabEnv(t *testing.T) {
	k := newKernel("/repo", "/gonb", nil)
	env := labEnv([]string{"HOME=/h", "JUPYTER_PATH=/mine", "JUPYTERLAB_DIR=/mine", "PYTHONPATH=/mine"}, "/j", k)
	for _, want := range []string{"HOME=/h", "JUPYTER_PATH=/repo/.jupyter", "JUPYTER_CONFIG_DIR=/repo/.jupyter/config"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q lacks %s", env, want)
		}
	}
	if strings.Contains(strings.Join(env, " "), "/mine") {
		t.Errorf("%q keeps settings of another Jupyter or Python", env)
	}
}

func TestTrustOncePerChange(t *testing.T) {
	repo := checkout(t, map[string]string{"a.ipynb": "1"})
	k := newKernel(repo, "/gonb", nil)
	log := filepath.Join(repo, "log")
	jupyter := filepath.Join(repo, "jupyter")
	write(t, filepath.Join(repo, "notebooks", "broken.ipynb"), "") // Jupyter would refuse to sign any
	if err := os.WriteFile(jupyter, []byte("#!/bin/sh\ncase \"$*\" in *broken*) exit 1; esac\necho $1 >> "+log+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := func() int {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "trust\n")
	}
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			write(t, filepath.Join(repo, "notebooks", "a.ipynb"), `{"nbformat": 4, "cells": []}`)
		}
		if err := trust(t.Context(), jupyter, nil, k); err != nil {
			t.Fatal(err)
		}
		if got := calls(); got != want {
			t.Errorf("start %d: signed %d times, want %d", i+1, got, want)
		}
	}
}

func TestNotebookImports(t *testing.T) {
	repo := checkout(t, map[string]string{
		"a.ipynb": "import (\n\t\"fmt\"\n\tmy \"palimpsest/pkg/cl\" // why\n\t\"github.com/janpfeifer/must\"\n)\n\n%%\nfmt.Println(\"not an import\")",
		"b.ipynb": "import \"palimpsest/datasets\"\nimport \"os\"",
	})
	write(t, filepath.Join(repo, "notebooks", "broken.ipynb"), "")
	want := []string{"github.com/janpfeifer/must", "palimpsest/datasets", "palimpsest/pkg/cl"}
	if got := notebookImports(repo); !slices.Equal(got, want) {
		t.Errorf("imports %q; want %q", got, want)
	}
}

func TestDriver(t *testing.T) {
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 2025\nGCC version: 12.2.0": "580.65.06",
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.01  Release Build":              "535.183.01",
		"571.96\n571.96\n": "571.96",
		"":                 "",
	} {
		if got := driverVersion(text); got != want {
			t.Errorf("%q: version %q, want %q", text, got, want)
		}
	}
	for driver, want := range map[string]string{
		"580.65.06": backend.CUDA13.Name, "600.1": backend.CUDA13.Name, "579.99": backend.CUDA12.Name, "525.60.13": backend.CUDA12.Name,
	} {
		if p, err := cudaPlugin(driver); err != nil || p.Name != want {
			t.Errorf("driver %s: %s, %v; want %s", driver, p.Name, err, want)
		}
	}
	for driver, want := range map[string]string{"": "no NVIDIA driver", "470.82.01": "525 or later"} {
		if _, err := cudaPlugin(driver); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("driver %q: error %v, want one with %q", driver, err, want)
		}
	}
}

// TestPins holds the versions together that are named in two places.
func TestPins(t *testing.T) {
	root, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for tool, module := range map[tool]string{
		gonb: "github.com/janpfeifer/gonb", goimports: "golang.org/x/tools", gopls: "golang.org/x/tools/gopls",
	} {
		mod, err := toolModules.ReadFile("tools/" + tool.name + "/mod.txt")
		if err != nil {
			t.Fatal(err)
		}
		line := module + " " + tool.version
		if !strings.Contains(string(mod), line) {
			t.Errorf("the module of %s does not require %s", tool.name, line)
		}
		// The kernel and the library in the cells speak a protocol of one version.
		if tool == gonb && !strings.Contains(string(root), line) {
			t.Errorf("go.mod does not require %s, which is the kernel's", line)
		}
	}
	if !strings.Contains(jupyterRequirements, "\njupyterlab==4.6.6 ") || !strings.Contains(jupyterTitle, "4.6.6") {
		t.Error("the requirements and the title name different JupyterLabs")
	}
	for name, text := range map[string]string{
		"JupyterLab": jupyterRequirements, "CPU": backend.CPU.Requirements, "CUDA 13": backend.CUDA13.Requirements, "CUDA 12": backend.CUDA12.Requirements,
		"AMD": backend.GPUPlugins["rocm"].Requirements, "Intel": backend.GPUPlugins["oneapi"].Requirements, "Apple": backend.GPUPlugins["metal"].Requirements,
	} {
		packages := regexp.MustCompile(`(?m)^[a-z0-9-]+==.* \\\n    --hash=sha256:[0-9a-f]{64}`).FindAllString(text, -1)
		if all := regexp.MustCompile(`(?m)^[^#\s].*$`).FindAllString(text, -1); len(packages) != len(all) || len(all) == 0 {
			t.Errorf("%s: %d of %d packages have a version and a hash", name, len(packages), len(all))
		}
	}
}

// wheel makes a Python package with one file, for a Python of 3.99 or later where newer, and returns its requirement.
func wheel(t *testing.T, dir string, newer bool) string {
	t.Helper()
	needs := ""
	if newer {
		needs = "Requires-Python: >=3.99\n"
	}
	var data bytes.Buffer
	z := zip.NewWriter(&data)
	for name, text := range map[string]string{
		"plug/lib.so":                     "a library",
		"plug-1.0.dist-info/METADATA":     "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n" + needs,
		"plug-1.0.dist-info/WHEEL":        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"plug-1.0.dist-info/RECORD":       "plug/lib.so,,\nplug-1.0.dist-info/METADATA,,\nplug-1.0.dist-info/WHEEL,,\nplug-1.0.dist-info/RECORD,,\n",
		"plug-1.0.dist-info/licenses/LIC": "free",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plug-1.0-py3-none-any.whl"), data.String())
	return fmt.Sprintf("plug==1.0 --hash=sha256:%x\n", sha256.Sum256(data.Bytes()))
}

// A plugin for another GPU comes from the registry that pip is told of, whatever Python it asks for, and a
// file that is not the pinned one is refused.
func TestGPUPluginFromServer(t *testing.T) {
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("no pip here")
	}
	files := t.TempDir()
	requirement := wheel(t, files, true)
	write(t, filepath.Join(files, "simple", "plug", "index.html"), `<!DOCTYPE html><html><body><a href="/plug-1.0-py3-none-any.whl" data-requires-python="&gt;=3.99">plug-1.0-py3-none-any.whl</a></body></html>`)
	server := httptest.NewServer(http.FileServer(http.Dir(files)))
	defer server.Close()
	for _, name := range []string{"PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("PIP_INDEX_URL", server.URL+"/simple")
	t.Setenv(backend.CacheEnv, t.TempDir())
	p := newProgress(&bytes.Buffer{})
	apple := backend.Plugin{Name: "apple", Title: "plugin", Requirements: requirement, File: "plug/lib.so", System: runtime.GOOS + "/" + runtime.GOARCH}
	if err := ensurePlugin(t.Context(), p, apple); err != nil {
		t.Fatal(err)
	}
	if path, err := apple.Path(); err != nil || filepath.Base(path) != "lib.so" {
		t.Errorf("installed at %q, %v", path, err)
	}
	elsewhere := apple
	elsewhere.System = "plan9/mips"
	if _, err := elsewhere.Path(); err == nil {
		t.Error("a plugin for another system counts as installed")
	}
	write(t, filepath.Join(files, "plug-1.0-py3-none-any.whl"), "something else")
	changed := apple
	changed.Name = "changed"
	if err := ensurePlugin(t.Context(), p, changed); err == nil {
		t.Error("another file than the pinned one is installed")
	}
	if err := Setup(t.Context(), SetupOptions{GPU: "nosuch", Out: io.Discard}); err == nil || !strings.Contains(err.Error(), "metal, oneapi, rocm") {
		t.Errorf("setup --gpu nosuch: %v; want those there are", err)
	}
}

// TestPluginByPip lets the real pip install a small package from a folder.
func TestPluginByPip(t *testing.T) {
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("no pip here")
	}
	wheels := t.TempDir()
	requirement := wheel(t, wheels, false)
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv(backend.CacheEnv, t.TempDir())
	p := newProgress(&bytes.Buffer{})
	good := backend.Plugin{Name: "good", Title: "good plugin", Requirements: requirement, File: "plug/lib.so"}
	if !good.Supported() {
		t.Skip("no plugins for this machine")
	}
	if err := ensurePlugin(t.Context(), p, good); err != nil {
		t.Fatal(err)
	}
	if path, err := good.Path(); err != nil || filepath.Base(path) != "lib.so" {
		t.Errorf("installed at %q, %v", path, err)
	}
	// A library that has changed since is found out by setup alone, and replaced.
	library, err := good.Path()
	if err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	good.SHA256 = fmt.Sprintf("%x", sha256.Sum256(sound))
	write(t, library, "damaged")
	if c := pluginCheck("plugin", good); !c.Missing || !strings.Contains(c.Found, "damaged") {
		t.Errorf("the doctor says of a damaged plugin: %v", c)
	}
	if err := repairPlugin(t.Context(), p, good); err != nil {
		t.Fatal(err)
	}
	if c := pluginCheck("plugin", good); c.Missing {
		t.Errorf("a damaged plugin is not replaced: %v", c)
	}
	for name, plugin := range map[string]backend.Plugin{
		"HASHES":       {Name: "forged", Title: "forged", Requirements: regexp.MustCompile("[0-9a-f]{64}").ReplaceAllString(requirement, strings.Repeat("0", 64)), File: "plug/lib.so"},
		"hold no":      {Name: "other", Title: "other", Requirements: requirement, File: "plug/other.so"},
		"go run . set": {Name: "absent", Title: "absent", Requirements: strings.Replace(requirement, "plug==", "nosuch==", 1), File: "plug/lib.so"},
	} {
		err := ensurePlugin(t.Context(), p, plugin)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one with %q", plugin.Name, err, name)
		}
		if _, err := plugin.Path(); err == nil {
			t.Errorf("%s counts as installed", plugin.Name)
		}
	}
}

func TestPythonMissing(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if _, err := findPython(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install python3") {
		t.Errorf("without Python: %v", err)
	}
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := findPython(t.Context()); err == nil || !strings.Contains(err.Error(), "older than 3.10") {
		t.Errorf("with an old Python: %v", err)
	}
	// New enough for the question, but with neither pip nor venv.
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\n[ \"$2\" != \"import pip\" ] && [ \"$1\" = -c ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := findPip(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "neither pip nor venv") {
		t.Errorf("without pip: %v", err)
	}
	if _, _, err := findGo(t.Context()); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("without Go: %v", err)
	}
}

func TestEnsurePluginRespectsUser(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	t.Setenv("GOMLX_BACKEND", "go")
	t.Setenv("PATH", t.TempDir()) // an attempt to install would fail
	if err := EnsurePlugin(t.Context(), &bytes.Buffer{}); err != nil {
		t.Errorf("GOMLX_BACKEND=go needs no plugin, yet: %v", err)
	}
}

// TestDoctor looks at a machine with an empty cache.
func TestDoctor(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	t.Setenv(backend.CacheEnv, cache)
	t.Setenv("GOMLX_BACKEND", "")
	var out bytes.Buffer
	err := Doctor(t.Context(), &out, func(context.Context) []Check {
		return []Check{{Name: "mine", Found: "gone", Missing: true, Fix: "mend it"}, {Name: "spare", Missing: true, Optional: true}}
	})
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("error %v, want the count of what is missing", err)
	}
	lines := strings.Split(out.String(), "\n")
	for name, mark := range map[string]string{
		"Go": "ok", "gonb": "MISSING", "gopls": "-", "JupyterLab": "MISSING", "backend": "ok", "mine": "MISSING", "spare": "-",
	} {
		i := slices.IndexFunc(lines, func(l string) bool { return len(strings.Fields(l)) > 1 && strings.Fields(l)[1] == name })
		if i < 0 || strings.Fields(lines[i])[0] != mark {
			t.Errorf("no line with %s %s in:\n%s", mark, name, out.String())
			continue
		}
		if mark == "MISSING" && !strings.Contains(lines[i+1], "to repair: ") {
			t.Errorf("%s is missing and no command repairs it:\n%s", name, out.String())
		}
	}
	if _, err := os.Stat(cache); err == nil {
		t.Error("the doctor installed something")
	}
}

// Advice is given only where it helps: no compiler brings XLA to a system without a plugin, and no setup the Go kernel
// to Windows.
func TestAdviceSuitsTheSystem(t *testing.T) {
	if c := xlaCheck(false, true, "install a C compiler"); !c.Missing || c.Optional || c.Fix == "" {
		t.Errorf("without cgo the doctor says %v; want it missing, with what repairs it", c)
	}
	if c := xlaCheck(true, false, ""); !c.Optional || c.Fix != "" {
		t.Errorf("where no plugin exists the doctor says %v; want no advice, and no failure", c)
	}
	if err := checkSystem("windows"); err == nil || !strings.Contains(err.Error(), "WSL") {
		t.Errorf("setup on Windows: %v; want to be sent to WSL", err)
	}
	for _, system := range []string{"linux", "darwin"} {
		if err := checkSystem(system); err != nil {
			t.Error(err)
		}
	}
}
