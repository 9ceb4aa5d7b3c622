package kernelsetup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress reports steps, several of which may run at once. On a terminal the last line
// shows those under way and for how long; elsewhere a line is written every 8 s: after ten seconds of silence one wonders.
type progress struct {
	out      io.Writer
	terminal bool
	mu       sync.Mutex
	active   []string
	since    time.Time
	stop     chan struct{}
}

func newProgress(out io.Writer) *progress {
	file, ok := out.(interface{ Fd() uintptr })
	return &progress{out: out, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// step runs f, a thing that takes time, and says so.
func (p *progress) step(title string, f func() error) error {
	start := time.Now()
	p.enter(title)
	err := f()
	p.leave(title, time.Since(start), err)
	return err
}

func (p *progress) enter(title string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line("installing %s ...", title)
	if p.active = append(p.active, title); len(p.active) == 1 {
		p.since, p.stop = time.Now(), make(chan struct{})
		go p.tick(p.stop)
	}
}

func (p *progress) leave(title string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, name := range p.active {
		if name == title {
			p.active = append(p.active[:i], p.active[i+1:]...)
			break
		}
	}
	if len(p.active) == 0 {
		close(p.stop)
	}
	verdict := "done in"
	switch {
	case errors.Is(err, context.Canceled):
		verdict = "stopped after"
	case err != nil:
		verdict = "failed after"
	}
	p.line("%s: %s %.1f s", title, verdict, took.Seconds())
}

// line writes one full line over the terminal's moving one.
func (p *progress) line(format string, args ...any) {
	clear := ""
	if p.terminal {
		clear = "\r\033[K"
	}
	fmt.Fprintf(p.out, clear+format+"\n", args...)
}

func (p *progress) tick(stop chan struct{}) {
	every := 8 * time.Second
	if p.terminal {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		if len(p.active) > 0 {
			text := fmt.Sprintf("  %.0f s: %s", time.Since(p.since).Seconds(), strings.Join(p.active, ", "))
			if p.terminal {
				fmt.Fprintf(p.out, "\r\033[K%s", text)
			} else {
				p.line("%s", text)
			}
		}
		p.mu.Unlock()
	}
}
