package kernelsetup

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"palimpsest/notebooks/kernel"

	"github.com/pkg/errors"
)

// ensurePackages downloads and builds what the checkout's notebooks import: cells run
// without a network. It does nothing if neither the notebooks' imports nor go.mod
// changed since the last time; the file that records this is in the module cache and is removed with
// it. A failure is reported, but is no error: the cells that need the package will fail.
func ensurePackages(ctx context.Context, p *progress, repo, goBin, goVersion string) error {
	imports := notebookImports(repo)
	mod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		return errors.WithStack(err)
	}
	goCommand, env := filepath.Join(goBin, "go"), []string{"GOWORK=off", "GOFLAGS=-buildvcs=false"}
	modules, err := command(ctx, repo, env, goCommand, "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	stamp := filepath.Join(strings.TrimSpace(modules), "cache", "palimpsest-"+hashOf(append(imports, string(mod), goVersion)...))
	if _, err := os.Stat(stamp); err == nil {
		return nil
	}
	err = p.step("packages the notebooks import", func() error {
		// GoNB's "go get" in a workspace reads the go.mod of every module there is.
		if _, err := command(ctx, repo, env, goCommand, "list", "-m", "all"); err != nil || len(imports) == 0 {
			return err
		}
		_, err := command(ctx, repo, env, append([]string{goCommand, "build"}, imports...)...)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.line("cells that import them may fail: %v", err)
		return nil
	}
	// A module cache that cannot be written to costs this step on every start, no more.
	_ = writeFile(stamp, nil)
	return nil
}

// importLine matches an import in a cell: a line of a block, or one on its own.
var importLine = regexp.MustCompile(`(?m)^\s*(?:import\s+)?(?:[\w.]+\s+)?"([\w.~/-]+)"\s*(?://.*)?$`)

// notebookImports returns the packages beyond the standard library that the checkout's
// notebooks import, sorted. A file that is no notebook has none: JupyterLab says what is wrong with it when it is opened.
func notebookImports(repo string) []string {
	var all []string
	for _, file := range notebooks(repo) {
		nb, err := kernel.Read(file)
		if err != nil {
			continue
		}
		for _, cell := range nb.Cells {
			if cell.Type != "code" || !strings.Contains(cell.Source, "import") {
				continue
			}
			for _, match := range importLine.FindAllStringSubmatch(cell.Source, -1) {
				first, _, _ := strings.Cut(match[1], "/")
				if strings.Contains(first, ".") || first == Module {
					all = append(all, match[1])
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
