package kernelsetup

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// jupyterTitle names JupyterLab in messages, with the size of the download.
const jupyterTitle = "JupyterLab 4.6.6, 46 MB"

//go:embed jupyter/requirements.txt
var jupyterRequirements string

// jupyterOverrides are JupyterLab's settings where ours differ: no question about news.
//
//go:embed jupyter/overrides.json
var jupyterOverrides []byte

// jupyterTree returns the folder of the Python environment with JupyterLab.
func jupyterTree(ctx context.Context) (tree, error) {
	python, err := findPython(ctx)
	if err != nil {
		return tree{}, err
	}
	// An environment points at its Python and dies with it, so both are in its name.
	version, err := command(ctx, "", nil, python, "-c", "import sys; print(sys.base_prefix, sys.version)")
	if err != nil {
		return tree{}, err
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return tree{}, err
	}
	fill := func(ctx context.Context, dir string) error {
		if _, err := command(ctx, "", nil, python, "-m", "venv", dir); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Errorf("could not make a Python environment: %v\n%s", err, pythonFix)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, []byte(jupyterRequirements), 0o644); err != nil {
			return errors.WithStack(err)
		}
		_, err := command(ctx, dir, pipEnv, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet",
			"--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r", list)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.Errorf("could not install JupyterLab: %v\n%s", err, pipFix)
		}
		return writeFile(filepath.Join(dir, "share", "jupyter", "lab", "settings", "overrides.json"), jupyterOverrides)
	}
	dir := filepath.Join(cache, "jupyter-"+hashOf(jupyterRequirements, string(jupyterOverrides), version))
	return tree{dir: dir, title: jupyterTitle, inPlace: true, fill: fill}, nil
}
