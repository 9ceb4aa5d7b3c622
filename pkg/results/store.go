package results

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// Files of pkg/dynamics in a run folder.
const (
	DynamicsFile = "dynamics.json" // what a probe measured along training
	AutopsyFile  = "autopsy.json"  // what the networks kept after each task show of forgetting
)

// manyLabels is how many strategies a stored study can show task by task before its pictures outweigh its numbers.
const manyLabels = 12

// BesideRun is where a file of the run is, DynamicsFile or AutopsyFile, whose result is in the folder dir: next to it in
// a run folder, in a folder of its kind in a stored study.
func BesideRun(dir, run, file string) string {
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
		return filepath.Join(dir, file)
	}
	return filepath.Join(dir, strings.TrimSuffix(file, ".json"), run+".json")
}

// Store keeps runs as a study small enough to be committed: from the run folders below dir it writes NAME.json of
// each run to the folder to, the sample sheets of the first run of each strategy label to its samples (the last one alone
// where there are more than manyLabels; sheets that are alike once, sheets that were removed not at all), what runs measured along training to its dynamics, and their autopsies to its autopsy.
func Store(dir, to string, runs []*Run) error {
	if len(runs) == 0 {
		return errors.Errorf("results: no runs of %s to store in %s; need one or more", dir, to)
	}
	for i, r := range runs {
		if r == nil {
			return errors.Errorf("results: run %d of those to store in %s is nil", i, to)
		}
		if err := CheckName(r.Name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(to, "samples"), 0o755); err != nil {
		return err
	}
	labels := map[string]bool{}
	for _, r := range runs {
		labels[r.Strategy.Label] = true
	}
	shown := map[string]bool{}
	sheets := sheetsIn(to, runs)
	for _, r := range runs {
		copied := *r
		copied.Evaluations = append([]Evaluation(nil), r.Evaluations...)
		for i := range copied.Evaluations {
			e := &copied.Evaluations[i]
			source := filepath.Join(dir, r.Name, filepath.FromSlash(e.Sheet))
			e.Sheet = ""
			if shown[r.Strategy.Label] || len(labels) > manyLabels && i < len(copied.Evaluations)-1 {
				continue
			}
			picture, err := atomicfile.Read(source, atomicfile.Large)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return errors.Wrapf(err, "run %s", r.Name)
			}
			if e.Sheet, err = sheets.put(fmt.Sprintf("samples/%s_after_task_%d", r.Name, e.AfterTask), picture); err != nil {
				return err
			}
		}
		shown[r.Strategy.Label] = true
		for _, file := range []string{DynamicsFile, AutopsyFile} {
			if err := keep(filepath.Join(dir, r.Name, file), filepath.Join(to, strings.TrimSuffix(file, ".json")), r.Name); err != nil {
				return err
			}
		}
		if err := copied.Save(filepath.Join(to, r.Name+".json")); err != nil {
			return err
		}
	}
	return nil
}

// sheets are those of a stored study. Those that are alike are one file, since strategies that differ from the second
// task on begin with the same samples.
type sheets struct {
	dir   string            // of the study
	at    map[string]string // by content: the path in dir, with slashes
	taken map[string]bool   // paths that runs refer to which are not being stored
}

// sheetsIn knows the sheets of the runs of the study in dir other than runs.
func sheetsIn(dir string, runs []*Run) sheets {
	s := sheets{dir, map[string]string{}, map[string]bool{}}
	files, _ := atomicfile.Glob(dir, "*.json")
	for _, file := range files {
		r, err := Load(file)
		if err != nil || slices.ContainsFunc(runs, func(mine *Run) bool { return mine.Name == r.Name }) {
			continue
		}
		for _, e := range r.Evaluations {
			if picture, err := atomicfile.Read(filepath.Join(dir, filepath.FromSlash(e.Sheet)), atomicfile.Large); err == nil {
				s.at[string(picture)], s.taken[e.Sheet] = e.Sheet, true
			}
		}
	}
	return s
}

// put stores a sheet, which is to be called name.png unless that is taken by another, and returns its path.
func (s sheets) put(name string, picture []byte) (string, error) {
	if at, ok := s.at[string(picture)]; ok {
		return at, nil
	}
	at := name + ".png"
	if s.taken[at] {
		at = fmt.Sprintf("%s-%.8x.png", name, sha256.Sum256(picture))
	}
	s.at[string(picture)] = at
	return at, atomicfile.Write(filepath.Join(s.dir, filepath.FromSlash(at)), picture)
}

// keep copies a file of the run name, if it has one, into the folder to.
func keep(file, to, name string) error {
	data, err := atomicfile.Read(file, atomicfile.Large)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(to, name+".json"), data)
}
