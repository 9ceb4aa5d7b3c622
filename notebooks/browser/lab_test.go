package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// marker is an environment variable that all processes of the laboratory inherit.
const marker = "PALIMPSEST_BROWSER_TEST"

// workspaces is how the names of the test's layouts of JupyterLab begin.
var workspaces = fmt.Sprintf("browser-test-%d", os.Getpid())

// layouts is where JupyterLab keeps them.
const layouts = root + "/.jupyter/config/lab/workspaces/"

// lab is a running `lab`.
type lab struct {
	cmd  *exec.Cmd
	said lines
	url  *url.URL // of its first page, with the token
	mark string
	temp string // its folder of temporary files

	workspaces int
}

// lines are what a process says, in the order in which it says it.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startLab starts `lab` on this checkout, with flags.
func startLab(t *testing.T, flags ...string) *lab {
	t.Helper()
	program := filepath.Join(t.TempDir(), "palimpsest")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	removeLeft(t, layouts+"browser-test-%d-*") // JupyterLab would open what they hold
	removeLeft(t, root+"/notebooks/try-%d-*.ipynb")
	removeLeft(t, root+"/runs/browser-%d")
	l := &lab{mark: fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano()), temp: t.TempDir()}
	l.cmd = exec.Command(program, append([]string{"lab", "--no-browser"}, flags...)...) // JupyterLab finds a port that is free
	l.cmd.Dir, l.cmd.SysProcAttr, l.cmd.WaitDelay = root, endsWithTest(), *patience
	l.cmd.Env = append(os.Environ(), marker+"="+l.mark, "TMPDIR="+l.temp, "PALIMPSEST_NOTEBOOK_TEST=1") // the latter makes the notebooks' runs short
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.cmd.Stderr = &l.said
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("`lab` says %s", l.said.String())
		}
		if l.cmd.ProcessState == nil {
			_ = l.cmd.Process.Signal(syscall.SIGTERM)
			l.wait()
		}
		all, _ := filepath.Glob(layouts + workspaces + "-*") // fails on a malformed pattern only
		for _, layout := range all {
			os.Remove(layout)
		}
	})
	address := make(chan string, 1)
	go func() {
		found := regexp.MustCompile(`http://localhost:\d+/lab\S*token=\w+`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(&l.said, lines.Text())
			if a := found.FindString(lines.Text()); a != "" {
				select {
				case address <- a:
				default:
				}
			}
		}
		close(address)
	}()
	select {
	case a := <-address:
		if l.url, err = url.Parse(a); err == nil && a != "" {
			return l
		}
	case <-time.After(10 * time.Minute): // it may have to install everything
	}
	t.Fatalf("`lab` gives no address; it says %s", l.said.String())
	return nil
}

// address is that of a path at the server, which may begin its query.
func (l *lab) address(path string) string {
	if !strings.Contains(path, "?") {
		path += "?"
	}
	return fmt.Sprintf("http://%s/%s%s", l.url.Host, path, l.url.RawQuery)
}

// workspace is the path of a layout of JupyterLab that nothing has been opened in.
func (l *lab) workspace() string {
	l.workspaces++
	return fmt.Sprintf("lab/workspaces/%s-%d", workspaces, l.workspaces)
}

// client gives up on a server that does not answer.
var client = http.Client{Timeout: time.Minute}

// runningKernel is a kernel as the server has it.
type runningKernel struct {
	ID          string `json:"id"`
	Connections int    `json:"connections"` // of pages
}

// kernels asks again where the server fails, as it does about a kernel that is just starting.
func (l *lab) kernels(t *testing.T) (all []runningKernel) {
	t.Helper()
	why := ""
	for since := time.Now(); time.Since(since) < *patience; time.Sleep(200 * time.Millisecond) {
		answer, err := client.Get(l.address("api/kernels"))
		if err != nil {
			why = err.Error()
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil && answer.StatusCode == http.StatusOK && json.Unmarshal(text, &all) == nil {
			return all
		}
		why = fmt.Sprintf("%s %.300s %v", answer.Status, text, err)
	}
	t.Fatalf("the server does not tell its kernels: %s", why)
	return nil
}

// waitsForNames is how long JupyterLab waits for the kernel to complete a name, by its settings.
func (l *lab) waitsForNames(t *testing.T) time.Duration {
	t.Helper()
	answer, err := client.Get(l.address("lab/api/settings/@jupyterlab/completer-extension:manager"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var s struct {
		Schema struct {
			Properties struct {
				ProviderTimeout struct {
					Default int `json:"default"` // ms
				} `json:"providerTimeout"`
			} `json:"properties"`
		} `json:"schema"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return time.Duration(s.Schema.Properties.ProviderTimeout.Default) * time.Millisecond
}

// connected says that there are kernels, and that a page listens to each.
func (l *lab) connected(t *testing.T) bool {
	t.Helper()
	all := l.kernels(t)
	for _, k := range all {
		if k.Connections == 0 {
			return false
		}
	}
	return len(all) > 0
}

// endKernels ends all kernels with their language servers.
func (l *lab) endKernels(t *testing.T) {
	t.Helper()
	for _, k := range l.kernels(t) {
		ask, err := http.NewRequest(http.MethodDelete, l.address("api/kernels/"+k.ID), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent && answer.StatusCode != http.StatusNotFound { // it has ended by itself
			t.Errorf("asked to end, a kernel answers %s", answer.Status)
		}
	}
}

// end ends `lab`, and with it everything that it began.
func (l *lab) end(t *testing.T) {
	t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.wait()
	if code := l.cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("asked to end, `lab` exits with %d; want 143; it says %s", code, l.said.String())
	}
	left := l.left()
	for since := time.Now(); len(left) > 0 && time.Since(since) < 10*time.Second; left = l.left() {
		time.Sleep(100 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("these outlive `lab`: %q", left)
	}
}

// wait waits until `lab`, which was asked to end, has ended, and kills it where it does not.
func (l *lab) wait() {
	defer time.AfterFunc(*patience, func() { _ = l.cmd.Process.Kill() }).Stop()
	_ = l.cmd.Wait() // its exit code is looked at where that matters
}

// killKernel kills the only kernel.
func (l *lab) killKernel(t *testing.T) {
	t.Helper()
	for pid, line := range l.processes() {
		if strings.Contains(line, "gonb --kernel ") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("there is no kernel among %q", l.left())
}

// left are the command lines of the laboratory's processes that are alive.
func (l *lab) left() []string { return slices.Collect(maps.Values(l.processes())) }

// processes are those of the laboratory that are alive, as far as the system tells, with their command lines.
func (l *lab) processes() map[int]string {
	all := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(marker+"="+l.mark+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // by the pattern it is a number
			all[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return all
}
