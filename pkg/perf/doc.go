// Package perf measures what a training step, a forward pass, samples and a bound cost, next to PyTorch and JAX doing the same
// work on the same machine at the same time, and how that cost grows.
//
// # How it measures
//
// A [Case] is one thing to do with one network on some of the processor's cores. Each of its contestants is a process of its
// own that compiles and warms up once, then does some calls whenever it is asked to. They are asked in turn, one at a time,
// in rounds that begin with another contestant each time, so that all see the same machine: what disturbs it disturbs all. Of
// each round and contestant the seconds of a call are kept, by the clock and by the processor (user and system, all threads).
// Ratios are taken round by round. Medians and quartiles are over rounds; peak memory is the most the process ever held,
// compilation included, which is why each case has processes of its own, and none of ours loads what another compiled
// (package executables).
//
// # The same work
//
// Our contestants run what users run: backend.Open, diffusion.Network.Step, its Denoiser, diffusion.Sample,
// likelihood.Bound. Peers (peers/*.py) build the networks of packages unet and dit, layer by layer. Before they are measured each gets our
// weights and some images, and is refused unless it has as many parameters and returns our output. Their training step draws
// timesteps, noise and dropout masks, clips the gradient, takes Adam's step and updates the average, as ours does, on the
// same rows; their samplers draw the same number of images in the same steps. They have no likelihoods, so nothing is compared there.
//
// # Conventions
//
// Times are seconds and memory is bytes, where a name does not say otherwise. A [Result] is one file, written again after
// every round: interrupted, the same command goes on with the round that is missing.
package perf
