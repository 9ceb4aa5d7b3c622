package report

import (
	"slices"

	"palimpsest/pkg/report/bits"
	"palimpsest/pkg/report/forget"
	"palimpsest/pkg/results"
)

// Findings says in sentences what the runs in a folder show of forgetting by timestep and of likelihoods, as far as
// they measured it.
func Findings(dir string) ([]string, error) {
	d, err := forget.Open(dir)
	if err != nil {
		return nil, err
	}
	parts := []func() ([]string, error){d.ForgettingFindings, d.CourseFindings, d.RecoveryFindings}
	if len(d.Dissected()) > 0 {
		parts = append(parts, d.StitchingFindings, d.DriftFindings, d.InterferenceFindings)
	}
	var runs []*results.Run
	for _, m := range d.Methods {
		runs = append(runs, m.Runs...)
	}
	if runs[0].Protocol.BPD != nil {
		parts = append(parts, func() ([]string, error) { return bits.PartsSentences(d.Methods) },
			func() ([]string, error) {
				s, err := bits.LostSentence(runs)
				return []string{s}, err
			},
			func() ([]string, error) {
				r, err := bits.NewAgreements(runs)
				if err != nil {
					return nil, err
				}
				return r.Sentences(), nil
			})
	}
	all := slices.Clone(d.Without)
	for _, part := range parts {
		sentences, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, sentences...)
	}
	return all, nil
}
