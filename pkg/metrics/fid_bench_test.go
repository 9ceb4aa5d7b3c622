package metrics

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
)

// The benchmarks of FID between two sets of 10,000 images: the features of one set by the classifier of 16×16 images, and
// the distance between the features of both, 64 as the classifier has and 2048 as Inception has:
//
//	go test ./pkg/metrics -run '^$' -bench 'Features10k|FID10k' -benchtime 1x
const fidImages = 10_000

func BenchmarkFeatures10k(b *testing.B) {
	c, err := LoadClassifier(backendtest.Open(b), "fashion-mnist-sample", datasets.Prep{Method: "area", Size: 16})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	images := make([]float32, fidImages*16*16)
	for i := range images {
		images[i] = 2*rng.Float32() - 1
	}
	if _, err := c.Features(images[:16*16], 1); err != nil { // compiles
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Features(images, fidImages); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFID10k(b *testing.B) {
	for _, d := range []int{64, 512, 2048} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(2, uint64(d)))
			sets := make([]*mat.Dense, 2)
			for k := range sets {
				sets[k] = mat.NewDense(fidImages, d, nil)
				for i := range fidImages {
					row := sets[k].RawRowView(i)
					for j := range row {
						row[j] = rng.NormFloat64()
					}
				}
			}
			for b.Loop() {
				if _, err := FID(sets[0], sets[1], FIDOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
