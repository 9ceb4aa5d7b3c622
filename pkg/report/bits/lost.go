package bits

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// What counts as lost and as kept; class accuracy is stored by task, so whole tasks are judged.
const (
	LearnedAbove = 0.5  // class accuracy just after learning, at least: there was something to lose
	LostBelow    = 0.05 // class accuracy at the end, below: lost entirely
	KeptWithin   = 0.01 // relative rise of BPD since learned, at most: kept
)

// LostClass is an old task whose classes a run can no longer draw at the end, and what its bits per dimension say.
type LostClass struct {
	Run             *results.Run
	Task            int
	LearnedAccuracy float64 // in [0, 1]
	FinalAccuracy   float64
	LearnedFID      float64 // NaN where not measured, as the next
	FinalFID        float64
	LearnedBPD      float64
	FinalBPD        float64
	Change          float64 // FinalBPD − LearnedBPD, bits per dimension
	Relative        float64 // Change / LearnedBPD
	SE              float64 // standard error of Change: of the estimates from few timesteps, as though independent
}

// Lost says whether the task was learned and then lost: [LearnedAbove], [LostBelow].
func (c LostClass) Lost() bool {
	return c.LearnedAccuracy >= LearnedAbove && c.FinalAccuracy < LostBelow
}

// Kept says whether BPD hides it: [KeptWithin].
func (c LostClass) Kept() bool { return c.Relative <= KeptWithin }

// name is the task with its classes.
func (c LostClass) name() string {
	return fmt.Sprintf("%s (%s) of %s, seed %d", words.Task(c.Task), c.Run.Benchmark.TaskTitle(c.Task), c.Run.Strategy.Label, c.Run.Seed)
}

// oldTasks are the tasks but the last of all runs with class accuracy and BPD at both moments, by the increase of BPD.
func oldTasks(runs []*results.Run) ([]LostClass, error) {
	runs, err := withBPD(runs)
	if err != nil {
		return nil, err
	}
	var out []LostClass
	for _, r := range runs {
		bpd, accuracy, fid := study.Matrix(r, study.BPD).R, study.Matrix(r, study.ClassAccuracy).R, study.Matrix(r, study.FID).R
		end := len(bpd) - 1
		for j := range end {
			c := LostClass{Run: r, Task: j, LearnedAccuracy: accuracy[j][j], FinalAccuracy: accuracy[end][j], LearnedFID: fid[j][j], FinalFID: fid[end][j],
				LearnedBPD: bpd[j][j], FinalBPD: bpd[end][j]}
			c.Change = c.FinalBPD - c.LearnedBPD
			c.Relative = c.Change / c.LearnedBPD
			if math.IsNaN(c.Change) || math.IsNaN(c.LearnedAccuracy+c.FinalAccuracy) {
				continue
			}
			for _, e := range r.Evaluations {
				for _, t := range e.Tasks {
					if t.Task == j && t.BPD != nil && (e.AfterTask == j || e.AfterTask == end) {
						c.SE = math.Hypot(c.SE, t.BPD.SE)
					}
				}
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errors.Errorf("bits: no old task of %d runs has class accuracy and BPD both just after learning and at the end; "+
			"joint training has no old tasks, and runs of other strategies by %s have them", len(runs), study.BPDCommand)
	}
	slices.SortStableFunc(out, func(a, b LostClass) int { return cmp.Compare(a.Relative, b.Relative) })
	return out, nil
}

// bits writes what happened to the task's bits and samples.
func (c LostClass) bits() string {
	text := fmt.Sprintf("class accuracy from %s to %s %%", words.Number(100*c.LearnedAccuracy, 1), words.Number(100*c.FinalAccuracy, 1))
	if !math.IsNaN(c.LearnedFID + c.FinalFID) {
		text += fmt.Sprintf(", FID from %s to %s", words.Number(c.LearnedFID, 1), words.Number(c.FinalFID, 1))
	}
	verb := "rise"
	if c.Change < 0 {
		verb = "fall"
	}
	return text + fmt.Sprintf(", while its bits %s from %s to %s bits/dim (%s %%)", verb, words.Number(c.LearnedBPD, 3), words.Number(c.FinalBPD, 3), words.Number(100*c.Relative, 1))
}

// lostOf are the tasks that were lost entirely, in the order given.
func lostOf(tasks []LostClass) []LostClass {
	return slices.DeleteFunc(slices.Clone(tasks), func(c LostClass) bool { return !c.Lost() })
}

// LostSentence says whether a run has lost an old task entirely and yet kept or bettered its BPD, and which; or the
// nearest case.
func LostSentence(runs []*results.Run) (string, error) {
	tasks, err := oldTasks(runs)
	if err != nil {
		return "", err
	}
	criterion := fmt.Sprintf("class accuracy under %g %%, from %g %% or more", 100*LostBelow, 100*LearnedAbove)
	lost := lostOf(tasks)
	if len(lost) == 0 {
		least := slices.MinFunc(tasks, func(a, b LostClass) int { return cmp.Compare(a.FinalAccuracy, b.FinalAccuracy) })
		return fmt.Sprintf("No run has lost an old task entirely (%s). The lowest at the end is %s: %s.", criterion, least.name(), least.bits()), nil
	}
	bettered, kept := 0, 0
	for _, c := range lost {
		if c.Change <= 0 {
			bettered++
		} else if c.Kept() {
			kept++
		}
	}
	counts := fmt.Sprintf("%d of %d old tasks are lost entirely (%s)", len(lost), len(tasks), criterion)
	if bettered+kept > 0 {
		return fmt.Sprintf("%s; of these %d bettered their bits per dimension and %d more kept them within %g %%. Most striking: %s, %s.",
			counts, bettered, kept, 100*KeptWithin, lost[0].name(), lost[0].bits()), nil
	}
	return fmt.Sprintf("%s; none of them kept its bits per dimension within %g %%. The nearest: %s, %s.", counts, 100*KeptWithin, lost[0].name(), lost[0].bits()), nil
}

// LostTable shows the lost tasks with the smallest relative increase of BPD, at most limit rows, or where none is lost those of
// the lowest class accuracy at the end.
func LostTable(runs []*results.Run, limit int) (*table.Table, error) {
	tasks, err := oldTasks(runs)
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(tasks), func(c LostClass) bool { return !c.Lost() })
	title := fmt.Sprintf("Lost entirely: class accuracy under %g %% at the end, %g %% or more when learned", 100*LostBelow, 100*LearnedAbove)
	if len(list) == 0 {
		list, title = tasks, "None is lost entirely; the old tasks of the lowest class accuracy"
		slices.SortStableFunc(list, func(a, b LostClass) int { return cmp.Compare(a.FinalAccuracy, b.FinalAccuracy) })
	}
	list = list[:min(max(limit, 0), len(list))]
	t := &table.Table{Head: "run", Notes: append([]string{"By the change of BPD, the smallest first; ± is the standard error of estimating it from few timesteps, images and noise being the same."},
		Notes(study.Group(runs))...)}
	columns := []table.Column{
		{Head: "task", Long: "Its number and classes."},
		{Head: "accuracy learned", Unit: "%", Long: "Class accuracy just after learning."},
		{Head: "accuracy at the end", Unit: "%", Long: "Class accuracy after the last task."},
		{Head: "FID learned", Long: "Just after learning."},
		{Head: "FID at the end", Long: "After the last task."},
		{Head: "BPD learned", Unit: "bits/dim", Long: "Just after learning."},
		{Head: "BPD at the end", Unit: "bits/dim", Long: "After the last task."},
		{Head: "change", Unit: "bits/dim", Long: "Of BPD since learned."},
		{Head: "change", Unit: "%", Long: "Of BPD since learned."},
	}
	for _, c := range list {
		t.Rows = append(t.Rows, fmt.Sprintf("%s, seed %d", c.Run.Strategy.Label, c.Run.Seed))
		change := words.PlusMinus(c.Change, c.SE, 3)
		for k, cell := range []table.Cell{
			{Text: fmt.Sprintf("%d: %s", c.Task+1, c.Run.Benchmark.TaskTitle(c.Task)), Sort: float64(c.Task)},
			{Text: words.Number(100*c.LearnedAccuracy, 1), Sort: c.LearnedAccuracy}, {Text: words.Number(100*c.FinalAccuracy, 1), Sort: c.FinalAccuracy},
			{Text: words.Number(c.LearnedFID, 1), Sort: c.LearnedFID}, {Text: words.Number(c.FinalFID, 1), Sort: c.FinalFID},
			{Text: words.Number(c.LearnedBPD, 3), Sort: c.LearnedBPD}, {Text: words.Number(c.FinalBPD, 3), Sort: c.FinalBPD},
			{Text: change, Sort: c.Change}, {Text: words.Number(100*c.Relative, 1), Sort: c.Relative},
		} {
			columns[k].Cells = append(columns[k].Cells, cell)
		}
	}
	t.Sections = []table.Section{{Title: title, Columns: columns}}
	return t, nil
}
