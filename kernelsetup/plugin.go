package kernelsetup

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"palimpsest/pkg/backend"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
)

// EnsurePlugin installs the XLA CPU plugin unless it is there. It does nothing if the plugin would not be used: because
// GOMLX_BACKEND names another backend, XLA is not compiled in, or there is no plugin for the machine.
func EnsurePlugin(ctx context.Context, out io.Writer) error {
	switch os.Getenv(compute.ConfigEnvVar) {
	case "", "xla", "xla:cpu":
	default:
		return nil
	}
	if !backend.XLABuilt || !backend.CPU.Supported() {
		return nil
	}
	return ensurePlugin(ctx, newProgress(out), backend.CPU)
}

func ensurePlugin(ctx context.Context, p *progress, plugin backend.Plugin) error {
	if !plugin.Supported() {
		p.line("%s: none for %s/%s, pure Go is used", plugin.Title, runtime.GOOS, runtime.GOARCH)
		return nil
	}
	t, err := pluginTree(plugin)
	if err != nil {
		return err
	}
	return t.ensure(ctx, p)
}

// pluginTree returns the folder of a plugin and how it is filled.
func pluginTree(plugin backend.Plugin) (tree, error) {
	dir, err := plugin.Dir()
	if err != nil {
		return tree{}, err
	}
	fill := func(ctx context.Context, dir string) error {
		if err := pipInstall(ctx, dir, plugin.Requirements); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return advised(err, pipFix, "could not install the %s", plugin.Title)
		}
		if _, err := os.Stat(filepath.Join(dir, plugin.File)); err != nil {
			return errors.Errorf("the packages of %s hold no %s", plugin.Name, plugin.File)
		}
		return plugin.Verify(filepath.Join(dir, plugin.File))
	}
	return tree{dir: dir, title: plugin.Title, fill: fill}, nil
}

// repairPlugin is [ensurePlugin] without trust in the stamp: it reads the whole library, and installs it again if it is damaged.
func repairPlugin(ctx context.Context, p *progress, plugin backend.Plugin) error {
	if path, err := plugin.Path(); err == nil {
		if err := plugin.Verify(path); err != nil {
			p.line("%v", err)
			// Without its stamp a folder is unfinished.
			dir, err := plugin.Dir()
			if err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(dir, backend.StampName)); err != nil && !os.IsNotExist(err) {
				return errors.Wrapf(err, "cannot replace it; remove %s by hand", dir)
			}
		}
	}
	return ensurePlugin(ctx, p, plugin)
}
