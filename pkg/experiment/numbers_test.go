package experiment

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
)

// eachNumber calls f for every numeric setting of a struct, with its key and its place in v.
func eachNumber(v reflect.Value, path string, f func(key string, field reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		key := strings.TrimPrefix(path+"."+name, ".")
		switch field := v.Field(i); {
		case name == "" || name == "-" || key == "strategy":
		case field.Kind() == reflect.Struct:
			eachNumber(field, key, f)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() != reflect.String, field.CanInt(), field.CanUint(), field.CanFloat():
			f(key, field)
		}
	}
}

// Every numeric setting of a configuration refuses what it cannot hold, written in a file, in an override and in Go, by its
// name and before a folder is made.
func TestEveryNumberIsChecked(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "run")
	refused := func(key, what string, err error) {
		t.Helper()
		last := key[strings.LastIndexByte(key, '.')+1:]
		if err == nil || !strings.Contains(err.Error(), last) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s gives %v; want one line that names it", key, what, err)
		}
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Fatalf("%s %s leaves a folder", key, what)
		}
	}
	numbers := 0
	c := DefaultConfig()
	eachNumber(reflect.ValueOf(&c).Elem(), "", func(key string, field reflect.Value) {
		numbers++
		kind, open, closed := field.Kind(), "", ""
		if kind == reflect.Slice {
			kind, open, closed = field.Type().Elem().Kind(), "[", "]"
		}
		bad := []string{".nan", ".inf", "-.inf", "-1", "1e400", "word"}
		if kind == reflect.Int || kind == reflect.Uint64 {
			bad = append(bad, "12.7", "-0.5", "18446744073709551616", "20.9")
		}
		for _, value := range bad {
			_, err := OverrideConfig("the test", nil, []string{key + "=" + open + value + closed})
			refused(key, "= "+value, err)
		}
		// In a file: the settings above it each on a line of its own.
		text, indent := "", ""
		for _, k := range strings.Split(key, ".") {
			text += fmt.Sprintf("%s%s:\n", indent, k)
			indent += "  "
		}
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(text, "\n")+" "+open+".nan"+closed+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(file)
		refused(key, "in a file", err)
		// In Go, where no document is read.
		was := reflect.New(field.Type()).Elem()
		was.Set(field)
		for _, value := range []float64{math.NaN(), math.Inf(1), -1} {
			to := field
			if field.Kind() == reflect.Slice {
				field.Set(reflect.MakeSlice(field.Type(), 1, 1))
				to = field.Index(0)
			}
			switch {
			case to.CanFloat():
				to.SetFloat(value)
			case to.CanInt() && value == -1:
				to.SetInt(-1)
			default:
				field.Set(was)
				continue
			}
			_, err := Run(t.Context(), c, folder, Options{})
			refused(key, fmt.Sprintf("set to %g", value), err)
			field.Set(was)
		}
	})
	if numbers < 35 {
		t.Errorf("the configuration has %d numeric settings; were some overlooked?", numbers)
	}
}

// kinds are the kinds of a strategy's settings, those of what it embeds too.
func kinds(t reflect.Type, of map[string]reflect.Kind) {
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if options == "inline" {
			kinds(t.Field(i).Type, of)
		} else if name != "" && name != "-" {
			of[name] = t.Field(i).Type.Kind()
		}
	}
}

// So does every numeric setting of every strategy, swept ones too.
func TestEveryNumberOfEveryStrategyIsChecked(t *testing.T) {
	numbers := 0
	for _, s := range cl.All() {
		name, all := s.Info().Name, map[string]reflect.Kind{}
		kinds(reflect.TypeOf(s).Elem(), all)
		for key, kind := range all {
			bad := []string{".nan", ".inf", "-1", "word"}
			switch kind {
			case reflect.Int:
				bad = append(bad, "20.9", "-0.5", "18446744073709551616")
			case reflect.Float64:
			default:
				continue
			}
			numbers++
			for _, value := range bad {
				_, err := OverrideConfig("the test", nil, []string{"strategy.name=" + name, "strategy." + key + "=" + value})
				if err == nil || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: %s = %s gives %v; want an error that names it", name, key, value, err)
				}
				dir := filepath.Join(t.TempDir(), "study")
				configs, err := Grid{Strategies: []string{name}, Sweeps: []string{key + "=" + value}, Seeds: 1}.Configs("the test", nil)
				if err == nil {
					_, err = Study{Dir: dir, Runs: configs}.Do(t.Context(), StudyOptions{})
				}
				if err == nil || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: a sweep of %s over %s gives %v; want an error that names it", name, key, value, err)
				}
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					t.Fatalf("%s: a sweep of %s over %s leaves a folder", name, key, value)
				}
			}
		}
	}
	if numbers < 40 {
		t.Errorf("strategies have %d numeric settings; were some overlooked?", numbers)
	}
}

// Finite numbers of which nothing but NaN or noise can come are refused by name, and large ones in use are not.
func TestAbsurdNumbersAreRefused(t *testing.T) {
	labels := []string{"loop.label_dropout=0.1"}
	for _, tc := range []struct {
		set  []string
		want string // "": sound
	}{
		{append(labels, "evaluate.guidance=1e30"), "evaluate.guidance is 1e+30; need 0 to 100"},
		{append(labels, "evaluate.guidance=100"), ""},
		{[]string{"train.learning_rate=1e30"}, "learning_rate is 1e+30; need more than 0 and at most 100"},
		{[]string{"train.learning_rate=1"}, ""},
		{[]string{"train.vlb_weight=1e30"}, "vlb_weight is 1e+30; need 0 to 1e+06"},
		{[]string{"train.weight_decay=1001"}, "weight_decay is 1001"},
		{[]string{"train.weight_decay=1000"}, ""},
		{[]string{"train.clip_norm=1e30"}, ""}, // clips nothing
		{[]string{"strategy.name=ewc", "strategy.lambda=1e30"}, "ewc: lambda is 1e+30; need a number from 0 to 1e+12"},
		{[]string{"strategy.name=ewc", "strategy.lambda=1e8"}, ""},
		{[]string{"strategy.name=lora", "strategy.alpha=1e30"}, "lora: alpha is 1e+30"},
		{[]string{"strategy.name=si", "strategy.xi=1e-30"}, "si: xi is 1e-30"},
		{[]string{"strategy.name=mir", "strategy.virtual_rate=1e30"}, "mir: virtual_rate is 1e+30"},
	} {
		_, err := OverrideConfig("the test", nil, tc.set)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v; want %q", tc.set, err, tc.want)
		}
	}
}
