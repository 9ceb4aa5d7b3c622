package report

import (
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Excerpt is one part of a report in two forms: for a terminal, and in Markdown.
type Excerpt struct{ Text, Markdown string }

// ExcerptOf makes the part of a study's report that `go run . report --only NAME` prints. strategy is the one that "lambda",
// "storage" and "copying" are about; reference is the label of the method that "intervals" gives differences to, "" for er with λ = 1. It is an error
// if there is no such part, or if the runs do not have what it is made of.
func ExcerptOf(s *study.Set, name, strategy, reference string) (Excerpt, error) {
	if s == nil {
		return Excerpt{}, errors.New("report.ExcerptOf: no study (nil); read one by study.Open")
	}
	methods := s.Group()
	both := func(t *table.Table, sentences []string) Excerpt {
		p := Excerpt{Text: t.Text(110)}
		for _, s := range sentences {
			p.Text += "- " + s + "\n"
			p.Markdown += "- " + s + "\n"
		}
		if len(sentences) > 0 {
			p.Markdown += "\n"
		}
		p.Markdown += t.Markdown()
		return p
	}
	switch name {
	case "table":
		return Excerpt{TextTable(methods), MarkdownTable(methods)}, nil
	case "summary":
		return both(NewSummary(methods), nil), nil
	case "scorecard":
		return both(NewScorecard(methods), nil), nil
	case "intervals":
		var all Excerpt
		for _, same := range study.ByBenchmark(methods) {
			if len(same) < 2 && len(methods) > 2 { // nothing to compare with
				continue
			}
			r, err := study.NewRanking(same, study.FinalOf(study.FID), reference)
			if err != nil {
				return Excerpt{}, err
			}
			p := both(r.Table(), r.Sentences())
			all.Text, all.Markdown = all.Text+p.Text+"\n", all.Markdown+p.Markdown+"\n"
		}
		return all, nil
	case "pareto":
		var all Excerpt
		for _, same := range study.ByBenchmark(methods) {
			for _, s := range study.ParetoSentences(same, study.FinalOf(study.FID), study.PriceImages, study.PriceBytes, study.PriceCompute) {
				all.Text, all.Markdown = all.Text+"- "+s+"\n", all.Markdown+"- "+s+"\n"
			}
		}
		return all, nil
	case "lambda":
		b, err := study.BestLambda(s.Runs, strategy)
		if err != nil {
			return Excerpt{}, err
		}
		return both(b.Table(), b.Sentences()), nil
	case "storage":
		b, err := study.EqualStorage(s.Runs, strategy)
		if err != nil {
			return Excerpt{}, err
		}
		return both(b.Table(), nil), nil
	case "copying":
		b, err := study.Copying(s.Runs, strategy)
		if err != nil {
			return Excerpt{}, err
		}
		tables := b.Tables()
		first, second := both(tables[0], b.Sentences()), both(tables[1], nil)
		return Excerpt{first.Text + "\n" + second.Text, first.Markdown + "\n" + second.Markdown}, nil
	case "benchmarks":
		return both(study.AcrossBenchmarks(methods, study.FinalOf(study.FID), study.ForgettingOf(study.FID)), nil), nil
	case "ledger":
		cards, err := study.Cards(methods)
		if err != nil {
			return Excerpt{}, err
		}
		l, err := study.NewLedger(cards, methods)
		if err != nil {
			return Excerpt{}, err
		}
		return Excerpt{l.Markdown(), l.Markdown()}, nil
	}
	return Excerpt{}, CheckPart(name)
}

// parts are the names of [ExcerptOf].
var parts = []string{"table", "summary", "scorecard", "intervals", "pareto", "lambda", "storage", "copying", "benchmarks", "ledger"}

// CheckPart reports a name that [ExcerptOf] does not know.
func CheckPart(name string) error {
	if slices.Contains(parts, name) {
		return nil
	}
	return errors.Errorf("--only is %q%s; choose one of %v", name, words.DidYouMean(name, parts), parts)
}
