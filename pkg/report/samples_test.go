package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/study"
)

func TestFinalSamples(t *testing.T) {
	set, err := study.Open(onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	both, err := FinalSamples(set, "finetune", "joint")
	if err != nil {
		t.Fatal(err)
	}
	one, err := FinalSamples(set, "joint")
	if err != nil {
		t.Fatal(err)
	}
	if both.Bounds().Dy() != 2*one.Bounds().Dy() || both.Bounds().Dx() != one.Bounds().Dx() {
		t.Errorf("two methods are %v pixels, one is %v", both.Bounds().Size(), one.Bounds().Size())
	}
	for label, want := range map[string]string{"er λ=0.3": ErrNoSheets.Error(), "ewc": `no run labelled "ewc"`} {
		if _, err := FinalSamples(set, label); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v; want %q", label, err, want)
		}
	}
}
