package kernelsetup

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestApplyChanges(t *testing.T) {
	const diff = `diff --git a/x/a.txt b/x/a.txt
--- a/x/a.txt
+++ b/x/a.txt
@@ -1,3 +1,3 @@ func
 one
-two
+zwei
 three
@@ -5,1 +5,2 @@
 five
+six
diff --git a/new.txt b/new.txt
--- /dev/null
+++ b/new.txt
@@ -0,0 +1,1 @@
+new
`
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x", "a.txt"), "one\ntwo\nthree\nfour\nfive\n")
	if err := applyChanges(dir, diff); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x/a.txt": "one\nzwei\nthree\nfour\nfive\nsix\n", "new.txt": "new\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	if err := applyChanges(dir, diff); err == nil || !strings.Contains(err.Error(), "line 2 is not") {
		t.Errorf("applied again: %v; want to be told which line is another", err)
	}
	if err := applyChanges(dir, strings.ReplaceAll(diff, "b/x/a.txt", "b/../a.txt")); err == nil {
		t.Error("a file outside the folder is changed")
	}
}

// What we change in the kernel fits the version that is pinned.
func TestChangesFitKernel(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", gonb.changed+"@"+gonb.version).Output()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Skip("the kernel's module is not in the module cache")
	}
	dir := filepath.Join(t.TempDir(), "gonb")
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(string(out)))); err != nil {
		t.Fatal(err)
	}
	changes, err := toolModules.ReadFile("tools/gonb/changes.diff")
	if err != nil {
		t.Fatal(err)
	}
	if err := applyChanges(dir, string(changes)); err != nil {
		t.Error(err)
	}
}

// One installation that fails stops no other, and only it counts as failed.
func TestTogether(t *testing.T) {
	var all together
	finished := false
	failed := errors.New("no network")
	begun := make(chan struct{})
	all.Go(func() error { defer close(begun); return failed })
	all.Go(func() error { <-begun; finished = true; return nil })
	all.Go(func() error { return context.Canceled })
	if err := all.Wait(); err != failed || !finished {
		t.Errorf("the error is %v, and the other finished: %t", err, finished)
	}
	var two together
	for range 2 {
		two.Go(func() error { return failed })
	}
	if err := two.Wait(); err == nil || strings.Count(err.Error(), "no network") != 2 {
		t.Errorf("of two that failed the error is %v", err)
	}
	var stopped together
	stopped.Go(func() error { return context.Canceled })
	if err := stopped.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted, the error is %v", err)
	}
}
