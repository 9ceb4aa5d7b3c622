package cards

import "palimpsest/pkg/cl"

// PartsTuned is a composite at the settings chosen for its parts, whether or not it has a card of its own.
func PartsTuned(name string) (cl.Spec, error) {
	spec, _, err := tunedSpec(name, func(part string) (Card, error) {
		if part == name {
			return Card{}, ErrNone
		}
		return Of(part)
	}, TuningOf)
	return spec, err
}
