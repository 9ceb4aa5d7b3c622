package kernelsetup

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/executables"
	"palimpsest/pkg/kept"
	"palimpsest/pkg/words"

	"github.com/pkg/errors"
)

// Check is one line of the doctor's report.
type Check struct {
	Name     string // what was looked at
	Found    string // what was found
	Missing  bool   // it is not there, or not in order
	Optional bool   // everything works without it
	Fix      string // the command that repairs it
}

// String returns the check as a line or two.
func (c Check) String() string {
	mark := "ok"
	switch {
	case c.Missing && c.Optional:
		mark = "-"
	case c.Missing:
		mark = "MISSING"
	}
	text := fmt.Sprintf("%-8s %-20s %s", mark, c.Name, c.Found)
	if c.Missing && c.Fix != "" {
		text += fmt.Sprintf("\n%-8s %-20s to repair: %s", "", "", c.Fix)
	}
	return text
}

// Doctor writes what is installed, which backend opens and why, and for each missing thing
// the command that repairs it. It installs nothing. more returns checks of other packages. The
// error says how many things that are not optional are missing.
func Doctor(ctx context.Context, out io.Writer, more ...func(context.Context) []Check) error {
	groups := append([]func(context.Context) []Check{
		goChecks, pluginChecks, backendChecks, toolChecks, jupyterChecks, kernelChecks,
	}, more...)
	missing := 0
	for _, group := range groups {
		for _, check := range group(ctx) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintln(out, check)
			if check.Missing && !check.Optional {
				missing++
			}
		}
	}
	if missing > 0 {
		return errors.Errorf("%d missing; the lines above name the commands that repair it", missing)
	}
	fmt.Fprintln(out, "all is well")
	return nil
}

// goChecks looks at Go, the C compiler XLA is linked with, and the cache folder.
func goChecks(ctx context.Context) []Check {
	var checks []Check
	bin, version, err := findGo(ctx)
	if err != nil {
		checks = append(checks, Check{Name: "Go", Found: err.Error(), Missing: true, Fix: goFix})
	} else {
		checks = append(checks, Check{Name: "Go", Found: version + " in " + bin})
	}
	checks = append(checks, xlaCheck(backend.XLABuilt, backend.CPU.Supported(), backend.BuildFix()))
	cache, err := backend.CacheDir()
	if err != nil {
		return append(checks, Check{Name: "cache", Found: err.Error(), Missing: true, Fix: "export " + backend.CacheEnv + "=FOLDER"})
	}
	return append(checks, Check{Name: "cache", Found: cache})
}

// xlaCheck says whether XLA is compiled in. If there is no plugin for the system, nothing can repair that, and pure Go is enough.
func xlaCheck(built, supported bool, fix string) Check {
	switch {
	case !supported:
		found, err := backend.CPUPluginPath()
		if err != nil {
			return Check{Name: "XLA", Found: err.Error() + "; pure Go is used", Missing: true, Optional: true}
		}
		return Check{Name: "XLA", Found: "a plugin you gave, " + backend.NotTried + ": " + found, Missing: !built, Optional: true, Fix: fix}
	case built:
		return Check{Name: "XLA", Found: "compiled in"}
	}
	return Check{Name: "XLA", Found: "not compiled in", Missing: true, Fix: fix}
}

// pluginChecks looks at the plugins, the driver and the GPUs.
func pluginChecks(context.Context) []Check {
	others := gpuChecks()
	if !backend.CPU.Supported() {
		return others // the rest was said before
	}
	checks := append([]Check{pluginCheck("XLA CPU plugin", backend.CPU)}, others...)
	devices, driver := backend.NVIDIADevices(), nvidiaDriver()
	if len(devices) == 0 {
		// A container sees the host's driver but no device unless it was given one.
		found := "no device under /dev"
		if driver != "" {
			found += ", though driver " + driver + " is loaded; in a container, start it with the GPU"
		}
		return append(checks, Check{Name: "NVIDIA GPU", Found: found, Missing: true, Optional: true})
	}
	checks = append(checks, Check{Name: "NVIDIA GPU", Found: strings.Join(devices, ", ")})
	if driver == "" {
		return append(checks, Check{Name: "NVIDIA driver", Found: "its version cannot be read", Missing: true,
			Fix: "install the NVIDIA driver; nvidia-smi must work"})
	}
	wanted, err := cudaPlugin(driver)
	if err != nil {
		return append(checks, Check{Name: "NVIDIA driver", Found: err.Error(), Missing: true, Fix: "update the driver"})
	}
	return append(checks, Check{Name: "NVIDIA driver", Found: driver}, pluginCheck("XLA CUDA plugin", wanted))
}

// gpuChecks looks at the plugins for GPUs other than NVIDIA's that are installed here, or could be of use.
func gpuChecks() []Check {
	var checks []Check
	for _, name := range slices.Sorted(maps.Keys(backend.GPUPlugins)) {
		plugin := backend.GPUPlugins[name]
		if !plugin.Supported() {
			continue
		}
		about := backend.NotTried + "; it needs " + plugin.Needs
		path, err := plugin.Path()
		if err != nil {
			if _, err := os.Stat(plugin.Device); plugin.Device == "" || err != nil {
				continue
			}
			checks = append(checks, Check{Name: "plugin " + name, Found: "not installed, " + about, Missing: true, Optional: true, Fix: plugin.Setup})
			continue
		}
		checks = append(checks, Check{Name: "plugin " + name, Found: path + ", " + about + "; GOMLX_BACKEND=xla:" + name + " computes on it"})
	}
	return checks
}

// pluginCheck checks that a plugin is installed and is, to the last bit, the one pinned.
func pluginCheck(name string, plugin backend.Plugin) Check {
	path, err := plugin.Path()
	if err == nil {
		err = plugin.Verify(path)
	}
	if err != nil {
		return Check{Name: name, Found: err.Error(), Missing: true, Fix: plugin.Setup}
	}
	return Check{Name: name, Found: path}
}

// backendChecks opens the backend that training would run on.
func backendChecks(context.Context) []Check {
	start := time.Now()
	opened, choice, err := backend.Open()
	if err != nil {
		fix := "repair what is missing above"
		if os.Getenv("GOMLX_BACKEND") != "" {
			fix = "unset GOMLX_BACKEND, or give it a value that opens"
		}
		return []Check{{Name: "backend", Found: err.Error(), Missing: true, Fix: fix}}
	}
	defer opened.Finalize()
	devices := words.Count(opened.NumDevices(), "device")
	if backend.OwnDevices(opened) < opened.NumDevices() {
		devices += " that share the processor"
	}
	check := Check{Name: "backend", Found: fmt.Sprintf("%s (opened in %.1f s, %s)",
		strings.TrimPrefix(choice.String(), "backend "), time.Since(start).Seconds(), devices)}
	if len(choice.Failed) > 0 {
		check.Missing, check.Fix = true, "see the reason in this line; remove the plugin's folder and run: go run . setup"
	}
	checks := []Check{check}
	if choice.Executables != "" {
		checks = append(checks, executablesCheck(choice.Executables, backend.ExecutablesDir))
	}
	return checks
}

// executablesCheck says whether compiled programs are kept, how many, and how to remove them. Everything works without them.
func executablesCheck(said string, find func() (string, error)) Check {
	check := Check{Name: "compiled programs", Found: said, Optional: true}
	dir, err := find()
	if err != nil || said != "kept in "+dir {
		check.Missing = true
		return check
	}
	files, bytes, err := kept.Store{Dir: dir}.Held()
	if err != nil {
		check.Found, check.Missing, check.Fix = err.Error(), true, "rm -r "+dir
		return check
	}
	check.Found = fmt.Sprintf("%s: %d files, %.1f of at most %d MiB; remove the folder to have all compiled again", said, files, float64(bytes)/(1<<20), executables.Most>>20)
	return check
}

// toolChecks looks at the Go programs the kernel needs.
func toolChecks(ctx context.Context) []Check {
	goBin, goVersion, err := findGo(ctx)
	if err != nil {
		return nil // said before
	}
	var checks []Check
	for _, t := range []tool{gonb, goimports, gopls} {
		tree, err := t.tree(goBin, goVersion)
		check := Check{Name: t.name, Found: t.version + " in " + tree.dir, Optional: t == gopls, Fix: "go run . setup"}
		if err != nil {
			check.Found, check.Missing = err.Error(), true
		} else if !tree.finished() {
			check.Found, check.Missing = t.title+" "+t.version+" is not built for "+goVersion, true
		}
		checks = append(checks, check)
	}
	return checks
}

// jupyterChecks looks at Python and JupyterLab.
func jupyterChecks(ctx context.Context) []Check {
	python, err := findPython(ctx)
	if err != nil {
		return []Check{{Name: "Python", Found: err.Error(), Missing: true, Fix: pythonFix}}
	}
	checks := []Check{{Name: "Python", Found: python}}
	tree, err := jupyterTree(ctx)
	if err != nil {
		return append(checks, Check{Name: "JupyterLab", Found: err.Error(), Missing: true, Fix: "go run . setup"})
	}
	if !tree.finished() {
		return append(checks, Check{Name: "JupyterLab", Found: "not installed for this Python", Missing: true, Fix: "go run . setup"})
	}
	// The stamp says it was installed; this, that its Python still runs.
	if _, err := command(ctx, "", nil, filepath.Join(tree.dir, "bin", "python"), "-c", "import jupyterlab"); err != nil {
		return append(checks, Check{Name: "JupyterLab", Found: "installed but does not run: " + lastLines(err.Error(), 1), Missing: true,
			Fix: "rm -r " + tree.dir + " && go run . setup"})
	}
	return append(checks, Check{Name: "JupyterLab", Found: tree.dir})
}

// kernelChecks looks at the kernel spec and runs a cell that imports this checkout.
func kernelChecks(ctx context.Context) []Check {
	repo, err := FindRepo(".")
	if err != nil {
		return []Check{{Name: "checkout", Found: err.Error(), Missing: true, Fix: "cd into the checkout"}}
	}
	goBin, goVersion, err := findGo(ctx)
	if err != nil {
		return nil // said before
	}
	var path []string
	for _, t := range []tool{gonb, goimports} {
		tree, err := t.tree(goBin, goVersion)
		if err != nil || !tree.finished() {
			return []Check{{Name: "kernel", Found: t.name + " is missing", Missing: true, Fix: "go run . setup"}}
		}
		path = append(path, tree.dir)
	}
	k := newKernel(repo, filepath.Join(path[0], "gonb"), append(path, goBin))
	var checks []Check
	if _, err := os.Stat(k.SpecFile()); err != nil {
		checks = append(checks, Check{Name: "kernel spec", Found: "not written yet", Missing: true, Fix: "go run . setup"})
	} else {
		checks = append(checks, Check{Name: "kernel spec", Found: k.SpecFile()})
	}
	if _, err := exec.LookPath("git"); err != nil {
		checks = append(checks, Check{Name: "git", Found: "not in PATH; runs store no commit", Missing: true, Optional: true, Fix: "apt-get install git"})
	}
	return append(checks, cellCheck(ctx, k))
}

// cellCheck runs one cell in a fresh kernel.
func cellCheck(ctx context.Context, k Kernel) Check {
	failed := func(err error) Check {
		return Check{Name: "a cell", Found: err.Error(), Missing: true, Fix: "go run . setup"}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start := time.Now()
	process, err := kernel.Start(ctx, k.Options(k.Repo))
	if err != nil {
		return failed(err)
	}
	defer process.Close()
	code := "import \"" + Module + "/notebooks/kernel\"\n\n%%\nfmt.Println(kernel.TagSkip)"
	nb := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: code}}}
	if _, err := nb.Run(ctx, process, kernel.RunOptions{}); err != nil {
		return failed(err)
	}
	return Check{Name: "a cell", Found: fmt.Sprintf("imports %s from %s (%.1f s)", Module, k.Repo, time.Since(start).Seconds())}
}
