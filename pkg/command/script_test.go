package command

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
)

var update = flag.Bool("update", false, "write the outputs that scripts in testdata/script compare with anew; look at them before committing")

// TestMain makes this test binary the program itself where it is called by the name palimpsest, under which it is on the PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"palimpsest": func() { os.Exit(Main()) }})
}

// Every command does through its real entry what testdata/script has of it: help, a success, a refusal with its exit code.
//
// Scripts begin with an empty cache folder and compute in pure Go; $machine_cache is the cache folder that has the plugin.
// Beside the commands of testscript they have
//
//	exits CODE COMMAND…  the command ends with this exit code
//	plain FILE           prints a file, stdout or stderr without what differs by machine and moment, see [plain]
func TestScripts(t *testing.T) {
	if err := kernelsetup.EnsurePlugin(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	machineCache, err := backend.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv(backend.CacheEnv, filepath.Join(env.WorkDir, "cache"))
			env.Setenv("GOMLX_BACKEND", "go")
			env.Setenv("machine_cache", machineCache)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits CODE COMMAND ARGUMENT…")
				}
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				code := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					var ended *exec.ExitError
					if !errors.As(err, &ended) {
						ts.Fatalf("%v", err)
					}
					code = ended.ExitCode()
				}
				if code != want {
					ts.Fatalf("exit code %d, want %d", code, want)
				}
			},
			"plain": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: plain FILE")
				}
				fmt.Fprint(ts.Stdout(), plain(ts.ReadFile(args[0]), ts.Getenv("WORK")))
			},
		},
	})
}

var (
	backendLine = regexp.MustCompile(`(?m)(\bbackend ).*`)
	duration    = regexp.MustCompile(`\d+(\.\d+)? (s|min|h)\b`)
	number      = regexp.MustCompile(`(\B-|−)?\d+(\.\d+)?(e[-+]\d+)?`)
	filling     = regexp.MustCompile(`(─)─+|( ) +`)
)

// plain is an output without what differs by machine and moment: the folder it was made in, the backend, numbers, and the
// width of columns, which follows that of the numbers.
func plain(output, work string) string {
	output = strings.ReplaceAll(output, work, "$WORK")
	output = backendLine.ReplaceAllString(output, "${1}…")
	output = duration.ReplaceAllString(output, "# s")
	output = number.ReplaceAllString(output, "#")
	return filling.ReplaceAllString(output, "$1$2")
}

// light are the commands whose success a test cannot afford, and why. Their help and a refusal are all that scripts have.
var light = map[string]string{
	"lab":                   "opens JupyterLab and stays until it is interrupted",
	"notebook":              "builds the Go kernel",
	"setup":                 "installs from package registries",
	"doctor":                "is content only where all is installed",
	"data train-classifier": "trains for minutes",
	"counterpart":           "installs gigabytes of Python packages",
	"counterpart draw":      "installs gigabytes of Python packages",
	"perf":                  "measures for minutes, on a quiet machine alone",
	"perf check":            "trains for half a minute where XLA does not compute",
}

// No command is without a script that asks for its help, one that has it refuse something, and one in which it succeeds.
func TestEveryCommandHasAScript(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`(?m)^(exec|exits [12]) palimpsest ?(.*)$`)
	help, refused, done := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range called.FindAllStringSubmatch(string(text), -1) {
			words := split(m[2])
			c, _, err := newRoot(func() {}).Find(words)
			switch {
			case err != nil: // it names no command
			case m[1] != "exec":
				refused[c.CommandPath()] = true
			case slices.Contains(words, "--help"):
				help[c.CommandPath()] = true
			default:
				done[c.CommandPath()] = true
			}
		}
	}
	seen := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		seen++
		path := c.CommandPath()
		_, name, _ := strings.Cut(path, " ")
		if !help[path] || !refused[path] || done[path] == (light[name] != "") {
			t.Errorf("%s: scripts ask for its help: %t, have it refuse something: %t, have it succeed: %t (left out for %q)",
				path, help[path], refused[path], done[path], light[name])
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(func() {}))
	if seen < 21 {
		t.Errorf("only %d commands are there; they are no longer found", seen)
	}
}
