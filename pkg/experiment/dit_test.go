package experiment

import (
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// A run whose network is a transformer is trained and looked at as any other; export says that it has no form for it.
func TestDiTRun(t *testing.T) {
	back, choice := pureGo(t)
	c, dir := tinyRun(), filepath.Join(t.TempDir(), "run")
	c.Network = NetworkConfig{Architecture: ArchitectureDiT, Size: "tiny", Conditional: true, Patch: 4, Depth: 2, Hidden: 16}
	c.Diffusion.Variance, c.Train.VLBWeight = "learned-range", 0.001
	c.Autopsy = AutopsyConfig{Images: 4, Timesteps: 2, Steps: 2, Thresholds: 2}
	r, err := Run(t.Context(), c, dir, Options{Backend: back, Choice: choice})
	if err != nil {
		t.Fatal(err)
	}
	if network, _ := r.Config["network"].(map[string]any); r.Evaluations[1].Tasks[0].FID == nil || network["architecture"] != ArchitectureDiT {
		t.Errorf("%+v of %+v", r.Evaluations[1].Tasks[0], r.Config["network"])
	}
	if a, err := dynamics.LoadAutopsy(filepath.Join(dir, results.AutopsyFile)); err != nil || len(a.Drifts) != 1 {
		t.Errorf("autopsy %+v (%v)", a, err)
	}
	if err := Export(dir, filepath.Join(t.TempDir(), "out"), ExportOptions{Format: FormatDiffusers, Task: -1}); err == nil || !strings.Contains(err.Error(), "is a transformer (network.architecture dit), and only U-Nets can be exported") {
		t.Errorf("export gives %v", err)
	}
}
