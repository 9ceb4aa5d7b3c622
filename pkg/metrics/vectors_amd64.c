//go:build cgo && linux && amd64 && !amd64.v3

// The innermost loops of fld.go on four numbers at a time, by the same operations on each in the same order, so that the bits are the
// same; and those of sketch.go, whose bits decide nothing. C's own rules (-std) forbid to join a product and a sum into one rounding, as Go
// does not on this architecture.
#include "vectors.h"
#include <immintrin.h>
#include <math.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

typedef __m256d vec;

static inline vec splat(double x) { return _mm256_set1_pd(x); }

// e^x for x from -700 to 0, as Go's math.Exp computes it on a processor with FMA (exp_amd64.s, after Shibata 2010).
static inline vec exponential(vec x) {
	__m128i exponent = _mm256_cvtpd_epi32(x * splat(1.4426950408889634073599246810018920));
	vec n = _mm256_cvtepi32_pd(exponent);
	x = _mm256_fnmadd_pd(splat(0.69314718055966295651160180568695068359375), n, x);
	x = _mm256_fnmadd_pd(splat(0.28235290563031577122588448175013436025525412068e-12), n, x);
	x = x * splat(0.0625);
	static const double series[] = {1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3,
		4.1666666666666666667e-2, 1.6666666666666666667e-1, 0.5, 1};
	vec p = splat(2.4801587301587301587e-5);
	for (int i = 0; i < 7; i++) p = _mm256_fmadd_pd(p, x, splat(series[i]));
	x = x * p;
	for (int i = 0; i < 3; i++) x = x * (x + splat(2));
	x = _mm256_fmadd_pd(x + splat(2), x, splat(1));
	return x * (vec)_mm256_slli_epi64(_mm256_add_epi64(_mm256_cvtepi32_epi64(exponent), _mm256_set1_epi64x(1023)), 52);
}

// Four numbers of a row of n, from j on; zeros beyond its end.
static inline vec row_at(const double *row, ptrdiff_t j, ptrdiff_t n) {
	if (j + 4 <= n) return _mm256_loadu_pd(row + j);
	return _mm256_maskload_pd(row + j, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - j), _mm256_set_epi64x(3, 2, 1, 0)));
}

// What mixture_part does for four rows, of which those from rows on repeat others and count for nothing.
static void four_rows(ptrdiff_t m, const double *half_width, const double *level, double middle, double negligible, const double *const row[4], int rows,
		      double *most, double *sum, double *gradient, double *terms) {
	ptrdiff_t wide = (m + 3) & ~(ptrdiff_t)3;
	vec high[4], total = splat(0);
	for (int r = 0; r < 4; r++) high[r] = splat(-INFINITY);
	for (ptrdiff_t j = 0; j < wide; j += 4) {
		vec half = _mm256_loadu_pd(half_width + j), offset = _mm256_loadu_pd(level + j);
		for (int r = 0; r < 4; r++) {
			vec t = offset - half * row_at(row[r], j, m);
			_mm256_storeu_pd(terms + r * wide + j, t);
			high[r] = _mm256_blendv_pd(high[r], t, _mm256_cmp_pd(t, high[r], _CMP_GT_OQ));
		}
	}
	double top[4];
	for (int r = 0; r < 4; r++) {
		double all[4];
		_mm256_storeu_pd(all, high[r]);
		top[r] = all[0];
		for (int i = 1; i < 4; i++)
			if (all[i] > top[r]) top[r] = all[i];
	}
	for (ptrdiff_t j = 0; j < wide; j += 4) {
		vec e[4], counts[4];
		for (int r = 0; r < 4; r++) {
			e[r] = _mm256_loadu_pd(terms + r * wide + j) - splat(top[r]);
			counts[r] = _mm256_cmp_pd(e[r], splat(negligible), _CMP_GT_OQ);
		}
		if (_mm256_testz_pd(counts[0], counts[0]) && _mm256_testz_pd(counts[1], counts[1]) && _mm256_testz_pd(counts[2], counts[2]) &&
		    _mm256_testz_pd(counts[3], counts[3])) {
			for (int r = 0; r < 4; r++) _mm256_storeu_pd(terms + r * wide + j, splat(0));
			continue;
		}
		for (int r = 0; r < 4; r++) {
			e[r] = _mm256_and_pd(counts[r], exponential(e[r]));
			_mm256_storeu_pd(terms + r * wide + j, e[r]);
		}
		// Column by column: every row's sum runs over its terms in order.
		vec a = _mm256_unpacklo_pd(e[0], e[1]), b = _mm256_unpackhi_pd(e[0], e[1]), c = _mm256_unpacklo_pd(e[2], e[3]), d = _mm256_unpackhi_pd(e[2], e[3]);
		total = total + _mm256_permute2f128_pd(a, c, 0x20);
		total = total + _mm256_permute2f128_pd(b, d, 0x20);
		total = total + _mm256_permute2f128_pd(a, c, 0x31);
		total = total + _mm256_permute2f128_pd(b, d, 0x31);
	}
	double sums[4];
	_mm256_storeu_pd(sums, total);
	vec part[4];
	for (int r = 0; r < rows; r++) most[r] = top[r], sum[r] = sums[r], part[r] = splat(1 / sums[r]);
	for (ptrdiff_t j = 0; j < wide; j += 4) {
		vec half = _mm256_loadu_pd(half_width + j), g = _mm256_loadu_pd(gradient + j);
		for (int r = 0; r < rows; r++) {
			vec e = _mm256_loadu_pd(terms + r * wide + j), counts = _mm256_cmp_pd(e, splat(0), _CMP_NEQ_UQ);
			g = g + _mm256_and_pd(counts, e * part[r] * (splat(middle) - half * row_at(row[r], j, m)));
		}
		_mm256_storeu_pd(gradient + j, g);
	}
}

void mixture_part(ptrdiff_t m, const double *half, const double *offset, double middle, double negligible, ptrdiff_t n, const double *distance,
		  ptrdiff_t stride, double *most, double *sum, double *gradient, double *scratch) {
	for (ptrdiff_t i = 0; i < n; i += 4) {
		const double *row[4];
		for (int r = 0; r < 4; r++) row[r] = distance + (i + r < n ? i + r : i) * stride;
		four_rows(m, half, offset, middle, negligible, row, n - i < 4 ? n - i : 4, most + i, sum + i, gradient, scratch);
	}
}

void square_distances(ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, const double *a, ptrdiff_t lda, const double *b, ptrdiff_t ldb, double *out,
		      ptrdiff_t ldo, double *scratch) {
	for (ptrdiff_t j = 0; j < m; j += PANEL) {
		ptrdiff_t columns = m - j < PANEL ? m - j : PANEL;
		for (ptrdiff_t c = 0; c < PANEL; c++)
			for (ptrdiff_t k = 0; k < d; k++) scratch[k * PANEL + c] = c < columns ? b[(j + c) * ldb + k] : 0;
		for (ptrdiff_t i = 0; i < n; i++) {
			vec s[PANEL / 4] = {{0}};
			for (ptrdiff_t k = 0; k < d; k++)
				for (int c = 0; c < PANEL / 4; c++) {
					vec away = splat(a[i * lda + k]) - _mm256_loadu_pd(scratch + k * PANEL + 4 * c);
					s[c] = s[c] + away * away;
				}
			double all[PANEL];
			for (int c = 0; c < PANEL / 4; c++) _mm256_storeu_pd(all + 4 * c, s[c]);
			for (ptrdiff_t c = 0; c < columns; c++) out[i * ldo + j + c] = all[c];
		}
	}
}

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

int have_vectors(void) {
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
