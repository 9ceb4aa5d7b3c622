package kernelsetup

import (
	"context"
	"embed"
	"io/fs"
	"path/filepath"
	"strings"

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

// jupyterExtension is an extension of JupyterLab, in the form in which it loads one. It has a cell wait that is run before its kernel is
// connected.
//
//go:embed jupyter/extension
var jupyterExtension embed.FS

// writeExtension puts the extension where JupyterLab looks for such.
func (k Kernel) writeExtension() error {
	const from = "jupyter/extension"
	return fs.WalkDir(jupyterExtension, from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := jupyterExtension.ReadFile(name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(k.JupyterPath, "labextensions", "palimpsest", filepath.FromSlash(strings.TrimPrefix(name, from))), text)
	})
}

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
