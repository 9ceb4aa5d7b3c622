package experiment

import (
	"fmt"
	"strings"
	"testing"
)

// While a program of XLA's is built a run tells that, and no longer what it was about to do; then what it told last, again.
func TestProgressWhileAProgramIsBuilt(t *testing.T) {
	var said []string
	r := &run{opt: Options{Progress: func(p Progress) { said = append(said, p.Stage+strings.Repeat("!", len(p.Warnings))) }}}
	r.waits(true) // before anything is known of the run
	r.waits(false)
	r.tell(Progress{Stage: "measure", Step: 4, Steps: 8, Warnings: []string{"once"}})
	r.waits(false)
	r.waits(true)
	r.waits(true)
	r.waits(false)
	r.waits(false)
	r.waits(true)
	r.tell(Progress{Stage: "done", Step: 8, Steps: 8})
	r.waits(false) // the newest has been told
	if got, want := fmt.Sprint(said), "[measure! compile compile measure compile done]"; got != want {
		t.Errorf("it told %s; want %s", got, want)
	}
	for step, want := range map[int]string{0: "er: compiling the training step", 4: "er: compiling, task 1/2, step 4/8"} {
		if got := (Progress{Run: "er", Stage: "compile", Step: step, Steps: 8, Tasks: 2}).String(); !strings.HasPrefix(got, want) {
			t.Errorf("at step %d it reads %q; want %q", step, got, want)
		}
	}
}
