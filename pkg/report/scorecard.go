package report

import (
	"math"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// NewScorecard is what to report of a continually trained diffusion model instead of bits per dimension alone: what
// the samples of all tasks are worth and what was forgotten, variety, copies, price, and the bits split in two by
// log-SNR. Bits of detail are those of timesteps at which the image outweighs the noise (log-SNR ≥ 0) and of the
// decoder; bits of content are those at which noise outweighs the image, so that only its coarse content is left to
// decide, and of the prior. The two are forgotten at different rates, which their sum hides.
//
// Columns that no run measured are left out; without likelihoods a note says how to measure them.
func NewScorecard(methods []Method) *Table {
	t := &Table{Notes: scorecardNotes(methods), Warnings: append(Warnings(methods), bpdWarnings(methods)...)}
	var summaries []Summary
	t.Rows, t.Alarms = rows(methods), alarms(methods)
	for _, g := range methods {
		summaries = append(summaries, g.Summary())
	}
	section := func(title string, columns ...Column) {
		var kept []Column
		for _, c := range columns {
			for _, cell := range c.Cells {
				if !math.IsNaN(cell.Sort) {
					kept = append(kept, c)
					break
				}
			}
		}
		if len(kept) > 0 {
			t.Sections = append(t.Sections, Section{title, kept})
		}
	}
	column := func(head, arrow, unit, long string, least, most int, scale float64, of func(Summary) Stat) Column {
		values := make([]Stat, len(methods))
		for i, s := range summaries {
			values[i] = of(s).Times(scale)
			if values[i].Std == 0 && least == 0 { // a count that no seed changes
				values[i].Std = math.NaN()
			}
		}
		return statColumn(head, arrow, unit, long, least, most, values)
	}
	most := 0.0
	for _, s := range summaries {
		if s.StoredBytes.Known() {
			most = math.Max(most, s.StoredBytes.Mean)
		}
	}
	unit, bytes := byteUnit(most)
	section("What the samples say",
		column("FID", "↓", "", "After the last task, averaged over all tasks.", 1, 1, 1, func(s Summary) Stat { return s.FID }),
		column("FID forgetting", "↓", "", "Rise of the FID of old tasks since learned.", 1, 1, 1, func(s Summary) Stat { return s.FIDForgetting }),
		column("accuracy", "↑", "%", "Share of class-conditional samples that the classifier puts in their class.", 1, 1, 100, func(s Summary) Stat { return s.ClassAccuracy }),
		column("accuracy lost", "↓", "%", "Fall of the class accuracy of old tasks since learned.", 1, 1, 100, func(s Summary) Stat { return s.AccuracyForgetting }),
		column("coverage", "↑", "", "Share of real images with a sample in their neighbourhood.", 2, 3, 1, func(s Summary) Stat { return s.Coverage }),
	)
	section("What qualifies them, and what they cost",
		column("train copies by ratio", "", "%", "Share of samples that copy a training image.", 1, 1, 100, func(s Summary) Stat { return s.MemorisedTrain }),
		column("buffer copies by ratio", "", "%", "Share of samples that copy an image of the rehearsal buffer.", 1, 1, 100, func(s Summary) Stat { return s.MemorisedBuffer }),
		column("stored", "", unit, "Size of everything the strategy keeps.", 0, 2, 1/bytes, func(s Summary) Stat { return s.StoredBytes }),
		column("training", "", "s", "Seconds in training steps, compilation left out.", 0, 1, 1, func(s Summary) Stat { return s.TrainSeconds }),
	)
	if s, any := yardstickSection(methods); any {
		t.Sections = append(t.Sections, s)
	}
	var total, detail, content, detailRise, contentRise []Stat
	for _, g := range methods {
		d, c := splitOf(g)
		total = append(total, g.Over(FinalOf(BPD).Of))
		detail, content = append(detail, d.final), append(content, c.final)
		detailRise, contentRise = append(detailRise, d.rise.Times(100)), append(contentRise, c.rise.Times(100))
	}
	section("What the bits say, in two parts",
		statColumn("BPD", "↓", "bits/dim", "After the last task, averaged over all tasks.", 3, 3, total),
		statColumn("detail", "↓", "bits/dim", "Of it, the bits of timesteps with log-SNR ≥ 0 and of the decoder.", 3, 3, detail),
		statColumn("content", "↓", "bits/dim", "Of it, the bits of timesteps with log-SNR < 0 and of the prior.", 3, 4, content),
		statColumn("detail forgotten", "↓", "%", "Rise of the bits of detail of old tasks since learned, of themselves.", 1, 1, detailRise),
		statColumn("content forgotten", "↓", "%", "Rise of the bits of content of old tasks since learned, of themselves.", 1, 1, contentRise),
	)
	return t
}

// scorecardNotes says how the scorecard was measured.
func scorecardNotes(methods []Method) []string {
	notes := Notes(methods)
	if bpd := bpdNotes(methods); len(bpd) > 0 {
		notes = append(notes, bpd...)
		notes = append(notes, "Detail and content part the bits where image and noise are equally strong (log-SNR 0), which depends neither on T nor on the schedule.")
	} else {
		notes = append(notes, "Likelihoods were not measured: "+bpdCommand+" measures them.")
	}
	return notes
}

// half is one part of the bits of a method.
type half struct {
	final Stat // bits/dim after the last task, over all tasks
	rise  Stat // of the bits of old tasks since learned, relative
}

// splitOf parts the bits of a method by the log-SNR of the bins. Unknown where a run has no likelihoods.
func splitOf(g Method) (detail, content half) {
	part := func(noisy bool) half {
		return half{
			final: g.Over(func(r *results.Run) float64 { return Matrix(r, bitsWhere(r, noisy)).Final() }),
			rise: g.Over(func(r *results.Run) float64 {
				m := Matrix(r, bitsWhere(r, noisy))
				var learned []float64
				for j := range m.Tasks() - 1 {
					learned = append(learned, m.R[j][j])
				}
				return m.Forgetting().SinceLearned / metrics.WeightedMean(learned, m.Weights)
			}),
		}
	}
	return part(false), part(true)
}

// bitsWhere is the part of a run's bits at timesteps where noise outweighs the image, with the prior, or where it does
// not, with the decoder.
func bitsWhere(run *results.Run, noisy bool) Metric {
	return Metric{Name: "part of the BPD", of: func(t *results.TaskMetrics) *float64 {
		p := run.Protocol.BPD
		if p == nil || t.BPD == nil || len(t.BPD.Bins) != len(p.LogSNR) {
			return nil
		}
		sum := t.BPD.Decoder
		if noisy {
			sum = t.BPD.Prior
		}
		for i, b := range t.BPD.Bins {
			if (p.LogSNR[i] < 0) == noisy {
				sum += b
			}
		}
		return &sum
	}}
}
