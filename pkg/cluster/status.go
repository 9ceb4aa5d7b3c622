package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// Job is a task of a job array as Slurm has it.
type Job struct{ ID, State, Reason, Node string }

// alive are the states of tasks that Slurm has not done with.
var alive = map[string]bool{"PENDING": true, "RUNNING": true, "CONFIGURING": true, "COMPLETING": true, "SUSPENDED": true, "STOPPED": true, "REQUEUED": true,
	"REQUEUE_HOLD": true, "REQUEUE_FED": true, "RESIZING": true, "SIGNALING": true, "STAGE_OUT": true, "SPECIAL_EXIT": true, "RESV_DEL_HOLD": true}

// Queue asks what became of the jobs of a user that have these numbers.
type Queue func(user string, jobs []string) ([]Job, error)

// AskSlurm is the [Queue] of Slurm: squeue, and sacct for those that squeue has forgotten, where there is accounting.
func AskSlurm(ctx context.Context) Queue {
	return func(user string, numbers []string) ([]Job, error) {
		args := []string{"--noheader", "--array", "--states=all", "--format=%i|%T|%r|%N"}
		if user != "" {
			args = append(args, "--user="+user)
		}
		out, err := call(ctx, "squeue", args...)
		if err != nil {
			return nil, errors.WithMessage(err, "Slurm cannot be asked what became of the jobs")
		}
		var jobs []Job
		if known, err := call(ctx, "sacct", "--allocations", "--noheader", "--parsable2", "--jobs="+strings.Join(numbers, ","), "--format=JobID,State,Reason,NodeList"); err == nil {
			jobs = parseJobs(known) // what squeue says comes later, and counts
		}
		return append(jobs, parseJobs(out)...), nil
	}
}

// parseJobs reads lines of "17_2|RUNNING|None|node3".
func parseJobs(text string) []Job {
	var jobs []Job
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 4 && f[1] != "" {
			state, _, _ := strings.Cut(f[1], " ") // "CANCELLED by 1000"
			jobs = append(jobs, Job{f[0], state, f[2], f[3]})
		}
	}
	return jobs
}

// jobs is the newest task of every run that was handed to Slurm. One that Slurm has forgotten has no state.
func (r Record) jobs(queue Queue) (map[string]Job, error) {
	numbers := map[string][]string{} // by user
	of := map[string]Job{}
	for _, h := range r.Handed {
		for i, run := range h.Runs {
			delete(of, run)
			if h.On == "slurm" {
				of[run] = Job{ID: fmt.Sprintf("%s_%d", h.Job, i)}
			}
		}
		if h.On == "slurm" {
			numbers[h.User] = append(numbers[h.User], h.Job)
		}
	}
	known := map[string]Job{}
	for user, list := range numbers {
		jobs, err := queue(user, list)
		if err != nil {
			return of, err
		}
		for _, j := range jobs {
			known[j.ID] = j
		}
	}
	for run, j := range of {
		if k, ok := known[j.ID]; ok {
			of[run] = k
		}
	}
	return of, nil
}

// States of a run.
const (
	Done    = "done"
	Running = "running"
	Waiting = "waiting"
	Dead    = "dead" // begun or handed over, and nobody is at it or will be
)

// RunState is how a run stands.
type RunState struct {
	Run, State string
	Job        string // of Slurm; "" where it has none
	Why        string // of a dead run, and what there is to say of others
	Diverged   bool   // it is dead, and would fail alike at every try
}

// lookAt says how a run of the study in dir stands.
func lookAt(dir, run string, jobs map[string]Job) (RunState, error) {
	s, err := experiment.StandingOf(filepath.Join(dir, run))
	if err != nil {
		return RunState{}, err
	}
	job, queued := jobs[run]
	r := RunState{Run: run, Job: job.ID}
	saved := ""
	if s.Of > 0 {
		saved = fmt.Sprintf("saved at step %d of %d", s.Step, s.Of)
	}
	say := func(parts ...string) string {
		var said []string
		for _, p := range parts {
			if p != "" {
				said = append(said, p)
			}
		}
		return strings.Join(said, "; ")
	}
	switch {
	case s.Finished:
		r.State = Done
	case s.AtWork != nil:
		r.State = Running
		progress := "begins"
		if p := s.AtWork.Progress; p != nil {
			if p.ETA -= time.Since(s.AtWork.Beat); p.ETA < 0 {
				p.ETA = 0
			}
			progress = fmt.Sprintf("%.0f%%, %s", 100*p.Fraction, strings.TrimPrefix(p.String(), p.Run+": "))
		}
		r.Why = say(progress, s.AtWork.String())
	case queued && job.State == "PENDING":
		r.State, r.Why = Waiting, say("job "+job.ID+" ("+job.Reason+")", saved)
	case queued && alive[job.State]:
		r.State, r.Why = Running, say("job "+job.ID+" "+strings.ToLower(job.State)+" on "+job.Node+" without a sign of life of the run yet", saved)
	case queued && job.State != "":
		r.State, r.Why = Dead, say("job "+job.ID+" "+job.State+onNode(job.Node), lastOf(dir, job, s), saved)
	case queued:
		r.State, r.Why = Dead, say("job "+job.ID+" has left Slurm's queue", lastOf(dir, job, s), saved)
	case s.Dead != nil:
		r.State, r.Why = Dead, say(s.Dead.String()+" ended without giving the folder back, its last sign of life was at "+s.Dead.Beat.Format(time.RFC3339), saved)
	case s.Begun || s.Failed != "": // it may have failed before it had anything to keep
		r.State, r.Why = Dead, say(s.Last, saved)
	default:
		r.State = Waiting
	}
	r.Diverged = r.State == Dead && s.Diverged
	return r, nil
}

func onNode(node string) string {
	if node == "" {
		return ""
	}
	return " on " + node
}

// lastOf is the last line of a task's log or, where it has none, of the run's.
func lastOf(dir string, j Job, s experiment.Standing) string {
	log := filepath.Join(dir, Folder, "logs", j.ID+".log")
	text, err := os.ReadFile(log)
	if err != nil && j.State == "CANCELLED" {
		return "" // perhaps before it began
	}
	if err != nil {
		return "it left no log in " + filepath.Dir(log) + ", so perhaps its machine does not see that folder"
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last := oneline.Text(string(lines[len(lines)-1]))
	if !strings.Contains(last, s.Failed) {
		last += " (" + s.Last + ")"
	}
	return last + " (" + log + ")"
}

// Status writes how the runs of the study in dir stand, to out, and to notes what could not be found out.
func Status(dir string, queue Queue, out, notes io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return errors.WithStack(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return errors.WithStack(err)
	}
	record, err := readRecord(dir)
	if err != nil {
		return err
	}
	jobs, err := record.jobs(queue)
	if err != nil {
		fmt.Fprintf(notes, "note: %v; what follows is by the run folders alone\n", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	count := map[string]int{}
	runs := 0
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), "config.yaml")); err != nil {
			for _, path := range []string{filepath.Join(dir, e.Name()), filepath.Join(dir, e.Name(), "config.yaml")} {
				if err := atomicfile.Dangling(path); err != nil {
					fmt.Fprintf(notes, "note: %v\n", err)
				}
			}
			continue
		}
		r, err := lookAt(dir, e.Name(), jobs)
		if err != nil {
			r = RunState{Run: e.Name(), State: Dead, Why: err.Error()}
		}
		runs++
		count[r.State]++
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Run, r.State, r.Why)
	}
	if runs == 0 {
		return experiment.Refusef("there are no runs in %s; name the folder of a study with --dir", dir)
	}
	if err := w.Flush(); err != nil {
		return errors.WithStack(err)
	}
	var sums []string
	for _, state := range []string{Done, Running, Waiting, Dead} {
		if count[state] > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", count[state], state))
		}
	}
	fmt.Fprintf(out, "%s: %s\n", words.Count(runs, "run"), strings.Join(sums, ", "))
	return nil
}
