// Package goconv has GoMLX's pure-Go backend compute its convolutions as matrix products.
//
// That backend computes a convolution by plain loops, one product at a time, while its matrix products are blocked for the
// caches and, in a build with GOEXPERIMENT=simd on amd64, use vectors. [Wrap] puts a thin layer around the backend. It
// builds a convolution out of the backend's own operations and hands all else through. Autodiff sends both gradients
// through convolutions, so they follow, and no code that builds graphs knows of it.
//
// # How
//
// With the input x padded, output pixel p and tap q of the window (kernel [H', W', C, K]):
//
//	y[p, k] = Σ_q Σ_c x[p·stride + q·dilation, c] · w[q, c, k]
//
// All pixels that one tap meets are a strided slice of x. The slices of all taps side by side are a matrix
// [pixels, taps·C], and the convolution is its product with the kernel. The gradient by the kernel is a convolution too,
// whose window is the whole image and whose outputs are the taps: there p and q change places, and the matrix is the very
// one of the forward pass, which the backend then builds once. Where that matrix would take more than 64 MiB the taps
// are multiplied one after another instead, and added.
//
// Convolutions of groups, of another number of spatial axes than two, of types other than float32 and float64, and with
// negative padding stay the backend's own.
package goconv
