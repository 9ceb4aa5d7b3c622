package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
)

// handed is a study of runs of these names, ready to be handed over, in a folder of its own.
func handed(t *testing.T, runs ...string) *Study {
	t.Helper()
	s := &Study{Command: "go run . bench --variant 'it'\\''s: seed=1'\n$(rm -r /)", Say: io.Discard, missing: runs}
	s.Dir = filepath.Join(t.TempDir(), "My study")
	s.record.Program = Program{Path: filepath.Join(Folder, "0123456789ab", "palimpsest"), SHA256: strings.Repeat("0", 64)}
	if err := os.MkdirAll(filepath.Join(s.Dir, Folder), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		if err := os.Mkdir(filepath.Join(s.Dir, run), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, run, "config.yaml"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// config is a stored configuration with nothing but what every one has.
const config = "{name: '', seed: 0, benchmark: {}, network: {}, diffusion: {}, train: {}, loop: {}, strategy: {name: finetune}, evaluate: {}, checkpoint_every: 100}\n"

// oddRuns have what a shell takes for something else in their names.
var oddRuns = []string{"er-lambda0.3-seed0", "it's $(touch x) `touch x` 100%-seed0", "T=100 \"x\"-seed0"}

func TestDirectives(t *testing.T) {
	for text, want := range map[string]Directives{
		"": {},
		"partition=gpu,gres=gpu:1,time=04:00:00,array-limit=20": {20, [][2]string{{"partition", "gpu"}, {"gres", "gpu:1"}, {"time", "04:00:00"}}},
		"exclusive,nodelist=a,b,hold":                           {0, [][2]string{{"exclusive", ""}, {"nodelist", "a,b"}, {"hold", ""}}},
		"mail-type=END,FAIL,export=ALL,A=1,B=2":                 {0, [][2]string{{"mail-type", "END,FAIL"}, {"export", "ALL,A=1,B=2"}}},
		"comment=a=b,mem=4G":                                    {0, [][2]string{{"comment", "a=b"}, {"mem", "4G"}}},
	} {
		got, err := ParseDirectives(text)
		if err != nil || got.Limit != want.Limit || !slices.Equal(got.Other, want.Other) {
			t.Errorf("%q gives %v (%v), want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"gpu":                       `"gpu" is neither NAME=VALUE`,
		"exlusive":                  `did you mean "exclusive"?`,
		",partition=gpu":            "is neither",
		"--partition=gpu":           "write partition=gpu",
		"partition=gpu,":            "is neither",
		"time=":                     "time has no value",
		"time=1,time=2":             "time stands twice",
		"array=0-3":                 "array-limit=N",
		"output=x":                  "jobs/logs",
		"array-limit=0":             "array-limit is 0; need a whole number",
		"array-limit=many":          "array-limit is many",
		"comment=a\n#SBATCH --wrap": "a line's end",
		`comment="a b"`:             "has a quote",
	} {
		_, err := ParseDirectives(text)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(experiment.Refused)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q gives %v, want one line with %q", text, err, want)
		}
	}
}

// The job script runs the program on the run of its index, whatever that and the command are called, and queues what was
// interrupted again if something was saved.
func TestJobScript(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("there is no sha256sum")
	}
	s := handed(t, oddRuns...)
	program := filepath.Join(s.Dir, s.record.Program.Path)
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	// A program that says what it is called with, and behaves as the file "do" has it.
	if err := os.WriteFile(program, []byte("#!/bin/bash\nfor a; do printf '<%s>' \"$a\"; done; echo \" $"+host.CommitEnv+"\"\n. \"$DO\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	sum, err := exec.Command("sha256sum", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	s.record.Program.SHA256 = string(sum[:64])
	text, err := s.slurmScript(Directives{Limit: 2, Other: [][2]string{{"partition", "gpu"}, {"signal", "B:USR1@60"}, {"comment", "two words"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"#SBATCH --array=0-2%2", "#SBATCH --partition=gpu", "#SBATCH --signal=B:USR1@60", `#SBATCH --comment="two words"`, "#SBATCH --requeue",
		`#SBATCH --output="` + filepath.Join(s.Dir, Folder, "logs", "%A_%a.log") + `"`} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the script lacks the line %s", line)
		}
	}
	if n := strings.Count(string(text), "--signal"); n != 1 {
		t.Errorf("%d signals are asked for, want one", n)
	}
	scriptFile := filepath.Join(t.TempDir(), "job.sh")
	if err := os.WriteFile(scriptFile, text, 0o644); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "scontrol"), []byte("#!/bin/sh\necho \"asked: $*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		do   string
		code int
		says string
		not  string
	}{
		"done":                {"exit 0", 0, "", "asked"},
		"failed":              {"echo 'error: x'; exit 1", 1, "error: x\n", "asked"},
		"killed":              {"kill -KILL $$", 137, "error: the run was ended by signal 9\n", "asked"},
		"limit, saved":        {"trap 'sleep 0.2; mkdir -p \"$5/checkpoints/phase00\"; exit 143' TERM; kill -USR1 $PPID; while :; do sleep 0.05; done", 143, "asked: requeue 99\n", ""},
		"limit, got nowhere":  {"trap 'exit 143' TERM; kill -USR1 $PPID; while :; do sleep 0.05; done", 143, "ask for more time", "asked"},
		"limit, but finished": {"trap : TERM; kill -USR1 $PPID; sleep 0.2; exit 0", 0, "", "asked"},
		"cancelled":           {"trap 'mkdir -p \"$5/checkpoints/phase00\"; exit 143' TERM; kill -TERM $PPID; while :; do sleep 0.05; done", 143, "ended by signal 15", "asked"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(filepath.Join(s.Dir, oddRuns[1], "checkpoints")); err != nil {
				t.Fatal(err)
			}
			do := filepath.Join(t.TempDir(), "do")
			if err := os.WriteFile(do, []byte(tc.do), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("bash", scriptFile)
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DO="+do, "SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_JOB_ID=98", "SLURM_JOB_ID=99")
			cmd.Dir = t.TempDir()
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(string(out), tc.says) || tc.not != "" && strings.Contains(string(out), tc.not) {
				t.Errorf("exit code %d and %q; want %d and %q, not %q", code, out, tc.code, tc.says, tc.not)
			}
			if want := "<resume><--wait><--command><" + s.Command + "><" + filepath.Join(s.Dir, oddRuns[1]) + ">"; !strings.Contains(string(out), want) {
				t.Errorf("it says %q, want %q", out, want)
			}
			if made, _ := filepath.Glob(filepath.Join(cmd.Dir, "*")); len(made) > 0 {
				t.Errorf("a name was taken for a command: %v", made)
			}
		})
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho another program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", scriptFile)
	cmd.Env = append(os.Environ(), "SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_JOB_ID=98")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || strings.Contains(string(out), "another program") {
		t.Errorf("a program that was replaced runs: %s", out)
	}
}

// The manifest passes the schema that Kubernetes publishes, which refuses what it does not know, and its command does what the
// script of a Slurm task does.
func TestManifest(t *testing.T) {
	s := handed(t, oddRuns...)
	k, err := ParseKubernetes("image=registry.example/palimpsest:cuda,claim=research,path=a/b,namespace=lab,cpu=500m,memory=8Gi,gpu=1,limit=2", s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.manifest(k)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("testdata/job-batch-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text []byte) error {
		var tree any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			return err
		}
		data, err := json.Marshal(tree)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	if err := check(text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for from, to := range map[string]string{"completionMode:": "completionsMode:", "completions: 3": "completions: three", "image:": "images:", "claimName:": "claim:"} {
		if !strings.Contains(string(text), from) || check([]byte(strings.Replace(string(text), from, to, 1))) == nil {
			t.Errorf("with %q in the place of %q the manifest passes too", to, from)
		}
	}
	var job struct {
		Spec struct {
			Completions, Parallelism int
			Template                 struct {
				Spec struct{ Containers []struct{ Command []string } }
			}
		}
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	if job.Spec.Completions != 3 || job.Spec.Parallelism != 2 {
		t.Errorf("%d completions, %d at a time; want 3, 2 at a time", job.Spec.Completions, job.Spec.Parallelism)
	}
	for text, want := range map[string]string{
		"":                                  "need, for instance",
		"image=x":                           "claim is missing",
		"claim=x":                           "image is missing",
		"image=x,claim=y,cpus=2":            `did you mean "cpu"?`,
		"image=x,claim=y,memory=lots":       "memory is \"lots\"",
		"image=x,claim=y,gpu=-1":            "gpu is -1; need a whole number from 0 on",
		"image=x,claim=y,limit=0":           "limit is 0",
		"image=x,claim=Y":                   "lower-case",
		"image=x,claim=y,path=../elsewhere": "without ..",
		"image=x,image=z,claim=y":           "image stands twice",
	} {
		if _, err := ParseKubernetes(text, s.Dir); err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(experiment.Refused)) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}

// A shell reads each line of a list as one call of the program, on the run it is for.
func TestList(t *testing.T) {
	s := handed(t, oddRuns...)
	program := filepath.Join(s.Dir, s.record.Program.Path)
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	lines, err := s.List()
	if err != nil || len(lines) != len(oddRuns) {
		t.Fatalf("%d lines (%v)", len(lines), err)
	}
	for i, line := range lines {
		if strings.Contains(line, "\n") {
			t.Errorf("%q is more than one line", line)
		}
		out, err := exec.Command("sh", "-c", line).Output()
		if err != nil {
			t.Skip(err)
		}
		if want := "<" + filepath.Join(s.Dir, oddRuns[i]) + ">"; !strings.HasPrefix(string(out), "<resume><--wait><--command><") || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s calls it with %s, want %s", line, out, want)
		}
	}
}

// What Slurm says of a task and what its folder says make one word and a reason.
func TestStandings(t *testing.T) {
	s := handed(t, "a-seed0", "b-seed0", "c-seed0", "d-seed0", "e-seed0", "f-seed0", "g-seed0")
	s.record.Handed = []Handover{{On: "slurm", Job: "7", User: "me", Runs: []string{"a-seed0", "b-seed0", "c-seed0", "d-seed0", "e-seed0"}}}
	if err := s.record.write(s.Dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join("a-seed0", "result.json"):                           "{}",
		filepath.Join("d-seed0", "log.txt"):                               "2026-01-02T03:04:05Z stopped: the loss is NaN\n",
		filepath.Join("g-seed0", "log.txt"):                               "2026-01-02T03:04:05Z on a processor\n2026-01-02T03:04:06Z diverged: step 1: the loss is NaN\n", // and no checkpoint
		filepath.Join(Folder, "logs", "7_3.log"):                          "hello\nerror: the loss is NaN\n",
		filepath.Join("d-seed0", "checkpoints", "phase00-step000004", ""): "",
	} {
		path := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	queue := func(user string, jobs []string) ([]Job, error) {
		if user != "me" || !slices.Equal(jobs, []string{"7"}) {
			t.Errorf("asked for jobs %v of %s", jobs, user)
		}
		return parseJobs("7_1|PENDING|Priority|\n7_2|RUNNING|None|node3\n7_3|FAILED|NonZeroExitCode|node4\n9_0|RUNNING|None|node3\n"), nil
	}
	var out, notes bytes.Buffer
	if err := Status(s.Dir, queue, &out, &notes); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(strings.ReplaceAll(out.String(), s.Dir, "DIR")), " ")
	want := "a-seed0 done b-seed0 waiting job 7_1 (Priority) c-seed0 running job 7_2 running on node3 without a sign of life of the run yet " +
		"d-seed0 dead job 7_3 FAILED on node4; error: the loss is NaN (DIR/jobs/logs/7_3.log); saved at step 4 of 750 " +
		"e-seed0 dead job 7_4 has left Slurm's queue; it left no log in DIR/jobs/logs, so perhaps its machine does not see that folder " +
		"f-seed0 waiting g-seed0 dead diverged: step 1: the loss is NaN 7 runs: 1 done, 1 running, 2 waiting, 3 dead"
	if got != want || notes.Len() > 0 {
		t.Errorf("the status is\n%s\nwant\n%s\nnotes: %s", got, want, notes.String())
	}
	out.Reset()
	if err := Status(s.Dir, func(string, []string) ([]Job, error) { return nil, errors.New("no squeue") }, &out, &notes); err != nil || !strings.Contains(notes.String(), "no squeue") {
		t.Errorf("without Slurm: %v, %q", err, notes.String())
	}
	for link, at := range map[string]string{"gone-seed0": "gone-seed0", "x/config.yaml": "x/config.yaml"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/no/where", filepath.Join(s.Dir, filepath.FromSlash(link))); err != nil {
			t.Fatal(err)
		}
		notes.Reset()
		want := "note: " + filepath.Join(s.Dir, filepath.FromSlash(at)) + " is a link to /no/where, where nothing is; bring that back, or remove the link\n"
		if err := Status(s.Dir, queue, &out, &notes); err != nil || !strings.Contains(notes.String(), want) {
			t.Errorf("a link that leads nowhere: %v, notes %q, want %q", err, notes.String(), want)
		}
	}
	if err := Status(t.TempDir(), queue, &out, &notes); err == nil || !strings.Contains(err.Error(), "there are no runs in") {
		t.Errorf("an empty folder gives %v", err)
	}
}

func TestFileSystems(t *testing.T) {
	const mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n" +
		"30 22 0:40 / /home rw - nfs4 server:/home rw\n" +
		"31 22 0:41 / /home/me/my\\040scratch rw - xfs /dev/sdb rw\n" +
		"32 22 0:42 / /homes rw - tmpfs none rw\n"
	for dir, want := range map[string]string{"/": "ext4", "/home/me": "nfs4", "/home": "nfs4", "/home/me/my scratch/x": "xfs", "/homes/x": "tmpfs", "/homey": "ext4"} {
		if got := kindOf(mounts, dir); got != want {
			t.Errorf("%s is on %q, want %q", dir, got, want)
		}
	}
}

// A study is made by one program, and a copy of it that was damaged is made anew.
func TestOneProgramAStudy(t *testing.T) {
	s := handed(t, "a-seed0")
	s.record = Record{}
	for range 2 {
		if err := s.TakeProgram(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(s.Dir, s.record.Program.Path)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o100 == 0 {
			t.Errorf("the program is %v (%v)", info, err)
		}
		if err := os.Truncate(path, 10); err != nil {
			t.Fatal(err)
		}
	}
	s.record.Program.SHA256 = strings.Repeat("1", 64)
	if err := s.TakeProgram(); err == nil || !strings.Contains(err.Error(), "another program") || !errors.As(err, new(experiment.Refused)) {
		t.Errorf("another program gives %v", err)
	}
}
