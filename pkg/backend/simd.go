//go:build goexperiment.simd || !amd64

package backend

// simdMissing says whether pure Go would gain from a build with GOEXPERIMENT=simd.
const simdMissing = false
