package study

import (
	"fmt"
	"slices"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// There are two ways to find copies, never shown in one column. By ratio, an image is a copy if its nearest stored image is closer
// than a share of the distance to the second nearest: the fewer images there are, the farther apart they lie and the more passes,
// so that shares of buffers of different sizes do not compare. By the fixed yardstick it is one if that distance is below what
// all but few real held-out images keep from the training set, in pixels or in features, whatever the set's size.
var (
	CopiesBufferPixels   = copiesMetric("buffer images, by pixels", false, func(c *results.Copies) *float64 { return rates(c.Buffer).Pixels })
	CopiesBufferFeatures = copiesMetric("buffer images, by features", false, func(c *results.Copies) *float64 { return rates(c.Buffer).Features })
	CopiesTrainPixels    = copiesMetric("training images, by pixels", false, func(c *results.Copies) *float64 { return rates(c.Train).Pixels })
	CopiesTrainFeatures  = copiesMetric("training images, by features", false, func(c *results.Copies) *float64 { return rates(c.Train).Features })

	realBufferPixels   = copiesMetric("buffer images, by pixels", true, func(c *results.Copies) *float64 { return rates(c.Buffer).RealPixels })
	realBufferFeatures = copiesMetric("buffer images, by features", true, func(c *results.Copies) *float64 { return rates(c.Buffer).RealFeatures })
	realTrainPixels    = copiesMetric("training images, by pixels", true, func(c *results.Copies) *float64 { return rates(c.Train).RealPixels })
	realTrainFeatures  = copiesMetric("training images, by features", true, func(c *results.Copies) *float64 { return rates(c.Train).RealFeatures })
)

// copiesMetric is a share of samples, or of real images, that are copies by the fixed yardstick.
func copiesMetric(of string, real bool, share func(*results.Copies) *float64) Metric {
	name := "copies of " + of
	if real {
		name = "real images that are " + name
	}
	return Metric{Key: strings.NewReplacer(" ", "_", ",", "").Replace(name), Name: name, Unit: "%", Qualifies: true,
		Read: func(t *results.TaskMetrics) *float64 {
			if t.Copies == nil {
				return nil
			}
			return share(t.Copies)
		}}
}

// rates are the given ones, or none.
func rates(r *results.CopyRates) results.CopyRates {
	if r == nil {
		return results.CopyRates{}
	}
	return *r
}

// FinalShare is a metric after the last task, averaged over the tasks it was measured for: a buffer need not hold every task.
func (g Method) FinalShare(m Metric) Stat {
	return g.Over(func(r *results.Run) float64 { return finalOfKnown(r, m) })
}

// byYardstick says whether all methods that were searched for copies by ratio were so by the fixed yardstick too, so that it
// can stand for all of them.
func byYardstick(methods []Method) bool {
	any := false
	for _, g := range methods {
		for _, pair := range [][2]Metric{{MemorisedTrain, CopiesTrainPixels}, {MemorisedBuffer, CopiesBufferPixels}} {
			ratio, fixed := g.FinalShare(pair[0]), g.FinalShare(pair[1])
			if fixed.N < ratio.N {
				return false
			}
			any = any || fixed.Known()
		}
	}
	return any
}

// CopyMetrics are the metrics of training and of buffer images by the criterion that all methods share: the fixed yardstick
// in pixels, or else the ratio. name says which.
func CopyMetrics(methods []Method) (train, buffer Metric, name string) {
	if byYardstick(methods) {
		return CopiesTrainPixels, CopiesBufferPixels, "the fixed yardstick in pixels"
	}
	return MemorisedTrain, MemorisedBuffer, "the distance ratio"
}

// YardstickSection shows both measures of the fixed yardstick; false where no method has any.
func YardstickSection(methods []Method) (table.Section, bool) {
	s := table.Section{Title: "Copies by the fixed yardstick (in brackets: real held-out images by the same)"}
	known := false
	for _, c := range []struct {
		head, long    string
		samples, real Metric
	}{
		{"of the buffer, by pixels", "Share of samples nearer in pixels to an image of the buffer than nearly all real held-out images are to the training set.", CopiesBufferPixels, realBufferPixels},
		{"of the buffer, by features", "The same by the classifier's features.", CopiesBufferFeatures, realBufferFeatures},
		{"of training images, by pixels", "Share of samples nearer in pixels to a training image than nearly all real held-out images are.", CopiesTrainPixels, realTrainPixels},
		{"of training images, by features", "The same by the classifier's features.", CopiesTrainFeatures, realTrainFeatures},
	} {
		column := table.Column{Head: c.head, Unit: "%", Long: c.long}
		for _, g := range methods {
			share := g.FinalShare(c.samples)
			cell := table.Cell{Text: share.Times(100).Format(1), Sort: share.Mean * 100}
			if share.Known() {
				known = true
				cell.Text += " (" + words.Number(g.FinalShare(c.real).Mean*100, 1) + ")"
			}
			column.Cells = append(column.Cells, cell)
		}
		s.Columns = append(s.Columns, column)
	}
	return s, known
}

// CopyNotes say how copies were found, for each way that was used; none without methods.
func CopyNotes(methods []Method) []string {
	if len(methods) == 0 {
		return nil
	}
	p := methods[0].Runs[0].Protocol
	out := []string{fmt.Sprintf("Copies qualify FID: by ratio, a sample copies an image if its distance to it is less than %s its distance to the second nearest; "+
		"a small buffer can buy a good FID by copying. The fewer images there are, the more passes for a copy by ratio: shares of buffers of different sizes do not compare.", words.Fraction(p.MemorisedRatio))}
	return append(out, yardstickNotes(methods)...)
}

// yardstickNotes say how copies were found by the fixed yardstick; none where they were not.
func yardstickNotes(methods []Method) []string {
	told := slices.DeleteFunc(Distinct(methods, yardstickText), func(text string) bool { return text == "" })
	if len(told) > 1 { // thresholds are of the images of a run
		return []string{told[0] + fmt.Sprintf(" Of %d different ones; results hold those of each run.", len(told))}
	}
	return told
}

// yardstickText says how a run finds copies by the fixed yardstick; "" where it does not.
func yardstickText(r *results.Run) string {
	c := r.Protocol.Copies
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("By the fixed yardstick a sample copies an image if it is no farther from it than %s grey levels rms a pixel", words.Short(words.Round(c.PixelThreshold, 3)))
	if c.FeatureThreshold != nil {
		text += fmt.Sprintf(", or in features %s", words.Short(words.Round(*c.FeatureThreshold, 3)))
	}
	text += fmt.Sprintf(": the %s quantile of the distances of %d real held-out images to %d training images, whatever the size of the set searched", words.Short(c.Quantile), c.HeldOut, c.Train)
	if c.TrainOf > 0 {
		text += fmt.Sprintf("; these, evenly chosen, stand for all %d, of which copies of the others are missed", c.TrainOf)
	}
	if c.Mirrored {
		text += "; a mirrored copy is a copy"
	}
	return text + "."
}
