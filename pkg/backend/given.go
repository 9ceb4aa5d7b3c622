package backend

import (
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// untried are the systems for which nobody publishes an XLA CPU plugin that this repository could pin by a hash it has computed, and
// whose plugin go-xla's installer has. None was ever run with this program.
var untried = []string{"linux/arm64", "darwin/arm64"}

// PluginRelease is the release of XLA's CPU plugin that go-xla was tested with.
const PluginRelease = "v0.114.0"

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
	if !slices.Contains(untried, system) {
		return "", errors.Errorf("there is no XLA CPU plugin for %s", system)
	}
	path, err := givenFile(system)
	if err != nil {
		return "", err
	}
	if !exists(path) {
		return "", errors.Errorf("no XLA CPU plugin is pinned for %s; one %s, release %s of go-xla's, comes by: go run . setup --plugin download; "+
			"one of your own by: go run . setup --plugin FILE", system, NotTried, PluginRelease)
	}
	return path, nil
}

// PluginMayBeGiven returns the system that [GivePlugin] takes a plugin for, "linux/arm64". It fails where one is pinned and where there cannot be one.
func PluginMayBeGiven() (string, error) { return system(), mayBeGiven(system()) }

func mayBeGiven(system string) error {
	switch {
	case slices.Contains(untried, system):
		return nil
	case CPU.Supported():
		return errors.Errorf("--plugin is for systems without a pinned plugin, and %s has one: run `go run . setup`; %s=xla:FILE opens another",
			system, "GOMLX_BACKEND")
	}
	return errors.Errorf("--plugin: XLA cannot be built into this program on %s", system)
}

// GivePlugin takes a copy of the XLA CPU plugin in a file for this machine, one for which no plugin is pinned, and pins what it took: its
// SHA-256 is compared each time it is opened. It fails where one is pinned, where the file is no library for the machine, and where it
// cannot be copied.
func GivePlugin(file string) (path string, err error) { return givePlugin(file, system()) }

func givePlugin(file, system string) (string, error) {
	if err := mayBeGiven(system); err != nil {
		return "", err
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
	// Between the two it has no sum, and none that it has not.
	if err := os.Remove(path + sumEnding); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", errors.WithStack(err)
	}
	sum := sha256.New()
	if err := atomicfile.WriteFrom(path, func(out io.Writer) error {
		_, err := io.Copy(io.MultiWriter(out, sum), in)
		return err
	}); err != nil {
		return "", err
	}
	pluginHashes.Delete(path)
	return path, atomicfile.Write(path+sumEnding, fmt.Appendf(nil, "%x\n", sum.Sum(nil)))
}

// sumEnding ends the name of the file that holds the SHA-256 of a plugin that was given, as it was when it was taken.
const sumEnding = ".sha256"

// verifyGiven reports that the plugin given for this system, at path, is no longer what was taken.
func verifyGiven(path string) error {
	want, err := os.ReadFile(path + sumEnding)
	if err != nil {
		return damagedPlugin{fmt.Sprintf("nothing says what the XLA CPU plugin at %s ought to be (%v); give it anew: go run . setup --plugin FILE", path, err)}
	}
	sum, err := hashOf(path)
	if want := strings.TrimSpace(string(want)); err == nil && sum != want {
		pluginHashes.Delete(path)
		return damagedPlugin{fmt.Sprintf("the XLA CPU plugin at %s is damaged: its SHA-256 is %.8s…, that of the one given was %.8s…; give it anew, or download it: go run . setup --plugin download",
			path, sum, want)}
	}
	return err
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
