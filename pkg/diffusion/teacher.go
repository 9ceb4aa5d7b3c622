package diffusion

import "palimpsest/pkg/unet"

// SetTeacher makes the teacher a copy of the trained weights as they are, or of their moving average. Until the first call
// the teacher is a copy of the network as it was initialised. The network must be extended by [Extra.Teacher].
func (n *Network) SetTeacher(fromEMA bool) error {
	if err := needs(n.extra.Teacher, "Teacher", "SetTeacher"); err != nil {
		return err
	}
	source := scopeModel
	if fromEMA {
		source = scopeEMA
	}
	return n.copyScope(scopeTeacher, source)
}

// Teacher returns the teacher as a [Denoiser], for generative replay. The network must be extended by [Extra.Teacher].
func (n *Network) Teacher() (Denoiser, error) {
	if err := needs(n.extra.Teacher, "Teacher", "Teacher"); err != nil {
		return nil, err
	}
	return networkDenoiser{n, 2}, nil
}

// copyScope sets the variables beside the weights in one scope to those in another.
func (n *Network) copyScope(to, from string) error {
	if err := n.build(); err != nil {
		return err
	}
	weights, err := unet.Weights(n.scope(scopeModel))
	if err != nil {
		return err
	}
	for _, w := range weights {
		value, err := n.store.GetVariable(pathIn(from, w)).Value()
		if err != nil {
			return err
		}
		if value, err = value.Clone(); err != nil {
			return err
		}
		if err := n.store.GetVariable(pathIn(to, w)).SetValue(value); err != nil {
			return err
		}
	}
	return nil
}
