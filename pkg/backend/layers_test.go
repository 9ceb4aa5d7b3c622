//go:build cgo && linux && amd64

package backend

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/executables"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/pjrt"
	. "github.com/gomlx/gomlx/core/graph"
)

// layerEnv is the plugin of a process that opens it as another device's.
const layerEnv = "PALIMPSEST_TEST_LAYER"

// A plugin for another device computes under package executables as without it; what keeps that from going over it is said. The processor's
// plays the device, in a process of its own.
func TestLayerDevice(t *testing.T) {
	if plugin := os.Getenv(layerEnv); plugin != "" {
		fmt.Println("unknown:", layerDevice(plugin, nil, errors.New("no driver")))
		for range 2 {
			fmt.Println("known:", layerDevice(plugin, []byte("a card"), nil))
		}
		b, err := compute.NewWithConfig("xla:" + plugin)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("computed:", MustExecOnce(b, func(x *Node) *Node { return AddScalar(x, 2) }, float32(40)).Value())
		return
	}
	plugin, err := CPU.Path()
	if !CPU.Supported() || err != nil || !exists(plugin) {
		t.Skip("no plugin for this machine is installed")
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "device.so")
	if err := os.Symlink(plugin, link); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "kept")
	cmd := exec.Command(os.Args[0], "-test.run=^TestLayerDevice$")
	cmd.Env = append(os.Environ(), layerEnv+"="+link, executables.Env+"="+kept)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	for _, want := range []string{"unknown: not kept (no driver)", "known: kept in " + kept, "computed: 42"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q:\n%s", want, out)
		}
	}
}

// The release that is downloaded where no plugin is pinned is the one that go-xla was tested with.
func TestPluginRelease(t *testing.T) {
	if pjrt.DefaultCPUVersion != PluginRelease {
		t.Errorf("go-xla was tested with %s, and %s would be downloaded", pjrt.DefaultCPUVersion, PluginRelease)
	}
}
