package cl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/words"
)

// LabelOf is a label for a strategy: its name, its setting "lambda" where it has one, and its other settings, in the order
// of their names, where they are not those of usual, which is a strategy with the default settings: "er_mine λ=0.3 buffer=60".
func LabelOf(s, usual Strategy) string {
	have, err := Settings(s)
	if err != nil {
		return s.Info().Name
	}
	want, _ := Settings(usual)
	label := s.Info().Name
	if lambda, ok := have["lambda"]; ok {
		label += fmt.Sprintf(" λ=%v", lambda)
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if key != "lambda" && fmt.Sprint(have[key]) != fmt.Sprint(want[key]) {
			label += fmt.Sprintf(" %s=%v", strings.ReplaceAll(key, "_", " "), have[key])
		}
	}
	return label
}

// mostWeight is far above any weight of a loss; the gradients of larger ones leave the range of a float32.
const mostWeight = 1e12

// weight reports a setting that is no weight of a loss: not from 0 to [mostWeight].
func weight(setting string, value float64) error {
	if !(value >= 0 && value <= mostWeight) {
		return errors.Errorf("cl: %s is %g; need a number from 0 to %g", setting, value, mostWeight)
	}
	return nil
}

// Whole numbers beyond these are slips of the keyboard, which would ask for more memory or time than there is.
const (
	mostImages = 1e9     // of a buffer, of a pool, seen for importances
	mostRows   = 1 << 20 // of a step
	mostTasks  = 1000    // that room is made for
	mostRank   = 1 << 14 // of adapters
)

// within reports a whole number that is not from least to most.
func within(setting string, value, least, most int) error {
	if value < least || value > most {
		return errors.Errorf("cl: %s is %d; need %d to %d", setting, value, least, most)
	}
	return nil
}

// firstError is the first of several errors that is one.
func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// oneOf reports a setting that is none of the values it may have.
func oneOf(setting, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return errors.Errorf("cl: %s is %q%s; choose one of %q", setting, value, words.DidYouMean(value, known), known)
}
