package study

import (
	"fmt"
	"math"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// Disagreement is a pair of methods that two numbers order differently, both told apart by the rule of [Difference].
type Disagreement struct {
	A, B     Number
	ByA, ByB Method     // the better one by A, and the better one by B
	InA, InB Difference // value of ByA minus that of ByB, in each number
	AOfByA   Stat       // A of ByA, and so on
	AOfByB   Stat
	BOfByA   Stat
	BOfByB   Stat
	Others   []Side // which side other metrics take
}

// Side is what a third number says of a disagreement.
type Side struct {
	Number Number
	With   string // label of the better method; "" where they are not told apart
	Better Stat
	Worse  Stat
}

// Disagreements lists the pairs of methods that a and b order differently, both told apart by the rule of
// [Difference], and which side the other metrics take; with one seed there is none. It is an error if fewer than two
// methods measured both.
func Disagreements(runs []*results.Run, a, b Number) ([]Disagreement, error) {
	methods := Group(runs)
	known := 0
	stats := make([][2]Stat, len(methods))
	for i, g := range methods {
		stats[i] = [2]Stat{g.Over(a.Of), g.Over(b.Of)}
		if stats[i][0].Known() && stats[i][1].Known() {
			known++
		}
	}
	if known < 2 {
		return nil, errors.Errorf("study: %d of %d methods have both %s and %s for every task; need at least 2; runs of %s measure likelihoods",
			known, len(methods), a.Name(), b.Name(), BPDCommand)
	}
	var out []Disagreement
	for i, g := range methods {
		for j, h := range methods {
			inA, inB := Compare(stats[i][0], stats[j][0]), Compare(stats[i][1], stats[j][1])
			// Only g better by a and h better by b; comparisons with NaN are false.
			if !(a.Rankable(inA.Value) < 0 && b.Rankable(inB.Value) > 0) || inA.Sign() == 0 || inB.Sign() == 0 {
				continue
			}
			d := Disagreement{A: a, B: b, ByA: g, ByB: h, InA: inA, InB: inB,
				AOfByA: stats[i][0], AOfByB: stats[j][0], BOfByA: stats[i][1], BOfByB: stats[j][1]}
			for _, m := range []Metric{FID, ClassAccuracy, Coverage} {
				if m.Key == a.Metric.Key || m.Key == b.Metric.Key {
					continue
				}
				n := FinalOf(m)
				if a.Forgetting() {
					n = ForgettingOf(m)
				}
				x, y := g.Over(n.Of), h.Over(n.Of)
				difference := Compare(x, y)
				if math.IsNaN(difference.Value) {
					continue
				}
				side := Side{Number: n, Better: x, Worse: y}
				switch {
				case difference.Sign() == 0:
				case n.Rankable(difference.Value) < 0:
					side.With = g.Label
				default:
					side.With, side.Better, side.Worse = h.Label, y, x
				}
				d.Others = append(d.Others, side)
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// Sentence says who is better by which number, and what the other metrics say.
func (d Disagreement) Sentence() string {
	format := func(n Number, s Stat) string { return s.Format(n.decimals()) }
	text := fmt.Sprintf("%s puts %s (%s) before %s (%s; %s); %s has it the other way, %s against %s (%s).",
		d.A.Name(), d.ByA.Label, format(d.A, d.AOfByA), d.ByB.Label, format(d.A, d.AOfByB), d.InA.Rule(), d.B.Name(), format(d.B, d.BOfByA), format(d.B, d.BOfByB), d.InB.Rule())
	for _, s := range d.Others {
		if s.With == "" {
			text += fmt.Sprintf(" By %s the two are not told apart (%s and %s).", s.Number.Name(), format(s.Number, s.Better), format(s.Number, s.Worse))
			continue
		}
		with := d.A
		if s.With == d.ByB.Label {
			with = d.B
		}
		text += fmt.Sprintf(" %s sides with %s (%s better, %s against %s).", words.UpperFirst(s.Number.Name()), with.Name(), s.With, format(s.Number, s.Better), format(s.Number, s.Worse))
	}
	return text
}

// DisagreementSentences sums up all disagreements between a and b, one sentence first and one for each after it.
func DisagreementSentences(runs []*results.Run, a, b Number) ([]string, error) {
	list, err := Disagreements(runs, a, b)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return []string{fmt.Sprintf("%s and %s order no two methods differently where both tell them apart (paired t, p < 0.05, no correction for the number of pairs).", a.Name(), b.Name())}, nil
	}
	votes, against := 0, 0
	for _, d := range list {
		for _, s := range d.Others {
			switch s.With {
			case d.ByB.Label:
				votes++
			case d.ByA.Label:
				against++
			}
		}
	}
	noun := "pairs"
	if len(list) == 1 {
		noun = "pair"
	}
	text := fmt.Sprintf("%s and %s order %d %s of methods differently, both telling them apart (paired t, p < 0.05, no correction for the number of pairs).", a.Name(), b.Name(), len(list), noun)
	if votes+against > 0 {
		text += fmt.Sprintf(" The other metrics side with %s %s and with %s %s.", b.Name(), words.Times(votes), a.Name(), words.Times(against))
	}
	out := []string{text}
	for _, d := range list {
		out = append(out, d.Sentence())
	}
	return out, nil
}
