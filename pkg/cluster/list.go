package cluster

import (
	"fmt"
	"path/filepath"
	"strings"

	"palimpsest/pkg/words"
)

// List returns a command line for each of the missing runs, for any engine that runs lines of a shell.
func (s *Study) List() ([]string, error) {
	program := []string{"env"}
	for _, e := range environment() {
		program = append(program, e[0]+"="+words.Shell(e[1]))
	}
	program = append(program, words.Shell(filepath.Join(s.Dir, s.record.Program.Path)), "resume", "--wait", "--command", words.Shell(words.OneLine(s.Command)))
	var lines []string
	for _, run := range s.missing {
		lines = append(lines, fmt.Sprintf("%s %s", strings.Join(program, " "), words.Shell(filepath.Join(s.Dir, run))))
	}
	return lines, s.hand(Handover{On: "list"})
}
