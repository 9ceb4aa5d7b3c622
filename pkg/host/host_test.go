package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is free is what the machine has left, or less where a container's limit leaves less: files in memory give way.
func TestFreeMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 0},
		{"no container", map[string]string{"meminfo": "MemTotal:  9 kB\nMemAvailable:     3 kB\n"}, 3072},
		{"a container without a limit", map[string]string{"meminfo": "MemAvailable: 3 kB\n", "memory.max": "max\n", "memory.current": "7\n"}, 3072},
		{"a container", map[string]string{"meminfo": "MemAvailable: 3 kB\n", "memory.max": "1000\n", "memory.current": "900\n",
			"memory.stat": "anon 5\ninactive_file 300\n"}, 400},
		{"a container that is full", map[string]string{"memory.max": "1000\n", "memory.current": "1000\n"}, 1},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := freeMemory(filepath.Join(dir, "meminfo"), dir); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}

// Only the checkout of this program says what it was built from.
func TestOwnSource(t *testing.T) {
	if !ownSource("../..") || ownSource(t.TempDir()) || ownSource(".") {
		t.Error("its own source is not known from other folders")
	}
}

// A notebook that was opened, a result that was stored, a page that was corrected leave the program what it was.
func TestChanged(t *testing.T) {
	for status, want := range map[string]bool{
		"": false, " M notebooks/00_tour.ipynb\x00": false, " M README.md\x00?? notes.txt\x00": false,
		" M notebooks/results/quick/er.json\x00 M notebooks/results/quick/samples/er.png\x00": false,
		" M .ci/fuzz.json\x00?? pkg/cl/testdata/fuzz/FuzzSpec/0a1b\x00":                       false, "?? datasets/mine/rose/1.jpg\x00": false,
		" M notebooks/00_tour.ipynb\x00 M pkg/cl/er.go\x00": true, "?? pkg/cl/new.go\x00": true, " D pkg/fastconv/conv.h\x00": true,
		" M go.sum\x00": true, " M notebooks/kernel/run.go\x00": true, " M pkg/cards/tuned/er.yaml\x00": true,
		"R  pkg/cl/er.txt\x00pkg/cl/er.go\x00": true, "R  a.md\x00b.md\x00 M notebooks/browser/lab_test.go\x00": false, "R  go.sum\x00a.md\x00": true, "?? a folder/x.go\x00": true,
	} {
		if changed(status) != want {
			t.Errorf("%q: %v", status, !want)
		}
	}
}

// What changes the program is exactly what Go says it is built from, its tests included, and its modules.
func TestOfProgram(t *testing.T) {
	lines := func(name string, args ...string) []string {
		c := exec.Command(name, args...)
		c.Dir = "../.."
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	if _, err := exec.Command("git", "rev-parse", "HEAD").Output(); err != nil {
		t.Skip("this is no checkout")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{"go.mod": true, "go.sum": true}
	format := ""
	for _, kind := range []string{"Go", "Cgo", "IgnoredGo", "IgnoredOther", "C", "H", "S", "TestGo", "XTestGo", "Embed"} {
		format += "{{$d := .Dir}}{{range ." + kind + "Files}}{{$d}}/{{.}}\n{{end}}"
	}
	for _, file := range lines("go", "list", "-f", format, "./...") {
		if file, err := filepath.Rel(root, file); err == nil && file != "." && filepath.Ext(file) != ".md" {
			built[filepath.ToSlash(file)] = true
		}
	}
	for _, file := range lines("git", "ls-files") {
		// Embedded folders hold licences that nobody reads from there.
		if got := ofProgram(file); got != built[file] && filepath.Base(file) != "LICENSE" {
			t.Errorf("%s: %t, Go says %t; the list of what is embedded is to have it", file, got, built[file])
		}
	}
	if len(built) < 500 {
		t.Errorf("Go lists %d files: they were not read", len(built))
	}
}

// A checkout whose notebook was opened and stored anew is the program of its commit; with a Go file that is new it is not.
func TestCommit(t *testing.T) {
	if commit != "" {
		t.Skip("the linker was told the commit")
	}
	t.Setenv(CommitEnv, "")
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		if out, err := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	write("go.mod", "module palimpsest\n")
	write("ä.ipynb", "{}")
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "first")
	for _, step := range []struct {
		file  string
		dirty bool
	}{{"go.mod", false}, {"ä.ipynb", false}, {"new.go", true}} {
		if step.file != "go.mod" {
			write(step.file, "changed")
		}
		if hash, dirty := Commit(); len(hash) != 40 || dirty != step.dirty {
			t.Errorf("with another %s: %q, changed %t", step.file, hash, dirty)
		}
	}
}
