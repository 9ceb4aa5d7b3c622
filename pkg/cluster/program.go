package cluster

import (
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

// Program is the program that makes the runs of a study.
type Program struct {
	Path   string `json:"path"` // in the study's folder, and from there
	SHA256 string `json:"sha256"`
}

// TakeProgram puts this program into the study's folder: machines elsewhere may have no Go, and what `go run` builds vanishes with
// it. All runs of a study are made by one program: another than was handed over before is refused.
func (s *Study) TakeProgram() error {
	self, err := os.Executable()
	if err != nil {
		return errors.WithStack(err)
	}
	sum, err := atomicfile.SHA256(self)
	if err != nil {
		return err
	}
	path := filepath.Join(Folder, sum[:12], "palimpsest")
	if before := s.record.Program; before.SHA256 != "" && before.SHA256 != sum {
		return experiment.Refusef("the runs in %s were handed over with another program (%s, SHA-256 %s; this one has %s), and numbers of two are not set side by side; "+
			"give the same command to that one, with %s in the place of `go run .`, or name another folder with --dir, or remove %s to go on with this one",
			s.Dir, before.Path, words.Checksum(before.SHA256), words.Checksum(sum), words.Shell(filepath.Join(s.Dir, before.Path)), words.Shell(recordFile(s.Dir)))
	}
	s.record.Program = Program{Path: path, SHA256: sum}
	to := filepath.Join(s.Dir, path)
	if there, err := atomicfile.SHA256(to); err == nil && there == sum {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return errors.WithStack(err)
	}
	from, err := os.Open(self)
	if err != nil {
		return errors.WithStack(err)
	}
	defer from.Close()
	if err := atomicfile.WriteFrom(to, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	}); err != nil {
		return err
	}
	return errors.WithStack(os.Chmod(to, 0o755))
}
