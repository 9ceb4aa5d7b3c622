package kernelsetup

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/oneline"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/installer"
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

// DownloadPlugin is what stands in the place of a plugin's file where go-xla's own installer is to bring it.
const DownloadPlugin = "download"

// takePlugin takes a copy of the XLA CPU plugin in a file, or brings it first.
func takePlugin(ctx context.Context, p *progress, file string) error {
	system, err := backend.PluginMayBeGiven()
	if err != nil {
		return err
	}
	if file == DownloadPlugin {
		dir, err := os.MkdirTemp("", "palimpsest-plugin-")
		if err != nil {
			return errors.WithStack(err)
		}
		defer os.RemoveAll(dir)
		if file, err = downloadPlugin(ctx, dir, system); err != nil {
			return err
		}
	}
	path, err := backend.GivePlugin(file)
	if err != nil {
		return err
	}
	sum, err := atomicfile.SHA256(path)
	if err != nil {
		return err
	}
	p.line("the XLA CPU plugin is at %s, and held to its SHA-256 from now on, %s; it is %s", path, sum, backend.NotTried)
	return nil
}

// downloadPlugin has go-xla's installer bring the plugin for a system, "linux/arm64", into dir. Its releases state no hashes, and none could be computed
// here: what comes first is what is held to.
func downloadPlugin(ctx context.Context, dir, system string) (file string, err error) {
	done := make(chan error, 1)
	go func() { // the installer knows no context: an interrupt leaves it to the end of the process
		done <- installer.CPUInstall(strings.ReplaceAll(system, "/", "_"), backend.PluginRelease, dir, false, installer.Quiet)
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case err = <-done:
	}
	if err != nil {
		return "", errors.Errorf("the XLA CPU plugin for %s, release %s, could not be downloaded: %s; with a network run it again, or give a file: go run . setup --plugin FILE",
			system, backend.PluginRelease, oneline.Text(err.Error()))
	}
	found, err := atomicfile.Glob(dir, "*_plugin.so")
	if err != nil || len(found) == 0 {
		return "", errors.Errorf("release %s of the XLA CPU plugin for %s holds no plugin", backend.PluginRelease, system)
	}
	return found[0], nil
}
