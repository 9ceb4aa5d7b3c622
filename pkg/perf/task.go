package perf

import (
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dit"
	"palimpsest/pkg/network"
	"palimpsest/pkg/unet"
)

// What can be measured.
const (
	Step    = "step"    // one training step with Adam, clipping and averaging
	Forward = "forward" // one call of the averaged network
	DPM10   = "dpm++10" // images by 10 steps of DPM-Solver++
	DDIM50  = "ddim50"  // images by 50 steps of DDIM
	Bound   = "bound"   // terms of the variational bound, a batch of rows
	example = "example" // no measurement: an output of the network for peers to be held to
)

// Whats are all things that can be measured.
func Whats() []string { return []string{Step, Forward, DPM10, DDIM50, Bound} }

// Task is what a contestant is to do, as JSON on its standard input.
type Task struct {
	What    string                `json:"what"`
	UNet    unet.Config           `json:"unet,omitzero"`
	DiT     dit.Config            `json:"dit,omitzero"` // in place of UNet, where it has patches
	Process diffusion.Config      `json:"process"`
	Train   diffusion.TrainConfig `json:"train"`
	Rows    int                   `json:"rows"` // of a step or a call, or images drawn
	Growth  *Growth               `json:"growth,omitempty"`

	// Of peers alone: their variant, the signal and sigma of x_t = signal·x_0 + sigma·noise by timestep, the steps of the
	// sampler, and the folder of the output they are held to.
	Mode    string       `json:"mode,omitempty"`
	Device  string       `json:"device,omitempty"`  // of PyTorch; "": the processor
	Compute string       `json:"compute,omitempty"` // "bfloat16": where autocast says so; "": float32, without TF32
	Signal  []float32    `json:"signal,omitempty"`
	Sigma   []float32    `json:"sigma,omitempty"`
	Steps   [][6]float64 `json:"steps,omitempty"`
	Example string       `json:"example,omitempty"`
}

// network is the one that a task is done with.
func (t Task) network() network.Network {
	if t.DiT.Patch > 0 {
		return t.DiT
	}
	return t.UNet
}

// Growth asks for the step of a whole training loop rather than of the network alone.
type Growth struct {
	Tasks     int `json:"tasks"`     // learned one after another; the step is one of the last. 0: a step without replay
	Buffer    int `json:"buffer"`    // images that experience replay keeps of them
	Penalties int `json:"penalties"` // rank-1 penalties on the weights, where there are no tasks
}

// ready is a contestant's first answer.
type ready struct {
	Parameters int               `json:"parameters"`
	Difference float64           `json:"difference"` // of a peer's output from ours, of the largest output
	Prepare    float64           `json:"prepare"`    // until the first call was done: start, compilation
	Call       float64           `json:"call"`       // the second
	Versions   map[string]string `json:"versions"`
	Peak       int64             `json:"peak"`
	Error      string            `json:"error,omitempty"`
	Other      bool              `json:"other,omitempty"` // the error is that a peer's network is another
}

// sample is every other answer.
type sample struct {
	Wall    float64 `json:"wall"` // of all calls
	CPU     float64 `json:"cpu"`
	Outside float64 `json:"outside"` // of Wall, spent outside of the network's own steps; of training loops alone
	Peak    int64   `json:"peak"`
	Error   string  `json:"error,omitempty"`
}

// request asks for some calls.
type request struct {
	Calls int `json:"calls"`
}

// sampler is the sampler that a task uses, if it uses one.
func (t Task) sampler() (c diffusion.SamplerConfig, any bool) {
	switch t.What {
	case DPM10:
		return diffusion.SamplerConfig{Name: diffusion.DPMPP2M, Steps: 10, Clip: true}, true
	case DDIM50:
		return diffusion.SamplerConfig{Name: diffusion.DDIM, Steps: 50, Clip: true}, true
	}
	return c, false
}

// forPeers adds to a task what peers need to know of schedules and samplers.
func (t Task) forPeers() (Task, error) {
	p, err := diffusion.New(t.Process)
	if err != nil {
		return t, err
	}
	for i := range p.T {
		t.Signal = append(t.Signal, float32(p.Signal[i]))
		t.Sigma = append(t.Sigma, float32(p.Sigma[i]))
	}
	if c, any := t.sampler(); any {
		t.Steps, err = p.LinearSteps(c)
	}
	return t, err
}
