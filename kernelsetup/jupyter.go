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

// jupyterSettings are JupyterLab's settings where ours differ, until the user chooses others: no question about news, and names are
// completed where the kernel takes more than a second, as it does while gopls loads the packages. A kernel that runs a cell answers
// at once.
//
//go:embed jupyter/settings.json
var jupyterSettings []byte

// settingsFile is where JupyterLab looks for them, below a folder of its configuration.
const settingsFile = "labconfig/default_setting_overrides.json"

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
		return makeEnvironment(ctx, python, dir, "JupyterLab", jupyterRequirements, pipFix, "--no-compile", "--no-deps", "--require-hashes")
	}
	dir := filepath.Join(cache, "jupyter-"+hashOf(jupyterRequirements, version))
	return tree{dir: dir, title: jupyterTitle, inPlace: true, fill: fill}, nil
}
