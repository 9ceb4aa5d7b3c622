package figure

import (
	"math"

	"gonum.org/v1/plot/vg"
)

// placeLabels finds a place for the label of each point, a rectangle of the given size, within bounds: near its point, on no
// other label and, as far as there is room, on no point's marker of the given radius. Points in crowds get theirs
// farther off. The places are in the order of the points; a label that finds none keeps the place next to its point.
func placeLabels(points []vg.Point, sizes []vg.Point, radius vg.Length, bounds vg.Rectangle) []vg.Rectangle {
	out := make([]vg.Rectangle, len(points))
	var placed []vg.Rectangle
	for i, p := range points {
		best, least := vg.Rectangle{}, math.Inf(1)
		for distance := radius + 2; distance < 90; distance += 3 {
			for k := range 16 {
				angle := math.Pi/4 + float64(k)*math.Pi/8
				// The rectangle's border touches the circle of this distance around the point.
				dx, dy := vg.Length(math.Cos(angle)), vg.Length(math.Sin(angle))
				centre := vg.Point{X: p.X + dx*(distance+sizes[i].X/2), Y: p.Y + dy*(distance+sizes[i].Y/2)}
				r := vg.Rectangle{Min: vg.Point{X: centre.X - sizes[i].X/2, Y: centre.Y - sizes[i].Y/2},
					Max: vg.Point{X: centre.X + sizes[i].X/2, Y: centre.Y + sizes[i].Y/2}}
				if r.Min.X < bounds.Min.X || r.Max.X > bounds.Max.X || r.Min.Y < bounds.Min.Y || r.Max.Y > bounds.Max.Y {
					continue
				}
				cost := float64(distance) + 0.2*float64(k)
				for _, other := range placed {
					if overlap(r, other) {
						cost += 1e6
					}
				}
				for _, other := range points {
					if overlap(r, vg.Rectangle{Min: vg.Point{X: other.X - radius, Y: other.Y - radius}, Max: vg.Point{X: other.X + radius, Y: other.Y + radius}}) {
						cost += 40
					}
				}
				if cost < least {
					best, least = r, cost
				}
			}
			if least < float64(distance)+3 { // nothing farther can be better
				break
			}
		}
		if math.IsInf(least, 1) { // the bounds leave no room at all
			best = vg.Rectangle{Min: p, Max: p.Add(sizes[i])}
		}
		out[i], placed = best, append(placed, best)
	}
	return out
}

// overlap says whether two rectangles share more than a border.
func overlap(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}
