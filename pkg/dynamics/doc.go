// Package dynamics measures forgetting timestep by timestep: the loss of every task at every timestep along training,
// what of it rises after a task was learned, which part of sampling carries the loss, and how far a network's
// representation moves.
//
// # Conventions
//
// Timesteps are those of package diffusion, 0 .. T-1, and so are the names of what a loss is measured in: the
// network's "eps" (noise), "x0" (image) or "v" (velocity). A loss is a mean square error per value, of pixels in
// [-1, 1] or of unit noise; estimates are never clipped. log-SNR is in nats. Arrays are flat in row-major order.
//
// With x_t given, an error of one prediction fixes those of the others,
//
//	SE_eps = exp(log-SNR)·SE_x0,    SE_v = (1 + exp(log-SNR))·SE_x0
//
// so one array holds all three ([Axes.Convert]).
//
// The noise of an image at a timestep is a function of a seed, the image's name and the timestep: what differs between
// two measurements of one [Probe] is the network alone.
//
// References:
//
//	[ddpm]   Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. arXiv:2006.11239
//	[cka]    Kornblith, Norouzi, Lee, Hinton. Similarity of Neural Network Representations Revisited. arXiv:1905.00414
//	[hsic]   Song, Smola, Gretton, Bedo, Borgwardt. Feature Selection via Dependence Maximization. JMLR 13 (2012)
//	[widecka] Nguyen, Raghu, Kornblith. Do Wide and Deep Networks Learn the Same Things? arXiv:2010.15327
package dynamics
