package kernelsetup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/words"

	"github.com/pkg/errors"
)

// Kernel is an installed GoNB kernel that sees one checkout.
type Kernel struct {
	Gonb        string            // the kernel program
	Repo        string            // the checkout its cells import
	JupyterPath string            // the folder to name in JUPYTER_PATH
	Env         map[string]string // environment its process needs
	completion  string            // folder of gopls; "": there is none
	warm        []string          // packages that gopls loads before anybody asks for a completion
}

// EnsureKernel builds the kernel and goimports unless they are there and writes the kernel
// spec of the checkout that holds the working folder, where that takes files: a program needs none. JupyterLab is not needed for it.
func EnsureKernel(ctx context.Context, out io.Writer) (Kernel, error) {
	k, err := ensureKernel(ctx, newProgress(out))
	if errors.As(err, new(*unwritable)) {
		err = nil
	}
	return k, err
}

// unwritable is the error of a checkout that takes no files.
type unwritable struct {
	repo string
	err  error
}

func (u *unwritable) Error() string {
	return fmt.Sprintf("the checkout %s takes no files (%v), and Jupyter's belong into its folder .jupyter; make it writable, or work in a copy of it: cp -r %s palimpsest",
		u.repo, u.err, words.Shell(u.repo))
}

func (u *unwritable) Unwrap() error { return u.err }

// checkWritable says whether Jupyter's files can be kept in a checkout.
func checkWritable(repo string) error {
	if err := atomicfile.CheckFolder(filepath.Join(repo, ".jupyter")); err != nil {
		return &unwritable{repo, err}
	}
	return nil
}

func ensureKernel(ctx context.Context, p *progress) (Kernel, error) {
	repo, err := FindRepo(".")
	if err != nil {
		return Kernel{}, err
	}
	if strings.Contains(repo, ",") {
		return Kernel{}, errors.Errorf("the path of the checkout, %s, holds a comma, at which GoNB takes it apart; give its folder another name", repo)
	}
	goBin, goVersion, err := findGo(ctx)
	if err != nil {
		return Kernel{}, err
	}
	var dirs [2]string
	var group together
	for i, t := range []tool{gonb, goimports} {
		group.Go(func() (err error) {
			dirs[i], err = t.ensure(ctx, p, goBin, goVersion)
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
	k := newKernel(repo, filepath.Join(dirs[0], "gonb"), append(path, goBin))
	// Completion is there if it was built before.
	if t, err := gopls.tree(goBin, goVersion); err == nil && t.finished() {
		k.completion, k.warm = t.dir, notebookImports(repo)
	}
	return k, k.writeSpec()
}

// newKernel describes a kernel whose cells look for programs in the folders path, and then in
// those of the caller's PATH.
func newKernel(repo, program string, path []string) Kernel {
	return Kernel{
		Gonb: program, Repo: repo, JupyterPath: filepath.Join(repo, ".jupyter"),
		Env: map[string]string{
			"PATH": strings.Join(append(path, os.Getenv("PATH")), string(os.PathListSeparator)),
			// -mod=mod and the like break every cell in workspace mode; GOWORK=off would hide
			// the workspace that -go_work makes. A program without symbols for debuggers is linked in
			// half the time, and a panic prints the same without them.
			"GOFLAGS": "-ldflags=-s", "GOWORK": "",
			// Cells use the versions of the checkout's go.mod, which ensurePackages has fetched;
			// asking a proxy for newer ones would cost each cell time and need a network. A cell
			// that wants another package begins with %env GOPROXY=direct
			"GOPROXY": "off",
		},
	}
}

// command returns the kernel's command line; log are the options that say where it logs.
func (k Kernel) command(connectionFile string, log ...string) []string {
	return append([]string{k.Gonb, "--kernel", connectionFile, "-raw_error=true", "-go_work=" + k.Repo}, log...)
}

// noCompletion is of the environment of a kernel that completes no names.
const noCompletion = "GONB_COMPLETION=off"

// Options returns how to start the kernel in a folder, for a program that reads its log. This kernel does not complete names.
func (k Kernel) Options(dir string) kernel.Options {
	env := []string{noCompletion}
	for name, value := range k.Env {
		env = append(env, name+"="+value)
	}
	return kernel.Options{
		Command: func(connectionFile string) []string { return k.command(connectionFile, "-logtostderr=true") },
		Env:     env, Dir: dir,
	}
}

// LogFile returns the path of the log of kernels that a front end starts. It is for us; users need not see it.
func (k Kernel) LogFile() string { return filepath.Join(k.JupyterPath, "kernel.log") }

// mostLog is the size from which the log begins again.
const mostLog = 1 << 20

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
	if err := checkWritable(k.Repo); err != nil {
		return err
	}
	env := maps.Clone(k.Env)
	if k.completion != "" {
		env["PATH"] = k.completion + string(os.PathListSeparator) + env["PATH"]
		env["GONB_WARM"] = strings.Join(k.warm, " ")
	}
	if info, err := os.Stat(k.LogFile()); err == nil && info.Size() > mostLog {
		_ = os.Remove(k.LogFile()) // a kernel that still writes to it goes on doing so
	}
	text, err := json.MarshalIndent(spec{
		Argv: k.command("{connection_file}", "-extra_log="+k.LogFile(), "-logtostderr=false", "-stderrthreshold=FATAL"), DisplayName: "Go (gonb)",
		Language: "go", InterruptMode: "message", Env: env,
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
