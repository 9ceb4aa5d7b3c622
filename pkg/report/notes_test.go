package report

import (
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// A covariance of N images in N dimensions has rank N - 1: it is singular at N = D too.
func TestNotesOfSingularCovariances(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 2)
	for _, tc := range []struct {
		samples, real int
		want          string // "" for none
	}{
		{200, 200, ""}, {65, 65, ""}, {64, 200, "The covariance of the samples is singular"}, {10, 200, "The covariance of the samples is singular"},
		{200, 64, "The covariance of the real images of the smallest task is singular"},
		{64, 64, "The covariance of the samples and the real images of the smallest task is singular"},
	} {
		r.Protocol.SamplesPerTask, r.Protocol.ReferenceImages = tc.samples, tc.real
		got := sampleSizeNote(r)
		if strings.Contains(got, "singular") != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%d samples, %d real images, 64 dimensions: %q", tc.samples, tc.real, got)
		}
	}
}

// The same run met in two folders is one seed.
func TestSeedsAreListedOnce(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 3)
	again := *r
	if text := strings.Join(Notes(study.Group([]*results.Run{r, &again})), "\n"); !strings.Contains(text, "Seeds: 0. One seed") {
		t.Errorf("%s", text)
	}
}
