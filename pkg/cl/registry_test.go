package cl_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"palimpsest/pkg/cl"
)

// TestRegistry: names are unique, every paper has an arXiv number or a DOI, and a strategy's settings make the same strategy.
func TestRegistry(t *testing.T) {
	arXiv := regexp.MustCompile(`arXiv:\d{4}\.\d{5}|doi:10\.\d{4}/`)
	seen := map[string]bool{}
	for i, s := range cl.All() {
		info := s.Info()
		if seen[info.Name] || cl.Names()[i] != info.Name {
			t.Errorf("name %q is taken or not listed at its place", info.Name)
		}
		seen[info.Name] = true
		if !arXiv.MatchString(info.Paper) {
			t.Errorf("%s: no arXiv number or DOI in %q", info.Name, info.Paper)
		}
		settings, err := cl.Settings(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := cl.New(cl.Spec{Name: info.Name, Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cl.Settings(again); err != nil || !reflect.DeepEqual(got, settings) || again.Label() != s.Label() {
			t.Errorf("%s: settings %v come back as %v (%v), label %q as %q", info.Name, settings, got, err, s.Label(), again.Label())
		}
	}
	if settings, err := cl.Settings(&cl.Finetune{}); err != nil || len(settings) != 0 {
		t.Errorf("fine-tuning has settings %v (%v), want none", settings, err)
	}
}

func TestNew(t *testing.T) {
	var spec cl.Spec
	if err := yaml.Unmarshal([]byte("{name: er, lambda: 0.3, policy: reservoir}"), &spec); err != nil {
		t.Fatal(err)
	}
	s, err := cl.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	if er := s.(*cl.ER); er.Lambda != 0.3 || er.Policy != "reservoir" || er.Buffer != 200 || er.Draw != cl.DrawUniform {
		t.Errorf("settings over defaults give %+v", *er)
	}
	if err := yaml.Unmarshal([]byte("{name: er+gd, generative_distillation_lambda: 0.5}"), &spec); err != nil || spec.Name != "er+generative_distillation" {
		t.Errorf("an abbreviated name is read as %q (%v)", spec.Name, err)
	}
	if s, err := cl.New(cl.Spec{Name: "gd+er"}); err != nil || s.Info().Name != "generative_distillation+er" {
		t.Errorf("an abbreviated name gives %v, %v", s, err)
	}
	if s, err := cl.New(cl.Spec{Name: "er"}); err != nil || s.Label() != "er λ=1" {
		t.Errorf("the defaults give %v, %v", s, err)
	}
	for name, tc := range map[string]struct {
		spec cl.Spec
		want string
	}{
		"name":         {cl.Spec{Name: "fintune"}, `did you mean "finetune"?`},
		"setting":      {cl.Spec{Name: "er", Settings: map[string]any{"lamda": 1}}, `did you mean "lambda"?`},
		"no settings":  {cl.Spec{Name: "joint", Settings: map[string]any{"lambda": 1}}, `has no setting "lambda"`},
		"type":         {cl.Spec{Name: "er", Settings: map[string]any{"buffer": "many"}}, `settings of "er"`},
		"value":        {cl.Spec{Name: "er", Settings: map[string]any{"lambda": -1}}, "lambda is -1"},
		"policy":       {cl.Spec{Name: "er", Settings: map[string]any{"policy": "hearding"}}, `did you mean "herding"?`},
		"nothing near": {cl.Spec{Name: "zzzzzzzz"}, "known are"},
	} {
		if _, err := cl.New(tc.spec); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: the error is %v, want it to say %q", name, err, tc.want)
		}
	}
	if _, err := cl.New(cl.Spec{Name: "zzzzzzzz"}); strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a suggestion for nonsense: %v", err)
	}
}
