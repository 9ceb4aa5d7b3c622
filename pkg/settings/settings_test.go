package settings

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// all has a setting of every kind.
type all struct {
	Steps int             `yaml:"steps"`
	Level uint8           `yaml:"level"`
	Seed  uint64          `yaml:"seed"`
	Rate  float64         `yaml:"rate"`
	Clip  bool            `yaml:"clip"`
	Name  string          `yaml:"name"`
	Sizes []int           `yaml:"sizes"`
	Below struct{ A int } `yaml:"below"`
	inner `yaml:",inline"`
	Inner `yaml:",inline"`
}

type inner struct{ B int }

// Inner is inlined.
type Inner struct {
	Rows int `yaml:"rows"`
}

func TestFits(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"{}", ""},
		{"steps: 12", ""},
		{"steps: 1e3", ""}, // a whole number whichever way it is written
		{"steps: 12.0", ""},
		{"steps: -9223372036854775808", ""},
		{"seed: 18446744073709551615", ""},
		{"rate: 1", ""},
		{"clip: yes", ""},
		{"name: 7", ""},
		{"sizes: []", ""},
		{"sizes:", ""},
		{"unknown: 1.5", ""}, // others say so
		{"steps: 12.7", "steps is 12.7; need a whole number"},
		{"steps: -0.5", "steps is -0.5"},
		{"steps: 9223372036854775808", "steps is 9223372036854775808; need a whole number from -9223372036854775808 to"},
		{"steps: 9007199254740994.0", "written in digits"}, // beyond 2⁵³ a float is not the number that was meant
		{"steps: .nan", "steps is NaN"},
		{"steps: .inf", "steps is +Inf"},
		{"steps: many", `steps is "many"`},
		{"steps: true", "steps is true"},
		{"steps:", "steps has no value"},
		{"steps: {a: 1}", "steps is a mapping"},
		{"level: 256", "level is 256; need a whole number from 0 to 255"},
		{"seed: -1", "seed is -1; need a whole number from 0 to 18446744073709551615"},
		{"seed: -0.5", "seed is -0.5"},
		{"seed: 18446744073709551616", "seed is 1.8446744073709552e+19"},
		{"rate: .nan", "rate is NaN; need a finite number"},
		{"rate: -.inf", "rate is -Inf"},
		{"rate: 1e39", "rate is 1e+39"}, // infinite in the 32 bits of a network
		{"rate: nan", `rate is "nan"`},
		{`name: "\n"`, `name is "\n"; need one line of text`}, // would be written as nothing
		{`name: "a\tb"`, "need one line"},
		{"clip: 1", "clip is 1; need true or false"},
		{"sizes: 3", "sizes is 3; need a list, such as [3]"},
		{"sizes: 3, 4", "need a list, such as [3, 4]"},
		{"sizes: [1, 2.5]", "sizes[1] is 2.5"},
		{"below: {a: 1.5}", "below.a is 1.5"},
		{"below: 3", "below is 3; need a mapping"},
		{"rows: 1.5", "rows is 1.5"},
		{"b: 1.5", "b is 1.5"},
		{"[1]", "the document is a list of 1"},
	} {
		var tree any
		if err := yaml.Unmarshal([]byte(tc.text), &tree); err != nil {
			t.Fatal(err)
		}
		err := Fits(tree, reflect.TypeFor[all](), "")
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q gives %v, want %q", tc.text, err, tc.want)
		}
	}
}

func TestCheck(t *testing.T) {
	good := all{Steps: 1, Rate: 0.5, Sizes: []int{0}}
	if err := Check(good); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*all){
		"steps is -1":    func(a *all) { a.Steps = -1 },
		"rate is NaN":    func(a *all) { a.Rate = math.NaN() },
		"rate is +Inf":   func(a *all) { a.Rate = math.Inf(1) },
		"rate is -1":     func(a *all) { a.Rate = -1 },
		"sizes[1] is -2": func(a *all) { a.Sizes = []int{0, -2} },
		"below.a is -3":  func(a *all) { a.Below.A = -3 },
		`name is "a\x86b"; need one line of text`: func(a *all) { a.Name = "a\x86b" },
		`name is "a\nb"`: func(a *all) { a.Name = "a\nb" },
	} {
		a := good
		change(&a)
		if err := Check(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDocument(t *testing.T) {
	for _, empty := range []string{"", "# a comment\n", "---\n", "null"} {
		if doc, err := Document("x", []byte(empty)); doc != nil || err != nil {
			t.Errorf("%q gives %v, %v; want nothing", empty, doc, err)
		}
	}
	for _, one := range []string{"a: 1", "---\na: 1\n", "a: 1\n...\n"} {
		if doc, err := Document("x", []byte(one)); doc == nil || err != nil {
			t.Errorf("%q gives %v, %v; want a mapping", one, doc, err)
		}
	}
	for text, want := range map[string]string{
		"a: 1\n---\nb: 2\n":          "x:2: a second YAML document",
		"a: 1\n---\n[":               "not YAML",
		"a: [":                       "not YAML",
		strings.Repeat("x", Limit+1): "bytes",
	} {
		if _, err := Document("x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want a line that says %q", err, want)
		}
	}
}

// TestOtherBases: integers that YAML reads in another base stay as they are written, so that no setting that is a number takes them.
func TestOtherBases(t *testing.T) {
	for _, text := range []string{"010", "0x10", "0b11", "0o7", "-010", "+07", "00"} {
		doc, err := Document("x", []byte("seed: "+text+"\nname: "+text))
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := doc.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		var into struct {
			Seed uint64
			Name string
		}
		err = Fits(tree, reflect.TypeOf(into), "")
		if text := text + "\"; need a whole number, in decimal digits without a leading 0"; err == nil || !strings.HasSuffix(err.Error(), text) {
			t.Errorf("%s: %v, want %q", text, err, text)
		}
		if doc.Decode(&into) == nil || into.Name != text {
			t.Errorf("%s is decoded as %+v", text, into)
		}
	}
	for text, want := range map[string]float64{"0": 0, "-0": 0, "10": 10, "1_000": 1000, "00.5": 0.5, "1e1": 10, "-7": -7} {
		doc, err := Document("x", []byte(text))
		var got float64
		if err != nil || doc.Decode(&got) != nil || got != want {
			t.Errorf("%s is %g (%v), want %g", text, got, err, want)
		}
	}
}
