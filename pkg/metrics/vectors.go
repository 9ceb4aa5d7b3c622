//go:build cgo && linux && amd64 && !amd64.v3

package metrics

// #cgo CFLAGS: -O3 -std=c11
// #include "vectors.h"
import "C"

import (
	"math"
	"slices"
	"sync"
	"unsafe"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// lanes is how many numbers the vectors hold that are used: 4 or 8.
var lanes C.int

// Compiled for amd64.v3 and above, Go rounds a product and a sum once where they meet, and the bits would be others.
func init() {
	if lanes = C.have_vectors(); lanes != 0 {
		vectorPart, vectorDistances, vectorProducts = partByVectors, distancesByVectors, productsByVectors
	}
}

// scratches are slices to work in: of one a part each, thousands would be made for every mixture.
var scratches = sync.Pool{New: func() any { return new([]float64) }}

func pointer(x []float64) *C.double { return (*C.double)(unsafe.SliceData(x)) }

// partByVectors is [gaussians.part].
func partByVectors(g gaussians, distance *mat.Dense) (total float64, gradient []float64) {
	n, m := distance.Dims()
	scratch := scratches.Get().(*[]float64)
	defer scratches.Put(scratch)
	*scratch = slices.Grow(*scratch, 4*len(g.half))
	gradient = make([]float64, len(g.half))
	rows, most, sum := distance.RawMatrix(), make([]float64, n), make([]float64, n)
	C.mixture_part(lanes, C.ptrdiff_t(m), pointer(g.half), pointer(g.offset), C.double(g.middle), negligible, C.ptrdiff_t(n), pointer(rows.Data),
		C.ptrdiff_t(rows.Stride), pointer(most), pointer(sum), pointer(gradient), pointer(*scratch))
	for i, v := range most {
		total += v + math.Log(sum[i])
	}
	return total, gradient[:m]
}

// distancesByVectors is [squaredDistances].
func distancesByVectors(to, a, b *mat.Dense) {
	out, x, y := to.RawMatrix(), a.RawMatrix(), b.RawMatrix()
	C.square_distances(lanes, C.ptrdiff_t(x.Rows), C.ptrdiff_t(y.Rows), C.ptrdiff_t(x.Cols), pointer(x.Data), C.ptrdiff_t(x.Stride), pointer(y.Data),
		C.ptrdiff_t(y.Stride), pointer(out.Data), C.ptrdiff_t(out.Stride), pointer(make([]float64, C.PANEL*x.Cols)))
}

// productsByVectors is what [sketches.compare] asks of blas32.Gemm.
func productsByVectors(a, b, to blas32.General) {
	of := func(x []float32) *C.float { return (*C.float)(unsafe.SliceData(x)) }
	C.products(C.ptrdiff_t(a.Rows), C.ptrdiff_t(b.Cols), C.ptrdiff_t(a.Cols), of(a.Data), of(b.Data), C.ptrdiff_t(b.Stride), of(to.Data), C.ptrdiff_t(to.Stride))
}
