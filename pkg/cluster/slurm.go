package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// Directives are options of sbatch.
type Directives struct {
	Limit int         // tasks of the array at a time; 0: as many as Slurm starts
	Other [][2]string // name and value, "" for an option that has none
}

// key is the name of an option of sbatch.
var key = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// alone are the options of sbatch that may stand without a value.
var alone = []string{"contiguous", "exclusive", "get-user-env", "hold", "no-kill", "no-requeue", "overcommit", "oversubscribe", "reboot", "requeue",
	"spread-job", "use-min-nodes"}

// ours are the options that the job script sets itself, or that would change what sbatch does with it.
var ours = map[string]string{"array": "the runs make the array; array-limit=N sets how many run at a time", "output": "logs lie in jobs/logs", "error": "logs lie in jobs/logs",
	"open-mode": "logs are appended to", "input": "runs read nothing", "wrap": "the script is written here", "wait": "nothing waits; --status says how far it is",
	"parsable": "it is set", "test-only": "--dry-run lists the runs",
	"help": "`sbatch --help` prints it", "version": "`sbatch --version` prints it"}

// ParseDirectives reads "partition=gpu,gres=gpu:1,time=04:00:00,array-limit=20". A comma followed by what is no name and "=", nor an
// option that stands alone, belongs to the value before it. What a value means is Slurm's to say.
func ParseDirectives(text string) (d Directives, err error) {
	if strings.TrimSpace(text) == "" {
		return d, nil
	}
	bad := func(format string, args ...any) (Directives, error) {
		return d, experiment.Refusef("--slurm %q: %s", text, fmt.Sprintf(format, args...))
	}
	for _, part := range strings.Split(text, ",") {
		name, value, valued := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		switch {
		case strings.HasPrefix(name, "-"):
			return bad("%q begins with a dash; write %s", part, strings.TrimLeft(part, "-"))
		case valued && key.MatchString(name) || slices.Contains(alone, name):
			d.Other = append(d.Other, [2]string{name, strings.TrimSpace(value)})
		case len(d.Other) > 0 && d.Other[len(d.Other)-1][1] != "" && part != "":
			d.Other[len(d.Other)-1][1] += "," + part
		default:
			return bad("%q is neither NAME=VALUE nor an option of sbatch that stands alone%s; need, for instance, partition=gpu,gres=gpu:1,time=04:00:00,array-limit=20",
				part, words.DidYouMean(name, alone))
		}
		if valued && value == "" && key.MatchString(name) {
			return bad("%s has no value", name)
		}
	}
	seen := map[string]bool{}
	for i := 0; i < len(d.Other); i++ {
		name, value := d.Other[i][0], d.Other[i][1]
		why, own := ours[name]
		switch {
		case seen[name]:
			return bad("%s stands twice; leave one of them out", name)
		case own:
			return bad("%s is not for you to set: %s", name, why)
		case strings.ContainsAny(value, "\"'\\\n\r\t"):
			return bad("the value of %s has a quote, a backslash or a line's end, which a job script cannot hold", name)
		case name == "array-limit":
			if d.Limit, err = strconv.Atoi(value); err != nil || d.Limit < 1 {
				return bad("array-limit is %s; need a whole number from 1 on", value)
			}
			d.Other = slices.Delete(d.Other, i, i+1)
			i--
		}
		seen[name] = true
	}
	return d, nil
}

// script is the job script. Slurm sends USR1 to it alone before the time limit: the run is then asked to end, saves a
// checkpoint, and is queued again unless it got nowhere. Of a cancelled job it is TERM, and nothing is queued again.
var script = template.Must(template.New("").Parse(`#!/bin/bash
# {{.Title}}
#SBATCH --job-name={{.Name}}
#SBATCH --array=0-{{.Last}}{{if .Limit}}%{{.Limit}}{{end}}
#SBATCH --output={{.Log}}
#SBATCH --open-mode=append
{{- range .Directives}}
#SBATCH --{{.}}
{{- end}}
set -u
runs=(
{{- range .Runs}}
	{{.}}
{{- end}}
)
study={{.Dir}}
program={{.Program}}
run=${runs[$SLURM_ARRAY_TASK_ID]}
{{- range .Environment}}
export {{.}}
{{- end}}
echo "$(date -u +%FT%TZ) $run on $(hostname), node ${SLURMD_NODENAME:-unknown}, job ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID, start $((${SLURM_RESTART_COUNT:-0} + 1))"
echo "{{.SHA256}}  $program" | sha256sum --check --quiet || exit 1

saved() { ls "$study/$run/checkpoints" 2>/dev/null; }
before=$(saved)
again=
"$program" resume --wait --command {{.Command}} "$study/$run" &
child=$!
trap 'again=yes; kill -TERM $child' USR1
trap 'kill -TERM $child' TERM
wait $child
code=$?
while kill -0 $child 2>/dev/null; do # a signal ends wait before the run has saved
	wait $child
	code=$?
done
if [ $code -gt 128 ] && [ -n "$again" ]; then
	if [ "$(saved)" != "$before" ]; then
		echo "the time limit is near: saved, and queued again"
		scontrol requeue "$SLURM_JOB_ID"
	else
		echo "error: nothing was saved within the time limit; ask for more time, or for less between checkpoints (checkpoint_every)"
	fi
elif [ $code -gt 128 ]; then
	echo "error: the run was ended by signal $((code - 128))"
fi
exit $code
`))

// usual are the directives that hold where none other is given.
var usual = [][2]string{{"requeue", ""}, {"signal", "B:USR1@120"}}

// slurmScript writes the job script of the runs to be handed over.
func (s *Study) slurmScript(d Directives) ([]byte, error) {
	logs := filepath.Join(s.Dir, Folder, "logs", "%A_%a.log")
	if strings.ContainsAny(s.Dir, "\"'\\%") {
		return nil, experiment.Refusef("the path of the study, %q, has a quote, a backslash or a percent sign, which Slurm takes for something else; name another folder with --dir", s.Dir)
	}
	named := func(name string) func([2]string) bool { return func(d [2]string) bool { return d[0] == name } }
	name := "palimpsest-" + filepath.Base(s.Dir)
	if i := slices.IndexFunc(d.Other, named("job-name")); i >= 0 {
		name = d.Other[i][1]
		d.Other = slices.Delete(slices.Clone(d.Other), i, i+1)
	}
	var lines []string
	for _, one := range append(slices.DeleteFunc(slices.Clone(usual), func(u [2]string) bool {
		return slices.ContainsFunc(d.Other, named(u[0])) || u[0] == "requeue" && slices.ContainsFunc(d.Other, named("no-requeue"))
	}), d.Other...) {
		line := one[0]
		if one[1] != "" {
			line += "=" + quoted(one[1])
		}
		lines = append(lines, line)
	}
	var runs, exports []string
	for _, run := range s.missing {
		runs = append(runs, words.Shell(run))
	}
	for _, e := range environment() {
		exports = append(exports, e[0]+"="+words.Shell(e[1]))
	}
	var text bytes.Buffer
	err := script.Execute(&text, map[string]any{
		"Title": "Made by: " + words.OneLine(s.Command), "Name": quoted(name), "Last": len(s.missing) - 1, "Limit": d.Limit, "Log": quoted(logs), "Directives": lines,
		"Runs": runs, "Dir": words.Shell(s.Dir), "Program": words.Shell(filepath.Join(s.Dir, s.record.Program.Path)), "SHA256": s.record.Program.SHA256,
		"Environment": exports, "Command": words.Shell(s.Command),
	})
	return text.Bytes(), errors.WithStack(err)
}

// quoted is a value as sbatch reads it from a script.
func quoted(value string) string {
	if strings.ContainsAny(value, " #") {
		return `"` + value + `"`
	}
	return value
}

// FindSlurm reports that this machine cannot submit jobs.
func FindSlurm() error {
	for _, program := range []string{"sbatch", "squeue"} {
		if _, err := exec.LookPath(program); err != nil {
			return experiment.Refusef("there is no %s on the PATH; give the command on a machine of the cluster that submits jobs, or write commands for another engine with --on list", program)
		}
	}
	return nil
}

// Slurm writes a job array of the missing runs and submits it. It returns the array's number.
func (s *Study) Slurm(ctx context.Context, d Directives) (job string, err error) {
	text, err := s.slurmScript(d)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, Folder, fmt.Sprintf("%d-slurm.sh", s.number()))
	if err := atomicfile.Write(path, text); err != nil {
		return "", err
	}
	out, err := call(ctx, "sbatch", "--parsable", path)
	if err != nil {
		_ = os.Remove(path)
		return "", experiment.Refused{Err: errors.WithMessagef(err, "Slurm refuses the jobs; --slurm takes its options as `sbatch --help` lists them")}
	}
	job, _, _ = strings.Cut(strings.TrimSpace(out), ";") // then the cluster's name
	if _, err := strconv.Atoi(job); err != nil {
		return "", errors.Errorf("sbatch answers %q in the place of a job's number; look at `squeue` for what it did", oneline.Text(out))
	}
	h := Handover{On: "slurm", Job: job}
	if u, err := user.Current(); err == nil {
		h.User = u.Username
	}
	return job, s.hand(h)
}

// call calls a command of Slurm.
func call(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		text := oneline.Text(strings.TrimSpace(said.String()))
		if text == "" {
			text = err.Error()
		}
		return "", errors.Errorf("%s: %s", name, text)
	}
	return out.String(), nil
}
