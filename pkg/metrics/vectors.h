// What vectors_amd64.c computes for fld.go and sketch.go.
#pragma once
#include <stddef.h>

enum { PANEL = 16 }; // rows of b at a time

// How many numbers this processor's vectors hold, 4 or 8; 0 where it has none that the following take.
int have_vectors(void);

// The sums of gaussians.part over n rows of squared distances to m Gaussians: of each row the largest term, and the sum over terms of
// e^(term - largest); and what the rows add to the gradient. half, offset and gradient have a multiple of eight numbers, those of the
// first two beyond m being 0 and -∞. scratch has four times as many.
void mixture_part(int lanes, ptrdiff_t m, const double *half, const double *offset, double middle, double negligible, ptrdiff_t n, const double *distance,
		  ptrdiff_t stride, double *most, double *sum, double *gradient, double *scratch);

// out[i][j] = Σ_k (a[i][k] - b[j][k])² for i < n, j < m, k < d, in the order of k. scratch has PANEL·d numbers.
void square_distances(int lanes, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, const double *a, ptrdiff_t lda, const double *b, ptrdiff_t ldb, double *out,
		      ptrdiff_t ldo, double *scratch);

// out[i][j] = Σ_k a[i][k]·b[k][j] for i < n, j < m, k < depth; a's rows follow one another.
void products(ptrdiff_t n, ptrdiff_t m, ptrdiff_t depth, const float *a, const float *b, ptrdiff_t ldb, float *out, ptrdiff_t ldo);
