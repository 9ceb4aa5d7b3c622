package bits

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// hasBPD says whether a run measured the likelihood of any task.
func hasBPD(r *results.Run) bool {
	for _, e := range r.Evaluations {
		for _, t := range e.Tasks {
			if t.BPD != nil {
				return r.Protocol.BPD != nil
			}
		}
	}
	return false
}

// withBPD keeps the runs that measured likelihoods; it is an error if there are none.
func withBPD(runs []*results.Run) ([]*results.Run, error) {
	kept := slices.DeleteFunc(slices.Clone(runs), func(r *results.Run) bool { return !hasBPD(r) })
	if len(kept) == 0 {
		return nil, errors.Errorf("bits: none of %d runs measured bits per dimension; make them again with %s", len(runs), study.BPDCommand)
	}
	return kept, nil
}

// allRuns lists the runs of methods.
func allRuns(methods []study.Method) []*results.Run {
	var runs []*results.Run
	for _, g := range methods {
		runs = append(runs, g.Runs...)
	}
	return runs
}

// Notes says how the methods' likelihoods were measured, by the first run that has them.
func Notes(methods []study.Method) []string {
	for _, r := range allRuns(methods) {
		if p := r.Protocol.BPD; p != nil {
			clip := "not clipped"
			if p.Clip {
				clip = "clipped"
			}
			return []string{fmt.Sprintf("BPD: variational bound on %d test images a task, %d timesteps an image of T = %d, reverse variance %s, estimates of x_0 %s.",
				p.Images, p.Terms, p.T, p.Variance, clip)}
		}
	}
	return nil
}

// Warnings lists what forbids comparing the methods' bits per dimension: each of these settings moves them while
// the samples stay as they are.
func Warnings(methods []study.Method) []string {
	var out []string
	measured := study.Method{}
	for _, r := range allRuns(methods) {
		if r.Protocol.BPD != nil {
			measured.Runs = append(measured.Runs, r)
		}
	}
	for _, c := range []struct {
		what string
		of   func(*results.BPDProtocol) string
	}{
		{"the number of images", func(p *results.BPDProtocol) string { return strconv.Itoa(p.Images) }},
		{"the number of timesteps an image", func(p *results.BPDProtocol) string { return strconv.Itoa(p.Terms) }},
		{"T", func(p *results.BPDProtocol) string { return strconv.Itoa(p.T) }},
		{"the reverse variance", func(p *results.BPDProtocol) string { return p.Variance }},
		{"clipping", func(p *results.BPDProtocol) string { return strconv.FormatBool(p.Clip) }},
	} {
		if found := study.Distinct([]study.Method{measured}, func(r *results.Run) string { return c.of(r.Protocol.BPD) }); len(found) > 1 {
			out = append(out, study.Differs("BPD: "+c.what, found))
		}
	}
	return out
}
