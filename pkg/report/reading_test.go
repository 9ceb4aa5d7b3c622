package report

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// The tests of this file read tables and sentences as they are written, and compare their numbers with what plain loops make of the
// stored runs.

// evaluation is that of a run after a task, or nil.
func evaluation(r *results.Run, after int) *results.Evaluation {
	for i := range r.Evaluations {
		if r.Evaluations[i].AfterTask == after {
			return &r.Evaluations[i]
		}
	}
	return nil
}

// mean is that of values with the weights of their tasks, or of all alike.
func mean(values, weights []float64) float64 {
	sum, total := 0.0, 0.0
	for i, v := range values {
		w := 1.0
		if len(weights) > 0 {
			w = weights[i]
		}
		sum, total = sum+w*v, total+w
	}
	return sum / total
}

// at are the values of a metric after a task on the tasks 0 to last; NaN where one was not measured.
func at(r *results.Run, after, last int, read func(*results.TaskMetrics) *float64) []float64 {
	values := make([]float64, last+1)
	for j := range values {
		values[j] = math.NaN()
		if e := evaluation(r, after); e != nil {
			if v := read(&e.Tasks[j]); v != nil {
				values[j] = *v
			}
		}
	}
	return values
}

func finalMean(read func(*results.TaskMetrics) *float64) func(*results.Run) float64 {
	return func(r *results.Run) float64 {
		end := len(r.Benchmark.Tasks) - 1
		return mean(at(r, end, end, read), r.Protocol.TaskWeights)
	}
}

// risen is by how much a metric rose since each old task was learned.
func risen(read func(*results.TaskMetrics) *float64) func(*results.Run) float64 {
	return func(r *results.Run) float64 {
		end := len(r.Benchmark.Tasks) - 1
		now := at(r, end, end, read)
		var rise []float64
		for j := range end {
			rise = append(rise, now[j]-at(r, j, j, read)[j])
		}
		return mean(rise, r.Protocol.TaskWeights)
	}
}

func fid(t *results.TaskMetrics) *float64      { return t.FID }
func accuracy(t *results.TaskMetrics) *float64 { return t.ClassAccuracy }

// numbers are the columns of tables by their heads, each a number of a run in the unit of the column.
var numbers = map[string]func(*results.Run) float64{
	"FID":            finalMean(fid),
	"FID forgetting": risen(fid),
	"last task FID": func(r *results.Run) float64 {
		end := len(r.Benchmark.Tasks) - 1
		return at(r, end, end, fid)[end]
	},
	"avg. incr. FID": func(r *results.Run) float64 {
		var all []float64
		for i := range r.Benchmark.Tasks {
			all = append(all, mean(at(r, i, i, fid), r.Protocol.TaskWeights))
		}
		return mean(all, nil)
	},
	"KID":           finalMean(func(t *results.TaskMetrics) *float64 { return t.KID }),
	"precision":     finalMean(func(t *results.TaskMetrics) *float64 { return t.Precision }),
	"recall":        finalMean(func(t *results.TaskMetrics) *float64 { return t.Recall }),
	"density":       finalMean(func(t *results.TaskMetrics) *float64 { return t.Density }),
	"coverage":      finalMean(func(t *results.TaskMetrics) *float64 { return t.Coverage }),
	"accuracy":      func(r *results.Run) float64 { return 100 * finalMean(accuracy)(r) },
	"accuracy lost": func(r *results.Run) float64 { return -100 * risen(accuracy)(r) },
	"label KL":      func(r *results.Run) float64 { return *evaluation(r, len(r.Benchmark.Tasks)-1).Union.LabelKL },
	"label ARD":     func(r *results.Run) float64 { return *evaluation(r, len(r.Benchmark.Tasks)-1).Union.LabelARD },
	"train copies by ratio": func(r *results.Run) float64 {
		return 100 * finalMean(func(t *results.TaskMetrics) *float64 { return t.MemorisedTrain })(r)
	},
	"stored images":     func(r *results.Run) float64 { return float64(r.Cost.StoredImages) },
	"training":          func(r *results.Run) float64 { return r.Cost.TrainSeconds },
	"extra evaluations": func(r *results.Run) float64 { return float64(r.Cost.ExtraEvaluations) },
}

var plusMinus = regexp.MustCompile(`^([−\d.,\x{a0}]+)( ± ([\d.,\x{a0}]+))?( \((\d+) seeds?\))?$`)

// cellNumbers reads "12.3 ± 0.4"; what is not there is NaN.
func cellNumbers(t *testing.T, text string) (value, spread, digit float64) {
	t.Helper()
	m := plusMinus.FindStringSubmatch(text)
	if m == nil {
		return math.NaN(), math.NaN(), math.NaN()
	}
	read := func(s string) float64 {
		v, err := strconv.ParseFloat(strings.NewReplacer("−", "-", "\u00a0", "", ",", "").Replace(s), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	digit = 1
	if _, decimals, found := strings.Cut(m[1], "."); found {
		digit = math.Pow(10, -float64(len(decimals)))
	}
	spread = math.NaN()
	if m[3] != "" {
		spread = read(m[3])
	}
	return read(m[1]), spread, digit
}

// check compares all columns of a table that [numbers] has with what the runs say, and returns how many cells it saw.
func check(t *testing.T, what string, table *table.Table, methods []study.Method) (seen int) {
	t.Helper()
	for _, section := range table.Sections {
		for _, c := range section.Columns {
			of := numbers[c.Head]
			if of == nil {
				continue
			}
			for i, g := range methods {
				var values []float64
				for _, r := range g.Runs {
					if v := of(r); !math.IsNaN(v) {
						values = append(values, v)
					}
				}
				value, spread, digit := cellNumbers(t, c.Cells[i].Text)
				if len(values) == 0 {
					if c.Cells[i].Text != "–" {
						t.Errorf("%s: %s of %s is %q; it was not measured", what, c.Head, g.Label, c.Cells[i].Text)
					}
					continue
				}
				seen++
				m, sd := mean(values, nil), 0.0
				for _, v := range values {
					sd += (v - m) * (v - m) / float64(len(values)-1)
				}
				sd = math.Sqrt(sd)
				if !(math.Abs(value-m) <= 0.5001*digit) {
					t.Errorf("%s: %s of %s is %q; by hand %g", what, c.Head, g.Label, c.Cells[i].Text, m)
				}
				if !math.IsNaN(spread) && !(math.Abs(spread-sd) <= 0.5001*digit) || math.IsNaN(spread) && len(values) > 1 && sd > 0 {
					t.Errorf("%s: %s of %s is %q; by hand ± %g", what, c.Head, g.Label, c.Cells[i].Text, sd)
				}
				if sort := c.Cells[i].Sort; math.Abs(sort-m) > 1e-9*(1+math.Abs(m)) {
					t.Errorf("%s: %s of %s sorts by %g; by hand %g", what, c.Head, g.Label, sort, m)
				}
			}
		}
	}
	return seen
}

// The tables of the stored study of the README, of one whose tasks are of unequal size, and of a made-up one hold what its runs do.
func TestTablesHoldWhatRunsDo(t *testing.T) {
	sets := map[string][]study.Method{"made up": study.Group(resultstest.MadeUp(3))}
	for _, name := range []string{"quick", "methods"} {
		set, err := study.Open("../../notebooks/results/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sets[name] = set.Group()
	}
	uneven := resultstest.MadeUp(2)
	for _, r := range uneven {
		r.Protocol.TaskWeights = []float64{0.5, 0.2, 0.3}
	}
	sets["uneven"] = study.Group(uneven)
	for what, methods := range sets {
		if seen := check(t, what+", table", NewTable(methods), methods); seen < 10*len(methods) {
			t.Errorf("%s: %d cells of the table were compared", what, seen)
		}
		if seen := check(t, what+", summary", NewSummary(methods), methods); seen < 4*len(methods) {
			t.Errorf("%s: %d cells of the summary were compared", what, seen)
		}
		if seen := check(t, what+", scorecard", NewScorecard(methods), methods); seen < 5*len(methods) {
			t.Errorf("%s: %d cells of the scorecard were compared", what, seen)
		}
	}
}

// Sizes of what is stored are in one unit for a column, and turn back into the bytes that runs report.
func TestStoredBytesInOneUnit(t *testing.T) {
	for most, unit := range map[int64]float64{900: 1, 45_000: 1 << 10, 3_000_000: 1 << 20, 7_000_000_000: 1 << 30} {
		runs := resultstest.MadeUp(1)
		for i, r := range runs {
			r.Cost.StoredBytes = most / int64(i+1)
		}
		methods := study.Group(runs)
		for _, section := range NewTable(methods).Sections {
			for _, c := range section.Columns {
				if c.Head != "stored" {
					continue
				}
				for i, g := range methods {
					value, _, digit := cellNumbers(t, c.Cells[i].Text)
					factor := map[string]float64{"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[c.Unit]
					if factor != unit {
						t.Errorf("the largest is %d bytes and the unit %s", most, c.Unit)
					}
					if bytes := float64(g.Runs[0].Cost.StoredBytes); math.Abs(value*factor-bytes) > 0.5001*digit*factor {
						t.Errorf("%g bytes are written %s %s", bytes, c.Cells[i].Text, c.Unit)
					}
				}
			}
		}
	}
}

// A targeted rehearsal is held against the full one of its own λ, at the share of rows that it replays.
func TestTargetedFindingsGiveTheNumbers(t *testing.T) {
	methods := study.Group(resultstest.TargetedRuns(3))
	find := func(label string) study.Method {
		g, ok := study.Labelled(methods, label)
		if !ok {
			t.Fatalf("no method %s", label)
		}
		return g
	}
	all := func(g study.Method) (sum float64) {
		for _, r := range g.Runs {
			sum += numbers["FID"](r) / float64(len(g.Runs))
		}
		return sum
	}
	got := TargetedFindings(methods)
	if len(got) != 2 {
		t.Fatalf("%d findings on two targeted methods: %q", len(got), got)
	}
	for label, price := range map[string]string{"er λ=1 t=high:0.5": "25 % of the rows", "er λ=1 t=low:0.5": "as many rows"} {
		own, full := all(find(label)), all(find("er λ=1"))
		found := false
		for _, s := range got {
			if !strings.HasPrefix(s, label+",") {
				continue
			}
			found = true
			if !strings.Contains(s, "with "+price+" replayed") || !strings.Contains(s, fmt.Sprintf("ends at a FID of %.1f ", own)) ||
				!strings.Contains(s, fmt.Sprintf("full rehearsal (er λ=1) ends at %.1f ", full)) || !strings.Contains(s, "worse") {
				t.Errorf("FID %g against %g: %s", own, full, s)
			}
		}
		if !found {
			t.Errorf("nothing is said of %s: %q", label, got)
		}
	}
}

// The verdict on the stored study gives its own numbers: how far finetune forgets, where joint ends, what each method keeps.
func TestVerdictOfTheStoredStudy(t *testing.T) {
	set, err := study.Open("../../notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	methods := set.Group()
	text := strings.Join(Verdict(methods), "\n")
	over := func(g study.Method, of func(*results.Run) float64) (sum float64) {
		for _, r := range g.Runs {
			sum += of(r) / float64(len(g.Runs))
		}
		return sum
	}
	for _, g := range methods {
		switch g.Name() {
		case study.Finetune:
			if want := fmt.Sprintf("is on average %.1f ± ", over(g, risen(fid))); !strings.Contains(text, want) {
				t.Errorf("missing %q", want)
			}
		case study.Joint:
			if want := fmt.Sprintf("its FID over all tasks is %.1f ± ", over(g, finalMean(fid))); !strings.Contains(text, want) {
				t.Errorf("missing %q", want)
			}
		default:
			if want := strings.ReplaceAll(fmt.Sprintf("%s's FID forgetting is %.1f ± ", g.Label, over(g, risen(fid))), "-", "−"); !strings.Contains(text, want) {
				t.Errorf("missing %q", want)
			}
			if n := over(g, numbers["stored images"]); n > 0 {
				if want := fmt.Sprintf("%s keeps %.0f images", g.Label, n); !strings.Contains(text, want) {
					t.Errorf("missing %q", want)
				}
			}
		}
	}
}
