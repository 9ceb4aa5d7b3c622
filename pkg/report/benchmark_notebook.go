package report

import (
	"github.com/janpfeifer/gonb/gonbui"

	"palimpsest/pkg/results"
)

// ShowRanking displays how sure the order of methods by number n is: figure, sentences and table of [NewRanking]. Outside a
// notebook it does nothing.
func ShowRanking(methods []Method, n Number, reference string) error {
	r, err := NewRanking(methods, n, reference)
	if err != nil {
		return err
	}
	if err := Show(RankingFigure(r)); err != nil {
		return err
	}
	ShowSentences(r.Sentences()...)
	ShowNumbers(r.Table())
	return nil
}

// ShowPareto displays quality against its prices: the figure of [Pareto] and which methods are on the front. Outside a
// notebook it does nothing.
func ShowPareto(methods []Method, quality Number, prices ...Price) error {
	f, err := Pareto(methods, quality, prices...)
	if err != nil {
		return err
	}
	if err := Show(f); err != nil {
		return err
	}
	ShowSentences(ParetoSentences(methods, quality, prices...)...)
	return nil
}

// ShowLambdas displays what λ does to a strategy: the figures of [LambdaSweep] and [BestLambda], the findings in sentences, and
// the table. Outside a notebook it does nothing.
func ShowLambdas(runs []*results.Run, strategy string) error {
	b, err := BestLambda(runs, strategy)
	if err != nil {
		return err
	}
	for _, f := range []Figure{SweepFigure(b.Sweep), BestLambdasFigure(b)} {
		if err := Show(f); err != nil {
			return err
		}
	}
	ShowSentences(b.Sentences()...)
	ShowNumbers(b.Table())
	return nil
}

// ShowLedger displays the ledger of the methods that have a card ([NewLedger]). Outside a notebook it does nothing.
func ShowLedger(methods []Method) error {
	cards, err := Cards(methods)
	if err != nil {
		return err
	}
	l, err := NewLedger(cards, methods)
	if err != nil {
		return err
	}
	gonbui.DisplayMarkdown(l.Markdown())
	gonbui.Sync()
	return nil
}
