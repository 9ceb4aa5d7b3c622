// Package diffusion holds denoising diffusion probabilistic models (DDPM): the forward process and its tables, the
// training step of a network, and samplers.
//
// # Conventions
//
// Images are [batch, height, width, channels] float32 in [-1, 1], flat in row-major order where they are Go slices.
// Timesteps are int32, 0 .. T-1, where 0 means one step of noise; papers count 1 .. T. Tables are float64 until they
// meet an image. KL and NLL are in nats; a name ending in BPD is bits per dimension, nats/(D·ln 2). Labels are
// int32; the label equal to the number of classes stands for "no label". The package knows nothing of tasks.
//
// A network is seen through [Denoiser] alone, so that the samplers also run on exact denoisers of known
// distributions, on two networks stitched together, or on a backend of the reader's own.
//
// References:
//
//	[ddpm]        Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. arXiv:2006.11239
//	[iddpm]       Nichol, Dhariwal. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672
//	[ddim]        Song, Meng, Ermon. Denoising Diffusion Implicit Models. arXiv:2010.02502
//	[dpm++]       Lu et al. DPM-Solver++: Fast Solver for Guided Sampling. arXiv:2211.01095
//	[progressive] Salimans, Ho. Progressive Distillation for Fast Sampling. arXiv:2202.00512
//	[minsnr]      Hang et al. Efficient Diffusion Training via Min-SNR Weighting Strategy. arXiv:2303.09556
//	[cfg]         Ho, Salimans. Classifier-Free Diffusion Guidance. arXiv:2207.12598
//	[agem]        Chaudhry et al. Efficient Lifelong Learning with A-GEM. arXiv:1812.00420
//	[ewc]         Kirkpatrick et al. Overcoming catastrophic forgetting in neural networks. arXiv:1612.00796
//	[lora]        Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. arXiv:2106.09685
//	[mas]         Aljundi et al. Memory Aware Synapses: Learning what (not) to forget. arXiv:1711.09601
//	[rank1]       Rank-1 Fisher EWC for continual diffusion models. arXiv:2509.23593
//	[si]          Zenke, Poole, Ganguli. Continual Learning Through Synaptic Intelligence. arXiv:1703.04200
package diffusion
