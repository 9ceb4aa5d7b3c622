// The kernel of a 3×3 convolution of few input channels, where Winograd's transforms would cost more than they spare: the
// plain sum, row by row of the window, pixel by pixel of a row, channel by channel, each product added without rounding
// before. XLA's own sum has this order too where the output channels are a multiple of 16, and then the bits are the same.
// Included after winograd.h.

// The outputs of so many pixels of a row, a vector of channels of each, and the terms. rows are the three rows of the input
// around them, each with a border of one pixel and size floats long.
INLINE void FN(few_pixels)(const struct conv *v, const float *rows, size_t size, int pixels, int k, const float *image, size_t to) {
	VEC sum[8] = {{0}};
	const float *w = v->w + k;
	for (int y = 0; y < 3; y++)
		for (int i = 0; i < 3 * v->C; i++, w += v->K) {
			VEC b = LOAD(w);
#pragma GCC unroll 8
			for (int j = 0; j < pixels; j++) sum[j] += rows[y * size + j * v->C + i] * b;
		}
#pragma GCC unroll 8
	for (int j = 0; j < pixels; j++, to += v->K) STORE(v->out + to, FN(add_terms)(&v->terms, sum[j], image, to, k));
}

// The outputs of an image. scratch holds three rows with their borders.
static void FN(few)(const struct conv *v, int b, float *scratch) {
	size_t size = (size_t)(v->W + 2) * v->C, in = (size_t)v->W * v->C;
	const float *image = v->terms.image ? v->terms.image + (size_t)b * v->K : NULL;
	memset(scratch, 0, sizeof(float) * 3 * size);
	for (int y = 0; y < v->H; y++) {
		for (int i = 0; i < 3; i++) {
			int from = y - 1 + i;
			if (from >= 0 && from < v->H) memcpy(scratch + i * size + v->C, v->x + ((size_t)b * v->H + from) * in, sizeof(float) * in);
			else memset(scratch + i * size, 0, sizeof(float) * size);
		}
		size_t row = ((size_t)b * v->H + y) * v->W * v->K;
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			int x = 0;
			for (; x + 8 <= v->W; x += 8) FN(few_pixels)(v, scratch + x * v->C, size, 8, k, image, row + (size_t)x * v->K + k);
			for (; x < v->W; x++) FN(few_pixels)(v, scratch + x * v->C, size, 1, k, image, row + (size_t)x * v->K + k);
		}
	}
}
