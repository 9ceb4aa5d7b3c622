package report

import (
	"fmt"
	"image"
	"image/draw"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// FinalSamples shows what methods could draw after the last task, one below the other: the last row of [Strips] of
// the first run of each label that has its sheet on disk. It is an error if a label has none.
func FinalSamples(s *study.Set, labels ...string) (image.Image, error) {
	if len(labels) == 0 {
		return nil, errors.New("report: no labels of methods were given")
	}
	var titles []string
	var images []image.Image
	for _, label := range labels {
		picture, run, err := finalStrip(s, label)
		if err != nil {
			return nil, err
		}
		titles, images = append(titles, fmt.Sprintf("%s, seed %d", label, run.Seed)), append(images, picture)
	}
	const title = 20
	width, height := 0, 0
	for _, picture := range images {
		width, height = max(width, picture.Bounds().Dx()), height+title+picture.Bounds().Dy()
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	face, err := labelFace(13)
	if err != nil {
		return nil, err
	}
	defer face.Close()
	y := 0
	for i, picture := range images {
		write(out, face, titles[i], 2, y+title-5)
		draw.Draw(out, picture.Bounds().Add(image.Pt(0, y+title)), picture, picture.Bounds().Min, draw.Src)
		y += title + picture.Bounds().Dy()
	}
	return out, nil
}

// finalStrip is the last row of the strips of a label's first run with a sheet.
func finalStrip(s *study.Set, label string) (image.Image, *results.Run, error) {
	found := 0
	own := slices.DeleteFunc(slices.Clone(s.Runs), func(r *results.Run) bool { return r.Strategy.Label != label })
	if g, ok := study.Labelled(s.Group(), label); ok {
		own = g.Runs
	}
	for _, r := range own {
		found++
		final := study.FinalEvaluation(r)
		if final == nil {
			continue
		}
		only := *r
		only.Evaluations = []results.Evaluation{*final}
		picture, err := Strips(&only, s.Folder(r))
		if errors.Is(err, ErrNoSheets) {
			continue
		}
		return picture, r, err
	}
	if found == 0 {
		return nil, nil, errors.Errorf("report: the study has no run labelled %q", label)
	}
	return nil, nil, errors.Wrapf(ErrNoSheets, "report: %d runs labelled %q", found, label)
}

// DisagreementSamples shows [FinalSamples] of the two methods of a disagreement: first the one that A prefers.
func DisagreementSamples(s *study.Set, d study.Disagreement) (image.Image, error) {
	return FinalSamples(s, d.ByA.Label, d.ByB.Label)
}
