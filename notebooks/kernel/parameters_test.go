package kernel

import (
	"strings"
	"testing"
)

func TestSetParameters(t *testing.T) {
	cell := func(source string, tags ...any) *Cell {
		return &Cell{Type: "code", Source: source, Metadata: map[string]any{"tags": tags}}
	}
	nb := &Notebook{Cells: []*Cell{cell("import \"os\""), cell("// which\nconst seed = 0\nconst lambda = 0.3 // weight\nconst name = \"er\"\nconst live = true\nconst fixed int = 3\nconst other = seed", TagParameters), cell("%%\nrun()")}}
	set, err := nb.SetParameters([]string{"seed=3", "lambda=1e-2", "name=my own", "live=false"})
	if err != nil {
		t.Fatal(err)
	}
	want := "const seed = 3\nconst lambda = 1e-2\nconst name = \"my own\"\nconst live = false\n"
	if len(set.Cells) != 4 || !strings.HasSuffix(set.Cells[2].Source, want) || !set.Cells[2].Tagged(TagInjected) || set.Cells[3] != nb.Cells[2] || len(nb.Cells) != 3 {
		t.Errorf("%d cells, the third of them %q; want %q", len(set.Cells), set.Cells[2].Source, want)
	}
	if again, err := set.SetParameters([]string{"seed=4"}); err != nil || len(again.Cells) != 4 || !strings.Contains(again.Cells[2].Source, "seed = 4") {
		t.Errorf("set again: %v, %d cells; want one cell of settings", err, len(again.Cells))
	}
	if same, err := nb.SetParameters(nil); err != nil || same != nb {
		t.Errorf("nothing set: %v", err)
	}
	for setting, want := range map[string]string{
		"sed=3": "one of seed, lambda, name, live", "seed": "NAME=VALUE", "seed=x": "a whole number", "seed=1.5": "a whole number",
		"lambda=NaN": "a number", "lambda=": "a number", "live=yes": "true or false", "fixed=4": "one of", "lambda=1); panic(2": "a number",
	} {
		if _, err := nb.SetParameters([]string{setting}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", setting, err, want)
		}
	}
	block := &Notebook{Cells: []*Cell{cell("const (\n\tseed = 0\n)", TagParameters)}}
	if _, err := block.SetParameters([]string{"seed=3"}); err == nil || !strings.Contains(err.Error(), "a const of its own") {
		t.Errorf("a block of constants: %v", err)
	}
	if _, err := (&Notebook{Cells: nb.Cells[:1]}).SetParameters([]string{"seed=3"}); err == nil || !strings.Contains(err.Error(), "no cell of this notebook is tagged") {
		t.Errorf("without such a cell: %v", err)
	}
}
