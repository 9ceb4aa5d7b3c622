package bits

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/figure/figuretest"
	"palimpsest/pkg/goldentest"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// bpdFigures are the figures about bits of a made-up study.
func bpdFigures() map[string]figure.Figure {
	methods := study.Group(resultstest.Likely(3, true))
	base := withVariants(methods[3].Runs)
	return map[string]figure.Figure{
		"bpd-bits":        must.M1(PartsFigure(methods)),
		"bpd-bits-joint":  must.M1(PartsFigure(methods[3:])),
		"bpd-sensitivity": must.M1(NewSensitivity(base, Variation{"another seed", methods[2].Runs})).Figure(),
		"bpd-outside":     must.M1(NewOutside(strangers(methods[0].Runs, -0.3)))[0].Figure(),
		"bpd-yardsticks":  must.M1(YardstickFigure(files, methods)),
	}
}

// TestGolden holds what readers see about bits of a made-up study.
func TestGolden(t *testing.T) {
	runs := resultstest.Likely(3, true)
	methods := study.Group(runs)
	ranks := must.M1(NewAgreements(runs))
	sensitivity := must.M1(NewSensitivity(withVariants(methods[3].Runs), Variation{"another strategy", methods[2].Runs}))
	golden := map[string]string{
		"bpd-ranks.md":       ranks.Table().Markdown() + "\n" + strings.Join(ranks.Sentences(), "\n") + "\n",
		"bpd-bits.md":        must.M1(NewParts(methods[0])).Table().Markdown() + "\n" + strings.Join(must.M1(PartsSentences(methods)), "\n") + "\n",
		"bpd-lost.md":        must.M1(LostTable(runs, 4)).Markdown() + "\n" + must.M1(LostSentence(runs)) + "\n",
		"bpd-sensitivity.md": sensitivity.Table().Markdown() + "\n" + strings.Join(sensitivity.Sentences(methods...), "\n") + "\n",
		"bpd-outside.md":     must.M1(NewOutside(strangers(runs, -0.3)))[0].Table().Markdown(),
		"bpd-yardsticks.md":  must.M1(YardstickTable(files, methods)).Markdown(),
	}
	for name, f := range bpdFigures() {
		golden[name+".svg"] = f.SVG()
	}
	goldentest.Check(t, golden)
}

func TestBPDFiguresAreWellFormed(t *testing.T) {
	for name, f := range bpdFigures() {
		var any struct{}
		text := f.HTML()
		if err := xml.Unmarshal([]byte(text), &any); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: a coordinate is not a number", name)
		}
		for _, out := range figuretest.Read(t, f.SVG()).Outside() {
			t.Errorf("%s: %s", name, out)
		}
		data, err := f.PNG(1.5)
		if err != nil || len(data) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if dir := os.Getenv("BPD_PNG"); dir != "" {
			must.M(os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644))
		}
	}
}
