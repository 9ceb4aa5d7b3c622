package kernel_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/notebooks/kernel"
)

// run runs one cell in a kernel until it or ctx ends and returns its outputs.
func run(ctx context.Context, t *testing.T, p *kernel.Process, source string) []*kernel.Output {
	t.Helper()
	nb := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: source}}}
	done, err := nb.Run(ctx, p, kernel.RunOptions{CellTimeout: 5 * time.Minute})
	if done == nil {
		t.Fatal(err)
	}
	return done.Cells[0].Outputs
}

// The error of a cell is shown once, on a line that names the cell's; what a program writes and lives on is left alone.
func TestErrorsOfCellsAreOneLine(t *testing.T) {
	p := start(t)
	outs := run(t.Context(), t, p, "import (\n\t\"fmt\"\n\t\"os\"\n)\n%%\nfmt.Fprint(os.Stderr, \"pan\")\nfmt.Fprint(os.Stderr, \"ic: no\\n\", \"working: 3 %\\n\")")
	if len(outs) != 1 || outs[0].Type != "stream" || !strings.Contains(outs[0].Text, "panic: no\nworking: 3 %\n") {
		t.Errorf("a program that lives is shown as %+v, want what it wrote", outs)
	}
	for _, tc := range []struct{ source, want string }{
		{"%%\nvar a []int\nfmt.Println(a[3])", `cell \[2\], line 3: panic: runtime error: index out of range \[3\] with length 0`},
		{"%%\nos.Exit(3)", "exit status 3"},
		{"%%\nx := 1\nnosuch()", "cell \\[4\\], line 2: declared and not used: x\ncell \\[4\\], line 3: undefined: nosuch \\(if a cell above declares it, .*\\)"},
		{"import \"example.com/no/such\"\n%%\nsuch.X()", ".*example.com/no/such is in none of the modules .* `go get example.com/no/such`"},
		// Last, for every cell from here on links all that this package imports.
		{"import (\n\t\"errors\"\n\t\"palimpsest/pkg/notebook\"\n)\n\nfunc load(name string) int {\n\treturn notebook.Get(1, errors.New(\"no run \" + name))\n}", ""},
		{"%%\n\nload(\"mine\")", `cell \[6\], line 7: no run mine \(called in cell \[7\], line 3\)`},
		{"%%\nnotebook.Must(errors.New(\"a message\\nof two lines\"))", `cell \[8\], line 2: a message of two lines`},
	} {
		outs := run(t.Context(), t, p, tc.source)
		if tc.want == "" {
			if len(outs) != 0 {
				t.Errorf("%q gives %+v", tc.source, outs[0])
			}
			continue
		}
		if len(outs) != 1 || outs[0].Type != "error" || !regexp.MustCompile("^"+tc.want+"$").MatchString(outs[0].Text) {
			t.Errorf("%q gives %d outputs, want one error that says %q", tc.source, len(outs), tc.want)
			for _, out := range outs {
				t.Errorf("\t%+v", *out)
			}
		}
	}
}

// A cell that only declares is checked by the compiler, and no program is made of it unless something would run.
func TestDeclarationsAreCompiledOnly(t *testing.T) {
	p := start(t)
	const program = "a program"
	for _, tc := range []struct{ source, want string }{
		{"import \"fmt\"\n\ntype number int\n\nfunc double(n number) { fmt.Println(2 * n) }", ""},
		{"func half(n number) { nosuch(n) }", "cell [2], line 1: undefined: nosuch (if a cell above declares it, run that first; after a restart of the kernel, all cells above)"},
		{"!test -e $GONB_TMP_DIR/$(basename $GONB_TMP_DIR) && echo " + program + " || true", ""},
		{"%%\ndouble(21)", "42\n"},
		{"!test -e $GONB_TMP_DIR/$(basename $GONB_TMP_DIR) && echo " + program + " || true", program + "\n"},
		{"var one = func() int { fmt.Println(\"counted\"); return 1 }()", "counted\n"},
	} {
		got := ""
		for _, out := range run(t.Context(), t, p, tc.source) {
			got += out.Text
		}
		if got != tc.want {
			t.Errorf("%q shows %q, want %q", tc.source, got, tc.want)
		}
	}
}

// An interrupt ends a cell at once wherever it is, and says so once.
func TestInterrupt(t *testing.T) {
	p := start(t)
	run(t.Context(), t, p, "import (\n\t\"fmt\"\n\t\"os\"\n\t\"palimpsest/pkg/study\"\n)")
	began := filepath.Join(t.TempDir(), "began")
	for _, tc := range []struct {
		source string
		when   func() // the interrupt comes once this returns
		want   string
	}{
		{"%%\nfmt.Println(study.FID)", func() { time.Sleep(100 * time.Millisecond) }, "stopped while the cell was compiled; run the cell again to go on"},
		{"%%\nos.Create(\"" + began + "\")\nfor {\n}", func() { await(t, began) }, "stopped; run the cell again to start it anew"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan time.Time, 1)
		go func() {
			tc.when()
			asked <- time.Now()
			cancel()
		}()
		outs := run(ctx, t, p, tc.source)
		if late := time.Since(<-asked); late > 4*time.Second { // after 5 the kernel is given up
			t.Errorf("%q ended %s after the interrupt", tc.source, late)
		}
		if len(outs) != 1 || outs[0].Name != "Interrupted" || outs[0].Text != tc.want {
			t.Errorf("%q gives %+v, want one error %q", tc.source, outs, tc.want)
		}
	}
}

// await waits for a file that a cell's program makes.
func await(t *testing.T, path string) {
	for since := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Since(since) > 5*time.Minute {
			t.Errorf("there never is a %s", path)
			return
		}
	}
}

// A kernel that is killed, as one that does not shut down in time is, takes the program of its cell with it.
func TestKilledKernelLeavesNothing(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("processes without parents are not asked to end here")
	}
	p := start(t)
	began := filepath.Join(t.TempDir(), "pid")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nb := &kernel.Notebook{Cells: []*kernel.Cell{{Type: "code", Source: "%%\nos.WriteFile(\"" + began + ".new\", []byte(fmt.Sprint(os.Getpid())), 0o600)\nos.Rename(\"" + began + ".new\", \"" + began + "\")\ntime.Sleep(time.Hour)"}}}
		_, _ = nb.Run(t.Context(), p, kernel.RunOptions{})
	}()
	await(t, began)
	pid, err := os.ReadFile(began)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + string(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Since(since) > time.Minute {
			t.Fatalf("process %s is left", pid)
		}
	}
	<-ended
}

// The folder of a kernel that was killed is removed when the next one starts; that of a kernel that lives stays.
func TestFoldersOfKilledKernels(t *testing.T) {
	temp := t.TempDir()
	in := func() *kernel.Process {
		t.Helper()
		installed, err := kernelsetup.EnsureKernel(t.Context(), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		o := installed.Options("testdata")
		command := o.Command
		o.Command = func(file string) []string { return append([]string{"env", "TMPDIR=" + temp}, command(file)...) }
		p, err := kernel.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() }) // the killed one cannot be asked
		return p
	}
	folders := func() []string {
		all, _ := filepath.Glob(filepath.Join(temp, "*")) // fails on a malformed pattern only
		return all
	}
	in()
	lives := folders()
	killed := in()
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	left := folders()
	in()
	now := folders()
	if len(lives) != 1 || len(left) != 2 || len(now) != 2 {
		t.Fatalf("there are %q, %q and %q; want one folder, two, and two", lives, left, now)
	}
	for _, folder := range now {
		if folder != lives[0] && slices.Contains(left, folder) {
			t.Errorf("%s of a kernel that was killed is there still", folder)
		}
	}
	if !slices.Contains(now, lives[0]) {
		t.Errorf("%s of a kernel that lives has been removed", lives[0])
	}
}
