package report

import (
	"github.com/janpfeifer/gonb/gonbui"

	"palimpsest/pkg/results"
)

// ShowNumbers displays a table, such as that of [BPDRanks] or [Sensitivity]. Outside a notebook it does nothing.
func ShowNumbers(t *Table) {
	gonbui.DisplayMarkdown(t.Markdown())
	gonbui.Sync()
}

// ShowSentences displays sentences as a list. Outside a notebook it does nothing.
func ShowSentences(sentences ...string) {
	text := ""
	for _, s := range sentences {
		text += "- " + s + "\n"
	}
	gonbui.DisplayMarkdown(text)
	gonbui.Sync()
}

// ShowScorecard displays the scorecard of methods ([NewScorecard]). Outside a notebook it does nothing.
func ShowScorecard(methods []Method) { ShowNumbers(NewScorecard(methods)) }

// ShowRanks displays how far BPD ranks runs as FID, coverage, class accuracy and KID do: the figure of BPD against
// FID, the table and the sentences. Outside a notebook it does nothing.
func ShowRanks(runs []*results.Run) error {
	r, err := NewBPDRanks(runs)
	if err != nil {
		return err
	}
	figure, err := AgreementScatter(runs, FinalOf(BPD), FinalOf(FID))
	if err != nil {
		return err
	}
	if err := Show(figure); err != nil {
		return err
	}
	ShowNumbers(r.Table())
	ShowSentences(r.Sentences()...)
	return nil
}
