package report

import (
	"math"

	"palimpsest/pkg/report/bits"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// NewScorecard is what to report of a continually trained diffusion model instead of bits per dimension alone: what
// the samples of all tasks are worth and what was forgotten, variety, copies, price, and the bits split in two by
// log-SNR. Bits of detail are those of timesteps at which the image outweighs the noise (log-SNR ≥ 0) and of the
// decoder; bits of content are those at which noise outweighs the image, so that only its coarse content is left to
// decide, and of the prior. The two are forgotten at different rates, which their sum hides.
//
// Columns that no run measured are left out; without likelihoods a note says how to measure them.
func NewScorecard(methods []study.Method) *table.Table {
	t := &table.Table{Notes: scorecardNotes(methods), Warnings: append(study.Warnings(methods), bits.Warnings(methods)...)}
	var summaries []study.Summary
	t.Rows, t.Alarms = study.Labels(methods), study.Alarms(methods)
	for _, g := range methods {
		summaries = append(summaries, g.Summary())
	}
	section := func(title string, columns ...table.Column) {
		var kept []table.Column
		for _, c := range columns {
			for _, cell := range c.Cells {
				if !math.IsNaN(cell.Sort) {
					kept = append(kept, c)
					break
				}
			}
		}
		if len(kept) > 0 {
			t.Sections = append(t.Sections, table.Section{Title: title, Columns: kept})
		}
	}
	column := func(head, arrow, unit, long string, least, most int, scale float64, of func(study.Summary) study.Stat) table.Column {
		values := make([]study.Stat, len(methods))
		for i, s := range summaries {
			values[i] = of(s).Times(scale)
			if values[i].Std == 0 && least == 0 { // a count that no seed changes
				values[i].Std = math.NaN()
			}
		}
		return study.StatColumn(head, arrow, unit, long, least, most, values)
	}
	most := 0.0
	for _, s := range summaries {
		if s.StoredBytes.Known() {
			most = math.Max(most, s.StoredBytes.Mean)
		}
	}
	unit, bytes := words.ByteUnit(most)
	section("What the samples say",
		column("FID", "↓", "", "After the last task, averaged over all tasks.", 1, 1, 1, func(s study.Summary) study.Stat { return s.FID }),
		column("FID forgetting", "↓", "", "Rise of the FID of old tasks since learned.", 1, 1, 1, func(s study.Summary) study.Stat { return s.FIDForgetting }),
		column("accuracy", "↑", "%", "Share of class-conditional samples that the classifier puts in their class.", 1, 1, 100, func(s study.Summary) study.Stat { return s.ClassAccuracy }),
		column("accuracy lost", "↓", "%", "Fall of the class accuracy of old tasks since learned.", 1, 1, 100, func(s study.Summary) study.Stat { return s.AccuracyForgetting }),
		column("coverage", "↑", "", "Share of real images with a sample in their neighbourhood.", 2, 3, 1, func(s study.Summary) study.Stat { return s.Coverage }),
	)
	section("What qualifies them, and what they cost",
		column("train copies by ratio", "", "%", "Share of samples that copy a training image.", 1, 1, 100, func(s study.Summary) study.Stat { return s.MemorisedTrain }),
		column("buffer copies by ratio", "", "%", "Share of samples that copy an image of the rehearsal buffer.", 1, 1, 100, func(s study.Summary) study.Stat { return s.MemorisedBuffer }),
		column("stored", "", unit, "Size of everything the strategy keeps.", 0, 2, 1/bytes, func(s study.Summary) study.Stat { return s.StoredBytes }),
		column("training", "", "s", "Seconds in training steps, compilation left out.", 0, 1, 1, func(s study.Summary) study.Stat { return s.TrainSeconds }),
	)
	if s, any := study.YardstickSection(methods); any {
		t.Sections = append(t.Sections, s)
	}
	var total, detail, content, detailRise, contentRise []study.Stat
	for _, g := range methods {
		d, c := bits.Halves(g)
		total = append(total, g.Over(study.FinalOf(study.BPD).Of))
		detail, content = append(detail, d.Final), append(content, c.Final)
		detailRise, contentRise = append(detailRise, d.Rise.Times(100)), append(contentRise, c.Rise.Times(100))
	}
	section("What the bits say, in two parts",
		study.StatColumn("BPD", "↓", "bits/dim", "After the last task, averaged over all tasks.", 3, 3, total),
		study.StatColumn("detail", "↓", "bits/dim", "Of it, the bits of timesteps with log-SNR ≥ 0 and of the decoder.", 3, 3, detail),
		study.StatColumn("content", "↓", "bits/dim", "Of it, the bits of timesteps with log-SNR < 0 and of the prior.", 3, 4, content),
		study.StatColumn("detail forgotten", "↓", "%", "Rise of the bits of detail of old tasks since learned, of themselves.", 1, 1, detailRise),
		study.StatColumn("content forgotten", "↓", "%", "Rise of the bits of content of old tasks since learned, of themselves.", 1, 1, contentRise),
	)
	return t
}

// scorecardNotes says how the scorecard was measured.
func scorecardNotes(methods []study.Method) []string {
	notes := Notes(methods)
	if bpd := bits.Notes(methods); len(bpd) > 0 {
		notes = append(notes, bpd...)
		notes = append(notes, "Detail and content part the bits where image and noise are equally strong (log-SNR 0), which depends neither on T nor on the schedule.")
	} else {
		notes = append(notes, "Likelihoods were not measured: "+study.BPDCommand+" measures them.")
	}
	return notes
}
