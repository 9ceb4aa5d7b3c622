package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// Options says how [Start] starts a kernel.
type Options struct {
	// Command returns the kernel's command line for a connection file.
	Command func(connectionFile string) []string
	Env     []string // "NAME=value", added to the environment; cells see it
	Dir     string   // working folder of the kernel and of its cells
}

// Process is a running kernel. It is not safe for concurrent use.
type Process struct {
	cmd      *exec.Cmd
	dir      string // with the connection file and TMPDIR
	remove   func() // removes it
	session  string
	key      []byte
	shell    zmq4.Socket
	control  zmq4.Socket
	replies  chan message // from shell
	events   chan message // from iopub
	errs     chan error   // from the readers of both
	ended    chan struct{}
	log      oneline.Tail
	language map[string]any // what a notebook notes of the kernel
	stop     context.CancelFunc
}

// Start starts a kernel with a temporary folder of its own, so that nothing an earlier
// kernel cached is seen, and waits until it answers. ctx bounds the start alone; call Close
// at the end.
func Start(ctx context.Context, o Options) (*Process, error) {
	parent := os.TempDir()
	if len(parent) > 60 { // the path of a socket has 103 bytes at most
		parent = "/tmp"
	}
	dir, remove, err := atomicfile.Temporary(parent, "kernel")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	p := &Process{
		dir: dir, remove: remove, session: randomHex(16), key: []byte(randomHex(16)),
		replies: make(chan message, 16), events: make(chan message, 1024),
		errs: make(chan error, 2), ended: make(chan struct{}),
	}
	if err := p.start(ctx, o); err != nil {
		p.kill()
		return nil, errors.WithMessagef(err, "the kernel did not start%s", p.wrote())
	}
	return p, nil
}

func (p *Process) start(ctx context.Context, o Options) error {
	// Sockets are files in the kernel's own folder: a TCP port that is free now may be another's when the kernel asks for it.
	connection := map[string]any{
		"ip": filepath.Join(p.dir, "socket"), "transport": "ipc", "signature_scheme": "hmac-sha256", "key": string(p.key),
		"shell_port": shellSocket, "iopub_port": iopubSocket, "stdin_port": 3, "control_port": controlSocket, "hb_port": 5,
	}
	text, err := json.Marshal(connection)
	if err != nil {
		return errors.WithStack(err)
	}
	file := filepath.Join(p.dir, "connection.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return errors.WithStack(err)
	}
	tmp := filepath.Join(p.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return errors.WithStack(err)
	}
	argv := o.Command(file)
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = o.Dir
	p.cmd.Env = append(append(os.Environ(), o.Env...), "TMPDIR="+tmp)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = Group() // cells, compilers and gopls end with it
	if err := p.cmd.Start(); err != nil {
		return errors.WithStack(err)
	}
	go func() {
		p.cmd.Wait() // the status says nothing the last messages do not
		close(p.ended)
	}()
	return p.connect(ctx)
}

// The numbers of the kernel's sockets that this program uses.
const shellSocket, iopubSocket, controlSocket = 1, 2, 4

// connect dials the kernel and waits until both channels work: a subscription takes effect
// some time after it is made, so the question is repeated until its echo arrives.
func (p *Process) connect(ctx context.Context) error {
	life, stop := context.WithCancel(context.Background())
	p.stop = stop
	retry := zmq4.WithDialerRetry(50 * time.Millisecond)
	noLimit := zmq4.WithDialerMaxRetries(-1)
	p.shell = zmq4.NewDealer(life, retry, noLimit)
	p.control = zmq4.NewDealer(life, retry, noLimit)
	iopub := zmq4.NewSub(life, retry, noLimit)
	dial := func() error {
		for number, socket := range map[int]zmq4.Socket{shellSocket: p.shell, iopubSocket: iopub, controlSocket: p.control} {
			if err := socket.Dial(fmt.Sprintf("ipc://%s-%d", filepath.Join(p.dir, "socket"), number)); err != nil {
				return errors.WithStack(err)
			}
		}
		return errors.WithStack(iopub.SetOption(zmq4.OptionSubscribe, ""))
	}
	dialled := make(chan error, 1)
	go func() { dialled <- dial() }()
	select {
	case err := <-dialled:
		if err != nil {
			return err
		}
	case <-p.ended:
		return errors.New("its process ended")
	case <-ctx.Done():
		return ctx.Err()
	}
	go p.read(life, p.shell, p.replies)
	go p.read(life, iopub, p.events)
	for answered, echoed := false, false; !answered || !echoed; {
		if _, err := p.send(p.shell, "kernel_info_request", struct{}{}); err != nil {
			return err
		}
		again := time.After(200 * time.Millisecond)
	wait:
		for !answered || !echoed {
			select {
			case m := <-p.replies:
				if m.Header.Type == "kernel_info_reply" {
					answered, p.language = true, language(m)
				}
			case <-p.events:
				echoed = true
			case err := <-p.errs:
				return err
			case <-p.ended:
				return errors.New("its process ended")
			case <-ctx.Done():
				return ctx.Err()
			case <-again:
				break wait
			}
		}
	}
	return nil
}

// language is what the kernel says of its language, and JupyterLab writes into every notebook that it opens.
func language(m message) map[string]any {
	var c struct {
		Language map[string]any `json:"language_info"`
	}
	if json.Unmarshal(m.Content, &c) != nil {
		return nil
	}
	return c.Language
}

// read passes on what socket receives until life ends.
func (p *Process) read(life context.Context, socket zmq4.Socket, to chan<- message) {
	for {
		wire, err := socket.Recv()
		var m message
		if err == nil {
			m, err = decode(wire, p.key)
		}
		if life.Err() != nil {
			return
		}
		if err != nil {
			p.errs <- errors.WithStack(err)
			return
		}
		select {
		case to <- m:
		case <-life.Done():
			return
		}
	}
}

// send sends a request and returns its id.
func (p *Process) send(socket zmq4.Socket, msgType string, content any) (string, error) {
	m, err := newMessage(p.session, msgType, content)
	if err != nil {
		return "", err
	}
	wire, err := m.encode(p.key)
	if err != nil {
		return "", err
	}
	return m.Header.ID, errors.WithStack(socket.Send(wire))
}

// Close asks the kernel to shut down, gives it five seconds and then ends it with all its
// children. It removes what they left in their temporary folder.
func (p *Process) Close() error {
	_, err := p.send(p.control, "shutdown_request", map[string]bool{"restart": false})
	if err == nil {
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
	}
	return p.kill()
}

// Kill kills the kernel's own process, as a front end does whose kernel does not shut down in time. Close is still to be called.
func (p *Process) Kill() error { return errors.WithStack(p.cmd.Process.Kill()) }

// kill ends the process group and frees everything.
func (p *Process) kill() error {
	if p.cmd != nil && p.cmd.Process != nil {
		// The group may outlive its leader.
		if err := EndGroup(p.cmd.Process); err == nil {
			<-p.ended
		}
	}
	if p.stop != nil {
		p.stop()
	}
	defer p.remove()
	// A cell's program is in a group of its own. It ends when the system sees that the kernel has, and may write until then.
	var err error
	for range 50 {
		if err = os.RemoveAll(p.dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.WithStack(err)
}

// wrote is what the kernel's process wrote last, if anything, as the end of an error message.
func (p *Process) wrote() string {
	if text := p.log.String(); text != "" {
		return "; it wrote:\n" + text
	}
	return ""
}
