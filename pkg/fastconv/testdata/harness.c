// Runs the kernels without Go and XLA, so that the compiler's sanitisers (go run ./pkg/nightly sanitize) and a profiler see
// them. To take times, from the package's folder:
//
//	gcc -O3 -I. testdata/harness.c conv.c threads.c kernels_amd64.c -lm -lpthread -o /tmp/harness && /tmp/harness time
#include "conv.h"
#include "threads.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static float *random_floats(size_t n) {
	float *p = malloc(n * sizeof *p); // exactly as long as it is, so that a sanitiser sees what reaches beyond
	for (size_t i = 0; i < n; i++) p[i] = (float)rand() / RAND_MAX - .5f;
	return p;
}

static double pixel(const float *x, int H, int W, int C, int b, int i, int j, int c) {
	return i < 0 || j < 0 || i >= H || j >= W ? 0 : x[((size_t)(b * H + i) * W + j) * C + c];
}

// One value of the result, by the plain sum in float64.
static double plain(enum kind kind, int B, int H, int W, int C, int K, const float *a, const float *b, size_t at) {
	int k = at % K;
	at /= K;
	double sum = 0;
	if (kind == FILTER_GRADIENT) {
		int c = at % C, s = at / C % 3, r = at / C / 3;
		for (int n = 0; n < B; n++)
			for (int i = 0; i < H; i++)
				for (int j = 0; j < W; j++) sum += pixel(a, H, W, C, n, i + r - 1, j + s - 1, c) * pixel(b, H, W, K, n, i, j, k);
		return sum;
	}
	int j = at % W, i = at / W % H, n = at / W / H;
	for (int r = 0; r < 3; r++)
		for (int s = 0; s < 3; s++)
			for (int c = 0; c < C; c++)
				sum += pixel(a, H, W, C, n, i + r - 1, j + s - 1, c) *
				       (kind == FORWARD ? b[((size_t)(r * 3 + s) * C + c) * K + k] : b[((size_t)(r * 3 + s) * K + k) * C + c]);
	return sum;
}

static void check(int B, int H, int W, int C, int K) {
	static int calls;
	size_t nx = (size_t)B * H * W * C, ny = (size_t)B * H * W * K, nw = (size_t)9 * C * K;
	float *x = random_floats(nx), *y = random_floats(ny), *w = random_floats(nw);
	float *all[4] = {random_floats(K), random_floats((size_t)B * K), random_floats(ny), random_floats(K)};
	const float *terms[4] = {0}; // every choice of them in turn
	for (int i = 0; i < 4; i++)
		if (calls >> i & 1) terms[i] = all[i];
	calls++;
	for (enum kind kind = FORWARD; kind <= FILTER_GRADIENT; kind++) {
		size_t n = kind == FILTER_GRADIENT ? nw : ny;
		float *first = NULL;
		for (int lanes = 4; lanes <= 16; lanes *= 2)
			for (int threads = 1; threads <= 5; threads += 2) {
				if (!kernels_for(kind == FORWARD && C < FEW ? K : C < K ? C : K, lanes)) continue;
				int shape[5] = {B, H, W, C, K};
				float *out = malloc(n * sizeof *out);
				if (convolve_alone(kind, shape, x, kind == FILTER_GRADIENT ? y : w, terms[0], terms[1], terms[2], terms[3], out, threads, lanes)) abort();
				if (first && memcmp(first, out, n * sizeof *out)) printf("kind %d B %d H %d W %d C %d K %d: %d threads, %d lanes give other bits\n", kind, B, H, W, C, K, threads, lanes), exit(1);
				if (first) free(out);
				else first = out;
			}
		if (!first) continue;
		double error = 0, size = 0;
		for (int i = 0; i < 300; i++) {
			size_t at = (size_t)rand() % n;
			double want = plain(kind, B, H, W, C, K, x, kind == FILTER_GRADIENT ? y : w, at);
			if (kind == FORWARD && terms[0]) want += terms[0][at % K];
			if (kind == FORWARD && terms[1]) want += terms[1][at / ((size_t)H * W * K) * K + at % K];
			if (kind == FORWARD && terms[2]) want += terms[2][at] + (terms[3] ? terms[3][at % K] : 0);
			error += (first[at] - want) * (first[at] - want);
			size += want * want;
		}
		free(first);
		if (!(sqrt(error / size) < 2e-5)) printf("kind %d B %d H %d W %d C %d K %d: relative error %.1e\n", kind, B, H, W, C, K, sqrt(error / size)), exit(1);
	}
	free(x), free(y), free(w);
	for (int i = 0; i < 4; i++) free(all[i]);
}

// GroupNorm and SiLU and its gradients: here only what a sanitiser sees and the bits; Go tests compare the values.
static void check_norm(int B, int P, int C, int G) {
	size_t n = (size_t)B * P * C;
	int shape[4] = {B, P, C, G};
	float *x = random_floats(n), *dy = random_floats(n), *gamma = random_floats(C), *beta = random_floats(C), *first[4] = {0};
	for (int lanes = 4; lanes <= 16; lanes *= 2)
		for (int threads = 1; threads <= 5; threads += 2) {
			if (!kernels_for(C, lanes)) continue;
			float *statistics = random_floats((size_t)B * 2 * C);
			float *out[4] = {random_floats(n), random_floats(n), random_floats(C), random_floats(C)};
			if (normalise_alone(shape, x, gamma, beta, NULL, out[0], NULL, NULL, statistics, threads, lanes) ||
			    normalise_alone(shape, x, gamma, beta, dy, out[1], out[2], out[3], lanes == 8 ? NULL : statistics, threads, lanes)) abort();
			for (int i = 0; i < 4; i++) {
				if (first[i] && memcmp(first[i], out[i], (i < 2 ? n : (size_t)C) * sizeof(float)))
					printf("norm B %d P %d C %d G %d: %d threads, %d lanes give other bits in result %d\n", B, P, C, G, threads, lanes, i), exit(1);
				if (first[i]) free(out[i]);
				else first[i] = out[i];
			}
			free(statistics);
		}
	for (int i = 0; i < 4; i++) free(first[i]);
	free(x), free(dy), free(gamma), free(beta);
}

// A convolution summed plainly, or with G above 0 a residual block: here only what a sanitiser sees and the bits; Go tests compare the
// values.
static void check_other(enum kind kind, int B, int H, int W, int C, int K, int G) {
	size_t n = (size_t)B * H * W * K * (kind == DOUBLED ? 4 : 1) / (kind == HALF ? 4 : 1);
	int conv[5] = {B, H, W, C, K}, block[7] = {B, H, W, C, K, G, B % 3 ? C / 3 : 0}, at_most = kind == ONE ? C : C < K ? C : K;
	int skips = G && (K == 16 || K == 32 || K == 64) && C % (64 / K) == 0;
	float *x = random_floats((size_t)B * H * W * (C - (G ? block[6] : 0))), *w = random_floats((size_t)9 * C * K), *first = NULL;
	float *in[13] = {random_floats(C), random_floats(C), w, random_floats(K), random_floats((size_t)B * K), random_floats(K), random_floats(K),
		random_floats((size_t)9 * K * K), random_floats(K), skips ? NULL : random_floats((size_t)B * H * W * K), B % 2 ? random_floats(K) : NULL,
		block[6] ? random_floats((size_t)B * H * W * block[6]) : NULL, skips ? random_floats((size_t)C * K) : NULL};
	for (int lanes = 4; lanes <= 16; lanes *= 2)
		for (int threads = 1; threads <= 5; threads += 2) {
			if (!kernels_for(at_most, lanes)) continue;
			float *out = random_floats(n);
			if (G ? residual_alone(block, x, (const float *const *)in, out, threads, lanes) :
				convolve_alone(kind, conv, x, w, NULL, NULL, NULL, NULL, out, threads, lanes)) abort();
			if (first && memcmp(first, out, n * sizeof *out))
				printf("kind %d, %d groups, B %d H %d W %d C %d K %d: %d threads, %d lanes give other bits\n", kind, G, B, H, W, C, K, threads, lanes), exit(1);
			if (first) free(out);
			else first = out;
		}
	free(first), free(x);
	for (int i = 0; i < 13; i++) free(in[i]);
}

static void check_bits(size_t n) {
	uint64_t state[3] = {rand(), -(uint64_t)2, 3}, next[3];
	uint32_t *first = NULL;
	for (int lanes = 4; lanes <= 16; lanes *= 2)
		for (int threads = 1; threads <= 5; threads += 2) {
			if (!kernels_for(MAX_CHANNELS, lanes)) continue;
			uint32_t *out = malloc(n * sizeof *out);
			if (random_bits_alone(state, next, n, out, threads, lanes)) abort();
			if (first && memcmp(first, out, n * sizeof *out)) printf("%zu random words: %d threads, %d lanes give others\n", n, threads, lanes), exit(1);
			if (first) free(out);
			else first = out;
		}
	free(first);
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : *(double *)a > *(double *)b; }

// CPU milliseconds on one thread: the median of nine.
static void take_time(int B, int side, int C, int K) {
	size_t nx = (size_t)B * side * side * C, ny = (size_t)B * side * side * K, nw = (size_t)9 * C * K;
	float *x = random_floats(nx), *y = random_floats(ny), *w = random_floats(nw), *out = random_floats((nx + ny > nw ? nx + ny : nw));
	int shape[5] = {B, side, side, C, K}, turned[5] = {B, side, side, K, C};
	for (int lanes = 8; lanes <= 16; lanes *= 2) {
		if (!kernels_for(C < K ? C : K, lanes) || kernels_for(C < K ? C : K, lanes)->lanes != lanes) continue;
		double total = 0;
		printf("%3dx%-3d %3d to %3d, %2d lanes:", side, side, C, K, lanes);
		for (enum kind kind = FORWARD; kind <= FILTER_GRADIENT; kind++) {
			double times[9];
			for (int i = 0; i < 9; i++) {
				double start = now();
				if (kind == FORWARD) convolve_alone(kind, shape, x, w, NULL, NULL, NULL, NULL, out, 1, lanes);
				if (kind == INPUT_GRADIENT) convolve_alone(kind, turned, y, w, NULL, NULL, NULL, NULL, out, 1, lanes);
				if (kind == FILTER_GRADIENT) convolve_alone(kind, shape, x, y, NULL, NULL, NULL, NULL, out, 1, lanes);
				times[i] = now() - start;
			}
			qsort(times, 9, sizeof *times, compare);
			printf(" %7.2f ms (%4.0f GFLOP/s)", times[4], 18e-6 * B * side * side * C * K / times[4]);
			total += times[4];
		}
		printf("  all %7.2f\n", total);
	}
	free(x), free(y), free(w), free(out);
}

int main(int n, char **arguments) {
	if (n == 2 && !strcmp(arguments[1], "check")) {
		check(1, 4, 4, 8, 8);
		check(2, 5, 7, 9, 31);
		check(3, 16, 16, 16, 48);
		check(40, 8, 8, 17, 20);
		check(2, 8, 8, 300, 272);
		check(1, 4, 9, 512, 8);
		for (int i = 0; i < 40; i++) check(1 + rand() % 6, 4 + rand() % 12, 4 + rand() % 20, 1 + rand() % 7, 8 + rand() % 60);
		for (int i = 0; i < 40; i++) check(1 + rand() % 6, 4 + rand() % 12, 4 + rand() % 12, 8 + rand() % 60, 8 + rand() % 60);
		check_norm(3, 1, 8, 8);
		check_norm(2, 30, 512, 32);
		for (int i = 0; i < 40; i++) {
			int G = 1 + rand() % 8;
			check_norm(1 + rand() % 9, 1 + rand() % 60, G * (8 + rand() % 20), G);
		}
		for (int i = 0; i < 20; i++) {
			int C = i % 2 ? 32 : 16, G = 1 + rand() % 8;
			check_other(HALF, 1 + rand() % 4, 4 + 2 * (rand() % 8), 4 + 2 * (rand() % 12), C, C, 0);
			check_other(DOUBLED, 1 + rand() % 20, 2 + rand() % 7, 2 + rand() % 7, 8 + rand() % 60, 8 + rand() % 60, 0);
			check_other(ONE, 1 + rand() % 4, 4 + rand() % 16, 4 + rand() % 16, ONE_CHANNELS, 1, 0);
			check_other(FORWARD, 1 + rand() % 20, 4 + rand() % 10, 4 + rand() % 10, 8 * (1 + rand() % 9), 16 << i % 3, 8);
			check_other(FORWARD, 1 + rand() % 40, 4 + rand() % 10, 4 + rand() % 10, G * (8 + rand() % 9), G * (8 + rand() % 9), G);
		}
		for (size_t n = 1; n < 40; n++) check_bits(n);
		check_bits(4 * 4096);
		check_bits(40001);
		puts("all is well");
		return 0;
	}
	if (n == 2 && !strcmp(arguments[1], "time")) {
		int shapes[][3] = {{16, 16, 16}, {16, 48, 16}, {16, 32, 32}, {8, 32, 32}, {8, 96, 32}, {8, 64, 64}, {4, 64, 64}, {4, 128, 64},
				   {32, 64, 64}, {32, 192, 64}, {16, 128, 128}, {16, 256, 128}, {8, 128, 128}, {32, 128, 128}, {16, 256, 256}, {8, 512, 256}, {4, 256, 256}};
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) take_time(32, shapes[i][0], shapes[i][1], shapes[i][2]);
		return 0;
	}
	puts("say check or time");
	return 2;
}
