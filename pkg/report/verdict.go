package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Verdict answers in plain sentences, computed from the methods' numbers alone: does finetune forget, which
// strategies forget less and by how much, what that costs on the newest task, who is not behind joint training and whether
// copying may be why, and what remembering cost. Two methods are told apart by the rule of [study.Difference]; with one seed nothing
// is decided, which the sentences say.
func Verdict(methods []study.Method) []string {
	if len(methods) == 0 {
		return nil
	}
	var out []string
	if w := study.Warnings(methods); len(w) > 0 {
		text := "Read with care, the rows are not strictly comparable."
		for _, sentence := range w {
			text += " " + words.UpperFirst(sentence)
		}
		out = append(out, text)
	}
	out = append(out, study.Alarms(methods)...)
	summaries := make(map[string]study.Summary, len(methods))
	for _, g := range methods {
		summaries[g.Label] = g.Summary()
	}
	parts := study.ByBenchmark(methods)
	names := study.Groups(parts)
	if len(parts) > 1 {
		out = append(out, fmt.Sprintf("Nothing is compared across these %d groups: %s.", len(parts), strings.Join(names, "; ")))
	}
	for i, part := range parts {
		v := verdict{part, summaries}
		for _, sentences := range [][]string{v.finetune(), v.forgetting(), v.settings(), v.reference(), v.costs()} {
			for _, sentence := range sentences {
				if len(parts) > 1 {
					sentence = words.UpperFirst(names[i]) + ": " + sentence
				}
				out = append(out, sentence)
			}
		}
	}
	return append(out, study.RuleNote)
}

// verdict holds what the sentences are about.
type verdict struct {
	methods   []study.Method
	summaries map[string]study.Summary
}

// finetune says whether training without any measure forgets.
func (v verdict) finetune() []string {
	g, ok := study.Find(v.methods, study.Finetune)
	if !ok {
		return []string{"There is no finetune run, so there is no floor that the others could be held against."}
	}
	s := v.summaries[g.Label]
	f := s.FIDForgetting
	earlier := fmt.Sprintf("the FID of the %s", earlierTasks(g.Tasks()))
	accuracy := ""
	if a := s.AccuracyForgetting; a.Known() && a.Mean >= 0 {
		accuracy = fmt.Sprintf("; the class accuracy of their samples falls by %s points", a.Times(100).Format(1))
	} else if a.Known() {
		accuracy = fmt.Sprintf("; the class accuracy of their samples rises by %s points", a.Times(-100).Abs().Format(1))
	}
	switch {
	case !f.Known():
		return []string{words.Possessive(g.Label) + " forgetting was not measured."}
	case f.Mean <= 0:
		return []string{fmt.Sprintf("%s does not forget here: at the end %s is on average %s lower than just after each was learned%s. "+
			"This setting cannot show what a strategy saves.", g.Label, earlier, f.Abs().Format(1), accuracy)}
	}
	d := f.FromZero()
	if d.Tested() && d.Sign() == 0 {
		return []string{fmt.Sprintf("%s shows no forgetting that these seeds tell apart from none: at the end %s is on average %s higher than just after each was learned%s (%s). "+
			"This setting cannot show what a strategy saves.", g.Label, earlier, f.Format(1), accuracy, d.Rule())}
	}
	return []string{fmt.Sprintf("%s forgets: at the end %s is on average %s higher than just after each was learned%s (%s).",
		g.Label, earlier, f.Format(1), accuracy, d.Rule())}
}

func earlierTasks(tasks int) string {
	if tasks == 2 {
		return "earlier task"
	}
	return fmt.Sprintf("%d earlier tasks", tasks-1)
}

// forgetting compares every strategy's forgetting with finetune's.
func (v verdict) forgetting() []string {
	base, ok := study.Find(v.methods, study.Finetune)
	if !ok {
		return nil
	}
	floor := v.summaries[base.Label]
	var out []string
	for _, g := range v.methods {
		s := v.summaries[g.Label]
		if g.Name() == study.Finetune || !s.FIDForgetting.Known() || !floor.FIDForgetting.Known() {
			continue
		}
		d := study.Compare(s.FIDForgetting, floor.FIDForgetting)
		text := fmt.Sprintf("%s FID forgetting is %s, %s %s: ", words.Possessive(g.Label), s.FIDForgetting.Format(1), words.Possessive(base.Label), floor.FIDForgetting.Format(1)) +
			d.Words("less", "more", "", 1)
		if p := study.Compare(s.LastTaskFID, floor.LastTaskFID); !math.IsNaN(p.Value) {
			text += fmt.Sprintf(". It learns the newest task to a FID of %s, %s to %s: ", s.LastTaskFID.Format(1), base.Label, floor.LastTaskFID.Format(1)) +
				p.Words("better", "worse", "", 1)
		}
		text += "."
		out = append(out, text)
	}
	return out
}

// settings says which setting of a strategy is best at what.
func (v verdict) settings() []string {
	var out []string
	var done []string
	for _, g := range v.methods {
		name := g.Name()
		if slices.Contains(done, name) {
			continue
		}
		done = append(done, name)
		var labels []string
		for _, other := range v.methods {
			if other.Name() == name {
				labels = append(labels, other.Label)
			}
		}
		if len(labels) < 2 {
			continue
		}
		var parts []string
		for _, c := range []struct {
			what string
			of   func(study.Summary) study.Stat
		}{
			{"the least FID forgetting", func(s study.Summary) study.Stat { return s.FIDForgetting }},
			{"the best FID over all tasks at the end", func(s study.Summary) study.Stat { return s.FID }},
			{"the best FID on the newest task", func(s study.Summary) study.Stat { return s.LastTaskFID }},
		} {
			if text := v.best(labels, c.of); text != "" {
				parts = append(parts, c.what+" has "+text)
			}
		}
		if len(parts) > 0 {
			out = append(out, fmt.Sprintf("Among the settings of %s, %s.", name, strings.Join(parts, "; ")))
		}
	}
	return out
}

// best names the label with the lowest number, and those the seeds do not tell apart from it.
func (v verdict) best(labels []string, of func(study.Summary) study.Stat) string {
	winner := ""
	for _, l := range labels {
		s := of(v.summaries[l])
		if s.Known() && (winner == "" || s.Mean < of(v.summaries[winner]).Mean) {
			winner = l
		}
	}
	if winner == "" {
		return ""
	}
	top := of(v.summaries[winner])
	var level []string
	for _, l := range labels {
		if d := study.Compare(of(v.summaries[l]), top); l != winner && !math.IsNaN(d.Value) && d.Sign() == 0 {
			level = append(level, l)
		}
	}
	text := fmt.Sprintf("%s (%s)", winner, top.Format(1))
	switch {
	case top.N == 1:
		text += ", which one seed does not decide"
	case len(level) > 0:
		text += ", not told apart from " + words.List(level) + " by these seeds"
	}
	return text
}

// reference compares all with joint training, and asks the copies where joint is reached.
func (v verdict) reference() []string {
	g, ok := study.Find(v.methods, study.Joint)
	if !ok {
		return []string{"There is no joint run, so there is no reference."}
	}
	joint := v.summaries[g.Label]
	if !joint.FID.Known() {
		return []string{g.Label + " is the reference, but its FID was not measured for every task."}
	}
	budget := ""
	if len(study.Distinct(v.methods, func(r *results.Run) string {
		return fmt.Sprint(r.Cost.Steps, r.Cost.FreshRows+r.Cost.ReplayRows)
	})) == 1 {
		budget = " with as many steps of as many images"
	}
	out := []string{fmt.Sprintf("%s, which learns all tasks at once%s, is the reference: its FID over all tasks is %s.", g.Label, budget, joint.FID.Format(1))}
	var behind, open []string
	for _, other := range v.methods {
		s := v.summaries[other.Label]
		if other.Name() == study.Joint || !s.FID.Known() {
			continue
		}
		d := study.Compare(s.FID, joint.FID)
		switch one := fmt.Sprintf("%s (%s)", other.Label, s.FID.Format(1)); {
		case d.Sign() > 0:
			behind = append(behind, one)
			continue
		case !d.Tested() && d.Value > 0:
			open = append(open, one)
			continue
		}
		word := "passes"
		if d.Tested() && d.Sign() == 0 {
			word = "is not behind"
		}
		out = append(out, fmt.Sprintf("%s %s %s at the end: FID %s against %s, %s. %s",
			other.Label, word, g.Label, s.FID.Format(1), joint.FID.Format(1), d.Words("better", "worse", "", 1), copies(other, g)))
	}
	if len(behind) > 0 {
		out = append(out, "Behind "+g.Label+" at the end (p < 0.05 each): "+strings.Join(behind, ", ")+".")
	}
	if len(open) > 0 {
		out = append(out, "Behind "+g.Label+" at the end, which these seeds do not decide: "+strings.Join(open, ", ")+".")
	}
	return out
}

// copies says whether copying may be why a strategy reaches joint training, by the criterion that both were searched by.
func copies(g, joint study.Method) string {
	trainMetric, bufferMetric, criterion := study.CopyMetrics([]study.Method{g, joint})
	train, buffer, reference := g.FinalShare(trainMetric), g.FinalShare(bufferMetric), joint.FinalShare(trainMetric)
	if !train.Known() && !buffer.Known() || !reference.Known() {
		return "Copies were not measured, so whether copying is why cannot be said."
	}
	share, text := train, ""
	if train.Known() {
		text = train.Percent(1) + " of its samples copy a training image"
	}
	if buffer.Known() {
		if text != "" {
			text = " and " + text
		}
		text = buffer.Percent(1) + " of its samples copy a buffer image" + strings.Replace(text, " of its samples", "", 1)
		if !share.Known() || buffer.Mean > share.Mean { // the nearest images of a small buffer show copies best
			share = buffer
		}
	}
	text = fmt.Sprintf("By %s, %s; of %s, %s copy a training image. ", criterion, text, words.Possessive(joint.Label), reference.Percent(1))
	d := study.Compare(share, reference)
	points := words.Number(d.Value*100, 1)
	// A difference below one sample in a hundred explains no FID, whatever the spread.
	switch {
	case d.Value < 0.01:
		return text + "That is not more, so copying does not explain it."
	case d.Sign() == 0:
		return text + fmt.Sprintf("That is %s points more (%s), so copying may be why.", points, d.Rule())
	}
	return text + fmt.Sprintf("That is %s points more (%s): part of this FID may be bought by copying.", points, d.Rule())
}

// costs says what remembering took.
func (v verdict) costs() []string {
	base, hasBase := study.Find(v.methods, study.Finetune)
	var parts []string
	for _, g := range v.methods {
		if g.Name() == study.Finetune || g.Name() == study.Joint {
			continue
		}
		s := v.summaries[g.Label]
		unit, bytes := words.ByteUnit(s.StoredBytes.Mean)
		kept := words.Number(s.StoredBytes.Mean/bytes, 1) + " " + unit
		switch {
		case s.StoredBytes.Mean == 0:
			kept = "nothing"
		case s.StoredImages.Mean > 0:
			kept = words.Number(s.StoredImages.Mean, 0) + " images (" + kept + ")"
		}
		text := g.Label + " keeps " + kept
		if t := v.summaries[base.Label].TrainSeconds.Mean; hasBase && t > 0 {
			text += fmt.Sprintf(", takes %s times %s training time", words.Number(s.TrainSeconds.Mean/t, 2), words.Possessive(base.Label))
		}
		if e := s.ExtraEvaluations.Mean; e > 0 {
			text += fmt.Sprintf(", runs %s extra rows through a network", words.Number(e, 0))
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return nil
	}
	out := []string{"What remembering cost: " + strings.Join(parts, "; ") + "."}
	if text := v.disturbed(); text != "" {
		out = append(out, text)
	}
	return out
}

// disturbed says that training times mean little here where runs of equal work took more than a factor of two apart: of one strategy
// at another λ or seed, on one kind of machine; "" where there are none.
func (v verdict) disturbed() string {
	type timed struct {
		seconds float64
		label   string
	}
	least, most := map[string]timed{}, map[string]timed{}
	for _, g := range v.methods {
		for _, r := range g.Runs {
			if r.Cost.TrainSeconds <= 0 || len(r.Config) == 0 {
				continue
			}
			work, now := workOf(r), timed{r.Cost.TrainSeconds, g.Label}
			if l, ok := least[work]; !ok || now.seconds < l.seconds {
				least[work] = now
			}
			if now.seconds > most[work].seconds {
				most[work] = now
			}
			if l, m := least[work], most[work]; m.seconds > 2*l.seconds {
				return fmt.Sprintf("Training times tell little here: a run of %s took %s s and one of %s %s s for the same work, so the machine was doing other things.",
					m.label, words.Number(m.seconds, 1), l.label, words.Number(l.seconds, 1))
			}
		}
	}
	return ""
}

// workOf tells runs of different work apart: it is all settings but those that change no step's work, and the machine.
func workOf(r *results.Run) string {
	c := maps.Clone(r.Config)
	for _, key := range []string{"name", "seed", "checkpoint_every", "keep_networks"} {
		delete(c, key)
	}
	if s, ok := c["strategy"].(map[string]any); ok {
		s = maps.Clone(s)
		delete(s, "lambda")
		c["strategy"] = s
	}
	m := r.Provenance.Machine
	return fmt.Sprint(c, r.Strategy.Name, m.CPU, m.GPU, m.Cores)
}
