// Package likelihood measures how many bits a diffusion model needs for 8-bit images: the variational bound with all
// its terms per image and timestep, estimates of it from few terms, the likelihood by the probability-flow ODE, and
// the yardsticks of lossless compression.
//
// # Conventions
//
// Images are 8-bit levels, because only on levels is a likelihood a code length; a level k stands for k/127.5 - 1, and
// owns the bin of half-width 1/255 around it, the outermost bins being open. Timesteps are 0 .. T-1 as in package
// diffusion; term 0 is the decoder's. Every name ending in BPD is in bits per dimension, every name ending in Nats in
// nats of a whole image or, where it says so, of one value; one function converts. Arithmetic is float64 on the host
// (the network computes in float32); arrays of terms are kept as float32, in memory as on disk.
//
// The bound of an image is, [ddpm] eq. 5 and [iddpm] eq. 4 to 7,
//
//	total = prior L_T + Σ_{t=1}^{T-1} L_t + decoder L_0
//
// estimated, as everywhere in the literature, with one draw of the noise for every (image, timestep). That noise is a
// function of (seed, image, timestep), so that differences between two models are differences of the models, and so
// that the full sum is one fixed number which estimates from few terms estimate without bias.
//
// References:
//
//	[ddpm]  Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. arXiv:2006.11239
//	[iddpm] Nichol, Dhariwal. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672, and its code,
//	        github.com/openai/improved-diffusion, improved_diffusion/gaussian_diffusion.py and resample.py
//	[sde]   Song et al. Score-Based Generative Modeling through Stochastic Differential Equations. arXiv:2011.13456
//	[flow]  Lipman et al. Flow Matching for Generative Modeling. arXiv:2210.02747
//	[ddim]  Song, Meng, Ermon. Denoising Diffusion Implicit Models. arXiv:2010.02502
//	[ffjord] Grathwohl et al. FFJORD. arXiv:1810.01367
//	[dopri] Dormand, Prince. A family of embedded Runge-Kutta formulae. J. Comp. Appl. Math. 6 (1980)
package likelihood

import "math"

// bitsPerDim turns nats of an image of dim values into bits per dimension.
func bitsPerDim(nats float64, dim int) float64 { return nats / (float64(dim) * math.Ln2) }
