// What the parts of this package written in C share.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	TILES = 32,         // tiles a block: what they are transformed into stays in the second-level cache
	MAX_CHANNELS = 512, // input or output channels of a convolution
};

enum kind { FORWARD, INPUT_GRADIENT, FILTER_GRADIENT };

// A convolution, or one of its gradients, on its way. Images are [B][H][W][channels].
struct conv {
	int B, H, W, C, K;    // batch, height, width, channels that are summed over, channels of the result
	int Kp;               // K rounded up to whole vectors
	int rows, columns;    // tiles in an image
	int tiles;            // tiles in all images
	int parts, per_part;  // the filter's gradient: parts of the sum over tiles, tiles in a part
	int chunks;           // the filter's gradient: parts the input channels are cut into
	const float *x, *y;   // the input, and for the filter's gradient that of the output
	float *out;           // the result
	float *U;             // transformed filters
	float *scratch;       // a thread's own memory, scratch_size floats each
	size_t scratch_size;
	const float *w;       // filters, [3][3][C][K]
	float *turned;        // filters with their channels swapped
	const struct kernels *kernels;
	int block;            // tiles a block of the forward pass
};

#define NORM_EPSILON 1e-6f // as package unet has it

// GroupNorm and SiLU, or their gradients, on their way. Images are [B][P pixels][C channels], in G groups of channels.
struct norm {
	int B, P, C, G;
	const float *x, *gamma, *beta, *dy;
	float *out;    // y, or the gradient with respect to x
	float *images; // [B][2][C]: the gradients of every image with respect to gamma and beta
	const struct kernels *kernels;
};

// The kernels of one instruction set; winograd.h and norm.h say what they do.
struct kernels {
	int lanes;
	void (*filters)(const struct conv *, const float *w, int c0, int c1);
	void (*apply)(const struct conv *, int first, int n, float *scratch);
	void (*accumulate)(const struct conv *, int c0, int c1, int first, int end, float *scratch, float *U);
	void (*unfilters)(const struct conv *, int c0, int c1);
	void (*norm_forward)(const struct norm *, int image);
	void (*norm_backward)(const struct norm *, int image);
};

// Threads that help. run asks for task(data) to be run once on another thread and tells whether it will be; threads is how
// many threads there are, the caller's among them.
struct helpers {
	int threads;
	int (*run)(void *context, void (*task)(void *data), void *data);
	void *context;
};

// The image, row and column of a tile's first output.
static inline void tile_place(const struct conv *v, int tile, int *b, int *y, int *x) {
	int per_image = v->rows * v->columns, in_image = tile % per_image;
	*b = tile / per_image;
	*y = in_image / v->columns * 4;
	*x = in_image % v->columns * 4;
}

extern const float zeros[MAX_CHANNELS];

// Where the size×size pixels of a tile stand in an image of so many channels, border pixels above and left of the tile
// first; zeros stand for those outside.
static inline void tile_pixels(const struct conv *v, const float *image, int channels, int tile, int border, int size,
			       const float **pixel) {
	int b, y, x;
	tile_place(v, tile, &b, &y, &x);
	for (int i = 0; i < size; i++) {
		int row = y - border + i;
		for (int j = 0; j < size; j++) {
			int column = x - border + j;
			int inside = row >= 0 && row < v->H && column >= 0 && column < v->W;
			*pixel++ = inside ? image + ((size_t)(b * v->H + row) * v->W + column) * channels : zeros;
		}
	}
}

// The kernels for this processor and so many channels (the smaller of C and K); NULL if there are none. at_most bounds the
// floats in a vector, 0 does not.
const struct kernels *kernels_for(int channels, int at_most);

// convolve computes a convolution or one of its gradients into out; all have [B][H][W][C] images x.
//
//	FORWARD          a = x, b = filters [3][3][C][K]; out [B][H][W][K]
//	INPUT_GRADIENT   a = x, b = filters [3][3][K][C]; out [B][H][W][K] (the filters are already turned in space)
//	FILTER_GRADIENT  a = x, b = gradients [B][H][W][K]; out [3][3][C][K]
//
// The result does not depend on the number of threads. It returns 0, 1 where memory is short, 2 where no kernels fit.
int convolve(enum kind kind, int B, int H, int W, int C, int K, const float *a, const float *b, float *out,
	     const struct helpers *helpers, int at_most);

// normalise computes y = SiLU(GroupNorm(x)) into out where dy is NULL; else, from dy, the gradients with respect to x, gamma
// and beta into out, dgamma and dbeta. It returns as convolve does, 2 also where the groups do not divide the channels.
int normalise(int B, int P, int C, int G, const float *x, const float *gamma, const float *beta, const float *dy, float *out,
	      float *dgamma, float *dbeta, const struct helpers *helpers, int at_most);
