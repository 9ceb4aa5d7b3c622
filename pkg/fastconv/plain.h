// The kernels of two small 3×3 convolutions that XLA would gather windows for, which takes longer than to sum: one with stride 2 and
// one with a single output channel. Each sums in the order in which XLA does, so that the bits are the same. Included after
// winograd.h.

// Copies row y of an image of v's input, zeros if it lies outside; the pixel after it stays as it is.
INLINE void FN(copy_row)(const struct conv *v, int b, int y, float *to) {
	size_t in = (size_t)v->W * v->C;
	if (y >= 0 && y < v->H) memcpy(to, v->x + ((size_t)b * v->H + y) * in, sizeof(float) * in);
	else memset(to, 0, sizeof(float) * in);
}

// The outputs of so many pixels of a row, a vector of channels of each. rows are the three rows of the input below and to the right of
// them, each size floats long. The sum runs over the window row by row, pixel by pixel, channel by channel; in two strands if strands
// is 2, which then are added: the even channels and the odd.
INLINE void FN(half_pixels)(const struct conv *v, const float *rows, size_t size, int pixels, int strands, int k, float *out) {
	VEC sum[8][2] = {{{0}}};
	const float *w = v->w + k;
	for (int y = 0; y < 3; y++)
		for (int i = 0; i < 3 * v->C; i += strands, w += strands * v->K)
#pragma GCC unroll 2
			for (int s = 0; s < strands; s++) {
				VEC b = LOAD(w + s * v->K);
#pragma GCC unroll 8
				for (int j = 0; j < pixels; j++) sum[j][s] += rows[y * size + j * 2 * v->C + i + s] * b;
			}
#pragma GCC unroll 8
	for (int j = 0; j < pixels; j++) STORE(out + j * v->K, strands == 2 ? sum[j][0] + sum[j][1] : sum[j][0]);
}

INLINE void FN(half_row)(const struct conv *v, const float *rows, size_t size, int strands, float *out) {
	for (int k = 0; k < v->K; k += VL) {
		int x = 0;
		for (; x + 8 <= v->W / 2; x += 8) FN(half_pixels)(v, rows + 2 * x * v->C, size, 8, strands, k, out + x * v->K + k);
		for (; x + 4 <= v->W / 2; x += 4) FN(half_pixels)(v, rows + 2 * x * v->C, size, 4, strands, k, out + x * v->K + k);
		for (; x < v->W / 2; x++) FN(half_pixels)(v, rows + 2 * x * v->C, size, 1, strands, k, out + x * v->K + k);
	}
}

// The outputs of an image with stride 2 and a border of one zero below and to the right. scratch holds three rows with that.
static void FN(half)(const struct conv *v, int b, float *scratch) {
	size_t size = (size_t)(v->W + 1) * v->C;
	memset(scratch, 0, sizeof(float) * 3 * size);
	for (int y = 0; y < v->H / 2; y++) {
		for (int i = 0; i < 3; i++) FN(copy_row)(v, b, 2 * y + i, scratch + i * size);
		float *out = v->out + ((size_t)b * (v->H / 2) + y) * (v->W / 2) * v->K;
		if (v->K == 32) FN(half_row)(v, scratch, size, 2, out);
		else FN(half_row)(v, scratch, size, 1, out);
	}
}

typedef float FN(strands8) __attribute__((vector_size(4 * ONE_STRANDS)));
typedef float FN(loose8) __attribute__((vector_size(4 * ONE_STRANDS), aligned(4), may_alias));

// The outputs of an image with one output channel. scratch holds three rows with a border of one pixel. Each row of a window is summed
// in eight strands, neighbouring channels in neighbouring ones.
static void FN(one)(const struct conv *v, int b, float *scratch) {
	enum { C = ONE_CHANNELS, S = ONE_STRANDS };
	size_t size = (size_t)(v->W + 2) * C;
	memset(scratch, 0, sizeof(float) * 3 * size);
	FN(strands8) w[9 * C / S];
	memcpy(w, v->w, sizeof w);
	for (int y = 0; y < v->H; y++) {
		for (int i = 0; i < 3; i++) FN(copy_row)(v, b, y - 1 + i, scratch + i * size + C);
		float *out = v->out + ((size_t)b * v->H + y) * v->W;
		for (int x = 0; x < v->W; x++) {
			float sum = 0;
#pragma GCC unroll 3
			for (int i = 0; i < 3; i++) {
				const float *from = scratch + i * size + x * C;
				FN(strands8) s = {0};
#pragma GCC unroll 6
				for (int j = 0; j < 3 * C / S; j++) s += (FN(strands8)) * (const FN(loose8) *)(from + j * S) * w[i * 3 * C / S + j];
				float row = ((s[0] + s[1]) + (s[4] + s[5])) + ((s[2] + s[3]) + (s[6] + s[7]));
				sum = i ? sum + row : row;
			}
			out[x] = sum;
		}
	}
}
