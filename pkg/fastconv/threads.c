//go:build cgo && linux && (amd64 || arm64)

#include "conv.h"
#include "threads.h"
#include <pthread.h>
#include <stdlib.h>

struct start {
	void (*task)(void *data);
	void *data;
};

static void *begin(void *start) {
	struct start s = *(struct start *)start;
	free(start);
	s.task(s.data);
	return NULL;
}

// A thread for every task.
static int run(void *context, void (*task)(void *), void *data) {
	(void)context;
	struct start *s = malloc(sizeof *s);
	if (!s) return 0;
	*s = (struct start){task, data};
	pthread_t thread;
	if (pthread_create(&thread, NULL, begin, s)) {
		free(s);
		return 0;
	}
	pthread_detach(thread);
	return 1;
}

int convolve_alone(int kind, const int shape[5], const float *a, const float *b, const float *bias, const float *image,
		   const float *other, const float *other_bias, float *out, int threads, int at_most) {
	struct helpers helpers = {threads, run, NULL};
	struct terms terms = {bias, image, other, other_bias};
	return convolve(kind, shape[0], shape[1], shape[2], shape[3], shape[4], a, b, &terms, out, &helpers, at_most);
}

int residual_alone(const int shape[7], const float *x, const float *const operands[13], float *out, int threads, int at_most) {
	struct helpers helpers = {threads, run, NULL};
	const float *const *o = operands;
	struct residual r = {shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], x, o[11], o[4], {o[0], o[5]}, {o[1], o[6]}, {o[2], o[7]},
		{o[3], o[8]}, o[9], o[10], o[12], out};
	return residual(&r, &helpers, at_most);
}

int normalise_alone(const int shape[4], const float *x, const float *gamma, const float *beta, const float *dy, float *out,
		    float *dgamma, float *dbeta, float *statistics, int threads, int at_most) {
	struct helpers helpers = {threads, run, NULL};
	return normalise(shape[0], shape[1], shape[2], shape[3], x, gamma, beta, dy, out, dgamma, dbeta, statistics, &helpers, at_most);
}

int random_bits_alone(const uint64_t state[3], uint64_t next[3], size_t words, uint32_t *out, int threads, int at_most) {
	struct helpers helpers = {threads, run, NULL};
	return random_bits(state, next, words, out, &helpers, at_most);
}
