//go:build cgo && linux && arm64

#include "conv.h"
#include <arm_neon.h>

// Every processor of this architecture has these vectors.
#define FN(name) neon_##name
#define VL 4
#define MR 8
#define CLAMP(x, low, high) ((VEC)vminq_f32((float32x4_t)(high), vmaxq_f32((float32x4_t)(low), (float32x4_t)(x))))
#define WIDE_PRODUCT(x, m) (((x) & 0xffffffff) * (m))
#include "winograd.h"
#include "few.h"
#include "plain.h"
#include "norm.h"
#include "bits.h"

const struct kernels *kernels_for(int channels, int at_most) {
	return channels >= 8 && (at_most == 0 || at_most >= 4) ? &neon_kernels : NULL;
}
