package report

import (
	"fmt"
	"slices"

	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// TargetedFindings compares every rehearsal at chosen timesteps, or with fewer rows, with full rehearsal: the uniform one
// of equal coefficient (or else any) that replays most rows.
func TargetedFindings(methods []study.Method) []string {
	var targeted, uniform []study.Method
	for _, g := range methods {
		switch {
		case study.ReplayedRows(g).Mean == 0 || g.Rereads() || !g.Summary().FID.Known():
		case study.RehearsalTimesteps(g) != "":
			targeted = append(targeted, g)
		default:
			uniform = append(uniform, g)
		}
	}
	if len(targeted) == 0 {
		return []string{"No run rehearses at chosen timesteps, so whether that pays cannot be said."}
	}
	if len(uniform) == 0 {
		return []string{"No run rehearses at all timesteps alike, so there is nothing to hold the targeted ones against."}
	}
	coefficient := func(g study.Method) any { return g.Runs[0].Strategy.Settings["lambda"] }
	var out []string
	for _, g := range targeted {
		same := slices.DeleteFunc(slices.Clone(uniform), func(u study.Method) bool {
			return u.Name() != g.Name() || fmt.Sprint(coefficient(u)) != fmt.Sprint(coefficient(g))
		})
		if len(same) == 0 {
			same = uniform
		}
		full := slices.MaxFunc(same, func(a, b study.Method) int {
			return int(study.ReplayedRows(a).Mean - study.ReplayedRows(b).Mean)
		})
		out = append(out, targetedFinding(g, full))
		// The fair rival at the same price, where there is one.
		for _, u := range same {
			if u.Label != full.Label && study.ReplayedRows(u).Mean == study.ReplayedRows(g).Mean {
				d := study.Compare(g.Summary().FID, u.Summary().FID)
				out[len(out)-1] += fmt.Sprintf(" Against as many rows at all timesteps alike (%s, FID %s) it is %s.", u.Label, u.Summary().FID.Format(1), study.BetterWorse(d))
			}
		}
	}
	return out
}

// targetedFinding compares one targeted rehearsal with full rehearsal.
func targetedFinding(g, full study.Method) string {
	s, f := g.Summary(), full.Summary()
	price := "as many rows"
	if share := study.ReplayedRows(g).Mean / study.ReplayedRows(full).Mean; share != 1 {
		price = words.Number(100*share, 0) + " % of the rows"
	}
	return fmt.Sprintf("%s, with %s replayed, ends at a FID of %s where full rehearsal (%s) ends at %s: it is %s.",
		g.Label, price, s.FID.Format(1), full.Label, f.FID.Format(1), study.BetterWorse(study.Compare(s.FID, f.FID)))
}
