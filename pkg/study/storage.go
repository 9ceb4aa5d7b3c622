package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// equalBytes is by what share of the larger the storage of two methods may differ to count as equal: items of unlike sizes do not come
// out even.
const equalBytes = 0.05

// Storages compares forms of a strategy that keep unlike things in as many bytes.
type Storages struct {
	Strategy string
	Groups   []StorageGroup // by benchmark and steps, then bytes, then λ from high to low
	Left     []string       // labels of methods that no plain one stores as much as
}

// StorageGroup are methods of one λ, rows, benchmark and length of training that store as many bytes.
type StorageGroup struct {
	Plain  Method   // its settings are the strategy's own, but for λ, buffer and rows
	Others []Method // by label
}

// EqualStorage groups the runs of a strategy. It is an error if no method stores as much as a plain one of its λ.
func EqualStorage(runs []*results.Run, strategy string) (*Storages, error) {
	s := &Storages{Strategy: strategy}
	var plain, others []Method
	for _, g := range Group(runs) {
		if g.Name() != strategy || storedBytes(g) == 0 {
			continue
		}
		if plainSettings(g.Runs[0]) && variantOf(g.Runs[0]) == "" {
			plain = append(plain, g)
		} else {
			others = append(others, g)
		}
	}
	for _, p := range plain {
		group := StorageGroup{Plain: p}
		others = slices.DeleteFunc(others, func(g Method) bool {
			same := storesAs(g, p)
			if same {
				group.Others = append(group.Others, g)
			}
			return same
		})
		if len(group.Others) > 0 {
			slices.SortFunc(group.Others, func(a, b Method) int { return cmp.Compare(a.Label, b.Label) })
			s.Groups = append(s.Groups, group)
		}
	}
	for _, g := range others {
		s.Left = append(s.Left, g.Label)
	}
	if len(s.Groups) == 0 {
		return nil, errors.Errorf("study: no two forms of %q store as many bytes at one λ, one of them with plain settings; %s", strategy, missingForm(strategy, plain, others))
	}
	slices.SortStableFunc(s.Groups, func(a, b StorageGroup) int {
		return cmp.Or(trainingOf(a.Plain.Runs[0]).compare(trainingOf(b.Plain.Runs[0])), cmp.Compare(storedBytes(a.Plain), storedBytes(b.Plain)),
			-cmp.Compare(lambdaOf(a.Plain), lambdaOf(b.Plain)))
	})
	return s, nil
}

// missingForm says what to run so that there is something to compare.
func missingForm(strategy string, plain, others []Method) string {
	switch {
	case len(plain) == 0 && len(others) > 0:
		return fmt.Sprintf("there is %s, which stores %.0f bytes: run a plain one that stores as much, with the same λ, rows and length (`--sweep buffer=N`)",
			others[0].Label, storedBytes(others[0]))
	case len(others) > 0:
		return fmt.Sprintf("%s stores %.0f bytes and %s %.0f: run one of them with a buffer that makes these equal (`--sweep buffer=N`), at the same λ, rows and length",
			plain[0].Label, storedBytes(plain[0]), others[0].Label, storedBytes(others[0]))
	}
	return fmt.Sprintf("run `go run . bench --strategies %s --sweep policy=class-balanced,herding`", strategy)
}

func storedBytes(g Method) float64 { return g.Summary().StoredBytes.Mean }

func lambdaOf(g Method) float64 {
	lambda, _ := setting(g.Runs[0], "lambda")
	return lambda
}

// storesAs says whether a method differs from a plain one by what it stores alone.
func storesAs(g, plain Method) bool {
	a, b := g.Runs[0], plain.Runs[0]
	x, y := storedBytes(g), storedBytes(plain)
	return trainingOf(a) == trainingOf(b) && lambdaOf(g) == lambdaOf(plain) && a.Cost.ReplayRows == b.Cost.ReplayRows && a.Cost.FreshRows == b.Cost.FreshRows &&
		math.Abs(x-y) <= equalBytes*max(x, y)
}

// Table holds a row a method, the plain one of each group first.
func (s *Storages) Table() *table.Table {
	all := s.methods()
	_, copies, criterion := CopyMetrics(all)
	t := &table.Table{Head: "strategy", Warnings: Warnings(all), Alarms: Alarms(all)}
	columns := []table.Column{
		{Head: "stored, bytes", Long: "Of all that is kept, at the end."},
		{Head: "FID", Arrow: "↓", Long: "After the last task, averaged over all tasks."},
		{Head: "minus the plain one's", Long: "FID less that of the plain form above on the same seeds, with its 95 % t interval."},
		{Head: "p", Long: "Of that difference, by Student's t on the differences seed by seed."},
		{Head: "p, Holm", Long: "The same, corrected for the number of differences in the table."},
		{Head: "accuracy", Unit: "%", Arrow: "↑", Long: "Class accuracy of final samples, averaged over all tasks."},
		{Head: "FLD", Arrow: "↓", Long: FLD.InTable.Long},
		{Head: "copies", Unit: "%", Long: "Share of final samples that copy an image of the buffer by " + criterion + "."},
		{Head: "extra evaluations", Long: "Rows run through a network besides those of the training steps."},
	}
	var differences []Difference
	var p []float64
	for _, group := range s.Groups {
		for _, g := range group.Others {
			d := Compare(g.Summary().FID, group.Plain.Summary().FID)
			differences = append(differences, d)
			if d.Tested() {
				p = append(p, d.P)
			}
		}
	}
	corrected := holm(p)
	none := table.Cell{Text: words.Missing, Sort: math.NaN()}
	add := func(g Method, difference, alone, held table.Cell) {
		sum, share := g.Summary(), g.FinalShare(copies).Times(100)
		t.Rows = append(t.Rows, g.Label+marks(g))
		for k, c := range []table.Cell{
			{Text: fmt.Sprintf("%.0f", sum.StoredBytes.Mean), Sort: sum.StoredBytes.Mean}, {Text: sum.FID.Format(1), Sort: sum.FID.Mean}, difference, alone, held,
			{Text: sum.ClassAccuracy.Times(100).Format(1), Sort: sum.ClassAccuracy.Mean}, {Text: g.ColumnOf(FLD).Format(1), Sort: g.ColumnOf(FLD).Mean},
			{Text: share.Format(1), Sort: share.Mean}, {Text: fmt.Sprintf("%.0f", sum.ExtraEvaluations.Mean), Sort: sum.ExtraEvaluations.Mean},
		} {
			columns[k].Cells = append(columns[k].Cells, c)
		}
	}
	for _, group := range s.Groups {
		add(group.Plain, table.Cell{Text: "(plain)", Sort: 0}, none, none)
		for _, g := range group.Others {
			d, held := differences[0], none
			differences = differences[1:]
			if d.Tested() {
				held = table.Cell{Text: bareProbability(corrected[0]), Sort: corrected[0]}
				corrected = corrected[1:]
			}
			add(g, table.Cell{Text: d.Format(1), Sort: d.Value}, table.Cell{Text: bareProbability(d.P), Sort: d.P}, held)
		}
	}
	t.Sections = []table.Section{{Title: "What " + s.Strategy + " keeps, at equal storage", Columns: columns}}
	t.Notes = append(withRepeatNotes(s.notes(), all), append([]string{"Copies here are told by " + criterion + "."}, CopyNotes(all)...)...)
	return t
}

// methods are those of all groups.
func (s *Storages) methods() (all []Method) {
	for _, g := range s.Groups {
		all = append(append(all, g.Plain), g.Others...)
	}
	return all
}

// notes says what was compared.
func (s *Storages) notes() []string {
	out := []string{fmt.Sprintf("Each plain form is followed by those of the same λ, rows and steps whose storage differs from its own by %.0f %% of the larger at most; "+
		"it keeps images drawn at random within each class.", 100*equalBytes), RuleNote}
	if len(s.Left) > 0 {
		out = append(out, "Left out, as no plain form of the same λ stores as much: "+strings.Join(s.Left, ", ")+".")
	}
	return out
}
