package kernelsetup

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
	"golang.org/x/sync/errgroup"
)

// Kernel is an installed GoNB kernel that sees one checkout.
type Kernel struct {
	Gonb        string            // the kernel program
	Repo        string            // the checkout its cells import
	JupyterPath string            // the folder to name in JUPYTER_PATH
	Env         map[string]string // environment its process needs, as in the spec
}

// EnsureKernel builds the kernel and goimports unless they are there and writes the kernel
// spec of the checkout that holds the working folder. JupyterLab is not needed for it.
func EnsureKernel(ctx context.Context, out io.Writer) (Kernel, error) {
	return ensureKernel(ctx, newProgress(out))
}

func ensureKernel(ctx context.Context, p *progress) (Kernel, error) {
	repo, err := FindRepo(".")
	if err != nil {
		return Kernel{}, err
	}
	goBin, goVersion, err := findGo(ctx)
	if err != nil {
		return Kernel{}, err
	}
	var dirs [2]string
	group, groupCtx := errgroup.WithContext(ctx)
	for i, t := range []tool{gonb, goimports} {
		group.Go(func() (err error) {
			dirs[i], err = t.ensure(groupCtx, p, goBin, goVersion)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Kernel{}, err
	}
	if err := ensurePackages(ctx, p, repo, goBin, goVersion); err != nil {
		return Kernel{}, err
	}
	path := dirs[:]
	// Completion is there if it was built before.
	if t, err := gopls.tree(goBin, goVersion); err == nil && t.finished() {
		path = append(path, t.dir)
	}
	k := newKernel(repo, filepath.Join(dirs[0], "gonb"), append(path, goBin))
	return k, k.writeSpec()
}

// newKernel describes a kernel whose cells find programs in the folders path and then where
// the caller does.
func newKernel(repo, program string, path []string) Kernel {
	return Kernel{
		Gonb: program, Repo: repo, JupyterPath: filepath.Join(repo, ".jupyter"),
		Env: map[string]string{
			"PATH": strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)),
			// -mod=mod and the like break every cell in workspace mode; GOWORK=off would hide
			// the workspace that -go_work makes. A program without symbols for debuggers is linked in
			// half the time; what a panic prints does not need them.
			"GOFLAGS": "-ldflags=-s", "GOWORK": "",
			// Cells use the versions of the checkout's go.mod, which ensurePackages has fetched;
			// asking a proxy for newer ones would cost each cell time and need a network. A cell
			// that wants another package begins with %env GOPROXY=direct
			"GOPROXY": "off",
		},
	}
}

// Command returns the kernel's command line. rawError makes errors plain text, for
// programs; people read them better as boxes.
func (k Kernel) Command(connectionFile string, rawError bool) []string {
	raw := "-raw_error=false"
	if rawError {
		raw = "-raw_error=true"
	}
	return []string{k.Gonb, "--kernel", connectionFile, "-logtostderr=true", raw, "-go_work=" + k.Repo}
}

// Options returns how to start the kernel in a folder, for a program that reads its errors.
func (k Kernel) Options(dir string) kernel.Options {
	var env []string
	for name, value := range k.Env {
		env = append(env, name+"="+value)
	}
	return kernel.Options{
		Command: func(connectionFile string) []string { return k.Command(connectionFile, true) },
		Env:     env, Dir: dir,
	}
}

// SpecFile returns the path of the kernel spec. Its folder has the name notebooks ask for.
func (k Kernel) SpecFile() string {
	return filepath.Join(k.JupyterPath, "kernels", "gonb", "kernel.json")
}

// spec is Jupyter's kernel specification.
type spec struct {
	Argv          []string          `json:"argv"`
	DisplayName   string            `json:"display_name"`
	Language      string            `json:"language"`
	InterruptMode string            `json:"interrupt_mode"`
	Env           map[string]string `json:"env"`
}

func (k Kernel) writeSpec() error {
	text, err := json.MarshalIndent(spec{
		Argv: k.Command("{connection_file}", false), DisplayName: "Go (gonb)",
		Language: "go", InterruptMode: "message", Env: k.Env,
	}, "", "  ")
	if err != nil {
		return errors.WithStack(err)
	}
	return writeFile(k.SpecFile(), append(text, '\n'))
}

// writeFile writes a file whole or not at all, and its folder if need be.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(path, data)
}
