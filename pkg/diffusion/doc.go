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
// # Samplers
//
// Where codes differ about a sampler, this is what ours does, with the names that Hugging Face's diffusers has for it:
//
//   - ᾱ after the last visited timestep is 1, so that a sample ends at an estimate of x_0: set_alpha_to_one=True,
//     final_sigmas_type="zero". It begins with N(0, 1), whatever ᾱ_{T-1} is: init_noise_sigma=1, no rescale_betas_zero_snr.
//   - [SamplerConfig].Clip clips estimates of x_0 to [-1, 1]: clip_sample=True, clip_sample_range=1, and for DPM-Solver++
//     thresholding=True with sample_max_value=1.
//   - ddim then derives ε again from the clipped estimate, as OpenAI's code does: use_clipped_model_output=True, which is not
//     diffusers' default. Without clipping the two are the same.
//   - ddim and ancestral visit even timesteps that hold both ends, 0 and T-1: timestep_spacing="linspace", except for halves,
//     which we round up and NumPy to even, and for a single step, which is T-1. This is OpenAI's spacing for one section too;
//     "leading", the default of diffusers' DDIM, leaves out the noisiest timesteps. A step goes to the next timestep visited,
//     where diffusers' DDIM goes to t - T//steps, which is another one unless the spacing is "leading", or "trailing" with steps
//     that divide T: [SamplerConfig].Spacing has both.
//   - ancestral derives β of a step from ᾱ of the timesteps visited and adds no noise at the last. Its variance is the
//     process's: variance_type="fixed_small", "fixed_large" or "learned_range".
//   - dpm++2m is algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint"; its first step, and the last, to
//     σ = 0, are of first order. Timesteps are even in the log-SNR: use_lu_lambdas=True, but distinct and holding both ends.
//   - euler and heun are of flows alone (prediction "flow"). They begin with N(0, 1) at τ = 1 and part the way to τ = 0 into even
//     steps: FlowMatchEulerDiscreteScheduler and FlowMatchHeunDiscreteScheduler with shift=1, whose sigma is our τ and whose
//     timestep is ours plus 1, the last step being Euler's. The network is told t = T·τ-1.
//   - [Guided].Scale w is guidance_scale-1.
//   - Of the schedules, "linear" keeps its ᾱ_T at any T ([NewSchedule]), where diffusers keeps its β
//     ("linear:0.0001:0.02" does too); "cosine" is "squaredcos_cap_v2".
//
// References:
//
//	[ddpm]        Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. arXiv:2006.11239
//	[iddpm]       Nichol, Dhariwal. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672
//	[ddim]        Song, Meng, Ermon. Denoising Diffusion Implicit Models. arXiv:2010.02502
//	[dpm++]       Lu et al. DPM-Solver++: Fast Solver for Guided Sampling. arXiv:2211.01095
//	[progressive] Salimans, Ho. Progressive Distillation for Fast Sampling. arXiv:2202.00512
//	[flow]        Lipman et al. Flow Matching for Generative Modeling. arXiv:2210.02747
//	[rectified]   Liu, Gong, Liu. Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow. arXiv:2209.03003
//	[edm]         Karras et al. Elucidating the Design Space of Diffusion-Based Generative Models. arXiv:2206.00364
//	[minsnr]      Hang et al. Efficient Diffusion Training via Min-SNR Weighting Strategy. arXiv:2303.09556
//	[cfg]         Ho, Salimans. Classifier-Free Diffusion Guidance. arXiv:2207.12598
//	[agem]        Chaudhry et al. Efficient Lifelong Learning with A-GEM. arXiv:1812.00420
//	[ewc]         Kirkpatrick et al. Overcoming catastrophic forgetting in neural networks. arXiv:1612.00796
//	[lora]        Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. arXiv:2106.09685
//	[mas]         Aljundi et al. Memory Aware Synapses: Learning what (not) to forget. arXiv:1711.09601
//	[rank1]       Rank-1 Fisher EWC for continual diffusion models. arXiv:2509.23593
//	[si]          Zenke, Poole, Ganguli. Continual Learning Through Synaptic Intelligence. arXiv:1703.04200
package diffusion
