package kernelsetup

import (
	"context"
	_ "embed"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// peer is one of the programs that ours is measured against.
type peer struct {
	title        string // with what it takes on the disk
	requirements string // exact versions; PyTorch itself pins the libraries it brings for NVIDIA cards
}

//go:embed peers/torch.txt
var torchRequirements string

//go:embed peers/jax.txt
var jaxRequirements string

var peers = map[string]peer{
	"torch": {"PyTorch 2.15.0 to measure against, about 5.4 GB on the disk", torchRequirements},
	"jax":   {"JAX 0.10.2, Flax and Optax to measure against, about 0.9 GB on the disk", jaxRequirements},
}

// PeerPython returns the Python of an environment of its own with what is measured against, "torch" or "jax". Where
// there is none it is made, in the cache folder, which is said with its size before it begins.
func PeerPython(ctx context.Context, name string, out io.Writer) (string, error) {
	p, found := peers[name]
	if !found {
		return "", errors.Errorf("nothing to measure against is named %q; choose \"torch\" or \"jax\"", name)
	}
	if runtime.GOOS == "windows" {
		return "", errors.New("what to measure against is not installed on Windows; use WSL")
	}
	python, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	if _, err := command(ctx, "", nil, python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", errors.Errorf("%s is older than 3.11, which %s needs; put a newer python3 first in PATH, or name a Python that has it with --python", python, name)
	}
	version, err := command(ctx, "", nil, python, "-c", "import sys; print(sys.base_prefix, sys.version)")
	if err != nil {
		return "", err
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return "", err
	}
	t := tree{dir: filepath.Join(cache, name+"-"+hashOf(p.requirements, version)), title: p.title, inPlace: true,
		fill: func(ctx context.Context, dir string) error { return fillPeer(ctx, python, dir, p) }}
	return filepath.Join(t.dir, "bin", "python"), t.ensure(ctx, newProgress(out))
}

// fillPeer makes the environment of a peer in dir.
func fillPeer(ctx context.Context, python, dir string, p peer) error {
	if _, err := command(ctx, "", nil, python, "-m", "venv", dir); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Errorf("could not make a Python environment: %v\n%s", err, pythonFix)
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(p.requirements), 0o644); err != nil {
		return errors.WithStack(err)
	}
	_, err := command(ctx, dir, pipEnv, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir",
		"--only-binary=:all:", "-r", list)
	if err != nil && ctx.Err() == nil {
		return errors.Errorf("could not install %s: %v\ncheck the network and the space in %s, or name a Python that has it with --python",
			p.title, err, filepath.Dir(dir))
	}
	return err
}
