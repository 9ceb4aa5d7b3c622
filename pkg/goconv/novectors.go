//go:build !(goexperiment.simd && amd64)

package goconv

// vectors says whether this build's matrix products use vectors.
const vectors = false
