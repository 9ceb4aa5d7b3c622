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

typedef float FN(vec) __attribute__((vector_size(4 * VL)));
typedef float FN(loose) __attribute__((vector_size(4 * VL), aligned(4), may_alias)); // anywhere in memory

#define VEC FN(vec)
#define LOAD(p) ((VEC) * (const FN(loose) *)(p))
#define STORE(p, v) (*(FN(loose) *)(p) = (v))
#define INLINE static inline __attribute__((always_inline))

// The channel at which the next vector begins: VL further, or as far as leaves room for a whole one.
INLINE int FN(next)(int c, int channels) { return c + 2 * VL <= channels || c + VL >= channels ? c + VL : channels - VL; }

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

// The matrix product of micro, of any number of rows and of columns that are a multiple of VL.
static void FN(multiply)(int rows, int columns, int depth, const float *A, ptrdiff_t row, ptrdiff_t column, const float *B,
			 ptrdiff_t ldb, float *C, ptrdiff_t ldc, int add) {
	int j = 0;
	for (; j + 2 * VL <= columns; j += 2 * VL) FN(panel)(rows, 2, depth, A, row, column, B + j, ldb, C + j, ldc, add);
	for (; j < columns; j += VL) FN(panel)(rows, 1, depth, A, row, column, B + j, ldb, C + j, ldc, add);
}

// V[36][n][channels] of n tiles from tile first on, of the channels from c0 on: B' d B.
static void FN(inputs)(const struct conv *v, int c0, int channels, int first, int n, float *V) {
	for (int t = 0; t < n; t++) {
		const float *pixel[36];
		tile_pixels(v, v->x, v->C, first + t, 1, 6, pixel);
		for (int c = 0; c < channels; c = FN(next)(c, channels)) {
			VEC rows[6][6];
			for (int i = 0; i < 6; i++) {
				VEC d[6];
#pragma GCC unroll 6
				for (int j = 0; j < 6; j++) d[j] = LOAD(pixel[i * 6 + j] + c0 + c);
				FN(input_transform)(d, rows[i]);
			}
			for (int j = 0; j < 6; j++) {
				VEC d[6], o[6];
#pragma GCC unroll 6
				for (int i = 0; i < 6; i++) d[i] = rows[i][j];
				FN(input_transform)(d, o);
#pragma GCC unroll 6
				for (int i = 0; i < 6; i++) STORE(V + ((size_t)(i * 6 + j) * n + t) * channels + c, o[i]);
			}
		}
	}
}

// D[36][n][Kp] of n tiles from tile first on: A dy A'.
static void FN(gradients)(const struct conv *v, int first, int n, float *D) {
	for (int t = 0; t < n; t++) {
		const float *pixel[36];
		tile_pixels(v, v->y, v->K, first + t, 0, 4, pixel);
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[4][6];
			for (int i = 0; i < 4; i++) {
				VEC y[4];
#pragma GCC unroll 4
				for (int j = 0; j < 4; j++) y[j] = LOAD(pixel[i * 4 + j] + k);
				FN(gradient_transform)(y, rows[i]);
			}
			for (int j = 0; j < 6; j++) {
				VEC y[4], o[6];
#pragma GCC unroll 4
				for (int i = 0; i < 4; i++) y[i] = rows[i][j];
				FN(gradient_transform)(y, o);
#pragma GCC unroll 6
				for (int i = 0; i < 6; i++) STORE(D + ((size_t)(i * 6 + j) * n + t) * v->Kp + k, o[i]);
			}
		}
	}
}

// The outputs of n tiles from tile first on, of M[36][n][Kp]: A' M A.
static void FN(outputs)(const struct conv *v, int first, int n, const float *M) {
	for (int t = 0; t < n; t++) {
		int b, y, x;
		tile_place(v, first + t, &b, &y, &x);
		int height = v->H - y < 4 ? v->H - y : 4, width = v->W - x < 4 ? v->W - x : 4;
		float *corner = v->out + ((size_t)(b * v->H + y) * v->W + x) * v->K;
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[4][6];
			for (int j = 0; j < 6; j++) {
				VEC m[6], o[4];
#pragma GCC unroll 6
				for (int i = 0; i < 6; i++) m[i] = LOAD(M + ((size_t)(i * 6 + j) * n + t) * v->Kp + k);
				FN(output_transform)(m, o);
#pragma GCC unroll 4
				for (int i = 0; i < 4; i++) rows[i][j] = o[i];
			}
			for (int i = 0; i < height; i++) {
				VEC o[4];
				FN(output_transform)(rows[i], o);
				float *to = corner + (size_t)i * v->W * v->K + k;
				if (width == 4) {
#pragma GCC unroll 4
					for (int j = 0; j < 4; j++) STORE(to + j * v->K, o[j]);
				} else {
					for (int j = 0; j < width; j++) STORE(to + j * v->K, o[j]);
				}
			}
		}
	}
}

// U[36][C][Kp] of the filter w[3][3][C][K], for the input channels from c0 to c1: G g G'.
static void FN(filters)(const struct conv *v, const float *w, int c0, int c1) {
	size_t plane = (size_t)v->C * v->K;
	for (int c = c0; c < c1; c++) {
		const float *from = w + (size_t)c * v->K;
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[3][6];
			for (int i = 0; i < 3; i++) {
				VEC g[3];
				for (int j = 0; j < 3; j++) g[j] = LOAD(from + (i * 3 + j) * plane + k);
				FN(filter_transform)(g, rows[i]);
			}
			for (int j = 0; j < 6; j++) {
				VEC g[3] = {rows[0][j], rows[1][j], rows[2][j]}, o[6];
				FN(filter_transform)(g, o);
				for (int i = 0; i < 6; i++) STORE(v->U + ((size_t)(i * 6 + j) * v->C + c) * v->Kp + k, o[i]);
			}
		}
	}
}

// dg[3][3][C][K] of U[parts][36][C][Kp], for the input channels from c0 to c1: the sum of the parts, G' U G.
static void FN(unfilters)(const struct conv *v, int c0, int c1) {
	size_t plane = (size_t)v->C * v->K, part = (size_t)36 * v->C * v->Kp;
	for (int c = c0; c < c1; c++) {
		for (int k = 0; k < v->K; k = FN(next)(k, v->K)) {
			VEC rows[3][6];
			for (int j = 0; j < 6; j++) {
				VEC u[6], o[3];
				for (int i = 0; i < 6; i++) {
					const float *from = v->U + ((size_t)(i * 6 + j) * v->C + c) * v->Kp + k;
					u[i] = LOAD(from);
					for (int p = 1; p < v->parts; p++) u[i] += LOAD(from + p * part);
				}
				FN(filter_gradient)(u, o);
				for (int i = 0; i < 3; i++) rows[i][j] = o[i];
			}
			for (int i = 0; i < 3; i++) {
				VEC o[3];
				FN(filter_gradient)(rows[i], o);
				for (int j = 0; j < 3; j++) STORE(v->out + (i * 3 + j) * plane + (size_t)c * v->K + k, o[j]);
			}
		}
	}
}

// The outputs of n tiles from tile first on. scratch holds 36·n·(C+Kp) floats.
static void FN(apply)(const struct conv *v, int first, int n, float *scratch) {
	float *V = scratch, *M = scratch + (size_t)36 * n * v->C;
	FN(inputs)(v, 0, v->C, first, n, V);
	for (int q = 0; q < 36; q++)
		FN(multiply)(n, v->Kp, v->C, V + (size_t)q * n * v->C, v->C, 1, v->U + (size_t)q * v->C * v->Kp, v->Kp,
			     M + (size_t)q * n * v->Kp, v->Kp, 0);
	FN(outputs)(v, first, n, M);
}

// The sum over the tiles from first to end of (B' d B)(A dy A')' in U[36][C][Kp], for the input channels from c0 to c1.
// scratch holds 36·TILES·(c1-c0+Kp) floats.
static void FN(accumulate)(const struct conv *v, int c0, int c1, int first, int end, float *scratch, float *U) {
	int channels = c1 - c0;
	float *V = scratch, *D = scratch + (size_t)36 * TILES * channels;
	if (v->Kp > v->K) memset(D, 0, sizeof(float) * 36 * TILES * v->Kp); // what stands beyond K is multiplied, and dropped
	for (int t = first; t < end; t += TILES) {
		int n = end - t < TILES ? end - t : TILES;
		FN(inputs)(v, c0, channels, t, n, V);
		FN(gradients)(v, t, n, D);
		for (int q = 0; q < 36; q++)
			FN(multiply)(channels, v->Kp, n, V + (size_t)q * n * channels, 1, channels, D + (size_t)q * n * v->Kp, v->Kp,
				     U + ((size_t)q * v->C + c0) * v->Kp, v->Kp, t > first);
	}
}
