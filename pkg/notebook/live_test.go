package notebook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"palimpsest/pkg/experiment"
)

// TestAlive holds what a page that is opened again reads: the run folder has it while the run goes on, under the address that
// the output names, and only where the server of the notebooks reaches it.
func TestAlive(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "my runs", "er")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, liveFile)
	training := experiment.Progress{Stage: "train"}

	t.Setenv(protocol.GONB_JUPYTER_ROOT_ENV, root)
	t.Setenv(protocol.GONB_JUPYTER_KERNEL_ID_ENV, "1-a")
	l := newLive(dir)
	if got := l.alive(experiment.Progress{Stage: "prepare"}, "step 3"); got != "step 3" {
		t.Errorf("before the folder is the run's it shows %q", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file is written into a folder that is not the run's yet")
	}
	first := l.alive(training, "step 3")
	kept, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(kept), "step 3") || strings.Contains(string(kept), "<script") {
		t.Errorf("the folder keeps %q, %v", kept, err)
	}
	if !strings.Contains(first, `data-palimpsest-live="my%20runs/er" data-kernel="1-a"`) || !strings.Contains(first, string(kept)) {
		t.Errorf("the output is %q", first)
	}
	if second := l.alive(training, "step 4"); !strings.Contains(first, keepJS) || strings.Contains(second, keepJS) {
		t.Error("the notebook is to be saved once, when the training begins")
	}
	l.forget()
	if _, err := os.Stat(file); err == nil {
		t.Error("the file stays when the run is over")
	}

	for what, root := range map[string]string{"no server": "", "a server of another folder": t.TempDir()} {
		t.Setenv(protocol.GONB_JUPYTER_ROOT_ENV, root)
		if got := newLive(dir).alive(training, "step 3"); got != "step 3" {
			t.Errorf("%s: it shows %q", what, got)
		}
	}
}
