package notebook

import (
	"encoding/gob"
	"image"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/report"
	"palimpsest/pkg/report/bits"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// Show displays a figure below the running cell: as PNG, which every viewer of notebooks shows, and its words in
// Markdown. Outside a notebook it does nothing.
func Show(f figure.Figure) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := f.PNG(1.5)
	if err != nil {
		return err
	}
	displayPNG(data, f.Width)
	gonbui.DisplayMarkdown("**" + f.Title + ".** " + f.Caption)
	flush()
	return nil
}

func init() { gob.Register(map[string]any{}) } // of metadata, which is sent to the kernel so

// displayPNG displays a picture at a width in pixels, to which its dots are scaled, on a light ground whatever the theme.
func displayPNG(data []byte, width float64) {
	gonbui.SendData(&protocol.DisplayData{
		Data:     map[protocol.MIMEType]any{protocol.MIMEImagePNG: data},
		Metadata: map[string]any{string(protocol.MIMEImagePNG): map[string]any{"width": int(width), "needs_background": "light"}},
	})
}

// ShowImage displays an image, such as one of [sheet.New] or [report.Strips]. Outside a notebook it does nothing.
func ShowImage(img image.Image) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := sheet.PNG(img)
	if err != nil {
		return err
	}
	gonbui.DisplayPng(data)
	flush()
	return nil
}

// ShowControls displays a figure below the running cell that is redrawn at once when a reader moves a control. All
// combinations are drawn ahead, by draw, which gets the position of every control, and travel in the output: it needs no
// kernel afterwards and loads nothing. Before it the first combination is displayed as a still image, which stays where scripts
// do not run, as on GitHub or before a notebook is trusted. Outside a notebook it does nothing.
//
// It is an error if there are more than 400 combinations, or 300 kB of them: leave out options or a control.
func ShowControls(title string, controls []figure.Control, draw func(pick []int) (figure.Figure, error)) error {
	if !gonbui.IsNotebook {
		return nil
	}
	start, text, err := figure.ControlsHTML(title, controls, draw)
	if err != nil {
		return err
	}
	still, err := start.PNG(1.25)
	if err != nil {
		return err
	}
	displayPNG(still, start.Width)
	gonbui.DisplayHTML(text)
	flush()
	return nil
}

// ShowTable displays the table of the methods. Outside a notebook it does nothing.
func ShowTable(methods []study.Method) {
	gonbui.DisplayMarkdown(report.MarkdownTable(methods))
	flush()
}

// ShowNumbers displays a table, such as that of [bits.Agreements] or [bits.Sensitivity]. Outside a notebook it does nothing.
func ShowNumbers(t *table.Table) {
	gonbui.DisplayMarkdown(t.Markdown())
	flush()
}

// ShowSentences displays sentences as a list. Outside a notebook it does nothing.
func ShowSentences(sentences ...string) {
	text := ""
	for _, s := range sentences {
		text += "- " + s + "\n"
	}
	gonbui.DisplayMarkdown(text)
	flush()
}

// ShowVerdict displays the sentences of [report.Verdict] as a list. Outside a notebook it does nothing.
func ShowVerdict(methods []study.Method) { ShowSentences(report.Verdict(methods)...) }

// ShowVersus displays the sentences of [report.Versus] as a list. Outside a notebook it displays nothing.
func ShowVersus(methods []study.Method, name, against string) error {
	sentences, err := report.Versus(methods, name, against)
	if err != nil {
		return err
	}
	ShowSentences(sentences...)
	return nil
}

// ShowRanking displays how sure the order of methods by number n is: figure, sentences and table of [study.NewRanking]. Outside a
// notebook it does nothing.
func ShowRanking(methods []study.Method, n study.Number, reference string) error {
	r, err := study.NewRanking(methods, n, reference)
	if err != nil {
		return err
	}
	if err := Show(figure.Ranking(r)); err != nil {
		return err
	}
	ShowSentences(r.Sentences()...)
	ShowNumbers(r.Table())
	return nil
}

// ShowPareto displays quality against its prices: the figure of [figure.Pareto] and which methods are on the front. Outside a
// notebook it does nothing.
func ShowPareto(methods []study.Method, quality study.Number, prices ...study.Price) error {
	f, err := figure.Pareto(methods, quality, prices...)
	if err != nil {
		return err
	}
	if err := Show(f); err != nil {
		return err
	}
	ShowSentences(study.ParetoSentences(methods, quality, prices...)...)
	return nil
}

// ShowLambdas displays what λ does to a strategy: the figures of [figure.Sweep] and [study.BestLambda], the findings in sentences, and
// the table. Outside a notebook it does nothing.
func ShowLambdas(runs []*results.Run, strategy string) error {
	b, err := study.BestLambda(runs, strategy)
	if err != nil {
		return err
	}
	for _, f := range []figure.Figure{figure.Sweep(b.Sweep), figure.BestLambdas(b)} {
		if err := Show(f); err != nil {
			return err
		}
	}
	ShowSentences(b.Sentences()...)
	ShowNumbers(b.Table())
	return nil
}

// ShowLedger displays the ledger of the methods that have a card ([study.NewLedger]). Outside a notebook it does nothing.
func ShowLedger(methods []study.Method) error {
	cards, err := study.Cards(methods)
	if err != nil {
		return err
	}
	l, err := study.NewLedger(cards, methods)
	if err != nil {
		return err
	}
	gonbui.DisplayMarkdown(l.Markdown())
	flush()
	return nil
}

// ShowScorecard displays the scorecard of methods ([report.NewScorecard]). Outside a notebook it does nothing.
func ShowScorecard(methods []study.Method) { ShowNumbers(report.NewScorecard(methods)) }

// ShowRanks displays how far BPD ranks runs as FID, coverage, class accuracy and KID do: the figure of BPD against
// FID, the table and the sentences. Outside a notebook it does nothing.
func ShowRanks(runs []*results.Run) error {
	r, err := bits.NewAgreements(runs)
	if err != nil {
		return err
	}
	f, err := figure.AgreementScatter(runs, study.FinalOf(study.BPD), study.FinalOf(study.FID))
	if err != nil {
		return err
	}
	if err := Show(f); err != nil {
		return err
	}
	ShowNumbers(r.Table())
	ShowSentences(r.Sentences()...)
	return nil
}
