package kernelsetup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// pipEnv overrides the user's settings of pip that change where packages are installed. The others, such as a mirror, stay.
var pipEnv = []string{
	"PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0", "PIP_DISABLE_PIP_VERSION_CHECK=1",
	"PIP_NO_INPUT=1", "PYTHONNOUSERSITE=1",
}

const (
	pythonFix = "install Python 3.10 or later (apt-get install python3 python3-venv python3-pip)"
	pipFix    = "check the network, or set PIP_INDEX_URL to a mirror or PIP_FIND_LINKS to a folder " +
		"with the wheels, and run: go run . setup"
)

// findPython returns the Python to use: python3, at least 3.10.
func findPython(ctx context.Context) (string, error) {
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.Errorf("no python3 found in PATH; %s", pythonFix)
	}
	return python, needPython(ctx, python, 10, "; "+pythonFix)
}

// needPython returns an error if python is older than 3.minor; more is the end of that error.
func needPython(ctx context.Context, python string, minor int, more string) error {
	_, err := command(ctx, "", nil, python, "-c", fmt.Sprintf("import sys; sys.exit(sys.version_info < (3, %d))", minor))
	if err != nil && ctx.Err() == nil {
		return errors.Errorf("%s is older than 3.%d%s", python, minor, more)
	}
	return ctx.Err()
}

// pythonVersion is different for every Python. It is part of an environment's name, since an environment refers to its Python and is of no use without it.
func pythonVersion(ctx context.Context, python string) (string, error) {
	return command(ctx, "", nil, python, "-c", "import sys; print(sys.base_prefix, sys.version)")
}

// makeEnvironment makes a Python environment in dir with the packages of requirements, a text in pip's format. If they cannot
// be installed, the error says that of what, their name for people, and ends with fix, what to do about it.
func makeEnvironment(ctx context.Context, python, dir, what, requirements, fix string, options ...string) error {
	if _, err := command(ctx, "", nil, python, "-m", "venv", dir); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return advised(err, pythonFix, "could not make a Python environment")
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o644); err != nil {
		return errors.WithStack(err)
	}
	argv := slices.Concat([]string{filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--only-binary=:all:"}, options, []string{"-r", list})
	if _, err := command(ctx, dir, pipEnv, argv...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return advised(err, fix, "could not install %s", what)
	}
	return nil
}

// findPip returns how to call pip: the pip of the Python in PATH, or, if that has none, the pip of an environment in dir that is
// made for this call and removed after it.
func findPip(ctx context.Context, dir string) ([]string, error) {
	python, err := findPython(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := command(ctx, "", pipEnv, python, "-c", "import pip"); err == nil {
		return []string{python, "-m", "pip"}, nil
	}
	env := filepath.Join(dir, ".pip")
	if _, err := command(ctx, "", nil, python, "-m", "venv", env); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if atomicfile.DiskFull(err) {
			return nil, err
		}
		return nil, errors.Errorf("%s has neither pip nor venv; %s", python, pythonFix)
	}
	return []string{filepath.Join(env, "bin", "python"), "-m", "pip"}, nil
}

// pipInstall unpacks the packages of requirements, a text in pip's format with a hash for
// each, into dir, an empty folder. Packages for other versions of Python are taken too: only the library in them is used.
func pipInstall(ctx context.Context, dir, requirements string) error {
	pip, err := findPip(ctx, dir)
	if err != nil {
		return err
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o644); err != nil {
		return errors.WithStack(err)
	}
	// --no-cache-dir: a plugin is taken once, and its wheel is large.
	_, err = command(ctx, dir, pipEnv, append(pip, "install", "--quiet", "--no-compile", "--no-cache-dir", "--ignore-requires-python",
		"--no-deps", "--require-hashes", "--only-binary=:all:", "--target", dir, "-r", list)...)
	if err != nil {
		return err
	}
	return errors.WithStack(os.RemoveAll(filepath.Join(dir, ".pip")))
}
