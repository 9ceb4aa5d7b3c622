package kernel

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pkg/errors"
)

// grace is how long an interrupted cell may take to end.
const grace = 5 * time.Second

// execute runs code as a cell and gathers its outputs, and late ones of earlier cells, in
// out. It returns the request's id, when the kernel has answered and gone idle. When ctx
// ends, the cell is interrupted and the error is ctx's; the kernel may then be unusable.
func (p *Process) execute(ctx context.Context, code string, out *outputs) (id string, err error) {
	id, err = p.send(p.shell, "execute_request", map[string]any{
		"code": code, "silent": false, "store_history": true, "user_expressions": struct{}{},
		"allow_stdin": false, "stop_on_error": true,
	})
	if err != nil {
		return id, err
	}
	out.cells[id] = &gathered{}
	done := ctx.Done()
	var deadline <-chan time.Time
	begun, interrupted := false, false
	for answered, idle := false, false; !answered || !idle; {
		if deadline != nil && begun && !interrupted { // an interrupt that comes before the cell begins is lost
			if _, err := p.send(p.control, "interrupt_request", struct{}{}); err != nil {
				return id, err
			}
			interrupted = true
		}
		select {
		case m := <-p.replies:
			answered = answered || m.Parent.ID == id && m.Header.Type == "execute_reply"
		case m := <-p.events:
			if err := out.add(m); err != nil {
				return id, err
			}
			begun = begun || m.Parent.ID == id && m.Header.Type == "execute_input"
			idle = idle || m.Parent.ID == id && m.Header.Type == "status" && state(m) == "idle"
		case err := <-p.errs:
			return id, err
		case <-p.ended:
			return id, errors.Errorf("the kernel's process ended%s", p.wrote())
		case <-done:
			done, deadline = nil, time.After(grace)
		case <-deadline:
			return id, ctx.Err()
		}
	}
	return id, ctx.Err()
}

// drain gathers outputs that come late, until none has come for a while.
func (p *Process) drain(out *outputs) error {
	for {
		select {
		case m := <-p.events:
			if err := out.add(m); err != nil {
				return err
			}
		case <-time.After(100 * time.Millisecond):
			return nil
		}
	}
}

// state returns the kernel state a status message tells.
func state(m message) string {
	var c struct {
		State string `json:"execution_state"`
	}
	if json.Unmarshal(m.Content, &c) != nil {
		return ""
	}
	return c.State
}
