// The loops of vectors_amd64.c on LANES numbers at a time, included once for each number: with names of their own by FN, and the
// instructions that the compiler has no operators for by their names below.

typedef double FN(vec) __attribute__((vector_size(8 * LANES)));
typedef long long FN(mask) __attribute__((vector_size(8 * LANES)));
typedef double FN(loose) __attribute__((vector_size(8 * LANES), aligned(8), may_alias)); // anywhere in memory

#define VEC FN(vec)
#define LOAD(p) ((VEC) * (const FN(loose) *)(p))
#define STORE(p, v) (*(FN(loose) *)(p) = (v))

static inline VEC FN(splat)(double x) { return (VEC){0} + x; }
static inline VEC FN(where)(FN(mask) holds, VEC v) { return (VEC)(holds & (FN(mask))v); } // zeros elsewhere

// e^x for x from -700 to 0, as Go's math.Exp computes it on a processor with FMA (exp_amd64.s, after Shibata 2010).
static inline VEC FN(exponential)(VEC x) {
	FN(whole) exponent = ROUND(x * 1.4426950408889634073599246810018920);
	VEC n = DOUBLES(exponent);
	x = FMA(-n, FN(splat)(0.69314718055966295651160180568695068359375), x);
	x = FMA(-n, FN(splat)(0.28235290563031577122588448175013436025525412068e-12), x);
	x = x * 0.0625;
	static const double series[] = {1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3,
		4.1666666666666666667e-2, 1.6666666666666666667e-1, 0.5, 1};
	VEC p = FN(splat)(2.4801587301587301587e-5);
	for (int i = 0; i < 7; i++) p = FMA(p, x, FN(splat)(series[i]));
	x = x * p;
	for (int i = 0; i < 3; i++) x = x * (x + 2);
	x = FMA(x + 2, x, FN(splat)(1));
	return x * (VEC)((LONGS(exponent) + 1023) << 52);
}

// The numbers of a row of n from j on; zeros beyond its end.
static inline VEC FN(row_at)(const double *row, ptrdiff_t j, ptrdiff_t n) {
	if (j + LANES <= n) return LOAD(row + j);
	return BEGINNING(row + j, n - j);
}

// What mixture_part does for four rows, of which those from rows on repeat others and count for nothing.
static void FN(four_rows)(const struct mixture *v, const double *const row[4], int rows, double *most, double *sum, double *terms) {
	ptrdiff_t m = v->m, wide = (m + LANES - 1) / LANES * LANES;
	VEC high[4];
	for (int r = 0; r < 4; r++) high[r] = FN(splat)(-INFINITY);
	for (ptrdiff_t j = 0; j < wide; j += LANES) {
		VEC half = LOAD(v->half + j), offset = LOAD(v->offset + j);
		for (int r = 0; r < 4; r++) {
			VEC t = offset - half * FN(row_at)(row[r], j, m);
			STORE(terms + r * wide + j, t);
			high[r] = LARGER(t, high[r]);
		}
	}
	double top[4];
	for (int r = 0; r < 4; r++) {
		top[r] = high[r][0];
		for (int i = 1; i < LANES; i++)
			if (high[r][i] > top[r]) top[r] = high[r][i];
	}
	__m256d total = _mm256_setzero_pd();
	for (ptrdiff_t j = 0; j < wide; j += LANES) {
		VEC e[4];
		FN(mask) counts[4];
		for (int r = 0; r < 4; r++) {
			e[r] = LOAD(terms + r * wide + j) - top[r];
			counts[r] = (FN(mask))(e[r] > v->negligible);
		}
		int any = ANY(counts[0] | counts[1] | counts[2] | counts[3]);
		for (int r = 0; r < 4; r++) {
			e[r] = any ? FN(where)(counts[r], FN(exponential)(e[r])) : FN(splat)(0);
			STORE(terms + r * wide + j, e[r]);
		}
		// Column by column: every row's sum runs over its terms in order.
		for (int i = 0; any && i < LANES / 4; i++) {
			__m256d e0 = FOUR(e[0], i), e1 = FOUR(e[1], i), e2 = FOUR(e[2], i), e3 = FOUR(e[3], i);
			__m256d a = _mm256_unpacklo_pd(e0, e1), b = _mm256_unpackhi_pd(e0, e1), c = _mm256_unpacklo_pd(e2, e3), d = _mm256_unpackhi_pd(e2, e3);
			total = total + _mm256_permute2f128_pd(a, c, 0x20);
			total = total + _mm256_permute2f128_pd(b, d, 0x20);
			total = total + _mm256_permute2f128_pd(a, c, 0x31);
			total = total + _mm256_permute2f128_pd(b, d, 0x31);
		}
	}
	double part[4];
	for (int r = 0; r < rows; r++) most[r] = top[r], sum[r] = total[r], part[r] = 1 / sum[r];
	for (ptrdiff_t j = 0; j < wide; j += LANES) {
		VEC half = LOAD(v->half + j), g = LOAD(v->gradient + j);
		for (int r = 0; r < rows; r++) {
			VEC e = LOAD(terms + r * wide + j);
			g = g + FN(where)((FN(mask))(e != 0), e * part[r] * (v->middle - half * FN(row_at)(row[r], j, m)));
		}
		STORE(v->gradient + j, g);
	}
}

static void FN(mixture_part)(const struct mixture *v, ptrdiff_t n, const double *distance, ptrdiff_t stride, double *most, double *sum, double *scratch) {
	for (ptrdiff_t i = 0; i < n; i += 4) {
		const double *row[4];
		for (int r = 0; r < 4; r++) row[r] = distance + (i + r < n ? i + r : i) * stride;
		FN(four_rows)(v, row, n - i < 4 ? n - i : 4, most + i, sum + i, scratch);
	}
}

// The sums of square_distances over one panel of b for n rows of a.
static void FN(panel_distances)(ptrdiff_t n, int columns, ptrdiff_t d, const double *a, ptrdiff_t lda, const double *panel, double *out, ptrdiff_t ldo) {
	for (ptrdiff_t i = 0; i < n; i++) {
		VEC s[PANEL / LANES] = {{0}};
		for (ptrdiff_t k = 0; k < d; k++)
			for (int c = 0; c < PANEL / LANES; c++) {
				VEC away = a[i * lda + k] - LOAD(panel + k * PANEL + LANES * c);
				s[c] = s[c] + away * away;
			}
		for (int c = 0; c < columns; c++) out[i * ldo + c] = s[c / LANES][c % LANES];
	}
}

#undef VEC
#undef LOAD
#undef STORE
