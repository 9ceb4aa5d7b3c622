//go:build cgo && linux && amd64 && !amd64.v3

// The innermost loops of fld.go on four or eight numbers at a time, by the same operations on each in the same order, so that the bits are the
// same; and those of sketch.go, whose bits decide nothing. C's own rules (-std) forbid to join a product and a sum into one rounding, as Go
// does not on this architecture.
#include "vectors.h"
#include <immintrin.h>
#include <math.h>

// A mixture as mixture_part takes it.
struct mixture {
	ptrdiff_t m;
	const double *half, *offset;
	double middle, negligible;
	double *gradient;
};

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#define FN(name) avx2_##name
#define LANES 4
#define ROUND(x) _mm256_cvtpd_epi32(x)
#define DOUBLES(x) _mm256_cvtepi32_pd(x)
#define LONGS(x) ((avx2_mask)_mm256_cvtepi32_epi64(x))
#define FMA(a, b, c) ((avx2_vec)_mm256_fmadd_pd(a, b, c))
#define BEGINNING(p, n) _mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_set_epi64x(3, 2, 1, 0)))
#define LARGER(a, b) _mm256_max_pd(a, b) // b where one of them is a NaN
#define ANY(mask) _mm256_movemask_pd((__m256d)(mask))
#define FOUR(v, i) (v)
typedef __m128i avx2_whole;
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "vectors_lanes.h"

// Products of so many rows of a and 8·vectors columns of b.
static inline __attribute__((always_inline)) void some_products(int rows, int vectors, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t ldb,
								float *out, ptrdiff_t ldo) {
	__m256 s[4][2];
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < vectors; j++) s[i][j] = _mm256_setzero_ps();
	for (ptrdiff_t k = 0; k < depth; k++)
		for (int i = 0; i < rows; i++)
			for (int j = 0; j < vectors; j++)
				s[i][j] = _mm256_fmadd_ps(_mm256_set1_ps(a[i * depth + k]), _mm256_loadu_ps(b + k * ldb + 8 * j), s[i][j]);
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < vectors; j++) _mm256_storeu_ps(out + i * ldo + 8 * j, s[i][j]);
}

void products(ptrdiff_t n, ptrdiff_t m, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t ldb, float *out, ptrdiff_t ldo) {
	for (ptrdiff_t j = 0; j < m; j += 16)
		for (ptrdiff_t i = 0; i < n; i += 4) {
			const float *x = a + i * depth;
			float *to = out + i * ldo + j;
			if (m - j >= 16 && n - i >= 4) some_products(4, 2, depth, x, b + j, ldb, to, ldo);
			else if (m - j >= 16)
				for (ptrdiff_t r = 0; r < n - i; r++) some_products(1, 2, depth, x + r * depth, b + j, ldb, to + r * ldo, ldo);
			else
				for (ptrdiff_t r = 0; r < 4 && r < n - i; r++)
					for (ptrdiff_t c = 0; c < m - j; c++) {
						float sum = 0;
						for (ptrdiff_t k = 0; k < depth; k++) sum += x[r * depth + k] * b[k * ldb + j + c];
						to[r * ldo + c] = sum;
					}
		}
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef FN
#undef LANES
#undef ROUND
#undef DOUBLES
#undef LONGS
#undef FMA
#undef BEGINNING
#undef LARGER
#undef ANY
#undef FOUR

#define FN(name) avx512_##name
#define LANES 8
#define ROUND(x) _mm512_cvtpd_epi32(x)
#define DOUBLES(x) _mm512_cvtepi32_pd(x)
#define LONGS(x) ((avx512_mask)_mm512_cvtepi32_epi64(x))
#define FMA(a, b, c) ((avx512_vec)_mm512_fmadd_pd(a, b, c))
#define BEGINNING(p, n) _mm512_maskz_loadu_pd((1 << (n)) - 1, p)
#define LARGER(a, b) _mm512_max_pd(a, b)
#define ANY(mask) _mm512_movepi64_mask((__m512i)(mask))
#define FOUR(v, i) ((i) ? _mm512_extractf64x4_pd(v, 1) : _mm512_castpd512_pd256(v))
typedef __m256i avx512_whole;
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#include "vectors_lanes.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

int have_vectors(void) {
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") ? 8 : 4;
}

void mixture_part(int lanes, ptrdiff_t m, const double *half, const double *offset, double middle, double negligible, ptrdiff_t n,
		  const double *distance, ptrdiff_t stride, double *most, double *sum, double *gradient, double *scratch) {
	struct mixture v = {m, half, offset, middle, negligible, gradient};
	(lanes == 8 ? avx512_mixture_part : avx2_mixture_part)(&v, n, distance, stride, most, sum, scratch);
}

void square_distances(int lanes, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, const double *a, ptrdiff_t lda, const double *b, ptrdiff_t ldb,
		      double *out, ptrdiff_t ldo, double *scratch) {
	for (ptrdiff_t j = 0; j < m; j += PANEL) {
		int columns = m - j < PANEL ? m - j : PANEL;
		for (int c = 0; c < PANEL; c++)
			for (ptrdiff_t k = 0; k < d; k++) scratch[k * PANEL + c] = c < columns ? b[(j + c) * ldb + k] : 0;
		(lanes == 8 ? avx512_panel_distances : avx2_panel_distances)(n, columns, d, a, lda, scratch, out + j, ldo);
	}
}
