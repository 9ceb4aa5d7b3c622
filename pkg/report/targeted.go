package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/results"
)

// replayedRows is how many old images a step of a method looks at: none where it keeps none.
func replayedRows(g Method) Stat {
	return g.Over(func(r *results.Run) float64 {
		if r.Cost.StoredImages == 0 { // its rows for rehearsal weigh nothing, or are fresh ones
			return 0
		}
		return float64(r.Cost.ReplayRows)
	})
}

// rehearsalTimesteps says at which timesteps a method rehearses: "" for all alike.
func rehearsalTimesteps(g Method) string {
	settings := g.Runs[0].Strategy.Settings
	at, _ := settings["timesteps"].(string)
	if at == "uniform" {
		at = ""
	}
	if weights, _ := settings["timestep_weights"].([]any); at == "" && len(weights) > 0 {
		at = "measured weights"
	}
	return at
}

// TargetedRehearsal sets final FID against the rows replayed a step, a point a strategy: does rehearsing only, or more,
// at chosen timesteps match full rehearsal with fewer rows? Joint and cumulative training, which read all data again, are levels. Methods of several studies
// can be shown together where [Warnings] finds nothing against it.
func TargetedRehearsal(methods []Method) Figure {
	const title = "Rehearsal: rows replayed and FID"
	l := looks(methods)
	var fids []curve
	for _, g := range methods {
		fids = append(fids, curve{y: []Stat{g.Summary().FID}})
	}
	low, high, ok := extent(fids)
	if !ok {
		return absent(title, "FID was not measured.")
	}
	p := newPanel("", "images replayed a step", "final FID")
	setRange(p, low, high)
	most := 1.0
	for _, g := range methods {
		most = math.Max(most, replayedRows(g).Mean)
	}
	p.X.Min, p.X.Max = -0.08*most, 1.08*most
	place := besideEachOther(methods, 0.018*most)
	for i, g := range methods {
		f := fids[i].y[0]
		if !f.Known() {
			continue
		}
		if g.rereads() {
			f.Std = math.NaN()
			addCurve(p, curve{look: l[i], x: []float64{p.X.Min, p.X.Max}, y: []Stat{f, f}, level: true}, 1.6, 0)
			continue
		}
		x := place[i]
		if f.HasSpread() {
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: math.Max(f.Mean-f.Std, p.Y.Min)}, {X: x, Y: f.Mean + f.Std}}, LineStyle: draw.LineStyle{Color: l[i].colour, Width: 1.4}})
		}
		p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: x, Y: f.Mean}}, GlyphStyle: l[i].marker(5)})
	}
	return chart(title, "FID over all tasks at the end (lower is better) against how many old images each training step looks at; t=… names the timesteps they are rehearsed at. "+
		"Points of one number of images stand a little apart. "+bandNote(methods),
		600, 320, entries(methods, l), [][]*plot.Plot{{p}})
}

// besideEachOther is where the points of methods go: those of one number of rows side by side, a step apart.
func besideEachOther(methods []Method, step float64) []float64 {
	out := make([]float64, len(methods))
	groups := map[float64][]int{}
	for i, g := range methods {
		if g.rereads() {
			continue
		}
		rows := replayedRows(g).Mean
		groups[rows] = append(groups[rows], i)
	}
	for rows, members := range groups {
		for k, i := range members {
			out[i] = rows + step*(float64(k)-float64(len(members)-1)/2)
		}
	}
	return out
}

// TargetedFindings compares every rehearsal at chosen timesteps, or with fewer rows, with full rehearsal: the uniform one
// of equal coefficient (or else any) that replays most rows.
func TargetedFindings(methods []Method) []string {
	var targeted, uniform []Method
	for _, g := range methods {
		switch {
		case replayedRows(g).Mean == 0 || g.rereads() || !g.Summary().FID.Known():
		case rehearsalTimesteps(g) != "":
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
	coefficient := func(g Method) any { return g.Runs[0].Strategy.Settings["lambda"] }
	var out []string
	for _, g := range targeted {
		same := slices.DeleteFunc(slices.Clone(uniform), func(u Method) bool {
			return u.Name() != g.Name() || fmt.Sprint(coefficient(u)) != fmt.Sprint(coefficient(g))
		})
		if len(same) == 0 {
			same = uniform
		}
		full := slices.MaxFunc(same, func(a, b Method) int {
			return int(replayedRows(a).Mean - replayedRows(b).Mean)
		})
		out = append(out, targetedFinding(g, full))
		// The fair rival at the same price, where there is one.
		for _, u := range same {
			if u.Label != full.Label && replayedRows(u).Mean == replayedRows(g).Mean {
				d := Compare(g.Summary().FID, u.Summary().FID)
				out[len(out)-1] += fmt.Sprintf(" Against as many rows at all timesteps alike (%s, FID %s) it is %s.", u.Label, u.Summary().FID.Format(1), betterWorse(d))
			}
		}
	}
	return out
}

// targetedFinding compares one targeted rehearsal with full rehearsal.
func targetedFinding(g, full Method) string {
	s, f := g.Summary(), full.Summary()
	price := "as many rows"
	if share := replayedRows(g).Mean / replayedRows(full).Mean; share != 1 {
		price = number(100*share, 0) + " % of the rows"
	}
	return fmt.Sprintf("%s, with %s replayed, ends at a FID of %s where full rehearsal (%s) ends at %s: it is %s.",
		g.Label, price, s.FID.Format(1), full.Label, f.FID.Format(1), betterWorse(Compare(s.FID, f.FID)))
}

// betterWorse says how a difference of FID is to be read.
func betterWorse(d Difference) string {
	return d.words("better", "worse", "", 1)
}
