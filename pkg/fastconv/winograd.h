// The kernels of a 3×3 convolution with stride 1 and a border of one zero, after [winograd], F(4×4, 3×3): an image is cut
// into tiles of 4×4 outputs; a tile's 6×6 inputs d, the 3×3 filter g and the outputs y are related by
//
//	y = A'[(G g G') ∘ (B' d B)]A        (∘ by element, summed over the input channels)
//
// so that the sum over channels is 36 matrix products, and takes 36 multiplications where the plain sum takes 144. The
// gradients follow: with respect to the input it is the same convolution with the filter turned by 180 degrees and its
// channels swapped; with respect to the filter it is dg = G'[Σ (B' d B) ∘ (A dy A')]G, summed over all tiles.
//
// Included once an instruction set, with VL (floats in a vector), MR (rows of the matrix product held in registers) and
// FN (which gives names of their own to what is defined here). Vectors run over channels. Where their number is no
// multiple of VL, the last vector overlaps the one before and computes the same values again: hence at least VL channels.
// Every value is the result of the same operations in the same order whatever VL, MR and the cutting into blocks are.
//
// The matrix on the right of a product stands in panels of PANEL columns, one after the other, each of them row by row (the
// last may be narrower): so the product reads it in one stream. The 36 matrices of a kind stand an odd number of cache
// lines apart (plane): a transform writes to all of them at once, and at a power of two they would share a few cache sets.

typedef float FN(vec) __attribute__((vector_size(4 * VL)));
typedef float FN(loose) __attribute__((vector_size(4 * VL), aligned(4), may_alias)); // anywhere in memory

#define VEC FN(vec)
#define PANEL (2 * VL)
#define LOAD(p) ((VEC) * (const FN(loose) *)(p))
#define STORE(p, v) (*(FN(loose) *)(p) = (v))
#define INLINE static inline __attribute__((always_inline))

// The channel at which the next vector begins: VL further, or as far as leaves room for a whole one.
INLINE int FN(next)(int c, int channels) { return c + 2 * VL <= channels || c + VL >= channels ? c + VL : channels - VL; }

// Stores the last values of v; the ones before are where they belong already.
INLINE void FN(put)(float *at, VEC v, int last) {
	if (last == VL) {
		STORE(at, v);
		return;
	}
	float all[VL];
	STORE(all, v);
	memcpy(at, all + VL - last, sizeof(float) * last);
}

// How many values of the vector at channel c the one before does not hold, and where they stand in row i of a matrix of so
// many rows and columns in panels.
INLINE int FN(last)(int c, int channels) { return c % VL ? channels % VL : VL; }
INLINE ptrdiff_t FN(in_panels)(int c, int i, int rows, int columns) {
	int aligned = (c + VL - 1) / VL * VL, first = aligned / PANEL * PANEL;
	return (ptrdiff_t)first * rows + (ptrdiff_t)i * (columns - first < PANEL ? columns - first : PANEL) + aligned - first;
}

// out = B' d
INLINE void FN(input_transform)(const VEC d[6], VEC out[6]) {
	VEC a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
	out[0] = 4 * d[0] - 5 * d[2] + d[4];
	out[1] = a + b;
	out[2] = a - b;
	out[3] = c + e;
	out[4] = c - e;
	out[5] = 4 * d[1] - 5 * d[3] + d[5];
}

// out = A' m
INLINE void FN(output_transform)(const VEC m[6], VEC out[4]) {
	VEC a = m[1] + m[2], b = m[3] + m[4], c = m[1] - m[2], e = m[3] - m[4];
	out[0] = m[0] + a + b;
	out[1] = c + 2 * e;
	out[2] = a + 4 * b;
	out[3] = c + 8 * e + m[5];
}

// out = A y
INLINE void FN(gradient_transform)(const VEC y[4], VEC out[6]) {
	VEC a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], e = 2 * y[1] + 8 * y[3];
	out[0] = y[0];
	out[1] = a + b;
	out[2] = a - b;
	out[3] = c + e;
	out[4] = c - e;
	out[5] = y[3];
}

// out = G g
INLINE void FN(filter_transform)(const VEC g[3], VEC out[6]) {
	VEC a = (g[0] + g[2]) * (-1 / 6.f), b = g[1] * (1 / 6.f), c = g[0] * (1 / 24.f) + g[2] * (1 / 6.f), e = g[1] * (1 / 12.f);
	out[0] = g[0] * .25f;
	out[1] = a - b;
	out[2] = a + b;
	out[3] = c + e;
	out[4] = c - e;
	out[5] = g[2];
}

// out = G' u
INLINE void FN(filter_gradient)(const VEC u[6], VEC out[3]) {
	VEC a = u[1] + u[2], b = u[3] + u[4], c = u[2] - u[1], e = u[3] - u[4];
	out[0] = u[0] * .25f - a * (1 / 6.f) + b * (1 / 24.f);
	out[1] = c * (1 / 6.f) + e * (1 / 12.f);
	out[2] = u[5] + (b - a) * (1 / 6.f);
}

// C[i][j] = Σ_p A[i·row + p·column]·B[p][j], added to what is there if add, for i < rows and j < vectors·VL.
INLINE void FN(micro)(int rows, int vectors, int depth, const float *A, ptrdiff_t row, ptrdiff_t column, const float *B,
		      ptrdiff_t ldb, float *C, ptrdiff_t ldc, int add) {
	VEC c[MR][2];
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
		for (int j = 0; j < vectors; j++) c[i][j] = add ? LOAD(C + i * ldc + VL * j) : (VEC){0};
#pragma GCC unroll 4
	for (int p = 0; p < depth; p++) {
		VEC b[2];
#pragma GCC unroll 2
		for (int j = 0; j < vectors; j++) b[j] = LOAD(B + p * ldb + VL * j);
#pragma GCC unroll 16
		for (int i = 0; i < rows; i++) {
			float a = A[i * row + p * column];
#pragma GCC unroll 2
			for (int j = 0; j < vectors; j++) c[i][j] += a * b[j];
		}
	}
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
		for (int j = 0; j < vectors; j++) STORE(C + i * ldc + VL * j, c[i][j]);
}

INLINE void FN(panel)(int rows, int vectors, int depth, const float *A, ptrdiff_t row, ptrdiff_t column, const float *B,
		      ptrdiff_t ldb, float *C, ptrdiff_t ldc, int add) {
	int i = 0;
	for (; i + MR <= rows; i += MR) FN(micro)(MR, vectors, depth, A + i * row, row, column, B, ldb, C + i * ldc, ldc, add);
	for (; i + 2 <= rows; i += 2) FN(micro)(2, vectors, depth, A + i * row, row, column, B, ldb, C + i * ldc, ldc, add);
	for (; i < rows; i++) FN(micro)(1, vectors, depth, A + i * row, row, column, B, ldb, C + i * ldc, ldc, add);
}

// The matrix product of micro, of any number of rows and of columns that are a multiple of VL; B stands in panels.
static void FN(multiply)(int rows, int columns, int depth, const float *A, ptrdiff_t row, ptrdiff_t column, const float *B,
			 float *C, ptrdiff_t ldc, int add) {
	int j = 0;
	for (; j + PANEL <= columns; j += PANEL)
		FN(panel)(rows, 2, depth, A, row, column, B + (ptrdiff_t)j * depth, PANEL, C + j, ldc, add);
	if (j < columns) FN(panel)(rows, 1, depth, A, row, column, B + (ptrdiff_t)j * depth, VL, C + j, ldc, add);
}

// The transform of size×size pixels, a vector of channels of each, into every plane of V. They stand at table, or where that
// is NULL, at corner, a row and a column apart.
INLINE void FN(input_tile)(const float *const *table, const float *corner, ptrdiff_t row, ptrdiff_t column, int c, float *V,
			   size_t plane) {
	VEC rows[6][6];
	for (int i = 0; i < 6; i++) {
		VEC d[6];
#pragma GCC unroll 6
		for (int j = 0; j < 6; j++) d[j] = LOAD((table ? table[i * 6 + j] : corner + i * row + j * column) + c);
		FN(input_transform)(d, rows[i]);
	}
	for (int j = 0; j < 6; j++) {
		VEC d[6], o[6];
#pragma GCC unroll 6
		for (int i = 0; i < 6; i++) d[i] = rows[i][j];
		FN(input_transform)(d, o);
#pragma GCC unroll 6
		for (int i = 0; i < 6; i++) STORE(V + (i * 6 + j) * plane + c, o[i]);
	}
}

// The same of a tile whose pixels two by two are one, so that d = (a, b, b, c, c, e) in each direction, and the third value of a
// transform is zero: the planes of such are left out.
INLINE void FN(doubled_tile)(const float *const *table, int c, float *V, size_t plane) {
	VEC rows[4][6];
	for (int i = 0; i < 4; i++) {
		VEC p[4];
#pragma GCC unroll 4
		for (int j = 0; j < 4; j++) p[j] = LOAD(table[i * 4 + j] + c);
		VEC d[6] = {p[0], p[1], p[1], p[2], p[2], p[3]};
		FN(input_transform)(d, rows[i]);
	}
	for (int j = 0; j < 6; j++) {
		if (doubled_zero(j)) continue;
		VEC d[6] = {rows[0][j], rows[1][j], rows[1][j], rows[2][j], rows[2][j], rows[3][j]}, o[6];
		FN(input_transform)(d, o);
#pragma GCC unroll 6
		for (int i = 0; i < 6; i++)
			if (!doubled_zero(i * 6)) STORE(V + (i * 6 + j) * plane + c, o[i]);
	}
}

// V[36][n][channels] of n tiles from tile first on, of the channels from c0 on: B' d B.
static void FN(inputs)(const struct conv *v, int c0, int channels, int first, int n, float *V) {
	struct place at = place_of(v, first);
	size_t plane = plane_size(n, channels);
	if (v->doubled) {
		struct conv half = *v;
		half.H /= 2;
		half.W /= 2;
		for (int t = 0; t < n; t++, next_place(v, &at), V += channels) {
			const float *table[16];
			tile_pixels(&half, v->x + c0, v->C, (struct place){at.b, at.y / 2, at.x / 2}, 1, 4, table);
			for (int c = 0; c < channels; c = FN(next)(c, channels)) FN(doubled_tile)(table, c, V, plane);
		}
		return;
	}
	ptrdiff_t row = (ptrdiff_t)v->x_row * v->C;
	for (int t = 0; t < n; t++, next_place(v, &at), V += channels) {
		if (v->bordered || (at.y > 0 && at.x > 0 && at.y + 5 <= v->H && at.x + 5 <= v->W)) {
			const float *corner = v->x + ((ptrdiff_t)at.b * v->x_image + (ptrdiff_t)(at.y - 1) * v->x_row + at.x - 1) * v->C + c0;
			for (int c = 0; c < channels; c = FN(next)(c, channels)) FN(input_tile)(NULL, corner, row, v->C, c, V, plane);
			continue;
		}
		const float *table[36];
		tile_pixels(v, v->x + c0, v->C, at, 1, 6, table);
		for (int c = 0; c < channels; c = FN(next)(c, channels)) FN(input_tile)(table, NULL, 0, 0, c, V, plane);
	}
}

// The same of 4×4 pixels of the output's gradient. V is where this tile's row begins in the first panel.
INLINE void FN(gradient_tile)(const float *const *table, const float *corner, ptrdiff_t row, ptrdiff_t column, int k, int last,
			      float *V, size_t plane) {
	VEC rows[4][6];
	for (int i = 0; i < 4; i++) {
		VEC y[4];
#pragma GCC unroll 4
		for (int j = 0; j < 4; j++) y[j] = LOAD((table ? table[i * 4 + j] : corner + i * row + j * column) + k);
		FN(gradient_transform)(y, rows[i]);
	}
	for (int j = 0; j < 6; j++) {
		VEC y[4], o[6];
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) y[i] = rows[i][j];
		FN(gradient_transform)(y, o);
#pragma GCC unroll 6
		for (int i = 0; i < 6; i++) FN(put)(V + (i * 6 + j) * plane, o[i], last);
	}
}

// D[36][n][Kp], in panels, of n tiles from tile first on: A dy A'.
static void FN(gradients)(const struct conv *v, int first, int n, float *D) {
	struct place at = place_of(v, first);
	size_t plane = plane_size(n, v->Kp);
	ptrdiff_t row = (ptrdiff_t)v->W * v->K;
	for (int t = 0; t < n; t++, next_place(v, &at)) {
		const float *corner = v->y + ((size_t)(at.b * v->H + at.y) * v->W + at.x) * v->K;
		int whole = at.y + 4 <= v->H && at.x + 4 <= v->W;
		const float *table[16];
		if (!whole) tile_pixels(v, v->y, v->K, at, 0, 4, table);
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			float *to = D + FN(in_panels)(k, t, n, v->Kp);
			int last = FN(last)(k, v->K);
			if (whole && last == VL) FN(gradient_tile)(NULL, corner, row, v->K, k, VL, to, plane);
			else if (whole) FN(gradient_tile)(NULL, corner, row, v->K, k, last, to, plane);
			else FN(gradient_tile)(table, NULL, 0, 0, k, last, to, plane);
		}
	}
}

// What is added to a vector o of results: the terms of its image, and of its pixel, which stands that far into the result.
INLINE VEC FN(add_terms)(const struct terms *s, VEC o, const float *image, size_t at, int k) {
	if (s->bias) o += LOAD(s->bias + k);
	if (image) o += LOAD(image + k);
	if (s->other) o += s->other_bias ? LOAD(s->other + at) + LOAD(s->other_bias + k) : LOAD(s->other + at);
	return o;
}

// The outputs of n tiles from tile first on, of M[36][n][Kp]: A' M A, and the terms.
static void FN(outputs)(const struct conv *v, int first, int n, const float *M) {
	struct place at = place_of(v, first);
	size_t plane = plane_size(n, v->Kp);
	for (int t = 0; t < n; t++, next_place(v, &at), M += v->Kp) {
		int height = v->H - at.y < 4 ? v->H - at.y : 4, width = v->W - at.x < 4 ? v->W - at.x : 4;
		size_t corner = ((size_t)(at.b * v->H + at.y) * v->W + at.x) * v->K;
		const float *image = v->terms.image ? v->terms.image + (size_t)at.b * v->K : NULL;
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[4][6];
			for (int j = 0; j < 6; j++) {
				VEC m[6], o[4];
#pragma GCC unroll 6
				for (int i = 0; i < 6; i++) m[i] = LOAD(M + (i * 6 + j) * plane + k);
				FN(output_transform)(m, o);
#pragma GCC unroll 4
				for (int i = 0; i < 4; i++) rows[i][j] = o[i];
			}
			for (int i = 0; i < height; i++) {
				VEC o[4];
				FN(output_transform)(rows[i], o);
				size_t to = corner + (size_t)i * v->W * v->K + k;
#pragma GCC unroll 4
				for (int j = 0; j < 4; j++, to += v->K)
					if (j < width) STORE(v->out + to, FN(add_terms)(&v->terms, o[j], image, to, k));
			}
		}
	}
}

// U[36][C][Kp], in panels, of the filter w[3][3][C][K], for the input channels from c0 to c1: G g G'.
static void FN(filters)(const struct conv *v, const float *w, int c0, int c1) {
	size_t filter = (size_t)v->C * v->K, plane = plane_size(v->C, v->Kp);
	for (int c = c0; c < c1; c++) {
		const float *from = w + (size_t)c * v->K;
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[3][6];
			float *to = v->U + FN(in_panels)(k, c, v->C, v->Kp);
			int last = FN(last)(k, v->K);
			for (int i = 0; i < 3; i++) {
				VEC g[3];
				for (int j = 0; j < 3; j++) g[j] = LOAD(from + (i * 3 + j) * filter + k);
				FN(filter_transform)(g, rows[i]);
			}
			for (int j = 0; j < 6; j++) {
				VEC g[3] = {rows[0][j], rows[1][j], rows[2][j]}, o[6];
				FN(filter_transform)(g, o);
				for (int i = 0; i < 6; i++) FN(put)(to + (i * 6 + j) * plane, o[i], last);
			}
		}
	}
}

// dg[3][3][C][K] of U[parts][36][C][Kp], for the input channels from c0 to c1: the sum of the parts, G' U G.
static void FN(unfilters)(const struct conv *v, int c0, int c1) {
	size_t filter = (size_t)v->C * v->K, plane = plane_size(v->C, v->Kp), part = 36 * plane;
	for (int c = c0; c < c1; c++) {
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[3][6];
			for (int j = 0; j < 6; j++) {
				VEC u[6], o[3];
				for (int i = 0; i < 6; i++) {
					const float *from = v->U + (i * 6 + j) * plane + (size_t)c * v->Kp + k;
					u[i] = LOAD(from);
					for (int p = 1; p < v->parts; p++) u[i] += LOAD(from + p * part);
				}
				FN(filter_gradient)(u, o);
				for (int i = 0; i < 3; i++) rows[i][j] = o[i];
			}
			for (int i = 0; i < 3; i++) {
				VEC o[3];
				FN(filter_gradient)(rows[i], o);
				for (int j = 0; j < 3; j++) STORE(v->out + (i * 3 + j) * filter + (size_t)c * v->K + k, o[j]);
			}
		}
	}
}

// The outputs of n tiles from tile first on. scratch holds 36 planes of n·C floats and 36 of n·Kp.
static void FN(apply)(const struct conv *v, int first, int n, float *scratch) {
	size_t in = plane_size(n, v->C), out = plane_size(n, v->Kp), filters = plane_size(v->C, v->Kp);
	float *V = scratch, *M = scratch + 36 * in;
	FN(inputs)(v, 0, v->C, first, n, V);
	for (int q = 0; q < 36; q++) {
		if (v->doubled && doubled_zero(q)) memset(M + q * out, 0, sizeof(float) * n * v->Kp);
		else FN(multiply)(n, v->Kp, v->C, V + q * in, v->C, 1, v->U + q * filters, M + q * out, v->Kp, 0);
	}
	FN(outputs)(v, first, n, M);
}

// out[rows][K] = x[rows][C] w[C][K], each sum in 64/K strands. scratch holds 64·rows floats.
static void FN(product)(int rows, int C, int K, const float *x, const float *w, float *out, float *scratch) {
	int strands = 64 / K, n = rows * K;
	for (int s = 0; s < strands; s++) {
		const float *A = x + s, *B = w + (size_t)s * K;
		float *to = strands > 1 ? scratch + s * n : out;
		for (int j = 0; j < K; j += PANEL) {
			if (j + PANEL <= K) FN(panel)(rows, 2, C / strands, A, C, strands, B + j, (ptrdiff_t)strands * K, to + j, K, 0);
			else FN(panel)(rows, 1, C / strands, A, C, strands, B + j, (ptrdiff_t)strands * K, to + j, K, 0);
		}
	}
	for (int i = 0; strands > 1 && i < n; i += VL) {
		VEC sum = LOAD(scratch + i) + LOAD(scratch + n + i);
		if (strands == 4) sum += LOAD(scratch + 2 * n + i) + LOAD(scratch + 3 * n + i);
		STORE(out + i, sum);
	}
}

// The sum over the tiles from first to end of (B' d B)(A dy A')' in U[36][C][Kp], for the input channels from c0 to c1.
// scratch holds 36 planes of v->block·(c1-c0) floats and 36 of v->block·Kp.
static void FN(accumulate)(const struct conv *v, int c0, int c1, int first, int end, float *scratch, float *U) {
	int channels = c1 - c0;
	size_t filters = plane_size(v->C, v->Kp);
	float *V = scratch, *D = scratch + 36 * plane_size(v->block, channels);
	if (v->Kp > v->K) memset(D, 0, sizeof(float) * 36 * plane_size(v->block, v->Kp)); // what stands beyond K is multiplied, and dropped
	for (int t = first; t < end; t += v->block) {
		int n = end - t < v->block ? end - t : v->block;
		FN(inputs)(v, c0, channels, t, n, V);
		FN(gradients)(v, t, n, D);
		size_t in = plane_size(n, channels), out = plane_size(n, v->Kp);
		for (int q = 0; q < 36; q++)
			FN(multiply)(channels, v->Kp, n, V + q * in, 1, channels, D + q * out, U + q * filters + (size_t)c0 * v->Kp, v->Kp,
				     t > first);
	}
}
