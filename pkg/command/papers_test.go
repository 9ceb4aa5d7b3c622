package command

import (
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
)

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	codeBlock = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"`)
	heading   = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	linked    = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// links are the targets of links and images in a Markdown text.
func links(markdown string) []string {
	var targets []string
	for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(markdown, ""), ""), -1) {
		targets = append(targets, m[1]+m[2])
	}
	return targets
}

// anchors are the names that GitHub gives to the headings of a Markdown text.
func anchors(markdown string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(markdown, ""), -1) {
		title := strings.ToLower(strings.ReplaceAll(linked.ReplaceAllString(m[1], "$1"), "`", ""))
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsNumber(r), r == '-', r == '_':
				return r
			}
			return -1
		}, title))
	}
	return names
}

func TestAnchors(t *testing.T) {
	text := "# How far down should λ go?\n```sh\n# no heading\n```\n## `er`, [told](x.md) apart\n[a](b.md#c) `[no](link)`\n<img src=\"d.png\">\n"
	if got, want := anchors(text), []string{"how-far-down-should-λ-go", "er-told-apart"}; !slices.Equal(got, want) {
		t.Errorf("anchors %q, want %q", got, want)
	}
	if got, want := links(text), []string{"x.md", "b.md#c", "d.png"}; !slices.Equal(got, want) {
		t.Errorf("links %q, want %q", got, want)
	}
}

// Every relative link and image of a Markdown file or notebook leads to a file that there is, and to a heading that it has.
func TestLinksResolve(t *testing.T) {
	t.Chdir("../..")
	n := 0
	check := func(path, markdown string) {
		for _, target := range links(markdown) {
			u, err := url.Parse(target)
			if err != nil {
				t.Errorf("%s links to %q: %v", path, target, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			n++
			to := path
			if u.Path != "" {
				to = filepath.Join(filepath.Dir(path), filepath.FromSlash(u.Path))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", path, target, err)
				continue
			}
			if u.Fragment == "" || filepath.Ext(to) != ".md" {
				continue
			}
			if have := anchors(mustRead(t, to)); !slices.Contains(have, u.Fragment) {
				t.Errorf("%s links to %s, but the headings of %s are %q", path, target, to, have)
			}
		}
	}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if name := e.Name(); path != "." && strings.HasPrefix(name, ".") || name == "testdata" || name == "runs" {
				return fs.SkipDir
			}
		case filepath.Ext(path) == ".md":
			check(path, mustRead(t, path))
		case filepath.Ext(path) == ".ipynb":
			var notebook struct {
				Cells []struct {
					Kind   string `json:"cell_type"`
					Source []string
				}
			}
			if err := json.Unmarshal([]byte(mustRead(t, path)), &notebook); err != nil {
				return err
			}
			for _, c := range notebook.Cells {
				if c.Kind == "markdown" {
					check(path, strings.Join(c.Source, ""))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 60 {
		t.Errorf("only %d links; they are no longer found", n)
	}
}

// The README is short, begins with the two commands, of which .ci/run has the second, and its map has every package.
func TestREADME(t *testing.T) {
	t.Chdir("../..")
	readme := mustRead(t, "README.md")
	if len(readme) >= 12_000 {
		t.Errorf("README.md has %d bytes; keep it under 12,000 and put the rest into notebooks/results or pkg/command/README.md", len(readme))
	}
	block, _, _ := strings.Cut(strings.TrimPrefix(codeBlock.FindString(readme), "```sh\n"), "```")
	var commands []string
	for line := range strings.Lines(block) {
		command, _, _ := strings.Cut(line, "#")
		commands = append(commands, strings.TrimSpace(command))
	}
	if want := []string{"go run -v . bench", "go test -timeout 40m ./..."}; !slices.Equal(commands, want) {
		t.Errorf("README.md begins with the commands %q, want %q", commands, want)
	} else if ci := strings.ReplaceAll(mustRead(t, ".ci/run"), `"${again[@]}" `, ""); !strings.HasSuffix(ci, "\n"+want[1]+"\n") {
		t.Errorf(".ci/run does not end with %q, what it has tried already left out", want[1])
	}
	packages, err := os.ReadDir("pkg")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if p.IsDir() && !strings.Contains(readme, "(pkg/"+p.Name()+")") {
			t.Errorf("the map in README.md lacks pkg/%s", p.Name())
		}
	}
}

// What CONTRIBUTING.md and CHANGELOG.md name there is: files, and commits of this history.
func TestPapersNameWhatThereIs(t *testing.T) {
	t.Chdir("../..")
	contributing := mustRead(t, "CONTRIBUTING.md")
	paths := 0
	for _, m := range regexp.MustCompile("`((?:pkg|datasets|notebooks|\\.ci)/[^`\\s]+)`").FindAllStringSubmatch(contributing, -1) {
		if strings.Contains(m[1], "NAME") {
			continue
		}
		paths++
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("CONTRIBUTING.md names %s: %v", m[1], err)
		}
	}
	if paths < 20 {
		t.Errorf("CONTRIBUTING.md names only %d files; they are no longer found", paths)
	}
	if out, err := exec.Command("git", "rev-parse", "--is-shallow-repository").Output(); err != nil || strings.TrimSpace(string(out)) != "false" {
		t.Skip("without the history no commit can be looked up")
	}
	commits := regexp.MustCompile(`\b[0-9a-f]{7}\b`).FindAllString(codeBlock.ReplaceAllString(contributing, "")+mustRead(t, "CHANGELOG.md"), -1)
	if len(commits) < 14 {
		t.Errorf("only %d commits are named; they are no longer found", len(commits))
	}
	for _, c := range commits {
		if out, err := exec.Command("git", "merge-base", "--is-ancestor", c, "HEAD").CombinedOutput(); err != nil {
			t.Errorf("CONTRIBUTING.md or CHANGELOG.md names %s, no commit of this history: %v %s", c, err, out)
		}
	}
}

// NOTICE names every Go module that go.mod requires and none else, every Python package that setup pins, and every image set
// with its licence.
func TestNoticeNamesWhatIsUsed(t *testing.T) {
	t.Chdir("../..")
	notice := mustRead(t, "NOTICE")
	words := map[string]bool{}
	spelling := strings.NewReplacer("_", "-", ".", "-")
	for _, w := range strings.FieldsFunc(notice, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;()", r) }) {
		words[spelling.Replace(strings.ToLower(strings.TrimSuffix(w, ".")))] = true
	}

	module := regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/\S+) v\S+`)
	required := map[string]bool{}
	for _, m := range module.FindAllStringSubmatch(mustRead(t, "go.mod"), -1) {
		required[m[1]] = true
		if !strings.Contains(notice, "\n  "+m[1]+" ") {
			t.Errorf("NOTICE lacks %s, which go.mod requires; add it with its licence", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z0-9.]+\.[a-z]+/\S+) `).FindAllStringSubmatch(notice, -1) {
		if !required[m[1]] {
			t.Errorf("NOTICE has %s, which go.mod does not require", m[1])
		}
	}
	if len(required) < 20 {
		t.Errorf("go.mod requires only %d modules; they are no longer found", len(required))
	}

	pinned, err := filepath.Glob("pkg/backend/requirements/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	distribution, n := regexp.MustCompile(`(?m)^([A-Za-z0-9._-]+)==`), 0
	for _, file := range append(pinned, "kernelsetup/jupyter/requirements.txt") {
		for _, m := range distribution.FindAllStringSubmatch(mustRead(t, file), -1) {
			n++
			if name := spelling.Replace(strings.ToLower(m[1])); !words[name] && !strings.HasPrefix(name, "nvidia-") {
				t.Errorf("NOTICE lacks the Python package %s of %s", m[1], file)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d Python packages; they are no longer found", n)
	}

	sets, err := datasets.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets {
		if s.Own { // registered on this machine
			continue
		}
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(s.Name) + ` +` + regexp.QuoteMeta(s.Licence) + `$`).MatchString(notice) {
			t.Errorf("NOTICE lacks the image set %s with its licence, %q", s.Name, s.Licence)
		}
	}
}

// CITATION.cff is YAML with what its format asks for, and cites the paper that README.md names.
func TestCitation(t *testing.T) {
	t.Chdir("../..")
	var c struct {
		Version    string `yaml:"cff-version"`
		Message    string
		Title      string
		Licence    string `yaml:"license"`
		Authors    []map[string]string
		References []struct {
			Authors []map[string]string
			URL     string
		}
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, "CITATION.cff")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Version != "1.2.0" || c.Message == "" || c.Title == "" || len(c.Authors) == 0 || c.Licence != "Apache-2.0" || len(c.References) == 0 {
		t.Fatalf("CITATION.cff holds %+v; need version 1.2.0, message, title, authors, license Apache-2.0, references", c)
	}
	if r := c.References[0]; len(r.Authors) == 0 || !strings.Contains(mustRead(t, "README.md"), r.URL) {
		t.Errorf("CITATION.cff refers to %+v; need the authors and the paper of README.md", r)
	}
	if licence := mustRead(t, "LICENSE"); !strings.Contains(licence, "Apache License\n") || !strings.Contains(licence, "Version 2.0, January 2004") ||
		!strings.Contains(licence, c.Authors[0]["name"]) {
		t.Error("LICENSE is not the Apache License 2.0 of the authors that CITATION.cff names")
	}
}
