package study

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
)

// Set is a set of runs that are read together.
type Set struct {
	Title string // heading of the page; "" for a plain one
	Runs  []*results.Run

	// Sample grids are relative to a run's JSON file. Dirs[i] is the folder of the file of Runs[i], as [Open] fills
	// it in. Without Dirs a run's folder is Dir/NAME if there is one, else Dir. Both may be empty: then no grids are
	// shown.
	Dir  string
	Dirs []string
}

// Open reads the runs of folders: a run folder (with a result.json), a folder of run folders, or a folder of stored
// runs (NAME.json). A run that is met twice is read once.
func Open(dirs ...string) (*Set, error) {
	s := &Set{}
	seen := map[string]bool{}
	for _, dir := range dirs {
		paths, err := resultFiles(dir)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return nil, errors.Errorf("%s is a file; name its folder, %s", dir, filepath.Dir(dir))
		}
		if len(paths) == 0 {
			return nil, errors.Errorf("no stored run in %s; need result.json files as `go run . bench` or `go run . run CONFIG` leave them", dir)
		}
		for _, path := range paths {
			absolute, err := filepath.Abs(path)
			if err != nil {
				return nil, errors.Wrapf(err, "%s", path)
			}
			if seen[absolute] {
				continue
			}
			seen[absolute] = true
			r, err := results.Load(path)
			if err != nil {
				return nil, err
			}
			s.Runs, s.Dirs = append(s.Runs, r), append(s.Dirs, filepath.Dir(path))
		}
	}
	return s, nil
}

// resultFiles lists the JSON files of stored runs in dir.
func resultFiles(dir string) ([]string, error) {
	files := os.DirFS(dir)
	patterns := []string{"*.json", "*/result.json"}
	if _, err := fs.Stat(files, "result.json"); err == nil {
		patterns = []string{"result.json"} // a run folder: its other JSON files are not results
	}
	var paths []string
	for _, pattern := range patterns {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, errors.Wrapf(err, "%s", dir)
		}
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	return paths, nil
}

// Group returns the study's runs by method.
func (s *Set) Group() []Method { return Group(s.Runs) }

// Folder is where the grids of a run are relative to, "" if that is not known.
func (s *Set) Folder(run *results.Run) string {
	for i, r := range s.Runs {
		if r == run && i < len(s.Dirs) {
			return s.Dirs[i]
		}
	}
	if s.Dir == "" {
		return ""
	}
	own := filepath.Join(s.Dir, run.Name)
	if info, err := os.Stat(own); err == nil && info.IsDir() {
		return own
	}
	return s.Dir
}
