package backend

import (
	"debug/elf"
	"debug/macho"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// untried lists the systems for which nobody publishes an XLA CPU plugin that this repository could pin by a hash it has
// computed, and the file of go-xla's releases that is built for each. None was ever run with this program.
var untried = map[string]string{
	"linux/arm64":  "pjrt_cpu_linux_arm64.tar.gz",
	"darwin/arm64": "pjrt_cpu_darwin_arm64.tar.gz",
}

// NotTried is what is said of a plugin that was never run with this program.
const NotTried = "not tried by us"

// system names the machine's system as Go does, "linux/amd64". Tests put another in its place.
var system = func() string { return runtime.GOOS + "/" + runtime.GOARCH }

// givenFile is where the plugin given for a system lies, if there is one.
func givenFile(system string) (string, error) {
	dir, err := CacheDir()
	return filepath.Join(dir, "plugins", "given", filepath.FromSlash(system), "pjrt_c_api_cpu_plugin.so"), err
}

// givenPath returns where a plugin that [GivePlugin] has taken lies on a system; it fails, naming the command, where there
// is none, and where there cannot be one.
func givenPath(system string) (string, error) {
	asset, known := untried[system]
	if !known {
		return "", errors.Errorf("there is no XLA CPU plugin for %s", system)
	}
	path, err := givenFile(system)
	if err != nil {
		return "", err
	}
	if !exists(path) {
		return "", errors.Errorf("no XLA CPU plugin is pinned for %s; one %s: unpack %s of github.com/gomlx/pjrt-cpu-binaries, release v0.114.0, and run: "+
			"go run . setup --plugin FILE", system, NotTried, asset)
	}
	return path, nil
}

// GivePlugin takes a copy of the XLA CPU plugin in a file for this machine, one for which no plugin is pinned. It fails
// where one is, where the file is no library for the machine, and where it cannot be copied.
func GivePlugin(file string) (path string, err error) { return givePlugin(file, system()) }

func givePlugin(file, system string) (string, error) {
	if _, known := untried[system]; !known {
		if CPU.Supported() {
			return "", errors.Errorf("--plugin is for systems without a pinned plugin, and %s has one: run `go run . setup`; %s=xla:FILE opens another",
				system, "GOMLX_BACKEND")
		}
		return "", errors.Errorf("--plugin: XLA cannot be built into this program on %s", system)
	}
	if err := checkLibrary(file, system); err != nil {
		return "", err
	}
	path, err := givenFile(system)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", errors.Wrapf(err, "the plugin needs a folder; make it writable or set %s", CacheEnv)
	}
	in, err := os.Open(file)
	if err != nil {
		return "", errors.WithStack(err)
	}
	defer in.Close()
	err = atomicfile.WriteFrom(path, func(out io.Writer) error {
		_, err := io.Copy(out, in)
		return err
	})
	return path, err
}

// checkLibrary says whether file is a shared library for a system of untried.
func checkLibrary(file, system string) error {
	found := "no shared library"
	if f, err := elf.Open(file); err == nil {
		defer f.Close()
		if f.Type == elf.ET_DYN && f.Machine == elf.EM_AARCH64 && system == "linux/arm64" {
			return nil
		}
		found = fmt.Sprintf("ELF of type %s for %s", f.Type, f.Machine)
	} else if f, err := macho.Open(file); err == nil {
		defer f.Close()
		if f.Type == macho.TypeDylib && f.Cpu == macho.CpuArm64 && system == "darwin/arm64" {
			return nil
		}
		found = fmt.Sprintf("Mach-O of type %s for %s", f.Type, f.Cpu)
	} else if _, err := os.Stat(file); err != nil {
		return errors.Wrap(err, "--plugin")
	}
	return errors.Errorf("--plugin %s: it is %s; need the shared library for %s (unpack the archive first)", file, found, system)
}
