package study

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
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

	Unfinished []string // folders of runs that [Open] met beside those of Runs, and that have no result yet
}

// Open reads the runs of folders: a run folder (with a result.json), a folder of run folders, or a folder of stored
// runs (NAME.json). A run that is met twice, or whose copy is, is read once. It is an error to name none. Of a folder in which no run is finished the error is an [Unfinished], of one without any a [NoRun].
func Open(dirs ...string) (*Set, error) {
	if len(dirs) == 0 {
		return nil, errors.New("study.Open: no folder of runs; name one or more, such as runs/bench")
	}
	s := &Set{}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Errorf("there is no folder %s; name one of runs, as `go run . bench` or `go run . run CONFIG` leave them", dir)
		}
		paths, err := resultFiles(dir)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return nil, errors.Errorf("%s is a file; name its folder, %s", dir, filepath.Dir(dir))
		}
		begun := begunIn(dir)
		if len(paths) == 0 {
			if len(begun) > 0 {
				return nil, &Unfinished{Dir: begun[0]}
			}
			return nil, NoRun{errors.Errorf("no stored run in %s; need result.json files as `go run . bench` or `go run . run CONFIG` leave them", dir)}
		}
		s.Unfinished = append(s.Unfinished, begun...)
		for _, file := range paths {
			absolute, err := filepath.Abs(file)
			if err != nil {
				return nil, errors.Wrapf(err, "%s", file)
			}
			if seen[absolute] {
				continue
			}
			seen[absolute] = true
			r, err := results.Load(file)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(s.Runs, func(o *results.Run) bool { return o.Name == r.Name && digest(o) == digest(r) }) {
				continue // a copy, as a run folder beside the study that it was stored in
			}
			r.Folder = filepath.Dir(file)
			s.Runs, s.Dirs = append(s.Runs, r), append(s.Dirs, r.Folder)
		}
	}
	return s, nil
}

// NoRun is the error of a folder in which there is no run.
type NoRun struct{ error }

// configFile is the file that every run folder has from the beginning.
const configFile = "config.yaml"

// measured are the JSON files of a run folder that are not its result.
var measured = []string{results.DynamicsFile, results.AutopsyFile, "metrics.json"}

// Unfinished says that a run has no result yet.
type Unfinished struct {
	Dir     string // the run folder
	Reached string // "saved at step 40 of 120"; "": not known
	AtWork  bool   // a process is at work in the folder
}

// Error implements error.
func (u *Unfinished) Error() string {
	reached := u.Reached
	if reached != "" {
		reached = " (" + reached + ")"
	}
	if u.AtWork {
		return fmt.Sprintf("the run in %s is not finished%s: a process is at work there; wait for its result", u.Dir, reached)
	}
	return fmt.Sprintf("the run in %s is not finished%s; `go run . resume %s` goes on with it", u.Dir, reached, words.Shell(u.Dir))
}

// begunIn lists the folders of runs that began but have no result: dir, or those in it.
func begunIn(dir string) (folders []string) {
	files := os.DirFS(dir)
	for _, pattern := range []string{configFile, "*/" + configFile} {
		found, _ := fs.Glob(files, pattern) // the pattern is sound
		for _, config := range found {
			if _, err := fs.Stat(files, path.Join(path.Dir(config), "result.json")); errors.Is(err, fs.ErrNotExist) {
				folders = append(folders, filepath.Join(dir, filepath.FromSlash(path.Dir(config))))
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return folders
}

// resultFiles lists the JSON files of stored runs in dir.
func resultFiles(dir string) ([]string, error) {
	files := os.DirFS(dir)
	patterns := []string{"*.json", "*/result.json"}
	for _, file := range []string{"result.json", configFile} {
		if _, err := fs.Stat(files, file); err == nil {
			patterns = []string{"result.json"} // a run folder: its other JSON files are not results
		}
	}
	var paths []string
	for _, pattern := range patterns {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, errors.Wrapf(err, "%s", dir)
		}
		for _, name := range names {
			if slices.Contains(measured, name) {
				continue
			}
			if strings.HasPrefix(path.Base(name), ".") {
				continue // no name of a run: an editor's own
			}
			file := filepath.Join(dir, filepath.FromSlash(name))
			if err := atomicfile.Dangling(file); err != nil {
				return nil, err
			}
			paths = append(paths, file)
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
