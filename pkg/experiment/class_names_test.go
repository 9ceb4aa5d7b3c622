package experiment

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
)

// A class is asked for by its name, in any case where that is clear, or by its number; a name that is a number is a name.
func TestClassesByName(t *testing.T) {
	trained := &Trained{Benchmark: &datasets.Benchmark{ClassNames: []string{"rose", "Tulip", "tulip", "7", "bag, small"}}}
	got, err := trained.Classes([]string{"ROSE", "tulip", "Tulip", "7", "1", "bag, small"})
	if want := []int{0, 2, 1, 3, 1, 4}; err != nil || !slices.Equal(got, want) {
		t.Errorf("classes %v, %v; want %v", got, err, want)
	}
	for _, wrong := range []string{"TULIP", "dahlia", ""} {
		if _, err := trained.Classes([]string{wrong}); err == nil || !strings.Contains(err.Error(), "rose, Tulip, tulip, 7, bag, small") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if got, err := trained.Classes(nil); err != nil || got != nil {
		t.Errorf("no names are %v, %v", got, err)
	}
}
