// The kernels of GroupNorm followed by SiLU, y = u·σ(u) with u = (x-mean)/sqrt(variance+ε)·γ+β over the pixels and channels
// of each group, and of its gradients. Included after winograd.h, whose words it uses.
//
// Sums over pixels run in four strands, pixel p in strand p modulo 4, a vector of channels at a time: the same order
// whatever VL is, and a vector that overlaps the one before computes the same sums again.

typedef int32_t FN(whole) __attribute__((vector_size(4 * VL)));

INLINE VEC FN(splat)(float a) { return (VEC){0} + a; }

// e^x for x in [-87, 87] and the nearer end beyond: 2^n·e^r with r in [-ln 2/2, ln 2/2], e^r by the polynomial of the Cephes
// library's expf (Moshier), two units in the last place.
INLINE VEC FN(exponential)(VEC x) {
	x = CLAMP(x, FN(splat)(-87), FN(splat)(87));
	VEC n = x * 1.44269504f + 12582912.f - 12582912.f; // 1.5·2^23: the sum has no digits behind the point
	VEC r = x - n * 0.693359375f + n * 2.12194440e-4f;
	VEC p = FN(splat)(1.9875691500e-4f);
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * r * r + r + 1.f;
	return p * (VEC)((__builtin_convertvector(n, FN(whole)) + 127) << 23);
}

INLINE VEC FN(strands)(const VEC s[4]) { return (s[0] + s[1]) + (s[2] + s[3]); }

// Adds a vector of a pixel's values, or of the squares of their distances from mean, to a sum.
INLINE void FN(add_pixel)(const float *x, VEC mean, VEC *sum, int squares) {
	VEC d = LOAD(x);
	if (squares) {
		d -= mean;
		*sum += d * d;
	} else {
		*sum += d;
	}
}

// sums[C] of x[P][C], or of the squares of x-mean, from channel c on, a number of vectors.
INLINE void FN(column_sums)(const struct norm *v, const float *x, const float *mean, float *sums, int c, int vectors, int squares) {
	VEC s[2][4] = {{{0}}}, m[2] = {{0}};
#pragma GCC unroll 2
	for (int j = 0; j < vectors && squares; j++) m[j] = LOAD(mean + c + VL * j);
	size_t at = c;
	int p = 0;
	for (; p + 4 <= v->P; p += 4)
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++, at += v->C)
#pragma GCC unroll 2
			for (int j = 0; j < vectors; j++) FN(add_pixel)(x + at + VL * j, m[j], &s[j][i], squares);
#pragma GCC unroll 3
	for (int i = 0; i < 3; i++, at += v->C)
		if (p + i < v->P)
#pragma GCC unroll 2
			for (int j = 0; j < vectors; j++) FN(add_pixel)(x + at + VL * j, m[j], &s[j][i], squares);
#pragma GCC unroll 2
	for (int j = 0; j < vectors; j++) STORE(sums + c + VL * j, FN(strands)(s[j]));
}

INLINE void FN(sums)(const struct norm *v, const float *x, const float *mean, float *sums, int squares) {
	int c = 0;
	for (; c + 2 * VL <= v->C; c += 2 * VL) FN(column_sums)(v, x, mean, sums, c, 2, squares);
	if (c < v->C && c + VL > v->C) c = v->C - VL;
	for (; c < v->C; c = FN(next)(c, v->C)) FN(column_sums)(v, x, mean, sums, c, 1, squares);
}

// mean[C] and scale[C] = 1/sqrt(variance+ε) of every channel's group in image x[P][C]. γ plays no part.
static void FN(statistics)(const struct norm *v, const float *x, float *mean, float *scale) {
	int channels = v->C / v->G;
	float count = (float)v->P * channels;
	FN(sums)(v, x, NULL, mean, 0);
	for (int g = 0; g < v->C; g += channels) {
		float sum = 0;
		for (int i = 0; i < channels; i++) sum += mean[g + i];
		for (int i = 0; i < channels; i++) mean[g + i] = sum / count;
	}
	FN(sums)(v, x, mean, scale, 1);
	for (int g = 0; g < v->C; g += channels) {
		float sum = 0;
		for (int i = 0; i < channels; i++) sum += scale[g + i];
		for (int i = 0; i < channels; i++) scale[g + i] = 1 / sqrtf(sum / count + NORM_EPSILON);
	}
}

static void FN(norm_forward)(const struct norm *v, int image) {
	const float *x = v->x + (size_t)image * v->P * v->C;
	float *y = v->out + (size_t)image * v->out_image * v->C, *mean = v->statistics + (size_t)image * 2 * v->C, *scale = mean + v->C;
	FN(statistics)(v, x, mean, scale);
	for (int c = 0; c < v->C; c = FN(next)(c, v->C)) {
		VEC a = LOAD(scale + c) * LOAD(v->gamma + c), m = LOAD(mean + c), b = LOAD(v->beta + c);
		const float *from = x + c;
		float *row = y + c;
		for (int first = 0; first < v->P; first += v->W, row += (size_t)v->out_row * v->C) {
			float *to = row;
			for (int p = 0; p < v->W; p++, from += v->C, to += v->C) {
				VEC u = (LOAD(from) - m) * a + b;
				STORE(to, u / (1 + FN(exponential)(-u)));
			}
		}
	}
}

// The gradient with respect to x of a vector of channels of one pixel, from du that stands in its place.
INLINE VEC FN(input_part)(const struct norm *v, const float *x, const float *du, const float *mean, const float *scale,
			  const float *along, const float *level, int c) {
	VEC h = (LOAD(x + c) - LOAD(mean + c)) * LOAD(scale + c);
	return LOAD(scale + c) * (LOAD(du + c) * LOAD(v->gamma + c) - LOAD(level + c) - h * LOAD(along + c));
}

// What a vector of channels of one pixel adds to the gradients with respect to γ and β; dx becomes du, for the second pass.
INLINE void FN(affine_part)(const float *x, const float *dy, float *dx, VEC mean, VEC scale, VEC gamma, VEC beta, VEC *sum_g,
			    VEC *sum_b) {
	VEC h = (LOAD(x) - mean) * scale, u = h * gamma + beta;
	VEC s = 1 / (1 + FN(exponential)(-u)), du = LOAD(dy) * (s * (1 + u * (1 - s)));
	STORE(dx, du);
	*sum_g += du * h;
	*sum_b += du;
}

// The gradients with respect to x, and of this image alone with respect to γ and β, by dy.
static void FN(norm_backward)(const struct norm *v, int image) {
	float along[MAX_CHANNELS], level[MAX_CHANNELS];
	float *mean = v->statistics + (size_t)image * 2 * v->C, *scale = mean + v->C;
	size_t start = (size_t)image * v->P * v->C;
	const float *x = v->x + start, *dy = v->dy + start;
	float *dx = v->out + start, *dgamma = v->images + (size_t)image * 2 * v->C, *dbeta = dgamma + v->C;
	if (!v->known) FN(statistics)(v, x, mean, scale);
	for (int c = 0; c < v->C; c = FN(next)(c, v->C)) {
		VEC m = LOAD(mean + c), r = LOAD(scale + c), gamma = LOAD(v->gamma + c), beta = LOAD(v->beta + c);
		VEC sum_g[4] = {{0}}, sum_b[4] = {{0}};
		size_t at = c;
		int p = 0;
		for (; p + 4 <= v->P; p += 4)
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++, at += v->C)
				FN(affine_part)(x + at, dy + at, dx + at, m, r, gamma, beta, &sum_g[i], &sum_b[i]);
#pragma GCC unroll 3
		for (int i = 0; i < 3; i++, at += v->C)
			if (p + i < v->P) FN(affine_part)(x + at, dy + at, dx + at, m, r, gamma, beta, &sum_g[i], &sum_b[i]);
		STORE(dgamma + c, FN(strands)(sum_g));
		STORE(dbeta + c, FN(strands)(sum_b));
	}
	int channels = v->C / v->G;
	float count = (float)v->P * channels;
	for (int g = 0; g < v->C; g += channels) {
		float a = 0, b = 0;
		for (int i = g; i < g + channels; i++) {
			a = fmaf(dgamma[i], v->gamma[i], a); // lest some compilers round twice for some vectors
			b = fmaf(dbeta[i], v->gamma[i], b);
		}
		for (int i = g; i < g + channels; i++) {
			along[i] = a / count;
			level[i] = b / count;
		}
	}
	// A vector at the end that overlaps the one before is computed before that replaces du, and stored after.
	for (int p = 0; p < v->P; p++) {
		const float *from = x + (size_t)p * v->C;
		float *to = dx + (size_t)p * v->C;
		int end = v->C - VL;
		VEC last = FN(input_part)(v, from, to, mean, scale, along, level, end);
		for (int c = 0; c < end; c += VL) STORE(to + c, FN(input_part)(v, from, to, mean, scale, along, level, c));
		STORE(to + end, last);
	}
}
