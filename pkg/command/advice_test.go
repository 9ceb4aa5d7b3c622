package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/models"
	"palimpsest/pkg/report"
	"palimpsest/pkg/study"
	"palimpsest/pkg/unet"
)

// said is a text that this repository shows to its users.
type said struct{ where, text string }

// everythingSaid collects the string literals of all Go files, joined where they are added up, with %s for what is added
// between them; and what Markdown files, notebooks and cards say.
func everythingSaid(t *testing.T) []said {
	t.Helper()
	var all []said
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() {
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "runs" || filepath.ToSlash(filepath.Dir(path)) == "notebooks/results") {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go":
			if strings.HasSuffix(path, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			var visit func(ast.Node) bool
			visit = func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if text, others := literal(e); text != "" {
						all = append(all, said{files.Position(n.Pos()).String(), text})
						for _, o := range others {
							ast.Inspect(o, visit)
						}
						return false
					}
				}
				return true
			}
			ast.Inspect(f, visit)
		case ".md", ".yaml":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all = append(all, said{path, string(text)})
		case ".ipynb":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var notebook struct{ Cells []struct{ Source []string } }
			if err := json.Unmarshal(text, &notebook); err != nil {
				return errors.Wrap(err, path)
			}
			for i, c := range notebook.Cells {
				all = append(all, said{fmt.Sprintf("%s, cell %d", path, i+1), strings.Join(c.Source, "")})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// literal is what a string literal, or a sum with one, says; others are the terms that are none.
func literal(e ast.Expr) (text string, others []ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			if s, err := strconv.Unquote(e.Value); err == nil {
				return s, nil
			}
		}
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			break
		}
		for _, side := range []ast.Expr{e.X, e.Y} {
			s, o := literal(side)
			if s == "" {
				s, o = "%s", []ast.Expr{side}
			}
			text, others = text+s, append(others, o...)
		}
		if strings.ReplaceAll(text, "%s", "") == "" {
			return "", nil
		}
		return text, others
	}
	return "", nil
}

var (
	quotedCommand = regexp.MustCompile("`go run \\. ([^`]*)`")
	plainCommand  = regexp.MustCompile("go run \\. ([^\n`]*)")
	verb          = regexp.MustCompile(`%[-+0-9.]*[a-z]`)
)

// commands are the command lines that a text names, without "go run .": in back quotes, or up to the end of the line or of
// the sentence.
func commands(text string) []string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all []string
	for _, m := range quotedCommand.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Join(strings.Fields(m[1]), " "))
	}
	for _, m := range plainCommand.FindAllStringSubmatch(quotedCommand.ReplaceAllString(text, ""), -1) {
		line, _, _ := strings.Cut(m[1], " #")
		line, _, _ = strings.Cut(line, "; ")
		line, _, _ = strings.Cut(line, " && ")
		all = append(all, strings.TrimRight(strings.TrimSpace(line), ".,;:)"))
	}
	return all
}

// split splits a command line into words as a shell does.
func split(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inside = r, true
		case quote == 0 && r == ' ':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		case quote == 0 && r == '>': // a redirection ends the command
			return words
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	return words
}

// example puts something in the place of what a message fills in: by the word before it.
func example(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		before := ""
		if i > 0 {
			before = out[i-1]
		}
		if w != "…" {
			w = strings.TrimSuffix(w, "…")
		}
		w = strings.Replace(w, "benchmark.datasets=[/data/flowers]", "benchmark.datasets=[fashion-mnist-sample]", 1) // the reader's own
		placeholder := w == "…" || verb.MatchString(w) || w == "NAME" || w == "DIR" || w == "RUN" || w == "CONFIG" || w == "FOLDER" || w == "COMMAND"
		if placeholder {
			value := "x"
			switch before {
			case "get", "train-classifier":
				value = "mnist"
			case "--strategies", "--strategy":
				value = "er"
			case "--size":
				value = "16"
			case "--method":
				value = "area"
			case "--only":
				value = "lambda"
			case "":
				value = "bench"
			}
			if strings.HasPrefix(w, "notebooks/results/") || strings.HasPrefix(w, "README.md:") {
				value = "quick"
			}
			if w == "…" || w == strings.ToUpper(w) && !strings.Contains(w, "%") {
				w = value
			} else {
				w = verb.ReplaceAllString(w, value)
			}
		}
		out[i] = w
	}
	return out
}

// checkCommand says why a command line cannot work: there is no such command, flag or number of arguments, or what the
// flags say is refused.
func checkCommand(words []string) error {
	root := newRoot(func() {})
	root.InitDefaultHelpFlag()
	c, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err == pflag.ErrHelp {
		return nil
	} else if err != nil {
		return err
	}
	if help, err := c.Flags().GetBool("help"); err == nil && help {
		return nil
	}
	args := c.Flags().Args()
	if err := c.ValidateArgs(args); err != nil {
		return err
	}
	if slices.Contains(words, "er,er_noise") {
		return nil // a strategy that notebook 04 has the reader write
	}
	switch c.CommandPath() {
	case "palimpsest":
		return errors.New("it names no command")
	case "palimpsest bench":
		return checkBench(c)
	case "palimpsest search":
		s := experiment.Search{Strategies: stringsOf(c, "strategies"), Set: stringsOf(c, "set"), Seeds: 1}
		_, err := s.Trials()
		return err
	case "palimpsest run":
		_, err := experiment.OverrideConfig("", nil, stringsOf(c, "set"))
		return err
	case "palimpsest data get", "palimpsest data train-classifier":
		for _, name := range strings.Split(args[0], "+") {
			if !slices.Contains(datasets.Names(), name) {
				return errors.Errorf("there is no set %q", name)
			}
		}
	case "palimpsest report", "palimpsest dynamics":
		for _, dir := range args {
			if _, err := os.Stat(dir); err != nil && strings.HasPrefix(dir, "notebooks/results/") {
				return err
			}
		}
		if c.Name() == "report" {
			return checkReport(c)
		}
	}
	return nil
}

// stringsOf are the values of a flag of a list of texts.
func stringsOf(c *cobra.Command, flag string) []string {
	return c.Flags().Lookup(flag).Value.(pflag.SliceValue).GetSlice()
}

// checkBench makes the configurations of a bench command.
func checkBench(c *cobra.Command) error {
	g := experiment.Grid{Strategies: stringsOf(c, "strategies"), Sweeps: stringsOf(c, "sweep"), Set: stringsOf(c, "set"), Variants: stringsOf(c, "variant")}
	var err error
	g.Tuned = c.Flags().Changed("tuned") // from a folder that the reader has
	if g.Seeds, err = c.Flags().GetInt("seeds"); err != nil {
		return err
	}
	for i, s := range g.Set { // a folder that the reader has; keepExample has its model
		g.Set[i] = strings.Replace(s, "network.init=./", "network.init=", 1)
	}
	if _, err := importInit(c, g.Set, false); err != nil {
		return err
	}
	usualSweeps(c, &g)
	configs, err := g.Configs("the quick benchmark", nil)
	if err != nil {
		return err
	}
	return experiment.Study{Dir: "x", Runs: configs}.Validate()
}

// checkReport sees whether the part and the section that a report command names exist.
func checkReport(c *cobra.Command) error {
	table, err := c.Flags().GetString("table")
	if err != nil {
		return err
	}
	if file, name, found := strings.Cut(table, ":"); found {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), "<!-- table:"+name+" -->") {
			return errors.Errorf("%s has no section %s", file, name)
		}
	}
	only, err := c.Flags().GetString("only")
	if err != nil || only == "" {
		return err
	}
	dirs := slices.DeleteFunc(slices.Clone(c.Flags().Args()), func(dir string) bool { return !strings.HasPrefix(dir, "notebooks/results/") })
	if len(dirs) == 0 { // a run's folder that the reader would have
		dirs = []string{"notebooks/results/quick"}
	}
	set, err := study.Open(dirs...)
	if err != nil {
		return err
	}
	_, err = report.ExcerptOf(set, only, "er", "")
	return err
}

// Every command that a message, the help, the documentation or a notebook names is one that there is, with flags and
// arguments that are taken. The harmless ones are run.
func TestNamedCommandsWork(t *testing.T) {
	t.Chdir("../..") // where the program is called
	keepExample(t)
	found, run := map[string]bool{}, map[string]bool{}
	for _, s := range everythingSaid(t) {
		for _, line := range commands(s.text) {
			words := example(split(line))
			if len(words) == 0 || found[strings.Join(words, "\x00")] {
				continue
			}
			found[strings.Join(words, "\x00")] = true
			if err := checkCommand(words); err != nil {
				t.Errorf("%s names `go run . %s`, read as %q: %v", s.where, line, words, err)
				continue
			}
			if !harmless(words) {
				continue
			}
			run[words[0]] = true
			var out bytes.Buffer
			root := newRoot(func() {})
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetArgs(words)
			if err := root.Execute(); err != nil || out.Len() == 0 {
				t.Errorf("%s names `go run . %s`, which says %q and fails with %v", s.where, line, out.String(), err)
			}
		}
	}
	if len(found) < 60 {
		t.Errorf("only %d commands are named; they are no longer found", len(found))
	}
	for _, name := range []string{"strategies", "data", "run", "dynamics", "--help"} {
		if !run[name] {
			t.Errorf("no command %s was run", name)
		}
	}
}

// keepExample imports the models that examples name, in a cache folder of the test's own. It is called at the top of the
// repository.
func keepExample(t *testing.T) {
	t.Helper()
	t.Setenv(backend.CacheEnv, t.TempDir())
	net, err := unet.Preset("tiny", 32, 32, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusers.Model{Net: net, Process: diffusion.Config{T: 1000, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge}, Weights: map[string][]float32{}}
	for name, dims := range m.Dims() {
		size := 1
		for _, d := range dims {
			size *= d
		}
		m.Weights[name] = make([]float32, size)
	}
	source, err := filepath.Abs("cifar-ddpm") // where README.md has it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.Put("cifar-ddpm", source, m, false); err != nil {
		t.Fatal(err)
	}
	// The model of notebook 06.
	const clothes = "notebooks/from_diffusers/model"
	if m, _, err = diffusers.Read(clothes, diffusers.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := models.Put("clothes", clothes, m, false); err != nil {
		t.Fatal(err)
	}
}

// The studies that a card's machine is given are ones that bench makes there.
func TestStudiesForACard(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	out, err := exec.Command(bash, "../../docker/gpu-session.sh", "--studies").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 10 {
		t.Fatalf("studies are:\n%s", out)
	}
	for _, line := range lines {
		// A few of CIFAR-10's images, which the script registers there.
		words := strings.Fields(strings.ReplaceAll(line, "[cifar-10-first]", "[cifar-10]"))
		if err := checkCommand(append([]string{"bench"}, words[1:]...)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// harmless says whether a command reads only, and quickly.
func harmless(words []string) bool {
	writes := slices.ContainsFunc(words, func(w string) bool { return w == "--table" || w == "-o" || w == "--output" })
	switch words[0] {
	case "strategies", "--help":
		return true
	case "data":
		return len(words) == 1
	case "run":
		return slices.Contains(words, "--defaults")
	case "report", "dynamics":
		return !writes && len(words) > 1 && strings.HasPrefix(words[1], "notebooks/results/") && (words[0] == "dynamics" || slices.Contains(words, "--only"))
	}
	return slices.Contains(words, "--help")
}

// Every setting that a message names by its place in the configuration is one that there is.
func TestNamedSettingsExist(t *testing.T) {
	t.Chdir("../..") // where the program is called
	setting := regexp.MustCompile(`\b(benchmark|network|diffusion|train|loop|evaluate|probe|bpd|autopsy)\.[a-z_]+(\.[a-z_]+)?\b`)
	n := 0
	for _, s := range everythingSaid(t) {
		if !strings.Contains(s.where, ".go:") || strings.HasPrefix(filepath.ToSlash(s.where), "pkg/results/") {
			continue // prose has words like "train.csv", and a stored result fields like "bpd.bins"
		}
		for _, name := range setting.FindAllString(s.text, -1) {
			if ext := filepath.Ext(name); slices.Contains([]string{".go", ".bin", ".csv", ".json", ".png", ".html", ".yaml", ".txt", ".safetensors"}, ext) {
				continue
			}
			n++
			if _, err := experiment.OverrideConfig("", nil, []string{name + "=null"}); err != nil && strings.Contains(err.Error(), "no setting") {
				t.Errorf("%s names the setting %s: %v", s.where, name, err)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d settings are named; they are no longer found", n)
	}
}

// Every flag that a message names is one of some command. Those of other programs are in kernelsetup, datasets and
// cluster, which call them, and in the nightly command.
func TestNamedFlagsExist(t *testing.T) {
	t.Chdir("../..") // where the program is called
	flag := regexp.MustCompile(`(?:^|[\s("\x60])--([a-z][a-z-]*)`)
	known := map[string]bool{"help": true, "xla": true, "porcelain": true, "untracked-files": true, "show-toplevel": true, // the latter are XLA's and git's
		"query-gpu": true, "format": true, "id": true, // nvidia-smi's
		"sort": true} // tar's
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(func() {}))
	n := 0
	for _, s := range everythingSaid(t) {
		dir, _, _ := strings.Cut(filepath.ToSlash(s.where), ":")
		if !strings.Contains(s.where, ".go:") || strings.HasPrefix(dir, "kernelsetup/") || strings.HasPrefix(dir, "datasets/source_") ||
			strings.HasPrefix(dir, "pkg/nightly/") || strings.HasPrefix(dir, "pkg/cluster/") {
			continue
		}
		for _, m := range flag.FindAllStringSubmatch(s.text, -1) {
			if n++; !known[m[1]] {
				t.Errorf("%s names the flag --%s, which no command has", s.where, m[1])
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d flags are named; they are no longer found", n)
	}
}

// A path in a command that a message names is written as a shell reads it, by [words.Shell].
func TestPathsInCommandsAreQuoted(t *testing.T) {
	t.Chdir("../..")
	path := regexp.MustCompile(`^(resume|report|dynamics|autopsy|sample|bpd|run|--dir|--store|--config|--from|-o|--output)$`)
	files, n := token.NewFileSet(), 0
	err := filepath.WalkDir(".", func(file string, e fs.DirEntry, err error) error {
		if name := e.Name(); e.IsDir() && name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "runs") {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			for i, arg := range call.Args {
				format, _ := literal(arg)
				for _, m := range quotedCommand.FindAllStringSubmatchIndex(format, -1) {
					at := i + 1 + len(verb.FindAllString(format[:m[2]], -1))
					for k, word := range strings.Fields(format[m[2]:m[3]]) {
						if k > 0 && verb.MatchString(word) && path.MatchString(strings.Fields(format[m[2]:m[3]])[k-1]) && at < len(call.Args) {
							n++
							shell, ok := call.Args[at].(*ast.CallExpr)
							if name, named := callee(shell, ok); !named || name != "Shell" {
								t.Errorf("%s: the path in `go run . %s` is not written by words.Shell", files.Position(call.Pos()), format[m[2]:m[3]])
							}
						}
						at += len(verb.FindAllString(word, -1))
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 6 {
		t.Errorf("only %d paths stand in commands; they are no longer found", n)
	}
}

// callee is the name of the function of another package that a call is of.
func callee(call *ast.CallExpr, ok bool) (name string, named bool) {
	if !ok {
		return "", false
	}
	selected, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	return selected.Sel.Name, true
}
