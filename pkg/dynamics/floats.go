package dynamics

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/pkg/errors"
)

// Floats are numbers of which JSON writes those that are none, NaN and the infinities, as null, and reads null as NaN.
type Floats []float64

// MarshalJSON writes the numbers.
func (f Floats) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(f))
	for i := range f {
		if finite(f[i]) {
			out[i] = &f[i]
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the numbers.
func (f *Floats) UnmarshalJSON(text []byte) error {
	var in []*float64
	if err := json.Unmarshal(text, &in); err != nil {
		return errors.WithStack(err)
	}
	*f = nil
	for _, v := range in {
		if v == nil {
			*f = append(*f, math.NaN())
		} else {
			*f = append(*f, *v)
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// missing says of each number that is none what it came out as, by its place behind the given one.
func (f Floats) missing(place string, into map[string]string) {
	for i, v := range f {
		if !finite(v) {
			into[fmt.Sprintf("%s[%d]", place, i)] = fmt.Sprintf("came out as %g", v)
		}
	}
}
