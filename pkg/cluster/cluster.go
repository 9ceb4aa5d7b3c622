// Package cluster hands the runs of a study to machines elsewhere: as a job array to Slurm, as an Indexed Job to Kubernetes, or
// as a list of commands to anything else.
//
// # Conventions
//
// The run folder is the unit. A task of an array, an index of a Job and a line of a list are one and the same: the program,
// called to go on with the run in one folder of a file system that all machines share. Whoever comes first has the folder; one that
// comes later waits, or takes over from one that died ([experiment.Options].Wait). Nothing of this package stays
// running once a study is handed over, and how far it is is read from its folder and asked of Slurm, from any machine.
//
// The folder jobs in a study's folder holds what the tasks need and what was handed over:
//
//	jobs/submitted.json     what was handed over, by which program ([Record])
//	jobs/HASH/palimpsest    the program, by the first digits of its SHA-256
//	jobs/N-slurm.sh         a job script, as it was submitted
//	jobs/N-kubernetes.yaml  a manifest
//	jobs/logs/JOB_TASK.log  what a task printed
package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// Folder is the folder in a study's folder that holds what this package writes.
const Folder = "jobs"

// Record is what was handed over of a study, as jobs/submitted.json has it.
type Record struct {
	Program Program    `json:"program"` // of all of it
	Handed  []Handover `json:"handed"`
}

// Handover is a set of runs that were handed over at once.
type Handover struct {
	On      string    `json:"on"`            // "slurm", "kubernetes" or "list"
	Job     string    `json:"job,omitempty"` // Slurm's number of the array
	User    string    `json:"user,omitempty"`
	At      time.Time `json:"at"`
	Command string    `json:"command"`
	Runs    []string  `json:"runs"` // by their index
}

// recordFile is the file of the [Record] of the study in dir.
func recordFile(dir string) string { return filepath.Join(dir, Folder, "submitted.json") }

// readRecord reads what was handed over of the study in dir; of one of which nothing was, a zero Record.
func readRecord(dir string) (r Record, err error) {
	path := recordFile(dir)
	text, err := atomicfile.Read(path, atomicfile.Large)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, errors.Errorf("%s cannot be read (%v); move it away to begin anew: nothing then remembers which jobs were submitted", path, err)
	}
	return r, nil
}

func (r Record) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(recordFile(dir), append(text, '\n'))
}

// Study is a study to be handed over.
type Study struct {
	experiment.Study
	Command string    // what the user typed, stored with the results
	Say     io.Writer // lines for people

	record  Record
	missing []string // names of the runs to be handed over
}

// Open checks a study, makes its folders and looks which of its runs are missing: neither finished, nor at work, nor
// waiting in a queue, nor such that they would fail alike again. It keeps other commands out of the study's jobs until it is closed.
func (s *Study) Open(queue Queue) (close func(), err error) {
	for _, c := range s.Runs {
		if c.RunName() == Folder {
			return nil, experiment.Refusef("a run is named %s, as is the folder of what is submitted; give it another name", Folder)
		}
	}
	s.Elsewhere = true
	if s.Dir, err = filepath.Abs(s.Dir); err != nil {
		return nil, errors.WithStack(err)
	}
	if err := s.Prepare(s.Say); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, Folder, "logs"), 0o755); err != nil {
		return nil, errors.WithStack(err)
	}
	unlock, err := experiment.LockFolder(filepath.Join(s.Dir, Folder))
	if err != nil {
		return nil, err
	}
	if err := s.look(queue); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// look reads what was handed over and finds what is missing.
func (s *Study) look(queue Queue) (err error) {
	if s.record, err = readRecord(s.Dir); err != nil {
		return err
	}
	jobs, err := s.record.jobs(queue)
	if err != nil {
		return err
	}
	s.missing = nil
	for _, c := range s.Runs {
		state, err := lookAt(s.Dir, c.RunName(), jobs)
		if err != nil {
			return err
		}
		if state.State == Dead || state.State == Waiting && state.Job == "" {
			if state.Diverged {
				s.SayDiverged(state.Run, state.Why)
				continue
			}
			s.missing = append(s.missing, c.RunName())
			if state.State == Dead {
				fmt.Fprintf(s.Say, "%s is handed over again: %s\n", state.Run, state.Why)
			}
		}
	}
	return nil
}

// Missing lists the runs to be handed over.
func (s *Study) Missing() []string { return s.missing }

// SayDiverged says that a run is not handed over again, why, and how it is tried again.
func (s *Study) SayDiverged(run, why string) {
	fmt.Fprintf(s.Say, "%s is not handed over again, as it would end alike: %s; `go run . resume %s` tries it all the same\n", run, why, words.Shell(filepath.Join(s.Dir, run)))
}

// Finished returns the results of a study whose runs are all finished or, as diverged says of some by their names, failed as they would at
// every try: those have none. Of any other study it returns nil.
func (s *Study) Finished() (runs []*results.Run, diverged map[string]string, err error) {
	diverged = map[string]string{}
	var names []string
	for _, c := range s.Runs {
		dir := filepath.Join(s.Dir, c.RunName())
		if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
			continue
		}
		if run, err := experiment.StandingOf(dir); err != nil || !run.Diverged || run.AtWork != nil { // what is wrong is said when it is handed over
			return nil, nil, nil
		} else {
			names, diverged[c.RunName()] = append(names, c.RunName()), run.Failed
		}
	}
	runs, err = s.Results(names...)
	return runs, diverged, err
}

// hand stores that the missing runs are handed over by h, whose other fields are set here.
func (s *Study) hand(h Handover) error {
	h.At, h.Command, h.Runs = time.Now().UTC().Truncate(time.Second), s.Command, s.missing
	s.record.Handed = append(s.record.Handed, h)
	return s.record.write(s.Dir)
}

// number is that of the handover to come, from 1 on.
func (s *Study) number() int { return len(s.record.Handed) + 1 }

// environment is what the processes of runs are to find in theirs: what this one was told of where caches lie and what computes, and
// from what the program was built, which outside its checkout nobody knows.
func environment() [][2]string {
	var all [][2]string
	for _, name := range []string{backend.CacheEnv, "GOMLX_BACKEND"} {
		if value := os.Getenv(name); value != "" {
			if name == backend.CacheEnv {
				if abs, err := filepath.Abs(value); err == nil {
					value = abs
				}
			}
			all = append(all, [2]string{name, value})
		}
	}
	commit, dirty := host.Commit()
	if dirty {
		commit += "+"
	}
	return append(all, [2]string{host.CommitEnv, commit})
}
