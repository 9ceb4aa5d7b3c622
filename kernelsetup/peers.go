package kernelsetup

import (
	"context"
	_ "embed"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"palimpsest/pkg/backend"

	"github.com/pkg/errors"
)

// peer is one of the programs that ours is measured against.
type peer struct {
	title        string // with what it takes on the disk
	requirements string // exact versions; PyTorch itself pins the libraries it brings for NVIDIA cards
	base         string // the peer whose environment is below this one; "": none
}

//go:embed peers/torch.txt
var torchRequirements string

//go:embed peers/jax.txt
var jaxRequirements string

//go:embed peers/diffusers.txt
var diffusersRequirements string

var peers = map[string]peer{
	"torch":     {"PyTorch 2.15.0 to measure against, about 5.4 GB on the disk", torchRequirements, ""},
	"jax":       {"JAX 0.10.2, Flax and Optax to measure against, about 0.9 GB on the disk", jaxRequirements, ""},
	"diffusers": {"diffusers 0.42.1, TensorBoard 2.21.0, prdc 0.2 and torch-fidelity 0.4.0 to compare with, about 0.5 GB on the disk", diffusersRequirements, "torch"},
}

// PeerPython returns the Python of a separate environment that holds a program we compare with: "torch" or "jax" for speed,
// "diffusers" for numbers. The environment of "diffusers" builds on that of "torch". One that is missing is made in the cache folder,
// after a message that gives its size.
func PeerPython(ctx context.Context, name string, out io.Writer) (string, error) {
	t, err := peerTree(ctx, name)
	if err != nil {
		return "", err
	}
	if base := peers[name].base; base != "" {
		if _, err := PeerPython(ctx, base, out); err != nil {
			return "", err
		}
	}
	return t.python(), t.ensure(ctx, newProgress(out))
}

// FindPeer is [PeerPython] if the environment was made before; otherwise it returns "" and makes none.
func FindPeer(ctx context.Context, name string) string {
	if t, err := peerTree(ctx, name); err == nil && t.finished() {
		return t.python()
	}
	return ""
}

// python is that of an environment.
func (t tree) python() string { return filepath.Join(t.dir, "bin", "python") }

// peerTree is the environment of a name, made or not.
func peerTree(ctx context.Context, name string) (tree, error) {
	p, found := peers[name]
	if !found {
		return tree{}, errors.Errorf("nothing to measure against is named %q; choose \"torch\", \"jax\" or \"diffusers\"", name)
	}
	if runtime.GOOS == "windows" {
		return tree{}, errors.New("what to measure against is not installed on Windows; use WSL")
	}
	python, err := findPython(ctx)
	if err != nil {
		return tree{}, err
	}
	more := ", which " + name + " needs; put a newer python3 first in PATH, or name a Python that has it with --python"
	if err := needPython(ctx, python, 11, more); err != nil {
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
	below := ""
	if p.base != "" {
		base, err := peerTree(ctx, p.base)
		if err != nil {
			return tree{}, err
		}
		below = base.python()
	}
	fill := func(ctx context.Context, dir string) error {
		fix := "check the network and the space in " + cache + ", or name a Python that has it with --python"
		options := []string{"--no-cache-dir"}
		if below != "" {
			options = append(options, "--no-deps") // the list is complete, but for what lies below, which would be installed again
		}
		if err := makeEnvironment(ctx, python, dir, p.title, p.requirements, fix, options...); err != nil || below == "" {
			return err
		}
		return layOver(ctx, dir, below)
	}
	return tree{dir: filepath.Join(cache, name+"-"+hashOf(p.requirements, below, version)), title: p.title, inPlace: true, fill: fill}, nil
}

// sitePackages is a program that prints where a Python has its packages.
const sitePackages = "import sysconfig; print(sysconfig.get_path('purelib'))"

// layOver makes the environment in dir look for packages in its own folder first, and then in that of the Python below.
func layOver(ctx context.Context, dir, below string) error {
	own, err := command(ctx, "", nil, filepath.Join(dir, "bin", "python"), "-c", sitePackages)
	if err != nil {
		return err
	}
	theirs, err := command(ctx, "", nil, below, "-c", sitePackages)
	if err != nil {
		return err
	}
	return errors.WithStack(os.WriteFile(filepath.Join(strings.TrimSpace(own), "below.pth"), []byte(strings.TrimSpace(theirs)+"\n"), 0o644))
}
