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
		if err := importInit(quiet, set); err != nil || set[0] != "seed=1" || set[1] != "network.init=defaults" {
			t.Fatalf("%q, %v", set, err)
		}
	}
	if m, err := models.Get("defaults"); err != nil || !strings.HasSuffix(m.Source, "defaults") || m.Net.Classes != 4 {
		t.Errorf("%+v, %v", m, err)
	}
	for setting, want := range map[string]string{
		"network.init=" + filepath.Join(t.TempDir(), "defaults"): "there is a model defaults already",
		"network.init=./nosuch":                                  "there is no folder ./nosuch",
		"network.init=/":                                         "no name can be made",
	} {
		if err := importInit(quiet, []string{setting}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
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
		if err := importInit(quiet, set); err != nil || set[0] != "network.init="+name {
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
		err := importInit(quiet, []string{"network.init=" + copied})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--overwrite")) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := os.WriteFile(filepath.Join(copied, "more.json"), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if set := []string{"network.init=mine"}; importInit(quiet, set) != nil || set[0] != "network.init=mine" {
		t.Errorf("a name becomes %q", set)
	}
}
