package study

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/cards"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Whether a study agrees with a claim.
const (
	Agrees     = "agrees"         // the difference is told apart from 0 on the claimed side
	Disagrees  = "does not agree" // on the other side
	Undecided  = "undecided"      // it is not told apart from 0
	NotStudied = "not studied"    // a method of the two has no such number in the study
)

// Ledger holds, a row a method, what its implementation is verified against, the settings it ran at, how its paper is read
// where that leaves something open, and whether the study agrees with what the paper claims.
type Ledger struct {
	Rows   []LedgerRow
	Left   []string // methods of the study without a card
	Alarms []string // which runs diverged or collapsed
}

// LedgerRow is one strategy.
type LedgerRow struct {
	Name, Paper string
	Ran         []string // the labels it ran under, which name what differs from the default settings
	Card        cards.Card
	Claims      []JudgedClaim
}

// JudgedClaim is one claim of a paper, judged on the runs of a study.
type JudgedClaim struct {
	Claim         cards.Claim
	Verdict       string     // [Agrees] and the others
	Better, Worse string     // the labels compared: of a strategy with several settings the best of them by the metric
	Difference    Difference // of the claimed better one less the other; negative agrees
}

// Cards reads the cards of the strategies of methods that have one.
func Cards(methods []Method) (map[string]cards.Card, error) {
	out := map[string]cards.Card{}
	for _, g := range methods {
		if _, done := out[g.Name()]; done {
			continue
		}
		card, err := cards.Of(g.Name())
		if errors.Is(err, cards.ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[g.Name()] = card
	}
	return out, nil
}

// NewLedger judges the claims of known cards, by strategy name, on methods of a study. It is an error if a claim has a metric other
// than cards.MetricFID and cards.MetricForgetting.
func NewLedger(known map[string]cards.Card, methods []Method) (*Ledger, error) {
	l := &Ledger{Alarms: Alarms(methods)}
	for _, g := range methods {
		card, ok := known[g.Name()]
		i := slices.IndexFunc(l.Rows, func(r LedgerRow) bool { return r.Name == g.Name() })
		switch {
		case !ok:
			l.Left = append(l.Left, g.Label)
		case i >= 0:
			l.Rows[i].Ran = append(l.Rows[i].Ran, g.Label)
		default:
			row := LedgerRow{Name: g.Name(), Paper: g.Runs[0].Strategy.Paper, Ran: []string{g.Label}, Card: card}
			for _, c := range card.Claims {
				judged, err := judge(c, methods)
				if err != nil {
					return nil, errors.WithMessagef(err, "card of %s", g.Name())
				}
				row.Claims = append(row.Claims, judged)
			}
			l.Rows = append(l.Rows, row)
		}
	}
	return l, nil
}

// judge holds a claim against the first benchmark on which both of its strategies ran.
func judge(c cards.Claim, methods []Method) (JudgedClaim, error) {
	out := JudgedClaim{Claim: c, Verdict: NotStudied}
	var n Number
	switch c.Metric {
	case cards.MetricFID:
		n = FinalOf(FID)
	case cards.MetricForgetting:
		n = ForgettingOf(FID)
	default:
		return out, errors.Errorf("the claim %q is about %q; need %q or %q", c.Says, c.Metric, cards.MetricFID, cards.MetricForgetting)
	}
	for _, part := range ByBenchmark(methods) {
		better, ok := bestOf(part, c.Better, n)
		worse, also := bestOf(part, c.Worse, n)
		if !ok || !also {
			continue
		}
		d := Compare(better.Over(n.Of), worse.Over(n.Of))
		out.Better, out.Worse, out.Difference = better.Label, worse.Label, d
		out.Verdict = map[int]string{-1: Agrees, 0: Undecided, 1: Disagrees}[d.Sign()]
		return out, nil
	}
	return out, nil
}

// bestOf is the setting of a strategy with the best mean of a number.
func bestOf(methods []Method, name string, n Number) (Method, bool) {
	var best Method
	found := false
	for _, g := range methods {
		if g.Name() != name || !g.Over(n.Of).Known() {
			continue
		}
		if !found || n.Rankable(g.Over(n.Of).Mean) < n.Rankable(best.Over(n.Of).Mean) {
			best, found = g, true
		}
	}
	return best, found
}

// Text writes a judged claim with its numbers.
func (j JudgedClaim) Text() string {
	text := fmt.Sprintf("%s (%s): %s", strings.TrimRight(words.OneLine(j.Claim.Says), "."), words.OneLine(j.Claim.Source), j.Verdict)
	if j.Verdict == NotStudied {
		return text
	}
	what := FinalOf(FID).Name()
	if j.Claim.Metric == cards.MetricForgetting {
		what = ForgettingOf(FID).Name()
	}
	return text + fmt.Sprintf("; %s of %s less that of %s: %s, %s", what, j.Better, j.Worse, j.Difference.Format(1), j.Difference.Rule())
}

// Markdown writes the ledger as one table with its notes.
func (l *Ledger) Markdown() string {
	var b strings.Builder
	b.WriteString("| method | paper | ran as | verified against | our reading | what its paper says, on these runs |\n|---|---|---|---|---|---|\n")
	for _, r := range l.Rows {
		var claims []string
		for _, c := range r.Claims {
			claims = append(claims, c.Text())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", table.Escape(r.Name), textCell(r.Paper), table.Escape(strings.Join(r.Ran, ", ")), textCell(r.Card.Verified),
			textCell(r.Card.Reading), textCell(strings.Join(claims, "<br>")))
	}
	b.WriteString("\n")
	for _, n := range l.notes() {
		b.WriteString("- " + n + "\n")
	}
	return b.String()
}

// notes says how claims were judged and counts them.
func (l *Ledger) notes() []string {
	out := append(slices.Clone(l.Alarms), l.Summary(),
		RuleNote+" A claim agrees, or does not, where the difference is told apart from 0, each claim by itself: were there no differences at all, about one in "+
			"twenty would still be decided, by chance. A strategy with several settings is taken at the best of them.",
		"The runs are smaller than those of the papers, with another network, data set and number of steps: a claim that does not agree here may hold there.")
	if len(l.Left) > 0 {
		out = append(out, "Without a card of their own: "+words.List(l.Left)+".")
	}
	return out
}

// Summary counts the claims by verdict, in one sentence.
func (l *Ledger) Summary() string {
	count, all := map[string]int{}, 0
	for _, r := range l.Rows {
		for _, c := range r.Claims {
			count[c.Verdict]++
			all++
		}
	}
	if all == 0 {
		return "The cards of these methods claim nothing that runs could check."
	}
	text := fmt.Sprintf("Of %d claims of papers, these runs agree with %d, do not agree with %d and leave %d undecided", all, count[Agrees], count[Disagrees], count[Undecided])
	if n := count[NotStudied]; n > 0 {
		text += fmt.Sprintf("; %d compare with a method that was not run", n)
	}
	return text + "."
}

// textCell is a text in a cell, with a dash for none.
func textCell(text string) string {
	if text = words.OneLine(text); text == "" {
		return words.Missing
	}
	return table.Escape(text)
}
