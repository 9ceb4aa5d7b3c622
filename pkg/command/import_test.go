package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/models"
)

// A folder that network.init names is imported under its name, once, and another folder of that name is refused.
func TestFoldersAreImportedByName(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	quiet := &cobra.Command{}
	quiet.SetOut(io.Discard)
	quiet.SetErr(io.Discard)
	forms := filepath.Join("..", "counterpart", "testdata", "forms")
	for range 2 {
		set := []string{"seed=1", "network.init=" + filepath.Join(forms, "defaults")}
		if _, err := importInit(quiet, set, false); err != nil || set[0] != "seed=1" || set[1] != "network.init=defaults" {
			t.Fatalf("%q, %v", set, err)
		}
	}
	if m, err := models.Get("defaults"); err != nil || !strings.HasSuffix(m.Source, "defaults") || m.Net.Classes != 4 {
		t.Errorf("%+v, %v", m, err)
	}
	// The same files elsewhere are the same model, others of that folder's name are not.
	moved, other := filepath.Join(t.TempDir(), "defaults"), filepath.Join(t.TempDir(), "défaults")
	for to, from := range map[string]string{moved: "defaults", other: "no_attention"} {
		if err := os.CopyFS(to, os.DirFS(filepath.Join(forms, from))); err != nil {
			t.Fatal(err)
		}
	}
	again := []string{"network.init=" + moved}
	if _, err := importInit(quiet, again, false); err != nil || again[0] != "network.init=defaults" {
		t.Errorf("moved: %q, %v", again, err)
	}
	for setting, want := range map[string]string{
		"network.init=" + other:                                  "there is a model defaults already, from",
		"network.init=" + filepath.Join(t.TempDir(), "defaults"): "there is no folder",
		"network.init=./nosuch":                                  "there is no folder ./nosuch",
		"network.init=/":                                         "no name can be made",
	} {
		if _, err := importInit(quiet, []string{setting}, false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; need one line with %q", setting, err, want)
		}
	}
	// Its name may be in any script, and so may be that of the folder around it.
	around := filepath.Join(t.TempDir(), "модели und mehr")
	for folder, name := range map[string]string{"Übung für é": "Ubung-fur-e", "模型-ddpm": "ddpm-dd02a3", "модель": "model-b68fad", "été-模型": "ete-e1166b", "été-数据": "ete-3f6fcd"} {
		dir := filepath.Join(around, folder)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(forms, "defaults"))); err != nil {
			t.Fatal(err)
		}
		set := []string{"network.init=" + dir}
		if _, err := importInit(quiet, set, false); err != nil || set[0] != "network.init="+name {
			t.Errorf("%s: %q, %v; want the name %s", dir, set, err, name)
		} else if m, err := models.Get(name); err != nil || m.Source != dir {
			t.Errorf("%s comes from %q, %v", name, m.Source, err)
		}
	}
	// A folder that has changed since is not taken for what it was.
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(forms, "defaults"))); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "has changed since the model copied was imported"} {
		_, err := importInit(quiet, []string{"network.init=" + copied}, false)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--overwrite")) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := os.WriteFile(filepath.Join(copied, "more.json"), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set := []string{"network.init=mine"}
	if _, err := importInit(quiet, set, false); err != nil || set[0] != "network.init=mine" {
		t.Errorf("a name becomes %q (%v)", set, err)
	}
}

// A dry run leaves no import behind, and does with one that is there.
func TestDryRunImportsNothing(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(backend.CacheEnv, cache)
	quiet := &cobra.Command{}
	quiet.SetOut(io.Discard)
	quiet.SetErr(io.Discard)
	folder := filepath.Join("..", "counterpart", "testdata", "forms", "defaults")
	set := []string{"network.init=" + folder}
	end, err := importInit(quiet, set, true)
	if err != nil || set[0] != "network.init=defaults" {
		t.Fatal(set, err)
	}
	m, err := models.Get("defaults")
	if err != nil {
		t.Fatal(err)
	}
	if weights, err := m.Load(); err != nil || len(weights) == 0 {
		t.Errorf("%d weights, %v", len(weights), err)
	}
	if all, err := models.List(); err != nil || len(all) > 0 {
		t.Errorf("others see %v, %v", all, err)
	}
	end()
	if left, err := os.ReadDir(filepath.Join(cache, "models")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	if m, err := models.Get("defaults"); err == nil {
		t.Errorf("%v is left", m)
	}
	for _, dry := range []bool{false, true} { // the second finds the first one's
		set := []string{"network.init=" + folder}
		end, err := importInit(quiet, set, dry)
		if err != nil {
			t.Fatal(err)
		}
		end()
	}
	if _, err := models.Get("defaults"); err != nil {
		t.Error(err)
	}
}
