//go:build cgo && linux && amd64

#include "conv.h"
#include <immintrin.h>

// The compiler's options allow any processor of this architecture; what only some have is allowed for these lines alone, and
// used after the processor was asked.
#define FN(name) avx2_##name
#define VL 8
#define MR 6
#define CLAMP(x, low, high) ((VEC)_mm256_min_ps((__m256)(high), _mm256_max_ps((__m256)(low), (__m256)(x)))) // a NaN stays
#define WIDE_PRODUCT(x, m) ((avx2_lanes)_mm256_mul_epu32((__m256i)(x), _mm256_set1_epi64x(m))) // of the lower halves
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "winograd.h"
#include "few.h"
#include "plain.h"
#include "norm.h"
#include "bits.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef FN
#undef VL
#undef MR
#undef CLAMP
#undef WIDE_PRODUCT

#define FN(name) avx512_##name
#define VL 16
#define MR 8
#define CLAMP(x, low, high) ((VEC)_mm512_min_ps((__m512)(high), _mm512_max_ps((__m512)(low), (__m512)(x))))
#define WIDE_PRODUCT(x, m) ((avx512_lanes)_mm512_mul_epu32((__m512i)(x), _mm512_set1_epi64(m)))
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#include "winograd.h"
#include "few.h"
#include "plain.h"
#include "norm.h"
#include "bits.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels *kernels_for(int channels, int at_most) {
	__builtin_cpu_init();
	int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
	if (avx512 && channels >= 16 && (at_most == 0 || at_most >= 16)) return &avx512_kernels;
	if (avx2 && channels >= 8 && (at_most == 0 || at_most >= 8)) return &avx2_kernels;
	return NULL;
}
