package results

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// JSON has no NaN and no infinity. What is measured of a task or of all tasks is null where it is missing, and Missing says
// why; the same holds of numbers that came out as none, so that one of them never costs a run its result.

// missingReasons say why numbers that are always in the file can be null.
var missingReasons = map[string]string{
	"memorised_buffer": "the strategy held no images",
	"memorised_train":  "not looked for",
	"class_accuracy":   "no classifier looked, or no class was asked for",
	"label_kl":         "no classifier looked",
	"label_ard":        "no classifier looked",
}

// MarshalJSON writes null for what is no finite number, and in "missing" why each null is one.
func (t TaskMetrics) MarshalJSON() ([]byte, error) {
	type plain TaskMetrics // without this method
	p := plain(t)
	p.Missing = finite(&p, t.Missing)
	for place := range p.Missing {
		if _, known := t.Missing[place]; t.N == 0 && !known {
			p.Missing[place] = "no image was drawn of the task"
		}
	}
	return json.Marshal(p)
}

// MarshalJSON is as that of [TaskMetrics].
func (u UnionMetrics) MarshalJSON() ([]byte, error) {
	type plain UnionMetrics
	p := plain(u)
	p.Missing = finite(&p, u.Missing)
	return json.Marshal(p)
}

// finite makes pointers of the struct at to nil that lead to what is no finite number, or to a struct that holds such a number
// itself, and returns known, the reasons that are known already, with one for each null.
func finite(at any, known map[string]string) map[string]string {
	missing := map[string]string{}
	scan(reflect.ValueOf(at).Elem(), "", missing)
	for place, why := range known {
		if _, null := missing[place]; null {
			missing[place] = why
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return missing
}

// scan does the work of finite for the struct v, whose keys begin with prefix.
func scan(v reflect.Value, prefix string, missing map[string]string) {
	for i := range v.NumField() {
		key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		field, place := v.Field(i), prefix+key
		switch {
		case field.Kind() != reflect.Pointer:
		case field.IsNil():
			if options != "omitempty" {
				missing[place] = reasonOf(place)
			}
		case field.Elem().Kind() == reflect.Float64:
			if n := field.Elem().Float(); math.IsNaN(n) || math.IsInf(n, 0) {
				missing[place] = fmt.Sprintf("came out as %g", n)
				field.SetZero()
			}
		case field.Elem().Kind() == reflect.Struct:
			if where, n := nonFinite(field.Elem(), ""); where != "" {
				missing[place] = fmt.Sprintf("%s came out as %g", where, n)
				field.SetZero()
				continue
			}
			inner := reflect.New(field.Elem().Type())
			inner.Elem().Set(field.Elem()) // what is pointed to stays as it is
			scan(inner.Elem(), place+".", missing)
			field.Set(inner)
		}
	}
}

func reasonOf(place string) string {
	if why, ok := missingReasons[place]; ok {
		return why
	}
	switch {
	case place == "copies.buffer":
		return missingReasons["memorised_buffer"]
	case strings.HasSuffix(place, "features"):
		return "no classifier looked"
	}
	return "not measured"
}

// nonFinite finds a number that JSON cannot hold, its place and its value; pointers are left to those whose methods make them
// null. The place is "" where all is well.
func nonFinite(v reflect.Value, place string) (string, float64) {
	join := func(key string) string { return strings.TrimPrefix(place+"."+key, ".") }
	switch v.Kind() {
	case reflect.Float64, reflect.Float32:
		if n := v.Float(); math.IsNaN(n) || math.IsInf(n, 0) {
			return place, n
		}
	case reflect.Interface:
		return nonFinite(v.Elem(), place)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if where, n := nonFinite(v.Index(i), fmt.Sprintf("%s[%d]", place, i)); where != "" {
				return where, n
			}
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, key := range keys {
			if where, n := nonFinite(v.MapIndex(key), join(fmt.Sprint(key))); where != "" {
				return where, n
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if where, n := nonFinite(v.Field(i), join(key)); where != "" {
					return where, n
				}
			}
		}
	}
	return "", 0
}

// Encode writes a run, or a part of one, as JSON, an array of numbers in a line, with a line break at its end. A number that is none and cannot be null is an
// error that names its place, such as "config.train.learning_rate".
func Encode(v any) ([]byte, error) {
	at := reflect.ValueOf(v)
	for at.Kind() == reflect.Pointer {
		at = at.Elem()
	}
	if where, n := nonFinite(at, ""); where != "" {
		return nil, errors.Errorf("%s is %g, which JSON has no number for", where, n)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	return layout(data)
}
