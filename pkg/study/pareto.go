package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// Price is something that remembering takes of a run; less is better.
type Price struct {
	Name string // as readers see it, "compute"
	Unit func(most float64) (name string, size float64)
	of   func(r *results.Run, unit float64) float64
}

// Prices that quality can be set against.
var (
	PriceImages = Price{"stored images", plainUnit, func(r *results.Run, _ float64) float64 { return float64(r.Cost.StoredImages) }}
	PriceBytes  = Price{"storage", words.ByteUnit, func(r *results.Run, _ float64) float64 { return float64(r.Cost.StoredBytes) }}
	// PriceCompute is [Evaluations] in units of fine-tuning's.
	PriceCompute = Price{"compute", func(float64) (string, float64) { return "× fine-tuning", 1 }, func(r *results.Run, unit float64) float64 { return Evaluations(r) / unit }}
)

func plainUnit(float64) (string, float64) { return "", 1 }

// Axis is the price's title on an axis, with its unit.
func (p Price) Axis(unit string) string {
	if unit == "" {
		return p.Name
	}
	return p.Name + ", " + unit
}

// passesPerRow is what a training row costs, in rows put forwards through the network: the backward pass takes about
// twice the forward pass, as it computes the gradients of both activations and weights.
const passesPerRow = 3

// Evaluations counts all rows that a run put through a network while it learned, forward passes being the unit:
//
//	3·steps·(fresh rows + replay rows) + extra evaluations
//
// where extra evaluations are those of teachers, generators, importance weights and choices of what to replay, as the
// strategy counts them: one each, although some of them go backwards too. Measuring is left out.
func Evaluations(r *results.Run) float64 {
	c := r.Cost
	return passesPerRow*float64(c.Steps)*float64(c.FreshRows+c.ReplayRows) + float64(c.ExtraEvaluations)
}

// finetuneEvaluations is the unit of [PriceCompute] for runs of one benchmark: what fine-tuning on the fresh rows takes,
// for as many steps as the first finetune has among the methods, or else the first method.
func finetuneEvaluations(methods []Method) float64 {
	g, ok := Find(methods, Finetune)
	if !ok {
		g = methods[0]
	}
	c := g.Runs[0].Cost
	return passesPerRow * float64(c.Steps) * float64(c.FreshRows)
}

// PricedMethod is one method by price and quality.
type PricedMethod struct {
	Method  Method
	Price   Stat
	Quality Stat
	Front   bool // no other method is both as cheap and as good, and one of them strictly, by their means
}

// ParetoFront prices the methods that compete: all but finetune and joint, which are references. Methods that did not
// measure quality are left out.
func ParetoFront(methods []Method, quality Number, price Price) []PricedMethod {
	if len(methods) == 0 {
		return nil
	}
	unit := finetuneEvaluations(methods)
	var out []PricedMethod
	for _, g := range methods {
		q := g.Over(quality.Of)
		if g.Name() == Finetune || g.Name() == Joint || !q.Known() {
			continue
		}
		out = append(out, PricedMethod{Method: g, Quality: q, Price: g.Over(func(r *results.Run) float64 { return price.of(r, unit) })})
	}
	for i, a := range out {
		x, y := a.Price.Mean, quality.Rankable(a.Quality.Mean)
		out[i].Front = !slices.ContainsFunc(out, func(b PricedMethod) bool {
			u, v := b.Price.Mean, quality.Rankable(b.Quality.Mean)
			return u <= x && v <= y && (u < x || v < y)
		})
	}
	return out
}

// ParetoSentences says which methods are on the front, one sentence a price.
func ParetoSentences(methods []Method, quality Number, prices ...Price) []string {
	out := Alarms(methods)
	for _, price := range PricesOrUsual(prices) {
		var front []string
		all := ParetoFront(methods, quality, price)
		on := OnFront(all, quality)
		most := 0.0
		for _, m := range all {
			most = math.Max(most, m.Price.Mean)
		}
		unit, size := price.Unit(most)
		for _, m := range on {
			text := words.Short(words.Round(m.Price.Mean/size, 3))
			if unit != "" {
				text += " " + unit
			}
			front = append(front, fmt.Sprintf("%s (%s %s at %s)", m.Method.Label, quality.Name(), m.Quality.Format(quality.decimals()), text))
		}
		if len(front) > 0 {
			out = append(out, fmt.Sprintf("By %s against %s, %d of %d methods have no other that is both cheaper and better, by their means, whose differences are not tested: %s.",
				quality.Name(), price.Name, len(on), len(all), words.List(front)))
		}
	}
	return out
}

// OnFront are the methods on the front, the cheapest first.
func OnFront(all []PricedMethod, quality Number) []PricedMethod {
	on := slices.DeleteFunc(slices.Clone(all), func(m PricedMethod) bool { return !m.Front })
	slices.SortStableFunc(on, func(a, b PricedMethod) int { return cmp.Compare(a.Price.Mean, b.Price.Mean) })
	return on
}

// PricesOrUsual are the prices asked for, or what remembering usually costs.
func PricesOrUsual(prices []Price) []Price {
	if len(prices) == 0 {
		return []Price{PriceBytes, PriceCompute}
	}
	return prices
}
