package kernelsetup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palimpsest/notebooks/kernel"
)

// Cells import the checkout that the kernel was started in: of two clones each its own, whatever its path is made of, and one
// that was moved where it is now.
func TestKernelSeesItsCheckout(t *testing.T) {
	home := t.TempDir()
	clone := func(name, text string) string {
		repo := filepath.Join(home, name)
		write(t, filepath.Join(repo, "go.mod"), "module "+Module+"\n\ngo 1.26.5\n")
		write(t, filepath.Join(repo, "pkg", "own", "own.go"), "package own\n\nconst Name = \""+text+"\"\n")
		return repo
	}
	first, second := clone("zwei Wörter 文", "first"), clone("second", "second")
	imported := func(repo string) string {
		t.Helper()
		t.Chdir(repo)
		k, err := EnsureKernel(t.Context(), t.Output())
		if err != nil {
			t.Fatal(err)
		}
		p, err := kernel.Start(t.Context(), k.Options(repo))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		nb := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: "import \"" + Module + "/pkg/own\"\n\n%%\nfmt.Println(own.Name)"}}}
		done, err := nb.Run(t.Context(), p, kernel.RunOptions{CellTimeout: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(done.Cells[0].Outputs[0].Text)
	}
	moved := filepath.Join(home, "moved – hierher")
	for _, step := range []struct{ repo, want string }{{first, "first"}, {second, "second"}, {moved, "first"}} {
		if step.repo == moved {
			t.Chdir(home)
			if err := os.Rename(first, moved); err != nil {
				t.Fatal(err)
			}
		}
		if got := imported(step.repo); got != step.want {
			t.Errorf("a cell in %s imports the package of %q, want %q", step.repo, got, step.want)
		}
	}
	t.Chdir(clone("a,b", "comma"))
	if _, err := EnsureKernel(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "comma") {
		t.Errorf("a path with a comma: %v; want to be told", err)
	}
}

// In a checkout that takes no files a program runs the kernel all the same; JupyterLab is refused before anything is installed, with
// what to do.
func TestCheckoutThatTakesNoFiles(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("there is no folder in which not even root makes files")
	}
	repo := filepath.Join(t.TempDir(), "my clone")
	write(t, filepath.Join(repo, "go.mod"), "module "+Module+"\n\ngo 1.26.5\n")
	if err := os.Symlink("/proc/self", filepath.Join(repo, ".jupyter")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(repo)
	if _, err := EnsureKernel(t.Context(), t.Output()); err != nil {
		t.Errorf("a program is refused the kernel: %v", err)
	}
	err := Lab(t.Context(), LabOptions{NoBrowser: true, Out: t.Output()})
	if want := "make it writable, or work in a copy of it: cp -r '" + repo + "' palimpsest"; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("JupyterLab there gives %v, want one line that says %q", err, want)
	}
}
