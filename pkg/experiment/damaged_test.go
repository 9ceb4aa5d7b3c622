package experiment

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"palimpsest/pkg/results/resultstest"
)

// storeText makes a run folder whose configuration is the text.
func storeText(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A stored configuration that was emptied or cut short is told as damaged by all who read it: wherever it is cut, what is read of
// it is the run's own settings, but for those that may change, or nothing.
func TestDamagedConfigurationIsTold(t *testing.T) {
	c := DefaultConfig()
	c.Seed, c.Benchmark.ClassesPerTask, c.Train.EMA = 3, 5, 0.9
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(text)
	for n := range whole {
		have, err := decodeStored("config.yaml", text[:n])
		if err == nil && len(bound(differences(have, c))) > 0 {
			t.Errorf("cut after %q the configuration is read as another", whole[max(0, n-30):n])
		}
	}
	for _, text := range []string{"", " \n\n", "# a comment\n", "null\n", "---\n", "seed: 3\n", strings.Split(whole, "evaluate:")[0]} {
		dir := storeText(t, text)
		_, err := StoredConfig(dir)
		if !errors.As(err, new(*damagedConfig)) || !strings.HasPrefix(err.Error(), filepath.Join(dir, configFile)) || !strings.Contains(err.Error(), "delete the folder") {
			t.Errorf("%q: %v", text, err)
		}
		// A run that never began is made anew; one that did is refused, the defaults' own run too.
		if over, claimed, err := claimable(DefaultConfig(), dir); err != nil || claimed || !strings.Contains(over, "never began") {
			t.Errorf("%q: claimed %v, taken over %q, %v", text, claimed, over, err)
		}
		begun(t, dir)
		for _, c := range []Config{c, DefaultConfig()} {
			if _, claimed, err := claimable(c, dir); claimed || !errors.As(err, new(*damagedConfig)) {
				t.Errorf("%q, begun: claimed %v, %v", text, claimed, err)
			}
		}
	}
}

// Where a result or a checkpoint holds the settings, the error says how they are put back; put back so, they are the run's.
func TestDamagedConfigurationIsMended(t *testing.T) {
	c := DefaultConfig()
	c.Seed, c.Strategy.Name = 3, "joint"
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := storeText(t, "")
	begun(t, dir)
	state, err := json.Marshal(map[string]any{"started": "2026-01-02T03:04:05Z", "settings": string(text)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "checkpoints", "phase00-step000003", stateFile)
	if err := os.WriteFile(path, state, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := StoredConfig(dir); err == nil || !strings.Contains(err.Error(), path+" holds the settings: `go run . resume "+dir) {
		t.Errorf("with a checkpoint: %v", err)
	}
	mended(t, dir, c, "")
	if err := os.Remove(filepath.Join(dir, configFile)); err != nil {
		t.Fatal(err)
	}
	_, read := StoredConfig(dir)
	_, _, claimed := claimable(c, dir)
	for _, err := range []error{read, claimed} {
		if err == nil || !strings.Contains(err.Error(), "is gone") || !strings.Contains(err.Error(), "go run . resume "+dir) {
			t.Errorf("without a configuration: %v", err)
		}
	}
	if said, err := putBack(dir); err != nil || !strings.Contains(said, "was gone") {
		t.Errorf("put back: %q, %v", said, err)
	}
	if have, err := StoredConfig(dir); err != nil || len(differences(have, c)) > 0 {
		t.Errorf("put back: %v, %v", differences(have, c), err)
	}
	broken := "seed: [3\n"
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	mended(t, dir, c, broken)
	if err := os.WriteFile(filepath.Join(dir, configFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	r := resultstest.NewRun("joint", "joint", 3, 2)
	r.Config = nil
	if err := yaml.Unmarshal(text, &r.Config); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(filepath.Join(dir, "result.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := StoredConfig(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "result.json")+" holds the settings: `go run . resume "+dir) {
		t.Errorf("with a result: %v", err)
	}
	mended(t, dir, c, "")
}

// mended puts the configuration of a run folder back, which held what was, and compares it.
func mended(t *testing.T, dir string, want Config, was string) {
	t.Helper()
	if said, err := putBack(dir); err != nil || !strings.Contains(said, replaced) {
		t.Fatalf("put back: %q, %v", said, err)
	}
	if have, err := StoredConfig(dir); err != nil || len(differences(have, want)) > 0 {
		t.Errorf("put back: %v, %v", differences(have, want), err)
	}
	old, err := os.ReadFile(filepath.Join(dir, replaced))
	if err != nil || string(old) != was {
		t.Errorf("kept of the damaged one: %q, %v", old, err)
	}
	if err := os.Remove(filepath.Join(dir, replaced)); err != nil {
		t.Fatal(err)
	}
	if said, err := putBack(dir); said != "" || err != nil {
		t.Errorf("once more: %q, %v", said, err)
	}
}

// A file where a run keeps a folder, and a folder where it keeps a file, are told in a line that says what to do.
func TestFilesInThePlaceOfFolders(t *testing.T) {
	c := DefaultConfig()
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]bool{"checkpoints": true, "samples": true, logName: false} {
		dir := storeText(t, string(text))
		path := filepath.Join(dir, name)
		if folder {
			err = os.WriteFile(path, nil, 0o644)
		} else {
			err = os.Mkdir(path, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := claimable(c, dir); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it elsewhere") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who sees no log of a resumed run, as what starts the processes of a study, is told by a warning that its configuration was put back,
// and log.txt keeps it.
func TestPutBackConfigurationIsWarnedOf(t *testing.T) {
	dir, opt := filepath.Join(t.TempDir(), "run"), Options{}
	if _, err := Run(t.Context(), briefConfig(0), dir, opt); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "result.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("seed: [3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	opt.Progress = func(p Progress) { warnings = append(warnings, p.Warnings...) }
	if _, err := Resume(t.Context(), dir, opt); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"warnings": strings.Join(warnings, "\n"), logName: string(log)} {
		if strings.Count(text, "was damaged: it has the settings of") != 1 || !strings.Contains(text, replaced) {
			t.Errorf("%s: %s", where, text)
		}
	}
}
