package kernelsetup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palimpsest/pkg/atomicfile"
)

// What a killed run left is removed even while a child of it goes on writing there for a while.
func TestRemovesWhatIsStillWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "thing")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			below := filepath.Join(dir, "lib")
			_ = os.MkdirAll(below, 0o755)
			for _, name := range []string{"a", "b", "c"} {
				_ = os.WriteFile(filepath.Join(below, name), nil, 0o644)
			}
		}
	}()
	if err := removeLeft(t.Context(), dir); err != nil {
		t.Error(err)
	}
	<-writing
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("it is there again")
	}
}

// A full disk is told by what the program wrote, and advice for other reasons is left out.
func TestFullDiskIsTold(t *testing.T) {
	for said, full := range map[string]bool{
		"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": true,
		"go: writing /tmp/x: write /tmp/x: no space left on device":                               true,
		"ERROR: No matching distribution found for jupyterlab":                                    false,
	} {
		_, err := command(t.Context(), "", nil, "sh", "-c", `echo "$1" >&2; exit 1`, "sh", said)
		err = advised(err, "check the network", "could not install %s", "it")
		if atomicfile.DiskFull(err) != full || strings.Contains(err.Error(), "check the network") == full || !strings.Contains(err.Error(), said) {
			t.Errorf("%q gives %v", said, err)
		}
	}
}
