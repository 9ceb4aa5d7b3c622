package report

import (
	"strconv"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// Measurements are the stored numbers of runs as CSV: a row for each run, moment and task, and a column for each metric that any of
// the runs has. Tasks count from 0, as in the files of a run; shares and accuracies are from 0 to 1, as they are stored. What was not measured is empty.
func Measurements(runs []*results.Run) string {
	var measured []study.Metric
	for _, m := range study.Metrics() {
		if anyHas(runs, m) {
			measured = append(measured, m)
		}
	}
	head := []string{"strategy", "seed", "run", "after_task", "step", "task", "samples"}
	for _, m := range measured {
		head = append(head, m.Key)
	}
	rows := [][]string{head}
	for _, r := range runs {
		for _, e := range r.Evaluations {
			for i := range e.Tasks {
				t := &e.Tasks[i]
				row := []string{r.Strategy.Label, strconv.FormatUint(r.Seed, 10), r.Name, strconv.Itoa(e.AfterTask), strconv.Itoa(e.Step),
					strconv.Itoa(t.Task), strconv.Itoa(t.N)}
				for _, m := range measured {
					text := ""
					if v := m.Read(t); v != nil {
						text = strconv.FormatFloat(*v, 'g', -1, 64)
					}
					row = append(row, text)
				}
				rows = append(rows, row)
			}
		}
	}
	return table.CSV(rows)
}

func anyHas(runs []*results.Run, m study.Metric) bool {
	for _, r := range runs {
		for _, e := range r.Evaluations {
			for i := range e.Tasks {
				if m.Read(&e.Tasks[i]) != nil {
					return true
				}
			}
		}
	}
	return false
}
