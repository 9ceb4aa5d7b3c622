package experiment

import (
	"reflect"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// unwritten are the settings of a struct that are left out at their usual value, "backend.compute".
func unwritten(t reflect.Type, path string) (all []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "" || name == "-":
		case f.Type.Kind() == reflect.Struct:
			all = append(all, unwritten(f.Type, path+name+".")...)
		case strings.Contains(options, "omitempty"):
			all = append(all, path+name)
		}
	}
	return all
}

// A setting that is left out at its usual value tells runs apart like any other: reports do not average over it.
func TestUnwrittenSettingsTellRunsApart(t *testing.T) {
	names := unwritten(reflect.TypeFor[Config](), "")
	if len(names) < 2 {
		t.Fatalf("settings that are left out: %q", names)
	}
	for _, name := range names {
		switch name {
		case "extends.run", "extends.sha256": // where the run before this one is, of each seed another; extends.tasks tells runs apart
			continue
		case "evaluate.ahead", "keep_networks", "backend.devices": // by which only more is measured or kept, or the last digits change
			continue
		}
		usual, other := resultstest.NewRun("er", "er", 0, 2), resultstest.NewRun("er", "er", 1, 2)
		usual.Config, other.Config = map[string]any{}, map[string]any{}
		below := other.Config
		keys := strings.Split(name, ".")
		for _, key := range keys[:len(keys)-1] {
			next := map[string]any{}
			below[key], below = next, next
		}
		below[keys[len(keys)-1]] = "another"
		if methods := study.Group([]*results.Run{usual, other}); len(methods) != 2 {
			t.Errorf("runs that differ in %s are one method; give its usual value a place in pkg/study/warnings.go", name)
		}
	}
}
