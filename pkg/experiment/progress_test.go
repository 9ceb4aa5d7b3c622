package experiment

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// While a program of XLA's is built a run tells that, and no longer what it was about to do; then what it told last, again.
func TestProgressWhileAProgramIsBuilt(t *testing.T) {
	var said []string
	r := &run{opt: Options{Progress: func(p Progress) {
		stage := p.Stage
		if p.During != "" {
			stage += " for " + p.During
		}
		said = append(said, stage+strings.Repeat("!", len(p.Warnings)))
	}}}
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
	if got, want := fmt.Sprint(said), "[measure! compile for measure compile for measure measure compile for measure done]"; got != want {
		t.Errorf("it told %s; want %s", got, want)
	}
}

// A line says one thing that a run does. Only training has a loss and a speed, where they are known, and how long a program is
// compiled is not known.
func TestProgressSaysOneThing(t *testing.T) {
	begun := Progress{Run: "er", Task: 1, Tasks: 2, Step: 4, Steps: 8, ETA: 13 * time.Second}
	trained := begun
	trained.Loss, trained.ImagesPerSecond = 1.0921, 111.2
	noted := Progress{Run: "er", Note: "training a classifier"}
	resumed := trained // into the autopsy: nothing was trained, and nothing measured
	resumed.Loss, resumed.ImagesPerSecond, resumed.ETA, resumed.Step = 0, 0, 0, 8
	for _, tc := range []struct {
		p         Progress
		stage     string
		compiling bool
		want      string
	}{
		{Progress{Run: "er"}, "prepare", false, "er: preparing"},
		{noted, "prepare", false, "er: training a classifier"},
		{Progress{Run: "er", Tasks: 2, Steps: 8}, "train", true, "er: training task 1/2, step 0/8, compiling"},
		{begun, "train", false, "er: training task 2/2, step 4/8, 13s left"},
		{begun, "train", true, "er: training task 2/2, step 4/8, compiling"},
		{trained, "train", false, "er: training task 2/2, step 4/8, loss 1.092, 111 images/s, 13s left"},
		{trained, "train", true, "er: training task 2/2, step 4/8, compiling"},
		{trained, "measure", false, "er: measuring task 2/2, step 4/8, 13s left"},
		{trained, "measure", true, "er: measuring task 2/2, step 4/8, compiling"},
		{trained, "end", true, "er: consolidating task 2/2, step 4/8, compiling"},
		{trained, "save", false, "er: saving, step 4/8, 13s left"},
		{trained, "autopsy", false, "er: autopsy, 13s left"},
		{trained, "autopsy", true, "er: autopsy, compiling"},
		{resumed, "autopsy", false, "er: autopsy"},
		{resumed, "autopsy", true, "er: autopsy, compiling"},
		{Progress{Run: "er", Tasks: 2, Step: 8, Steps: 8, Loss: 1}, "done", false, "er: done"},
	} {
		p := tc.p.at(tc.stage, tc.compiling)
		if got := p.String(); got != tc.want {
			t.Errorf("%s, compiling %v: it reads %q; want %q", tc.stage, tc.compiling, got, tc.want)
		}
		if (p.Loss != 0 || p.ImagesPerSecond != 0) && p.Stage != "train" {
			t.Errorf("%s has a loss of %g and a speed of %g", p.Stage, p.Loss, p.ImagesPerSecond)
		}
	}
	before := Progress{Run: "er", Stage: "compile", Step: 4, Steps: 8, Tasks: 2} // as an earlier version wrote it
	if got, want := before.String(), "er: training task 1/2, step 4/8, compiling"; got != want {
		t.Errorf("of an earlier version it reads %q; want %q", got, want)
	}
}

// What is left of measuring goes by measurements that had no program built.
func TestTimeLeft(t *testing.T) {
	c := clock{rowsLeft: 40}
	c.rows(10, 5, time.Second)
	if left := c.remaining(4); left != 0 {
		t.Errorf("%g s are left when nothing is known but how long it took with a program built", left)
	}
	c.rows(10, 1, time.Second)
	c.rows(10, 9, 9*time.Second)
	if left := c.remaining(4); left != 1 {
		t.Errorf("%g s are left for 10 rows; want 1, as they took without a program built", left)
	}
	c = clock{stepsLeft: 2, rowsLeft: 12, before: 3}
	if left := c.remaining(4); left != 9 {
		t.Errorf("of a run gone on with %g s are left; want 2 steps of 3 s and 12 rows of a quarter of a second", left)
	}
}
