package notebook

import (
	"encoding/gob"
	"encoding/json"
	"html"
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

// Show displays a figure below the running cell: as PNG, which every viewer of notebooks shows, and its words. Outside a notebook it
// does nothing.
func Show(f figure.Figure) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := f.PNG(sharp)
	if err != nil {
		return err
	}
	displayPNG(data, int(f.Width), f.Words())
	gonbui.DisplayHtml("<p><b>" + html.EscapeString(f.Title) + ".</b> " + html.EscapeString(f.Caption) + "</p>" + alternative(f.Words()))
	flush()
	return nil
}

// sharp is how many dots a picture has for each pixel of the page, a side.
const sharp = 2

func init() { gob.Register(map[string]any{}) } // of metadata, which is sent to the kernel so

// displayPNG displays a picture at a width in pixels, to which its dots are scaled, on a light ground whatever the theme. A page that
// nbconvert makes has the words for those who do not see it; of JupyterLab see [alternative].
func displayPNG(data []byte, width int, words string) {
	gonbui.SendData(&protocol.DisplayData{
		Data:     map[protocol.MIMEType]any{protocol.MIMEImagePNG: data, protocol.MIMETextPlain: words},
		Metadata: map[string]any{string(protocol.MIMEImagePNG): map[string]any{"width": width, "needs_background": "light", "alt": words}},
	})
}

// alternative is a script that gives the picture of the output before, to which JupyterLab gives none, words for those who do not see
// it.
func alternative(words string) string {
	text, err := json.Marshal(words) // escapes <, > and &
	if err != nil {
		return "" // no string does that
	}
	return `<script>document.currentScript.closest(".jp-OutputArea-child")?.previousElementSibling?.querySelector("img")?.setAttribute("alt", ` + string(text) + `)</script>`
}

// ShowImage displays an image, such as one of [sheet.New] or [report.Strips], with words that say what it shows to those who do not
// see it. Outside a notebook it does nothing.
func ShowImage(words string, img image.Image) error {
	if !gonbui.IsNotebook {
		return nil
	}
	data, err := sheet.PNG(img)
	if err != nil {
		return err
	}
	displayPNG(data, img.Bounds().Dx(), words)
	gonbui.DisplayHtml(alternative(words))
	flush()
	return nil
}

// ShowStrips displays the samples of a run after each task ([report.Strips]). dir is the folder of its JSON file. Outside a notebook
// it does nothing.
func ShowStrips(r *results.Run, dir string) error {
	img, err := report.Strips(r, dir)
	if err != nil {
		return err
	}
	return ShowImage("Samples of "+r.Strategy.Label+" after each task, of the classes "+report.StripWords(r), img)
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
	still, err := start.PNG(sharp)
	if err != nil {
		return err
	}
	displayPNG(still, int(start.Width), start.Words())
	gonbui.DisplayHtml(text + alternative(start.Words()))
	flush()
	return nil
}

// ShowTable displays the table of the methods, as [ShowNumbers] does. Outside a notebook it does nothing.
func ShowTable(methods []study.Method) { ShowNumbers(report.NewTable(methods)) }

// scrolling is a script that has the table of the output before scroll by the arrow keys, which JupyterLab takes for its own where it
// hears of them.
const scrolling = `<script>((table) => {
  if (!table) return;
  table.tabIndex = 0;
  table.setAttribute("role", "region");
  table.setAttribute("aria-label", "table");
  table.dataset.palimpsestTable = "";
  if (window.palimpsestTables) return;
  window.palimpsestTables = true;
  window.addEventListener("keydown", (e) => /^Arrow(Left|Right)$/.test(e.key) && e.target.matches?.("[data-palimpsest-table]") && e.stopPropagation(), true);
})(document.currentScript.closest(".jp-OutputArea-child")?.previousElementSibling?.querySelector(".jp-OutputArea-output"))</script>`

// ShowNumbers displays a table, such as that of [bits.Agreements] or [bits.Sensitivity], and below it, to open, what its columns mean,
// and a link that saves its numbers. Outside a notebook it does nothing.
func ShowNumbers(t *table.Table) {
	gonbui.DisplayMarkdown(t.Markdown())
	gonbui.DisplayHtml(t.Below() + scrolling)
	flush()
}

// ShowSentences displays sentences as a list. Outside a notebook it does nothing.
func ShowSentences(sentences ...string) { ShowSentencesOf("", sentences...) }

// ShowSentencesOf displays sentences as a list below what they are about, such as "32×32 pixels". Outside a notebook it does nothing.
func ShowSentencesOf(what string, sentences ...string) {
	text := ""
	if what != "" {
		text = "**" + what + "**\n\n"
	}
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
