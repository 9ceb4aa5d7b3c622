package bits

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Variation is a way to train that differs from the base in what its name says: "T = 100", "trained on the bound".
type Variation struct {
	Name string
	Runs []*results.Run
}

// SensitivityRow is one way to measure or train.
type SensitivityRow struct {
	Name     string
	Measured bool       // the base's networks and samples, only the likelihood is computed otherwise
	BPD      study.Stat // after the last task, over all tasks
	DBPD     study.Stat // minus the base's, paired by seed
	FID      study.Stat
	DFID     study.Stat
	// Images says why FID, and strictly BPD too, are of other images than the base's; "" where they are not.
	Images string
}

// Sensitivity says how far bits per dimension move with ways to measure and to train that samples do not depend on.
type Sensitivity struct {
	Base study.Method
	Rows []SensitivityRow // the base first
	SE   float64          // the largest standard error among the base runs' estimates of a task, bits per dimension
}

// NewSensitivity compares the base, runs of one method, with the other ways of computing its bits that the runs hold
// ([results.Run.Sensitivity]) and with variations of its training. Differences are between runs of the same seed; a
// variation without a seed in common is an error.
func NewSensitivity(base []*results.Run, variations ...Variation) (*Sensitivity, error) {
	base, err := withBPD(base)
	if err != nil {
		return nil, err
	}
	methods := study.Group(base)
	if len(methods) > 1 {
		var labels []string
		for _, g := range methods {
			labels = append(labels, g.Label)
		}
		return nil, errors.Errorf("bits: the base has %d methods (%s); need the runs of one", len(methods), words.List(labels))
	}
	s := &Sensitivity{Base: methods[0]}
	bits, fid := study.FinalOf(study.BPD), study.FinalOf(study.FID)
	first := SensitivityRow{Name: wayOf(base[0].Protocol.BPD), BPD: s.Base.Over(bits.Of), FID: s.Base.Over(fid.Of), DBPD: study.NewStat(nil), DFID: study.NewStat(nil)}
	if !first.BPD.Known() {
		return nil, errors.Errorf("bits: no run of %s has the BPD of every task after the last one; let the runs finish", s.Base.Label)
	}
	s.Rows = append(s.Rows, first)
	for _, r := range base {
		if e := study.FinalEvaluation(r); e != nil {
			for _, t := range e.Tasks {
				if t.BPD != nil {
					s.SE = math.Max(s.SE, t.BPD.SE)
				}
			}
		}
	}
	s.measured(base)
	for _, v := range variations {
		row, err := s.trained(v)
		if err != nil {
			return nil, err
		}
		s.Rows = append(s.Rows, row)
	}
	if len(s.Rows) == 1 {
		return nil, errors.Errorf("bits: the runs of %s hold no other ways of computing their bits, and no variation of training was given; "+
			"measure with `go run . bench --set bpd.images=40 --set bpd.variants=true`", s.Base.Label)
	}
	return s, nil
}

// wayOf names the base's way of measuring.
func wayOf(p *results.BPDProtocol) string {
	if p.Clip {
		return p.Variance + ", clipped"
	}
	return p.Variance + ", not clipped"
}

// measured adds the rows of other ways to compute the bits of the base's networks.
func (s *Sensitivity) measured(base []*results.Run) {
	var names []string
	for _, r := range base {
		p := r.Protocol.BPD
		for _, v := range r.Sensitivity {
			same := v.Variance == p.Variance && v.Clip == p.Clip && v.CDF == "exact"
			if !same && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	bits := study.FinalOf(study.BPD)
	for _, name := range names {
		var values, differences []float64
		for _, r := range base {
			for _, v := range r.Sensitivity {
				if v.Name == name && len(v.Tasks) == len(r.Benchmark.Tasks) {
					mean := metrics.WeightedMean(v.Tasks, r.Protocol.TaskWeights)
					values, differences = append(values, mean), append(differences, mean-bits.Of(r))
				}
			}
		}
		s.Rows = append(s.Rows, SensitivityRow{Name: name, Measured: true, BPD: study.NewStat(values), DBPD: study.NewStat(differences), FID: s.Rows[0].FID, DFID: study.NewStat(nil)})
	}
}

// trained compares a variation with the base.
func (s *Sensitivity) trained(v Variation) (SensitivityRow, error) {
	runs, err := withBPD(v.Runs)
	if err != nil {
		return SensitivityRow{}, errors.WithMessage(err, v.Name)
	}
	row := SensitivityRow{Name: v.Name}
	var bpd, fid, dBPD, dFID []float64
	for _, r := range runs {
		i := slices.IndexFunc(s.Base.Runs, func(b *results.Run) bool { return b.Seed == r.Seed })
		if i < 0 {
			continue
		}
		b := s.Base.Runs[i]
		bits, distance := study.FinalOf(study.BPD).Of(r), study.FinalOf(study.FID).Of(r)
		bpd, fid = append(bpd, bits), append(fid, distance)
		dBPD, dFID = append(dBPD, bits-study.FinalOf(study.BPD).Of(b)), append(dFID, distance-study.FinalOf(study.FID).Of(b))
		if r.Benchmark.ImageSize != b.Benchmark.ImageSize || r.Benchmark.ImageWidth != b.Benchmark.ImageWidth || r.Benchmark.Prep != b.Benchmark.Prep || r.Benchmark.Dataset != b.Benchmark.Dataset {
			row.Images = fmt.Sprintf("%s: images of %s, %s; the base's are of %s, %s", v.Name, r.Benchmark.Dataset, r.Benchmark.Prep, b.Benchmark.Dataset, b.Benchmark.Prep)
		}
		if r.Protocol.ExtractorSHA256 != b.Protocol.ExtractorSHA256 {
			row.Images = cmp.Or(row.Images, v.Name+": other features") + ". FID is in its own features and does not compare with the base's"
		}
	}
	row.BPD, row.FID, row.DBPD, row.DFID = study.NewStat(bpd), study.NewStat(fid), study.NewStat(dBPD), study.NewStat(dFID)
	if !row.BPD.Known() {
		return row, errors.Errorf("bits: no run of %q has a seed of the base and the BPD of every task after the last one; run it with the seeds of %s and %s", v.Name, s.Base.Label, study.BPDCommand)
	}
	if strings.Contains(row.Images, "does not compare") {
		row.DFID = study.NewStat(nil)
	}
	return row, nil
}

// Table holds the rows: ways to measure, then ways to train.
func (s *Sensitivity) Table() *table.Table {
	t := &table.Table{Head: "way to measure or train"}
	var bpd, dBPD, fid, dFID []study.Stat
	for i, r := range s.Rows {
		name := r.Name
		if i == 0 {
			name += " (base)"
		}
		t.Rows = append(t.Rows, name)
		bpd, dBPD, fid, dFID = append(bpd, r.BPD), append(dBPD, r.DBPD), append(fid, r.FID), append(dFID, r.DFID)
		if r.Images != "" {
			t.Notes = append(t.Notes, r.Images+".")
		}
	}
	columns := []table.Column{
		study.StatColumn("BPD", "↓", "bits/dim", "After the last task, over all tasks.", 3, 3, bpd),
		study.StatColumn("ΔBPD", "", "bits/dim", "Minus the base's, of the same seed.", 3, 3, dBPD),
		study.StatColumn("FID", "↓", "", "After the last task, over all tasks.", 1, 1, fid),
		study.StatColumn("ΔFID", "", "", "Minus the base's, of the same seed.", 1, 1, dFID),
	}
	for i, r := range s.Rows {
		switch {
		case i == 0:
			columns[1].Cells[i].Text, columns[3].Cells[i].Text = "base", "base"
		case r.Measured:
			columns[3].Cells[i].Text = "same samples"
		}
	}
	t.Sections = []table.Section{{Title: "Bits per dimension of " + s.Base.Label + ", measured and trained otherwise", Columns: columns}}
	t.Notes = append(t.Notes, "± is the sample standard deviation over seeds; of differences, over the seeds' differences.",
		fmt.Sprintf("The standard error of estimating a task's bits from few timesteps is at most %s bits/dim.", words.Number(s.SE, 4)))
	t.Notes = append(t.Notes, Notes([]study.Method{s.Base})...)
	return t
}

// Sentences says how far BPD moves while samples do not, and for comparison how far forgetting moves it: of the base
// and of every other method given.
func (s *Sensitivity) Sentences(methods ...study.Method) []string {
	base := s.Rows[0].BPD.Mean
	span := func(measured bool) (n int, low, high SensitivityRow) {
		for _, r := range s.Rows[1:] {
			if r.Measured != measured {
				continue
			}
			if n == 0 || r.DBPD.Mean < low.DBPD.Mean {
				low = r
			}
			if n == 0 || r.DBPD.Mean > high.DBPD.Mean {
				high = r
			}
			n++
		}
		return n, low, high
	}
	var out []string
	most := 0.0
	if n, low, high := span(true); n > 0 {
		ways := "one other way"
		if n > 1 {
			ways = fmt.Sprintf("%d other ways", n)
		}
		text := fmt.Sprintf("The same networks of %s, with the same samples, measured in %s: their %s bits/dim move by %s (%s)", s.Base.Label, ways,
			s.Rows[0].BPD.Format(3), low.DBPD.Signed(3), low.Name)
		if n > 1 {
			text = fmt.Sprintf("%s to %s (%s)", text, high.DBPD.Signed(3), high.Name)
		}
		most = math.Max(math.Abs(low.DBPD.Mean), math.Abs(high.DBPD.Mean))
		out = append(out, text+fmt.Sprintf(", up to %s %% of their size.", words.Number(100*most/base, 1)))
	}
	for _, r := range s.Rows[1:] {
		if r.Measured {
			continue
		}
		text := fmt.Sprintf("%s: BPD %s", r.Name, r.DBPD.Signed(3))
		if r.DFID.Known() {
			text += ", FID " + r.DFID.Signed(1)
			switch d := r.DFID.FromZero(); {
			case !d.Tested():
				text += " (" + d.Rule() + ")"
			case d.Sign() == 0 || math.Abs(d.Value) <= 0.05: // less than the digit shown
				text += fmt.Sprintf(": the samples are not told apart (%s)", d.Rule())
			case d.Value > 0:
				text += fmt.Sprintf(": the samples get worse (%s)", d.Rule())
			default:
				text += fmt.Sprintf(": the samples get better (%s)", d.Rule())
			}
		} else if r.Images != "" {
			text += "; FID does not compare"
		}
		out = append(out, text+".")
	}
	others := slices.DeleteFunc(slices.Clone(methods), func(g study.Method) bool { return g.Label == s.Base.Label })
	for _, g := range append([]study.Method{s.Base}, others...) {
		f := g.Over(study.ForgettingOf(study.BPD).Of)
		if !f.Known() {
			continue
		}
		text := fmt.Sprintf("Beside that, forgetting moves the bits of old tasks of %s by %s bits/dim", g.Label, f.Signed(3))
		if most > 0 {
			text += fmt.Sprintf(", %s times the largest of these changes of measurement", words.Number(math.Abs(f.Mean)/most, 2))
		}
		out = append(out, text+".")
	}
	return out
}
