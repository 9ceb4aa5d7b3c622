package kernelsetup

import (
	"context"
	_ "embed"
	"path/filepath"

	"palimpsest/pkg/backend"
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
	version, err := pythonVersion(ctx, python)
	if err != nil {
		return tree{}, err
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return tree{}, err
	}
	fill := func(ctx context.Context, dir string) error {
		err := makeEnvironment(ctx, python, dir, "JupyterLab", jupyterRequirements, pipFix, "--no-compile", "--no-deps", "--require-hashes")
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(dir, "share", "jupyter", "lab", "settings", "overrides.json"), jupyterOverrides)
	}
	dir := filepath.Join(cache, "jupyter-"+hashOf(jupyterRequirements, string(jupyterOverrides), version))
	return tree{dir: dir, title: jupyterTitle, inPlace: true, fill: fill}, nil
}
