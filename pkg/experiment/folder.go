package experiment

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// sumsFile lists the SHA-256 of every other file of a folder that this program wrote whole, as `sha256sum -c SHA256SUMS` reads it.
const sumsFile = "SHA256SUMS"

// home is a run folder as it was when the run began. Its path may come to lead to another folder, or nowhere.
type home struct {
	dir                  string
	folder, lock, holder fs.FileInfo
}

// newHome remembers the folder dir, which must be locked.
func newHome(dir string) (home, error) {
	h := home{dir: dir}
	var err error
	if h.folder, err = os.Stat(dir); err != nil {
		return h, errors.WithStack(err)
	}
	if h.lock, err = os.Stat(filepath.Join(dir, lockFile)); err != nil {
		return h, errors.WithStack(err)
	}
	h.holder, err = os.Stat(filepath.Join(dir, holderFile))
	return h, errors.WithStack(err)
}

// there reports that the run folder is no longer where it was, or no longer this run's.
func (h home) there() error {
	const advice = "nothing more is written; move it back, or go on where it is now with `resume`"
	folder, err := os.Stat(h.dir)
	if err != nil || !os.SameFile(folder, h.folder) {
		return errors.Errorf("the run folder %s was moved, removed or replaced while the run was at work: %s", h.dir, advice)
	}
	for _, own := range []struct {
		name string
		file fs.FileInfo
	}{{lockFile, h.lock}, {holderFile, h.holder}} {
		if file, err := os.Stat(filepath.Join(h.dir, own.name)); err != nil || !os.SameFile(file, own.file) {
			return errors.Errorf("%s of the run folder %s was removed or replaced while the run was at work, so that another process may write there: nothing more is written",
				own.name, h.dir)
		}
	}
	if _, err := os.Stat(filepath.Join(h.dir, configFile)); err != nil {
		return errors.Errorf("%s of the run folder %s was removed while the run was at work: nothing more is written; put it back and `resume`, or name another folder to start again", configFile, h.dir)
	}
	return nil
}

// write has f write into the run folder, if it is there, and says that it is gone where that is why f failed.
func (h home) write(f func() error) error {
	if err := h.there(); err != nil {
		return err
	}
	err := f()
	if err == nil {
		return nil
	}
	if gone := h.there(); gone != nil {
		return gone
	}
	return err
}

// subfolder makes the folder name below the run folder unless it is there. It never makes the run folder itself.
func (h home) subfolder(name string) error {
	if err := os.Mkdir(filepath.Join(h.dir, name), 0o755); err != nil && !os.IsExist(err) {
		return errors.WithStack(err)
	}
	return nil
}

// writeFolder is [atomicfile.WriteFolder] of a folder without others in it, with the sums of all its files. known are those that need not be computed,
// by the files' names.
func writeFolder(final string, known map[string]string, write func(temporary string) error) error {
	return atomicfile.WriteFolder(final, func(temporary string) error {
		if err := write(temporary); err != nil {
			return err
		}
		return writeSums(temporary, known)
	})
}

// freeName is name if nothing is there, or else the first of name-2, name-3 and so on where nothing is.
func freeName(name string) (string, error) {
	free := name
	for i := 2; ; i++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", errors.WithStack(err)
		}
		free = fmt.Sprintf("%s-%d", name, i)
	}
}

// halfFile are the names of files that atomicfile is writing.
var halfFile = regexp.MustCompile(`^\..+\.\d+\.tmp$`)

// clearUnfinished removes what killed processes left half-written or half-removed in the run folder dir. Only who holds its
// lock may do so, another process may be writing; and only in a folder that is a run's.
func clearUnfinished(dir string) error {
	for _, name := range []string{".", "samples", "checkpoints", "snapshots"} {
		folder := filepath.Join(dir, name)
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.WithStack(err)
		}
		for _, e := range entries {
			if !halfFile.MatchString(e.Name()) && !strings.HasPrefix(e.Name(), atomicfile.Unfinished) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				return errors.WithStack(err)
			}
		}
	}
	return nil
}

// filesUnder lists what there is in a folder and those within it, other than folders, by paths with slashes.
func filesUnder(folder string) ([]string, error) {
	var files []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	return files, errors.Wrap(err, folder)
}

// writeSums adds sumsFile to a folder, of whose files some sums may be known. It lists those in folders within it too.
func writeSums(folder string, known map[string]string) error {
	files, err := filesUnder(folder)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, name := range files {
		sum, ok := known[name]
		if !ok {
			if sum, err = atomicfile.SHA256(filepath.Join(folder, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	return atomicfile.Write(filepath.Join(folder, sumsFile), text.Bytes())
}

// checkSums reports the first file of a folder that is not as it was written. found says whether the folder has sums: those
// of earlier versions have none, and nothing is known of them.
func checkSums(folder string) (found bool, err error) {
	want, err := readSums(folder)
	if want == nil || err != nil {
		return err != nil, err
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		sum, err := atomicfile.SHA256(filepath.Join(folder, name))
		if err != nil {
			return true, err
		}
		if sum != want[name] {
			return true, errors.Errorf("%s is not as it was written: its SHA-256 is %.12s…, need %.12s…", name, sum, want[name])
		}
	}
	return true, nil
}

// readSums returns the SHA-256 of a folder's files as they were written, by name; nil where the folder has no sums.
func readSums(folder string) (map[string]string, error) {
	text, err := atomicfile.Read(filepath.Join(folder, sumsFile), atomicfile.Large)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSums(text)
}

// parseSums reads lines of a SHA-256, two blanks and the name of a file next to it, or of one in a folder there, with slashes.
func parseSums(text []byte) (map[string]string, error) {
	sums := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		sum, name, found := strings.Cut(lines.Text(), "  ")
		if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || !found || name != path.Clean(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, errors.Errorf("%s has the line %.100q; need a SHA-256, two blanks and a file's name", sumsFile, lines.Text())
		}
		sums[name] = strings.ToLower(sum)
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Wrap(err, sumsFile)
	}
	if len(sums) == 0 {
		return nil, errors.Errorf("%s names no file", sumsFile)
	}
	return sums, nil
}
