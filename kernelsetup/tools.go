package kernelsetup

import (
	"context"
	"embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// tool is a Go program that is built from a module of its own. If all tools were in one module, one of them would need newer
// versions of libraries than those with which another compiles.
type tool struct {
	name    string
	version string
	title   string
	changed string // path of the module that we change before the tool is built; "" if we change none
}

var (
	gonb      = tool{"gonb", "v0.11.5", "GoNB kernel", "github.com/janpfeifer/gonb"}
	goimports = tool{"goimports", "v0.52.0", "goimports", ""}
	gopls     = tool{"gopls", "v0.23.0", "gopls, for completion", ""}
)

// toolModules holds NAME/mod.txt and NAME/sum.txt, the go.mod and go.sum of each tool, made by "go get -tool" and "go mod tidy".
// A folder with a file named go.mod would not belong to this module, and could not be embedded. NAME/changes.diff, if there is
// one, holds our changes to the tool's source; tools/README.md says why and how.
//
//go:embed tools
var toolModules embed.FS

// goFix says how a missing Go is installed.
const goFix = "install Go 1.26.5 or later and put its bin folder on PATH"

// findGo returns the folder of the go command and its version, "go1.26.8".
func findGo(ctx context.Context) (bin, version string, err error) {
	program, err := exec.LookPath("go")
	if err != nil {
		return "", "", errors.Errorf("no go found in PATH; %s", goFix)
	}
	out, err := command(ctx, os.TempDir(), []string{"GOWORK=off", "GOFLAGS="}, program, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return "", "", err
	}
	lines := strings.Fields(out)
	if len(lines) != 2 {
		return "", "", errors.Errorf("%s env GOROOT GOVERSION says %q, need two words; %s", program, out, goFix)
	}
	return filepath.Join(lines[0], "bin"), lines[1], nil
}

// tree returns the folder of t, built by the go of the given folder and version.
func (t tool) tree(goBin, goVersion string) (tree, error) {
	mod, err := toolModules.ReadFile("tools/" + t.name + "/mod.txt")
	if err != nil {
		return tree{}, errors.WithStack(err)
	}
	sum, err := toolModules.ReadFile("tools/" + t.name + "/sum.txt")
	if err != nil {
		return tree{}, errors.WithStack(err)
	}
	var changes []byte
	if t.changed != "" {
		if changes, err = toolModules.ReadFile("tools/" + t.name + "/changes.diff"); err != nil {
			return tree{}, errors.WithStack(err)
		}
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return tree{}, err
	}
	fill := func(ctx context.Context, dir string) error {
		module := filepath.Join(dir, "module")
		if err := os.Mkdir(module, 0o755); err != nil {
			return errors.WithStack(err)
		}
		for name, text := range map[string][]byte{"go.mod": mod, "go.sum": sum} {
			if err := os.WriteFile(filepath.Join(module, name), text, 0o644); err != nil {
				return errors.WithStack(err)
			}
		}
		// "go install tool" and not "go install pkg@version", which asks the proxy for a list of versions and so fails without a
		// network, even if all that it needs is there.
		env := []string{"GOWORK=off", "GOFLAGS=-buildvcs=false", "GOBIN=" + dir}
		goCommand := filepath.Join(goBin, "go")
		var err error
		if t.changed != "" {
			err = t.change(ctx, module, env, goCommand, string(changes))
		}
		if err == nil {
			_, err = command(ctx, module, env, goCommand, "install", "tool")
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return advised(err, "check the network, or set GOPROXY to a mirror, and run: go run . setup", "could not build %s %s", t.name, t.version)
		}
		return errors.WithStack(os.RemoveAll(module))
	}
	parts := []string{string(mod), string(sum), goVersion}
	if t.changed != "" {
		parts = append(parts, string(changes))
	}
	name := t.name + "-" + t.version + "-" + hashOf(parts...)
	return tree{dir: filepath.Join(cache, "tools", name), title: t.title + " " + t.version, fill: fill}, nil
}

// change has the tool built from a changed copy of its module in place of the published one.
func (t tool) change(ctx context.Context, module string, env []string, goCommand, changes string) error {
	text, err := command(ctx, module, env, goCommand, "mod", "download", "-json", t.changed)
	if err != nil {
		return err
	}
	var published struct{ Dir string }
	if err := json.Unmarshal([]byte(text), &published); err != nil {
		return errors.Wrapf(err, "`go mod download -json` of %s", t.changed)
	}
	own := filepath.Join(module, "changed")
	if err := os.CopyFS(own, os.DirFS(published.Dir)); err != nil {
		return errors.WithStack(err)
	}
	if err := applyChanges(own, changes); err != nil {
		return errors.WithMessagef(err, "changing %s %s", t.name, t.version)
	}
	_, err = command(ctx, module, env, goCommand, "mod", "edit", "-replace="+t.changed+"="+own)
	return err
}

// ensure builds t unless it is there and returns its folder.
func (t tool) ensure(ctx context.Context, p *progress, goBin, goVersion string) (string, error) {
	tree, err := t.tree(goBin, goVersion)
	if err != nil {
		return "", err
	}
	return tree.dir, tree.ensure(ctx, p)
}
