package perf

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/oneline"
)

// Contestant is one who is measured.
type Contestant struct {
	Name    string
	Task    Task
	Command []string // a program that answers tasks, with its arguments
	Env     []string // besides this process's own
}

// entrant is a contestant that is ready.
type entrant interface {
	measure(calls int) (sample, error)
	stop()
}

// process is a contestant in a process of its own.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
	stderr  oneline.Tail
	ended   sync.Once
}

// startProcess starts a contestant and waits until it is ready. The process ends with ctx.
func startProcess(ctx context.Context, c Contestant, oneCore bool) (entrant, ready, error) {
	p := &process{cmd: exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stderr, p.cmd.WaitDelay = &p.stderr, 5*time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, ready{}, errors.WithStack(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, ready{}, errors.WithStack(err)
	}
	p.stdin, p.answers = stdin, json.NewDecoder(stdout)
	if err := start(p.cmd, oneCore); err != nil {
		return nil, ready{}, errors.WithStack(err)
	}
	var r ready
	if err = p.ask(c.Task, &r); err == nil && r.Error != "" {
		err = errors.New(oneline.Text(r.Error))
		if r.Other {
			err = &otherNetwork{err}
		}
	}
	if err != nil {
		p.stop()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, ready{}, err
	}
	return p, r, nil
}

// otherNetwork is the error of a contestant that does not do the same work, so that nothing compares.
type otherNetwork struct{ error }

// Unwrap gives the error itself.
func (o *otherNetwork) Unwrap() error { return o.error }

// ask writes a question and reads the answer.
func (p *process) ask(question, answer any) error {
	err := json.NewEncoder(p.stdin).Encode(question)
	if err == nil {
		err = p.answers.Decode(answer)
	}
	if err == nil {
		return nil
	}
	p.stop()
	if last := p.stderr.Last(); last != "" {
		return errors.Errorf("its process ended: %s", last)
	}
	return errors.Wrap(err, "its process does not answer")
}

func (p *process) measure(calls int) (sample, error) {
	var s sample
	err := p.ask(request{calls}, &s)
	if err == nil && s.Error != "" {
		err = errors.New(oneline.Text(s.Error))
	}
	return s, err
}

// stop lets the process end, or ends it.
func (p *process) stop() {
	p.ended.Do(func() {
		_ = p.stdin.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer kill.Stop()
		_ = p.cmd.Wait() // how it ended does not matter any more
	})
}
