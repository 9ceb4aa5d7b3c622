//go:build linux

package cluster_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/command"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// TestMain makes this test binary the program itself where it is called by the name palimpsest, under which it is on the PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"palimpsest": func() { os.Exit(command.Main()) }})
}

// packages are Debian's that make a Slurm of one machine, with the libraries that a small system lacks.
var packages = []string{"slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "libmunge2", "munge", "libhwloc15", "liblua5.1-0"}

// bringSlurm unpacks Slurm into the cache folder, where it is not there yet, and returns the folder that is the root of its files.
// Nothing is installed. apt checks what it brings against Debian's signed lists.
func bringSlurm(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("Slurm is not tested here: there is no %s to bring its packages", program)
		}
	}
	cache, err := backend.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "slurm")
	// Lists of our own, where the system has none.
	for _, dir := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(cache, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own := []string{"-qq", "-o", "Dir::State::Lists=" + filepath.Join(cache, "lists"), "-o", "Dir::Cache=" + cache, "-o", "APT::Sandbox::User="}
	options := own[:1]
	apt := func(dir string, args ...string) (string, error) {
		cmd := exec.Command("apt-get", append(slices.Clone(options), args...)...)
		cmd.Dir = dir
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("apt-get %s: %v %s", args[0], err, strings.Join(strings.Fields(said.String()), " "))
		}
		return string(out), err
	}
	list, err := apt(cache, append([]string{"download", "--print-uris"}, packages...)...)
	if err != nil {
		options = own
		if _, err := apt(cache, "update"); err != nil {
			t.Skipf("Slurm is not tested here: %v", err)
		}
		if list, err = apt(cache, append([]string{"download", "--print-uris"}, packages...)...); err != nil {
			t.Skipf("Slurm is not tested here: %v", err)
		}
	}
	var files []string // with version and sum, and without where they come from
	for line := range strings.Lines(list) {
		_, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files = append(files, file)
	}
	slices.Sort(files)
	sum := sha256.Sum256([]byte(strings.Join(files, "\n")))
	root := filepath.Join(cache, hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(root); err == nil {
		return root
	}
	work, err := os.MkdirTemp(cache, "unpacking-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(work)
	if _, err := apt(work, append([]string{"download"}, packages...)...); err != nil {
		t.Skipf("Slurm is not tested here: %v", err)
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != len(packages) {
		t.Fatalf("%d packages of %d came (%v)", len(debs), len(packages), err)
	}
	for _, deb := range debs {
		if out, err := exec.Command("dpkg-deb", "-x", deb, filepath.Join(work, "root")).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", deb, err, out)
		}
	}
	if err := os.Rename(filepath.Join(work, "root"), root); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return root
}

// slurmConf makes two nodes of this machine, of one core each; a node that is not heard of for some seconds is down.
const slurmConf = `ClusterName=one
SlurmctldHost=%[1]s(127.0.0.1)
SlurmUser=%[2]s
SlurmdUser=%[2]s
AuthType=auth/none
CredType=cred/none
PluginDir=%[3]s
StateSaveLocation=%[4]s/state
SlurmdSpoolDir=%[4]s/spool-%%n
SlurmctldPidFile=%[4]s/ctld.pid
SlurmdPidFile=%[4]s/%%n.pid
SlurmctldPort=%[5]d
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=6
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=n[1-2] NodeHostname=%[1]s NodeAddr=127.0.0.1 Port=[%[6]d-%[7]d] CPUs=1 RealMemory=500 State=UNKNOWN
PartitionName=p Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
`

// slurm is a Slurm at work on this machine.
type slurm struct {
	t     *testing.T
	root  string
	dir   string
	nodes map[string]*exec.Cmd
}

// startSlurm starts a controller and two nodes, and ends them with the test.
func startSlurm(t *testing.T) *slurm {
	root := bringSlurm(t)
	plugins, _ := filepath.Glob(filepath.Join(root, "usr/lib/*/slurm-wlm"))
	if len(plugins) != 1 {
		t.Fatalf("%d folders of plugins in %s", len(plugins), root)
	}
	s := &slurm{t: t, root: root, dir: t.TempDir(), nodes: map[string]*exec.Cmd{}}
	t.Setenv("LD_LIBRARY_PATH", filepath.Dir(plugins[0])+":"+plugins[0])
	t.Setenv("PATH", filepath.Join(root, "usr/bin")+":"+os.Getenv("PATH"))
	t.Setenv("SLURM_CONF", filepath.Join(s.dir, "slurm.conf"))
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 3)
	text := fmt.Sprintf(slurmConf, strings.Split(name, ".")[0], me.Username, plugins[0], s.dir, port, port+1, port+2)
	if err := os.WriteFile(filepath.Join(s.dir, "slurm.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"state", "spool-n1", "spool-n2"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.start("slurmctld-wlm", "-D")
	for _, node := range []string{"n1", "n2"} {
		s.startNode(node)
	}
	s.until("the nodes are idle", func() bool { return strings.Contains(s.ask("sinfo", "-h", "-o", "%D %t"), "2 idle") })
	return s
}

// freePorts is the first of n ports in a row that nobody listens on, below those that the system gives to whoever asks for any.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for try := range 1000 {
		first, free := 20000+(os.Getpid()+17*try)%4000*n, true
		for port := first; port < first+n && free; port++ {
			l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return 0
}

// start starts a daemon, which writes to a log in the folder.
func (s *slurm) start(program string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.root, "usr/sbin", program), args...)
	log, err := os.OpenFile(filepath.Join(s.dir, program+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s.t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				s.t.Logf("%s ends with:\n%s", program, text[max(0, len(text)-1500):])
			}
		}
	})
	return cmd
}

func (s *slurm) startNode(node string) {
	s.t.Helper()
	s.nodes[node] = s.start("slurmd-wlm", "-D", "-N", node, "-d", filepath.Join(s.root, "usr/sbin/slurmstepd-wlm"))
}

// ask is the output of one of Slurm's commands, "" where it fails or takes too long.
func (s *slurm) ask(name string, args ...string) string {
	out, _ := exec.Command("timeout", append([]string{"5", name}, args...)...).Output()
	return strings.TrimSpace(string(out))
}

// until waits until is says so, which a busy machine may take long for.
func (s *slurm) until(what string, is func() bool) {
	s.t.Helper()
	for begin := time.Now(); time.Since(begin) < 4*time.Minute; time.Sleep(100 * time.Millisecond) {
		if is() {
			s.t.Logf("%s after %.1f s", what, time.Since(begin).Seconds())
			return
		}
	}
	s.t.Fatalf("never: %s; the queue is\n%s", what, s.ask("squeue", "-r", "-a", "--states=all"))
}

// state is that of a task in Slurm's words.
func (s *slurm) state(task string) string {
	for line := range strings.Lines(s.ask("squeue", "-h", "-r", "--states=all", "--format=%i %T")) {
		if id, state, _ := strings.Cut(strings.TrimSpace(line), " "); id == task {
			return state
		}
	}
	return ""
}

// now has a task that is queued again begin without the minutes that Slurm lets pass.
func (s *slurm) now(task string) {
	s.t.Helper()
	s.until(task+" is queued again", func() bool { return s.state(task) == "PENDING" })
	s.until(task+" may begin", func() bool {
		return s.ask("scontrol", "update", "jobid="+task, "starttime=now") == "" && s.state(task) != ""
	})
}

// tiny is a run of some seconds on one core.
const tiny = `
cores: 1
benchmark: {class_order: given, classes: [0, 1], classes_per_task: 1}
network: {base: 8, mults: [1]}
diffusion: {timesteps: 10}
loop: {steps_per_task: 400, fresh_rows: 1, replay_rows: 1}
evaluate: {samples_per_task: 64, batch: 64, sampler: {steps: 1}}
autopsy: {images: 0}
checkpoint_every: 100
`

// newest is the newest checkpoint of a run, "" where it has none.
func newest(dir string) string {
	found, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "phase*"))
	if len(found) == 0 {
		return ""
	}
	return filepath.Base(slices.Max(found))
}

// A study on Slurm whose tasks are killed, whose node fails and whose time runs out gives the table of one that was made here, to
// the digit. No process of ours stays between the commands.
func TestSlurm(t *testing.T) {
	if testing.Short() {
		t.Skip("trains eight small runs")
	}
	s := startSlurm(t)
	if err := kernelsetup.EnsurePlugin(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	config := filepath.Join(work, "tiny.yaml")
	if err := os.WriteFile(config, []byte(tiny), 0o644); err != nil {
		t.Fatal(err)
	}
	grid := []string{"bench", "--config", config, "--strategies", "finetune,er", "--sweep", "lambda=1,0.3,0.1"}
	names := []string{"finetune-seed0", "er-lambda1-seed0", "er-lambda0.3-seed0", "er-lambda0.1-seed0"}
	dir, local := filepath.Join(work, "slurm"), filepath.Join(work, "local")
	palimpsest := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("palimpsest", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, said.String())
		}
		if left := ofSession(cmd.Process.Pid); len(left) > 0 {
			t.Errorf("after %q processes %v are left", args, left)
		}
		return string(out) + said.String()
	}
	submit := func() string {
		return palimpsest(append(slices.Clone(grid), "--dir", dir, "--on", "slurm", "--slurm", "time=00:10:00,array-limit=2")...)
	}
	status := func() string { return palimpsest("bench", "--status", "--dir", dir) }

	out := submit()
	found := regexp.MustCompile(`(?m)^job (\d+): 4 runs submitted$`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("submitting says %q", out)
	}
	task := func(i int) string { return found[1] + "_" + strconv.Itoa(i) }
	if again := submit(); strings.Contains(again, "submitted") || !strings.Contains(again, "4 runs: ") {
		t.Errorf("submitting what is queued says %q", again)
	}
	run := func(i int) string { return filepath.Join(dir, names[i]) }
	// held is who has a run, once that has saved. Its process stands still from then on, and so does not end before what is to befall
	// it; saved is the newest checkpoint that it leaves.
	saved := map[int]int{}
	held := func(i int) *experiment.Holder {
		t.Helper()
		s.until(names[i]+" has saved", func() bool { return newest(run(i)) != "" })
		holder, err := experiment.HolderOf(run(i))
		if holder == nil || holder.Job != task(i) {
			t.Fatalf("the holder of %s is %v (%v), want job %s", names[i], holder, err, task(i))
		}
		if err := syscall.Kill(holder.Process, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for tries := 0; !standsStill(holder.Process); tries++ { // looked for often, since the others go on
			if tries > 10_000 {
				t.Fatalf("process %d of %s does not stand still", holder.Process, names[i])
			}
			time.Sleep(time.Millisecond)
		}
		var phase, step int
		if _, err := fmt.Sscanf(newest(run(i)), "phase%d-step%d", &phase, &step); err != nil {
			t.Fatalf("the newest checkpoint of %s is %q", names[i], newest(run(i)))
		}
		saved[i] = phase*400 + step
		return holder
	}

	// The run of the first task is killed.
	if err := syscall.Kill(held(0).Process, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// The node of the second fails, with all that is on it.
	holder, node := held(1), ""
	s.until("the second task has a node", func() bool {
		node = s.ask("squeue", "-h", "-r", "--jobs="+task(1), "--format=%N")
		return s.nodes[node] != nil
	})
	_ = s.nodes[node].Process.Kill()
	for _, pid := range []int{parent(parent(holder.Process)), parent(holder.Process), holder.Process} { // slurmstepd, the script, the run
		if pid > 1 { // 0 would be this process's group
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	// Slurm would find that out by itself, after twenty seconds of nobody doing anything.
	s.until("the node is known to be down", func() bool {
		s.ask("scontrol", "update", "nodename="+node, "state=down", "reason=failed")
		return strings.HasPrefix(s.ask("sinfo", "-h", "-n", node, "-o", "%t"), "down")
	})
	// The time of the third runs out, as far as its script can see.
	holder = held(2)
	s.until("the third is asked to end", func() bool {
		s.ask("scancel", "--signal=USR1", "--batch", task(2))
		return pending(holder.Process, syscall.SIGTERM)
	})
	if err := syscall.Kill(holder.Process, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.until("the third is queued again", func() bool { return s.state(task(2)) == "PENDING" })
	if said := status(); !regexp.MustCompile(names[0]+` +dead +job `+task(0)+` FAILED on n\d; error: the run was ended by signal 9`).MatchString(said) ||
		!regexp.MustCompile(names[2]+` +waiting +job `+task(2)+` \(\w+\); saved at step \d+ of 800`).MatchString(said) {
		t.Errorf("the status is\n%s", said)
	}
	s.now(task(1)) // on the other node
	s.now(task(2))
	s.until("the array has ended", func() bool { return s.ask("squeue", "-h", "-r") == "" })
	if said := status(); !strings.Contains(said, "4 runs: 3 done, 1 dead") {
		t.Errorf("the status is\n%s", said)
	}

	// What is missing, alone, is submitted again.
	if out = submit(); !strings.Contains(out, ": 1 run submitted") || !strings.Contains(out, names[0]+" is handed over again: ") {
		t.Errorf("submitting again says %q", out)
	}
	s.until("the last has ended", func() bool { return s.ask("squeue", "-h", "-r") == "" })
	if out = submit(); !strings.Contains(out, "Report: ") {
		t.Errorf("of a finished study it says %q", out)
	}
	for i := range 3 {
		// Nothing that was saved is trained again. A checkpoint is written every 100 steps before the next is begun, so what was is less
		// than an interval. Who was asked to end has saved once more.
		log, err := os.ReadFile(filepath.Join(run(i), "log.txt"))
		went, from := regexp.MustCompile(`going on after step (\d+) of`).FindAllSubmatch(log, -1), 0
		if len(went) > 0 {
			from, _ = strconv.Atoi(string(went[0][1]))
		}
		if asked := i == 2; err != nil || len(went) != 1 || !asked && from != saved[i] || asked && (from < saved[i] || from > saved[i]+100) {
			t.Errorf("the log of %s (%v) does not go on once, from the checkpoint at step %d:\n%s", names[i], err, saved[i], log)
		}
	}

	palimpsest(append(slices.Clone(grid), "--dir", local, "--workers", "2")...)
	if there, here := table(t, dir, names), table(t, local, names); there != here {
		t.Errorf("on Slurm the table is\n%s\nhere it is\n%s", there, here)
	}
}

// table is the table of runs without what differs by machine and moment: how long they took.
func table(t *testing.T, dir string, names []string) string {
	t.Helper()
	var runs []*results.Run
	for _, name := range names {
		r, err := results.Load(filepath.Join(dir, name, "result.json"))
		if err != nil {
			t.Fatal(err)
		}
		r.Cost.TrainSeconds, r.Cost.EvalSeconds, r.Cost.CompileSeconds, r.Cost.PeakRSS = 0, 0, 0, 0
		runs = append(runs, r)
	}
	text := fmt.Sprint(report.TextTable(study.Group(runs)))
	for _, r := range runs {
		for _, e := range r.Evaluations {
			for _, m := range e.Tasks {
				if m.FID != nil {
					text += fmt.Sprintln(r.Name, e.AfterTask, *m.FID)
				}
			}
		}
		text += fmt.Sprintln(r.Losses)
	}
	return text
}

// pending says whether a process that stands still has been sent a signal.
func pending(pid int, signal syscall.Signal) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, set, _ := strings.Cut(string(text), "\nShdPnd:\t")
	bits, err := strconv.ParseUint(set[:min(16, len(set))], 16, 64)
	return err == nil && bits>>(signal-1)&1 == 1
}

// standsStill says that no thread of a process runs, after SIGSTOP.
func standsStill(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, thread := range threads {
		text, _ := os.ReadFile(thread)
		if _, rest, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" ")); len(rest) == 0 || rest[0] != 'T' {
			return false
		}
	}
	return len(threads) > 0
}

// parent is the process that started another, by Linux.
func parent(pid int) int { return stat(pid)[0] }

// stat are parent, group and session of a process, 0 where it has ended.
func stat(pid int) (ids [3]int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ids
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for i := range ids {
		ids[i], _ = strconv.Atoi(fields[1+i])
	}
	return ids
}

// ofSession lists the processes of a session.
func ofSession(session int) []int {
	var all []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && stat(pid)[2] == session {
			all = append(all, pid)
		}
	}
	return all
}
