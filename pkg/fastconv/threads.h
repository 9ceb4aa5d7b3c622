#pragma once
#include <stddef.h>
#include <stdint.h>

// convolve without XLA: shape holds B, H, W, C and K.
int convolve_alone(int kind, const int shape[5], const float *a, const float *b, const float *bias, const float *image,
		   const float *other, const float *other_bias, float *out, int threads, int at_most);

// residual without XLA: shape holds B, H, W, C, K, G and J, operands what follows x in the order of the plugin's call, without joined and
// skip, which come last.
int residual_alone(const int shape[7], const float *x, const float *const operands[13], float *out, int threads, int at_most);

// normalise without XLA: shape holds B, P, C and G.
int normalise_alone(const int shape[4], const float *x, const float *gamma, const float *beta, const float *dy, float *out,
		    float *dgamma, float *dbeta, float *statistics, int threads, int at_most);

// random_bits without XLA.
int random_bits_alone(const uint64_t state[3], uint64_t next[3], size_t words, uint32_t *out, int threads, int at_most);
