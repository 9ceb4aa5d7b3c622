package results

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// DynamicsFile is where a run folder keeps what a probe measured along training (pkg/dynamics).
const DynamicsFile = "dynamics.json"

// Store keeps runs as a study small enough to be committed: from the run folders below dir it writes NAME.json of
// each run to the folder to, the sample grids of the first run of each strategy label to its samples, and what runs
// measured along training to its dynamics.
func Store(dir, to string, runs []*Run) error {
	if err := os.MkdirAll(filepath.Join(to, "samples"), 0o755); err != nil {
		return err
	}
	shown := map[string]bool{}
	for _, r := range runs {
		copied := *r
		copied.Evaluations = append([]Evaluation(nil), r.Evaluations...)
		for i := range copied.Evaluations {
			e := &copied.Evaluations[i]
			source := filepath.Join(dir, r.Name, e.Grid)
			e.Grid = ""
			if shown[r.Strategy.Label] {
				continue
			}
			picture, err := os.ReadFile(source)
			if err != nil {
				return errors.Wrapf(err, "run %s", r.Name)
			}
			e.Grid = filepath.Join("samples", fmt.Sprintf("%s_after_task_%d.png", r.Name, e.AfterTask))
			if err := atomicfile.Write(filepath.Join(to, e.Grid), picture); err != nil {
				return err
			}
		}
		shown[r.Strategy.Label] = true
		if series, err := os.ReadFile(filepath.Join(dir, r.Name, DynamicsFile)); err == nil {
			if err := os.MkdirAll(filepath.Join(to, "dynamics"), 0o755); err != nil {
				return err
			}
			if err := atomicfile.Write(filepath.Join(to, "dynamics", r.Name+".json"), series); err != nil {
				return err
			}
		} else if !os.IsNotExist(err) {
			return err
		}
		if err := copied.Save(filepath.Join(to, r.Name+".json")); err != nil {
			return err
		}
	}
	return nil
}
