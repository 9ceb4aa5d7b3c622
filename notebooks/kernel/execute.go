package kernel

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pkg/errors"
)

// grace is how long an interrupted cell may take to end.
const grace = 5 * time.Second

// execute runs code as a cell and gathers its outputs in out. It returns when the kernel
// has answered and gone idle. When ctx ends, the cell is interrupted and the error is
// ctx's; the kernel may then be unusable.
func (p *Process) execute(ctx context.Context, code string, out *outputs) error {
	id, err := p.send(p.shell, "execute_request", map[string]any{
		"code": code, "silent": false, "store_history": true, "user_expressions": struct{}{},
		"allow_stdin": false, "stop_on_error": true,
	})
	if err != nil {
		return err
	}
	done := ctx.Done()
	var deadline <-chan time.Time
	for answered, idle := false, false; !answered || !idle; {
		select {
		case m := <-p.replies:
			answered = answered || m.Parent.ID == id && m.Header.Type == "execute_reply"
		case m := <-p.events:
			if m.Parent.ID != id {
				continue // an earlier request's
			}
			if err := out.add(m); err != nil {
				return err
			}
			idle = idle || m.Header.Type == "status" && state(m) == "idle"
		case err := <-p.errs:
			return err
		case <-p.ended:
			return errors.Errorf("the kernel's process ended%s", p.log)
		case <-done:
			if _, err := p.send(p.control, "interrupt_request", struct{}{}); err != nil {
				return err
			}
			done, deadline = nil, time.After(grace)
		case <-deadline:
			return ctx.Err()
		}
	}
	return ctx.Err()
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
