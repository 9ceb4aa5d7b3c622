package diffusion

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

// copyScope sets one vector to another.
func (n *Network) copyScope(to, from string) error {
	if err := n.build(); err != nil {
		return err
	}
	value, err := n.vector(from).Value()
	if err != nil {
		return err
	}
	if value, err = value.Clone(); err != nil {
		return err
	}
	return n.vector(to).SetValue(value)
}
