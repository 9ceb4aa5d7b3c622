package bits

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// yardstickRows are the yardsticks and the methods that measured likelihoods, with the lowest bits first.
type yardstickRow struct {
	name     string
	each     study.Stat // bits/dim
	together study.Stat
	model    bool
}

func yardstickRows(yardsticks []likelihood.Yardstick, methods []study.Method) ([]yardstickRow, error) {
	if _, err := withBPD(allRuns(methods)); err != nil {
		return nil, err
	}
	one := func(v float64) study.Stat { return study.NewStat([]float64{v}) }
	var rows []yardstickRow
	for _, g := range methods {
		if bits := g.Over(study.FinalOf(study.BPD).Of); bits.Known() {
			rows = append(rows, yardstickRow{g.Label, bits, study.NewStat(nil), true})
		}
	}
	for _, y := range yardsticks {
		rows = append(rows, yardstickRow{y.Name, one(y.EachBPD), one(y.TogetherBPD), false})
	}
	slices.SortStableFunc(rows, func(a, b yardstickRow) int { return cmp.Compare(a.best(), b.best()) })
	return rows, nil
}

// best is the row's least bits.
func (r yardstickRow) best() float64 {
	if r.together.Known() {
		return math.Min(r.each.Mean, r.together.Mean)
	}
	return r.each.Mean
}

// YardstickTable compares the bits per dimension of methods after the last task with what lossless formats need for
// images of the same set, the fewest first. It is an error if no method measured likelihoods.
func YardstickTable(yardsticks []likelihood.Yardstick, methods []study.Method) (*table.Table, error) {
	rows, err := yardstickRows(yardsticks, methods)
	if err != nil {
		return nil, err
	}
	t := &table.Table{Head: "code", Warnings: Warnings(methods)}
	var each, together []study.Stat
	for _, r := range rows {
		name := r.name
		if r.model {
			name += " (model, bound)"
		}
		t.Rows = append(t.Rows, name)
		each, together = append(each, r.each), append(together, r.together)
	}
	t.Sections = []table.Section{{Title: "Bits per dimension of test images", Columns: []table.Column{
		study.StatColumn("each image alone", "↓", "bits/dim", "A file for every image, headers and all; for models, the bound.", 3, 3, each),
		study.StatColumn("all together", "↓", "bits/dim", "All images in one file: headers weigh little, and the format learns from image to image.", 3, 3, together),
	}}}
	t.Notes = append([]string{"Files are whole: headers count. A model's bits leave out the model itself, which the decoder must have."}, Notes(methods)...)
	return t, nil
}

// YardstickFigure is [YardstickTable] as dots: filled each image alone, hollow all together, models in vermilion.
func YardstickFigure(yardsticks []likelihood.Yardstick, methods []study.Method) (figure.Figure, error) {
	rows, err := yardstickRows(yardsticks, methods)
	if err != nil {
		return figure.Figure{}, err
	}
	var names []string
	var l []figure.Look
	column := dotColumn{title: "bits per dimension"}
	add := func(name string, s study.Stat, look figure.Look) {
		names, l, column.values = append(names, name), append(l, look), append(column.values, s)
	}
	for _, r := range rows {
		if r.model {
			add(r.name, r.each, figure.Look{Colour: figure.Vermilion, Glyph: draw.BoxGlyph{}})
			continue
		}
		add(r.name+", all together", r.together, figure.Look{Colour: figure.Palette[0], Glyph: figure.Ring{}})
		add(r.name+", each alone", r.each, figure.Look{Colour: figure.Palette[0], Glyph: draw.CircleGlyph{}})
	}
	f := dots("Bits per dimension and what files need", "Squares: models by the variational bound, the model itself not counted; circles: lossless files, headers counted. "+
		"The dotted line is at the first row. "+figure.BandNote(methods), names, l, []dotColumn{column})
	f.Width += 120
	return f, nil
}
