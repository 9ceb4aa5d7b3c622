package bits

import (
	"fmt"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Outside compares the bits of test images of the set that networks were trained on, Inside, with those of a set they
// never saw. Numbers are over seeds.
type Outside struct {
	Inside, Outside string     // names of the sets
	InsideBPD       study.Stat // mean over images
	OutsideBPD      study.Stat
	Fewer           study.Stat // share of outside images with fewer bits than the median inside image
	AUROC           study.Stat // probability that an outside image needs more bits than an inside one: 1 told apart, ½ chance, less the wrong way
	Runs            []*results.Run

	inside, outside []float64 // bits per dimension of every image, of all runs
}

// NewOutside compares the first set of each run's Outside, its own, with every other. It is an error if no run
// measured such sets.
func NewOutside(runs []*results.Run) ([]*Outside, error) {
	var kept []*results.Run
	for _, r := range runs {
		if len(r.Outside) > 1 {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return nil, errors.Errorf("bits: none of %d runs measured the bits of images of another set; make them with "+
			"`go run . bench --set bpd.images=40 --set bpd.outside=[mnist] --set network.conditional=false`", len(runs))
	}
	var out []*Outside
	for _, o := range kept[0].Outside[1:] {
		c := &Outside{Inside: kept[0].Outside[0].Dataset, Outside: o.Dataset}
		var seeds []uint64
		var in, outer, fewer, auroc []float64
		for _, r := range kept {
			i := slices.IndexFunc(r.Outside, func(x results.OutsideBPD) bool { return x.Dataset == c.Outside })
			if r.Outside[0].Dataset != c.Inside || i < 1 {
				continue
			}
			a, b := r.Outside[0].ByImage, r.Outside[i].ByImage
			if len(a) == 0 || len(b) == 0 {
				return nil, errors.Errorf("bits: run %s has no bits by image of %s or %s", r.Name, c.Inside, c.Outside)
			}
			c.Runs, seeds = append(c.Runs, r), append(seeds, r.Seed)
			c.inside, c.outside = append(c.inside, a...), append(c.outside, b...)
			in, outer = append(in, stat.Mean(a, nil)), append(outer, stat.Mean(b, nil))
			fewer, auroc = append(fewer, shareBelow(b, median(a))), append(auroc, study.AreaUnderROC(b, a))
		}
		c.InsideBPD, c.OutsideBPD, c.Fewer, c.AUROC = study.SeedStat(seeds, in), study.SeedStat(seeds, outer), study.SeedStat(seeds, fewer), study.SeedStat(seeds, auroc)
		out = append(out, c)
	}
	return out, nil
}

// median is the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// shareBelow is the share of values below limit.
func shareBelow(values []float64, limit float64) float64 {
	n := 0
	for _, v := range values {
		if v < limit {
			n++
		}
	}
	return float64(n) / float64(len(values))
}

// Sentence says which set gets fewer bits.
func (o *Outside) Sentence() string {
	d := study.Compare(o.OutsideBPD, o.InsideBPD)
	numbers := fmt.Sprintf("%s bits/dim against %s; %s", o.OutsideBPD.Format(3), o.InsideBPD.Format(3), d.Rule())
	var text string
	switch {
	case d.Sign() == 0:
		text = fmt.Sprintf("Trained on %s, the networks give images of %s, which they never saw, bits that these seeds do not tell apart from those of %s (%s).", o.Inside, o.Outside, o.Inside, numbers)
	case d.Value < 0:
		text = fmt.Sprintf("Trained on %s, the networks give images of %s, which they never saw, fewer bits (%s): by likelihood the strange set is the likelier one.", o.Inside, o.Outside, numbers)
	default:
		text = fmt.Sprintf("Trained on %s, the networks give images of %s, which they never saw, more bits (%s): here likelihood tells the sets apart on average.", o.Inside, o.Outside, numbers)
	}
	verdict := "a test by bits tells them apart"
	switch {
	case o.AUROC.Mean < 0.5:
		verdict = "a test by bits is worse than chance"
	case o.AUROC.Mean < 0.9:
		verdict = "a test by bits errs often"
	}
	text += fmt.Sprintf(" %s of the %s images have fewer bits than the median %s image; AUROC %s over %s: %s.", o.Fewer.Percent(1), o.Outside, o.Inside, o.AUROC.Format(3), words.Seeds(o.AUROC.N), verdict)
	return text
}

// Table holds the comparison, a row a set.
func (o *Outside) Table() *table.Table {
	unknown := study.NewStat(nil)
	return &table.Table{Head: "test images of", Rows: []string{o.Inside + " (trained on)", o.Outside},
		Sections: []table.Section{{Title: "Likelihood out of distribution", Columns: []table.Column{
			study.StatColumn("BPD", "", "bits/dim", "Mean over images.", 3, 3, []study.Stat{o.InsideBPD, o.OutsideBPD}),
			study.StatColumn("below the inside median", "", "%", "Share of images with fewer bits than the median image of the set trained on.", 1, 1, []study.Stat{unknown, o.Fewer.Times(100)}),
			study.StatColumn("AUROC", "", "", "Probability that such an image needs more bits than one of the set trained on.", 3, 3, []study.Stat{unknown, o.AUROC}),
		}}}, Notes: Notes([]study.Method{{Runs: o.Runs}}), Warnings: Warnings([]study.Method{{Runs: o.Runs}})}
}
