package metrics

import (
	"strings"
	"testing"

	"palimpsest/datasets"
)

// A classifier that is not shipped is trained by the command that the error names, where there can be one at all.
func TestMissingClassifierAdvice(t *testing.T) {
	for _, tc := range []struct {
		dataset string
		prep    datasets.Prep
		want    []string // parts of the error; none: there is a classifier
	}{
		{"mnist-10k", datasets.Prep{}, nil},
		{"mnist-10k", datasets.Prep{Channels: 1}, nil}, // as they are
		{"cifar-10", datasets.Prep{Channels: 3, Size: 16, Method: "area"}, nil},
		{"cifar-10", datasets.Prep{Channels: 1, Size: 16, Method: "area"}, []string{"cifar-10-area16-grey", "train-classifier cifar-10 --size 16 --method area --channels 1"}},
		{"mnist-10k+cifar-10", datasets.Prep{Channels: 3}, []string{"train-classifier mnist+cifar-10 --size 32 --method pad --channels 3"}},
		{"mnist", datasets.Prep{Size: 48}, []string{"train-classifier mnist --size 48 --method pad"}},
		{"mnist", datasets.Prep{Size: 18, Method: "area"}, []string{"multiple of 16", "size 16 or 32"}},
		{"mnist", datasets.Prep{Size: 8, Method: "area"}, []string{"size 16 or 32"}},
		{"mnist", datasets.Prep{Size: 50}, []string{"size 48 or 64"}},
	} {
		err := HasClassifier(tc.dataset, tc.prep)
		if (err == nil) != (tc.want == nil) {
			t.Errorf("%s %+v: %v", tc.dataset, tc.prep, err)
		}
		for _, want := range tc.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s %+v: %v; want %q", tc.dataset, tc.prep, err, want)
			}
			if err != nil && strings.Contains(want, "multiple") && strings.Contains(err.Error(), "train-classifier") {
				t.Errorf("%v names a command that cannot work", err)
			}
		}
	}
}

func TestShapeWords(t *testing.T) {
	for _, tc := range []struct {
		h, w, c int
		want    string
	}{
		{0, 0, 3, "colour images of any size"},
		{16, 16, 1, "grey images of 16×16"},
		{8, 8, 2, "2-channel images of 8×8"},
	} {
		if got := shapeWords(tc.h, tc.w, tc.c); got != tc.want {
			t.Errorf("%d×%d×%d is called %q, want %q", tc.h, tc.w, tc.c, got, tc.want)
		}
	}
	if got := shapeAdvice(0, 3, 1); !strings.Contains(got, "3 channels (benchmark.prep.channels)") || strings.Contains(got, "size 0") {
		t.Errorf("advice %q", got)
	}
}
