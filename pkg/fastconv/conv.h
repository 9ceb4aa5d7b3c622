// What the parts of this package written in C share.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	TILES = 32,         // tiles a block of the filter's gradient: what they are transformed into stays in the second-level cache
	MAX_CHANNELS = 512, // input or output channels of a convolution
	FEW = 8,            // fewer input channels than this are summed plainly
	ONE_CHANNELS = 16,  // input channels of a convolution with a single output channel
	ONE_STRANDS = 8,    // of its sum
};

enum kind { FORWARD, INPUT_GRADIENT, FILTER_GRADIENT, HALF, ONE, DOUBLED };

// What is added to a convolution's result, in this order; NULL is nothing. other_bias is added to other before.
struct terms {
	const float *bias;       // [K]
	const float *image;      // [B][K]
	const float *other;      // [B][H][W][K]
	const float *other_bias; // [K]
};

// A convolution, or one of its gradients, on its way. Images are [B][H][W][channels].
struct conv {
	int B, H, W, C, K;    // batch, height, width, channels that are summed over, channels of the result
	int Kp;               // K rounded up to whole vectors
	int rows, columns;    // tiles in an image
	int tiles;            // tiles in all images
	int parts, per_part;  // the filter's gradient: parts of the sum over tiles, tiles in a part
	int chunks;           // the filter's gradient: parts the input channels are cut into
	const float *x, *y;   // the input, and for the filter's gradient that of the output
	int bordered;         // zeros stand around the input's images wherever a tile reaches
	int doubled;          // every pixel of the input, [B][H/2][W/2][C], stands for 2×2
	int x_row, x_image;   // pixels from a row of the input to the next, and from an image to the next
	float *out;           // the result
	float *U;             // transformed filters
	float *scratch;       // a thread's own memory, scratch_size floats each
	size_t scratch_size;
	const float *w;       // filters, [3][3][C][K]
	float *turned;        // filters with their channels swapped
	struct terms terms;
	const struct kernels *kernels;
	int block;            // tiles transformed and multiplied at once
};

#define NORM_EPSILON 1e-6f // as package unet has it

// GroupNorm and SiLU, or their gradients, on their way. Images are [B][P pixels][C channels], in G groups of channels.
struct norm {
	int B, P, C, G;
	const float *x, *gamma, *beta, *dy;
	float *out;    // y, or the gradient with respect to x
	int W, out_row, out_image; // y alone: pixels of a row, and in out from a row to the next and from an image to the next
	float *images; // [B][2][C]: the gradients of every image with respect to gamma and beta
	float *statistics; // [B][2][C]: mean and 1/sqrt(variance+ε) of every channel's group
	int known;         // whether they are
	const struct kernels *kernels;
};

// Random bits on their way.
struct bits {
	uint64_t key, counter[2]; // the counter's lower half first
	size_t words;
	uint32_t *out;
	const struct kernels *kernels;
};

// The kernels of one instruction set; winograd.h, few.h, plain.h, norm.h and bits.h say what they do.
struct kernels {
	int lanes;
	void (*filters)(const struct conv *, const float *w, int c0, int c1);
	void (*apply)(const struct conv *, int first, int n, float *scratch);
	void (*product)(int rows, int C, int K, const float *x, const float *w, float *out, float *scratch);
	void (*few)(const struct conv *, int image, float *scratch);
	void (*half)(const struct conv *, int image, float *scratch);
	void (*one)(const struct conv *, int image, float *scratch);
	void (*accumulate)(const struct conv *, int c0, int c1, int first, int end, float *scratch, float *U);
	void (*unfilters)(const struct conv *, int c0, int c1);
	void (*norm_forward)(const struct norm *, int image);
	void (*norm_backward)(const struct norm *, int image);
	void (*bits)(const struct bits *, size_t first, size_t end, uint32_t *out);
};

// Threads that help. run asks for task(data) to be run once on another thread and tells whether it will be; threads is how
// many threads there are, the caller's among them.
struct helpers {
	int threads;
	int (*run)(void *context, void (*task)(void *data), void *data);
	void *context;
};

// Where a tile's first output stands: image, row and column.
struct place { int b, y, x; };

static inline struct place place_of(const struct conv *v, int tile) {
	int per_image = v->rows * v->columns, in_image = tile % per_image;
	return (struct place){tile / per_image, in_image / v->columns * 4, in_image % v->columns * 4};
}

static inline void next_place(const struct conv *v, struct place *at) {
	if ((at->x += 4) < v->W) return;
	at->x = 0;
	if ((at->y += 4) < v->H) return;
	at->y = 0;
	at->b++;
}

// The floats from one matrix of rows·columns to the next of the same kind: an odd number of cache lines.
static inline size_t plane_size(int rows, int columns) { return (((size_t)rows * columns + 15) / 16 | 1) * 16; }

// Whether a plane of the transform of doubled pixels is zero.
static inline int doubled_zero(int plane) { return plane / 6 == 2 || plane % 6 == 2; }

extern const float zeros[MAX_CHANNELS];

// Where the size×size pixels of a tile stand in an image of so many channels, border pixels above and left of the tile
// first; zeros stand for those outside.
static inline void tile_pixels(const struct conv *v, const float *image, int channels, struct place at, int border, int size,
			       const float **pixel) {
	for (int i = 0; i < size; i++) {
		int y = at.y - border + i, x = at.x - border;
		ptrdiff_t from = ((ptrdiff_t)(at.b * v->H + y) * v->W + x) * channels;
		for (int j = 0; j < size; j++, x++, from += channels)
			*pixel++ = y >= 0 && y < v->H && x >= 0 && x < v->W ? image + from : zeros;
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
//	HALF             a = x, b = filters [3][3][C][K], C = K, 16 or 32; out [B][H/2][W/2][K]: stride 2, a zero below and to the right
//	ONE              a = x, b = filters [3][3][16][1]; out [B][H][W][1]
//	DOUBLED          a = x, b = filters [3][3][C][K]; out [B][2H][2W][K]: FORWARD of x with every pixel repeated to 2×2
//
// FORWARD and DOUBLED add terms to it, unless that is NULL. The result does not depend on the number of threads. It returns 0, 1 where
// memory is short, 2 where no kernels fit.
int convolve(enum kind kind, int B, int H, int W, int C, int K, const float *a, const float *b, const struct terms *terms,
	     float *out, const struct helpers *helpers, int at_most);

// normalise computes y = SiLU(GroupNorm(x)) into out where dy is NULL; else, from dy, the gradients with respect to x, gamma
// and beta into out, dgamma and dbeta. statistics, [B][2][C], are a result without dy, and with it an operand; NULL does without.
// It returns as convolve does, 2 also where the groups do not divide the channels.
int normalise(int B, int P, int C, int G, const float *x, const float *gamma, const float *beta, const float *dy, float *out,
	      float *dgamma, float *dbeta, float *statistics, const struct helpers *helpers, int at_most);

// A residual block, where a is GroupNorm followed by SiLU:
//
//	out = conv(a(conv(a(x), w[0]) + bias[0] + image), w[1]) + bias[1] + (other + other_bias)
//
// With joined, the last J of the C channels of x stand there. With skip [C][K], other is the product of every pixel of x with it, summed
// as XLA does: in 64/K strands, neighbouring channels in neighbouring ones; K is 16, 32 or 64, and C a multiple of 64/K.
struct residual {
	int B, H, W, C, K, G, J; // x is [B][H][W][C-J], out and other are [B][H][W][K]
	const float *x, *joined, *image; // image [B][K]
	const float *gamma[2], *beta[2], *w[2], *bias[2];
	const float *other, *other_bias; // the latter may be NULL, the former with skip
	const float *skip;
	float *out;
};

// residual computes a residual block, of some images at a time, so that what is between its parts stays in the cache. Bits are
// those of normalise and convolve. It returns as they do.
int residual(const struct residual *, const struct helpers *helpers, int at_most);

// random_bits writes random words, [words], and the state that follows. A state is the key and the counter. It returns as convolve
// does.
int random_bits(const uint64_t state[3], uint64_t next[3], size_t words, uint32_t *out, const struct helpers *helpers, int at_most);

// join writes the channels of a [B][P][C] and then those of b [B][P][K], pixel by pixel, into out [B][P][C+K].
void join(int B, int P, int C, int K, const float *a, const float *b, float *out, const struct helpers *helpers);
