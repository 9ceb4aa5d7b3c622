package oneline

import (
	"strings"
	"sync"
)

// kept is how many bytes a [Tail] keeps.
const kept = 4096

// Tail is a writer that keeps the last 4096 bytes written to it: what a process said last, however much it says. It may be
// written to and read by several goroutines.
type Tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-kept):]...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(p), nil
}

// String is what is kept, without white space around it.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// Last is the last line that says something, as [Text] has it.
func (t *Tail) Last() string {
	text := t.String()
	return Text(text[strings.LastIndexByte(text, '\n')+1:])
}
