package kernelsetup

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// LabOptions says how [Lab] opens JupyterLab.
type LabOptions struct {
	Notebook     string    // the notebook to open, by its name in the folder notebooks or its path; "" is the first
	Port         int       // 0 leaves it to JupyterLab: 8888 or the next free
	NoBrowser    bool      // only print the address, as is also done where there is no display
	NoCompletion bool      // do without gopls, which takes longest to build and loads all packages when a kernel starts
	Out          io.Writer // messages
}

// Lab installs what is missing and runs JupyterLab on the checkout that holds the working folder, until it is shut down or
// ctx ends. Its kernels, their cells and language servers end with it. JupyterLab's settings are the checkout's own, in its
// folder .jupyter.
func Lab(ctx context.Context, o LabOptions) error {
	p := newProgress(o.Out)
	if o.Port != 0 {
		if err := freePort(ctx, o.Port); err != nil {
			return err
		}
	}
	repo, err := FindRepo(".")
	if err != nil {
		return err
	}
	if err := checkWritable(repo); err != nil { // before minutes of installing
		return err
	}
	if err := setup(ctx, p, SetupOptions{Lab: true, Completion: !o.NoCompletion}); err != nil {
		return err
	}
	// All of it is there now: this looks it up and writes the spec.
	jupyter, err := jupyterTree(ctx)
	if err != nil {
		return err
	}
	k, err := ensureKernel(ctx, p)
	if err != nil {
		return err
	}
	argv, err := labCommand(jupyter.dir, k, o, os.Geteuid() == 0, hasDisplay())
	if err != nil {
		return err
	}
	env := labEnv(os.Environ(), jupyter.dir, k)
	if o.NoCompletion { // gopls may be there from before
		env = append(env, noCompletion)
	}
	if err := writeFile(filepath.Join(k.configDir(), filepath.FromSlash(settingsFile)), jupyterSettings); err != nil {
		return err
	}
	if err := k.writeExtension(); err != nil {
		return err
	}
	if err := trust(ctx, argv[0], env, k); err != nil {
		return err
	}
	p.line("starting JupyterLab on %s; its address is printed below, Ctrl-C ends it with its kernels", k.Repo)
	return serve(ctx, p, argv, env, k.Repo)
}

// labCommand returns JupyterLab's command line.
func labCommand(jupyter string, k Kernel, o LabOptions, root, display bool) ([]string, error) {
	open, err := findNotebook(k.Repo, o.Notebook)
	if err != nil {
		return nil, err
	}
	address := url.URL{Path: "/lab/tree/" + filepath.ToSlash(open)}
	argv := []string{
		filepath.Join(jupyter, "bin", "jupyter"), "lab",
		"--ServerApp.root_dir=" + k.Repo, "--LabApp.default_url=" + address.EscapedPath(),
		"--MultiKernelManager.default_kernel_name=gonb",
	}
	if o.NoBrowser || !display {
		argv = append(argv, "--no-browser")
	}
	if root {
		argv = append(argv, "--allow-root")
	}
	if o.Port != 0 {
		argv = append(argv, "--ServerApp.port="+strconv.Itoa(o.Port), "--ServerApp.port_retries=0")
	}
	return argv, nil
}

// FindNotebook returns the path of a notebook given by its path, or by its name in the folder notebooks of the checkout that holds
// the working folder, where .ipynb may be left out.
func FindNotebook(name string) (string, error) {
	repo, err := FindRepo(".")
	if err != nil {
		return "", err
	}
	for _, path := range []string{name, filepath.Join(repo, "notebooks", name), filepath.Join(repo, "notebooks", name+".ipynb")} {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if filepath.Ext(path) != ".ipynb" {
			return "", errors.Errorf("%s is no notebook: its name does not end in .ipynb; the folder %s holds %s", path, filepath.Join(repo, "notebooks"),
				strings.Join(baseNames(notebooks(repo)), ", "))
		}
		return path, nil
	}
	return "", errors.Errorf("there is no notebook %s; the folder %s holds %s", name, filepath.Join(repo, "notebooks"),
		strings.Join(baseNames(notebooks(repo)), ", "))
}

// findNotebook returns the path, relative to the checkout, of a notebook given by its name
// in the folder notebooks or by a path. "" is the first notebook, or the folder if it has none.
func findNotebook(repo, name string) (string, error) {
	if name == "" {
		name = "notebooks"
		if all := notebooks(repo); len(all) > 0 {
			name = filepath.Base(all[0])
		}
	}
	candidates := []string{filepath.Join(repo, "notebooks", name), filepath.Join(repo, name), filepath.Join(repo, "notebooks", name+".ipynb")}
	if filepath.IsAbs(name) {
		candidates = []string{name}
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		relative, err := filepath.Rel(repo, path)
		if err != nil || strings.HasPrefix(relative, "..") {
			return "", errors.Errorf("%s is outside the checkout %s, which is all that JupyterLab shows", path, repo)
		}
		return relative, nil
	}
	return "", errors.Errorf("there is no notebook %s; the folder %s holds %s", name, filepath.Join(repo, "notebooks"),
		strings.Join(baseNames(notebooks(repo)), ", "))
}

func baseNames(paths []string) []string {
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// labEnv returns env with Jupyter's folders set to the checkout's own, and none of the
// user's settings for other Jupyters and Pythons.
func labEnv(env []string, jupyter string, k Kernel) []string {
	var result []string
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "JUPYTER") && name != "PYTHONPATH" && name != "PYTHONHOME" && name != "PATH" {
			result = append(result, pair)
		}
	}
	return append(result,
		"JUPYTER_PATH="+k.JupyterPath,
		"JUPYTER_CONFIG_DIR="+k.configDir(),
		"JUPYTER_DATA_DIR="+filepath.Join(k.JupyterPath, "data"),
		"PYTHONNOUSERSITE=1",
		"PATH="+filepath.Join(jupyter, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// configDir is the folder of Jupyter's configuration that is the checkout's own.
func (k Kernel) configDir() string { return filepath.Join(k.JupyterPath, "config") }

// notebooks returns the checkout's notebooks in alphabetical order.
func notebooks(repo string) []string {
	all, _ := atomicfile.Glob(filepath.Join(repo, "notebooks"), "*.ipynb") // fails on a malformed pattern only
	return all
}

// trust signs the checkout's notebooks, whose code the user is about to run, so that
// JupyterLab shows the SVG and HTML they were committed with. It does nothing if they have
// not changed since. Files that are no notebooks cannot be signed.
func trust(ctx context.Context, jupyter string, env []string, k Kernel) error {
	all := slices.DeleteFunc(notebooks(k.Repo), func(file string) bool {
		_, err := kernel.Read(file)
		return err != nil
	})
	if len(all) == 0 {
		return nil
	}
	var state strings.Builder
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			return errors.WithStack(err)
		}
		fmt.Fprintf(&state, "%s %s\n", hashOf(string(text)), file)
	}
	stamp := filepath.Join(k.JupyterPath, "trusted")
	if old, err := os.ReadFile(stamp); err == nil && string(old) == state.String() {
		return nil
	}
	if _, err := command(ctx, "", env, append([]string{jupyter, "trust"}, all...)...); err != nil {
		return errors.WithMessage(err, "could not sign the notebooks")
	}
	return writeFile(stamp, []byte(state.String()))
}

// hasDisplay says whether a browser can open here.
func hasDisplay() bool {
	return runtime.GOOS != "linux" || os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" || os.Getenv("BROWSER") != ""
}
