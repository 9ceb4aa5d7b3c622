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
// changed since. A failure is reported and left to the cells.
func ensurePackages(ctx context.Context, p *progress, repo, goBin, goVersion string) error {
	imports, err := notebookImports(repo)
	if err != nil || len(imports) == 0 {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		return errors.WithStack(err)
	}
	want := hashOf(append(imports, string(mod), goVersion)...)
	stamp := filepath.Join(repo, ".jupyter", "packages")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return nil
	}
	err = p.step("packages the notebooks import", func() error {
		_, err := command(ctx, repo, []string{"GOWORK=off", "GOFLAGS=-buildvcs=false"},
			append([]string{filepath.Join(goBin, "go"), "build"}, imports...)...)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.line("cells that import them may fail: %v", err)
		return nil
	}
	return writeFile(stamp, []byte(want))
}

// importLine matches an import in a cell: a line of a block, or one on its own.
var importLine = regexp.MustCompile(`(?m)^\s*(?:import\s+)?(?:[\w.]+\s+)?"([\w.~/-]+)"\s*(?://.*)?$`)

// notebookImports returns the packages beyond the standard library that the checkout's
// notebooks import, sorted.
func notebookImports(repo string) ([]string, error) {
	var all []string
	for _, file := range notebooks(repo) {
		nb, err := kernel.Read(file)
		if err != nil {
			return nil, err
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
	return slices.Compact(all), nil
}
