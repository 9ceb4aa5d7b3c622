package cl_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
)

// notHooks are the exported methods of strategies that are for their settings and for tests; no loop calls them.
var notHooks = []string{"Memory", "TimestepProbabilities", "MarshalYAML"}

// TestWrapperHidesNothing: every strategy, and a composite of several, has no method that a wrapper around it lacks. That the
// wrapped run is the bare one bit for bit, the suite in cltest wants of each ("seeds repeat").
func TestWrapperHidesNothing(t *testing.T) {
	all := append(cl.BuiltIn(), made(t, "er+ewc_rank1+generative_distillation", nil), made(t, "mir+lora", nil))
	for _, s := range all {
		inside, wrapper := reflect.TypeOf(s), reflect.TypeOf(struct{ cl.Strategy }{s})
		for i := range inside.NumMethod() {
			name := inside.Method(i).Name
			if _, ok := wrapper.MethodByName(name); !ok && !slices.Contains(notHooks, name) {
				t.Errorf("a wrapper around %s hides its method %s; make it one of cl.Strategy", s.Info().Name, name)
			}
		}
	}
}

// TestNoOptionalMethods: the code of the package asks no value whether it has more methods than its type says.
func TestNoOptionalMethods(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if n, ok := n.(*ast.TypeAssertExpr); ok {
				t.Errorf("%s: a type assertion, which a wrapper does not pass", set.Position(n.Pos()))
			}
			return true
		})
	}
}

// caller counts the calls of each of its methods. It has them all itself, so that a new one of cl.Strategy must be added.
type caller struct{ calls map[string]int }

func (c caller) Info() cl.Info {
	c.calls["Info"]++
	return cl.Info{Name: "caller", TaskAtSampling: true}
}
func (c caller) Label() string                         { c.calls["Label"]++; return "caller" }
func (c caller) Warnings() []string                    { c.calls["Warnings"]++; return nil }
func (c caller) Validate() error                       { c.calls["Validate"]++; return nil }
func (c caller) ReplayRows(loop int) int               { c.calls["ReplayRows"]++; return loop }
func (c caller) Check(cl.Setup) error                  { c.calls["Check"]++; return nil }
func (c caller) Needs(cl.Setup) diffusion.Extra        { c.calls["Needs"]++; return diffusion.Extra{} }
func (c caller) Begin(cl.Setup) error                  { c.calls["Begin"]++; return nil }
func (c caller) BeginTask(int, *datasets.Images) error { c.calls["BeginTask"]++; return nil }
func (c caller) BeforeStep(*cl.Step) error             { c.calls["BeforeStep"]++; return nil }
func (c caller) Foresees() bool                        { c.calls["Foresees"]++; return true }
func (c caller) AfterStep(*cl.Step, diffusion.StepResult) error {
	c.calls["AfterStep"]++
	return nil
}
func (c caller) EndTask(int, *datasets.Images) error { c.calls["EndTask"]++; return nil }
func (c caller) Arrive(*datasets.Images) error       { c.calls["Arrive"]++; return nil }
func (c caller) Consolidate(context.Context, int, *datasets.Images) error {
	c.calls["Consolidate"]++
	return nil
}
func (c caller) UseTask(int) error         { c.calls["UseTask"]++; return nil }
func (c caller) Stored() cl.Stored         { c.calls["Stored"]++; return cl.Stored{} }
func (c caller) Generated() []cl.Generated { c.calls["Generated"]++; return nil }
func (c caller) Buffers() []*memory.Buffer { c.calls["Buffers"]++; return nil }
func (c caller) State() ([]byte, error)    { c.calls["State"]++; return nil, nil }
func (c caller) Restore([]byte) error      { c.calls["Restore"]++; return nil }
func (c caller) Close()                    { c.calls["Close"]++ }

// TestCompositeCallsItsParts: each method of a composite, whichever there are, calls the same one of its part.
func TestCompositeCallsItsParts(t *testing.T) {
	part := caller{map[string]int{}}
	var composite cl.Strategy = cl.CompositeOf(part, &cl.Finetune{})
	step := &cl.Step{Fresh: 1, Replay: 1, RNG: rand.New(rand.NewPCG(1, 2)), Batch: diffusion.Batch{W: make([]float32, 2)}}
	values := map[reflect.Type]reflect.Value{
		reflect.TypeFor[context.Context](): reflect.ValueOf(t.Context()),
		reflect.TypeFor[*cl.Step]():        reflect.ValueOf(step),
		reflect.TypeFor[[]byte]():          reflect.ValueOf(make([]byte, 16)), // two parts with states of length 0
	}
	of := reflect.TypeFor[cl.Strategy]()
	composite.ReplayRows(1) // as a loop does first, and a step has a beginning
	if err := composite.BeforeStep(step); err != nil {
		t.Fatal(err)
	}
	for i := range of.NumMethod() {
		m := of.Method(i)
		var arguments []reflect.Value
		for j := range m.Type.NumIn() {
			v, ok := values[m.Type.In(j)]
			if !ok {
				v = reflect.Zero(m.Type.In(j))
			}
			arguments = append(arguments, v)
		}
		before := part.calls[m.Name]
		for _, result := range reflect.ValueOf(composite).MethodByName(m.Name).Call(arguments) {
			if err, failed := result.Interface().(error); failed {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
		if part.calls[m.Name] == before {
			t.Errorf("%s of a composite does not call its part's", m.Name)
		}
	}
}
