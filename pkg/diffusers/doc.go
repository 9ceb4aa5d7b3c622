// Package diffusers reads and writes denoising networks in the form of Hugging Face's diffusers [diffusers]: a folder with
//
//	model_index.json                              a DDPMPipeline
//	unet/config.json                              a UNet2DModel
//	unet/diffusion_pytorch_model.safetensors      its weights in float32
//	scheduler/scheduler_config.json               a DDPMScheduler
//	palimpsest.json                               what diffusers has no place for, ours alone: [Labels]
//
// It also reads the folder of a UNet2DModel by itself, weights in float16, bfloat16 or float64, variants
// ("diffusion_pytorch_model.fp16.safetensors") and weights that are parted into several files.
//
// # Conventions
//
// The two forms hold the same numbers, in another order and under other names: our convolutions are [3, 3, in, out], theirs
// [out, in, 3, 3]; our linear maps [in, out], theirs [out, in]; our map around a residual block is linear, theirs a convolution
// of 1×1 pixels. What one form has and the other lacks is an error that lists all there is of it. Nothing here computes: a
// network goes out and comes back bit for bit.
//
// Labels are 0 .. Classes, the last meaning "no label": num_class_embeds is Classes+1. A model from elsewhere says nowhere
// whether its last label means that; see [Options].
//
// References:
//
//	[diffusers]  Hugging Face. Diffusers 0.42. https://github.com/huggingface/diffusers
package diffusers

import (
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// LabelsFile is the file of [Labels] in a folder that this program wrote.
const LabelsFile = "palimpsest.json"

// Files of a model's folder.
const (
	indexFile     = "model_index.json"
	configFile    = "config.json"
	schedulerFile = "scheduler_config.json"

	unetFolder  = "unet"
	schedFolder = "scheduler"
)

// Model is a network with the process that it was trained for.
type Model struct {
	Net     unet.Config
	Process diffusion.Config
	Labels  Labels

	// Weights are the values of every weight by our names, "down0_0/conv0/weights", in our order, flat.
	Weights map[string][]float32
}

// Labels say what the rows of a class embedding mean.
type Labels struct {
	NoLabel int      `json:"no_label"` // the label that means "no label", the last; 0 for a network without labels
	Names   []string `json:"names"`    // of the classes 0 .. NoLabel-1, where they are known
}
