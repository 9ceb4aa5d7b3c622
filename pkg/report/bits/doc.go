// Package bits says what the bits per dimension of stored runs show, and what they hide: where the bits are, how they rank runs,
// what other ways of computing them give, and images of another set that have fewer.
//
// # Conventions
//
// BPD is bits per dimension by the variational bound, for test images, lower is better. The parts of a bound are the decoder
// (t = 0), bins of timesteps and the prior, as the protocol of a run has them. "Detail" are the bits of timesteps with
// log-SNR ≥ 0 and of the decoder, "content" those with log-SNR < 0 and of the prior. What is missing from a run is an error
// that names the command that measures it.
package bits
