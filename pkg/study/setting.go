package study

import (
	"fmt"
	"reflect"
	"strings"

	"palimpsest/pkg/results"
)

// setting is a number among the settings of a run's strategy.
func setting(r *results.Run, key string) (float64, bool) {
	v := reflect.ValueOf(r.Strategy.Settings[key])
	switch {
	case v.IsValid() && v.CanFloat():
		return v.Float(), true
	case v.IsValid() && v.CanInt():
		return float64(v.Int()), true
	}
	return 0, false
}

// bufferImages is how many old images a run may keep: the strategy's setting, or where none is stored the most it held.
func bufferImages(r *results.Run) int {
	if v, ok := setting(r, "buffer"); ok {
		return int(v)
	}
	return r.Cost.StoredImages
}

// variantOf is what the configuration of a run calls the settings that differ from the study's plain ones, "" for those.
func variantOf(r *results.Run) string {
	if v, ok := r.Config["variant"]; ok && v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// withoutVariant is the label of a run without the name that [variantOf] gives it.
func withoutVariant(r *results.Run) string {
	return strings.TrimSuffix(r.Strategy.Label, " "+variantOf(r))
}
