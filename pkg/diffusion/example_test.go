package diffusion_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/diffusion"
)

// A pixel of level 1 is noised to x_t = √ᾱ·x_0 + √(1-ᾱ)·ε and estimated again from the velocity, the target of a network that
// predicts it.
func ExampleProcess() {
	p, err := diffusion.New(diffusion.Config{T: 1000, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge})
	if err != nil {
		log.Fatal(err)
	}
	const t, x0, eps = 500, 1.0, -0.5
	xt := make([]float32, 1)
	p.QSample(xt, []float32{x0}, []float32{eps}, t)
	fmt.Printf("ᾱ = %.3f, x_t = %.3f, x_0 = %.3f\n", p.AlphaBar[t], xt[0], p.X0(float64(xt[0]), p.Target(x0, eps, t), t))
	// Output: ᾱ = 0.492, x_t = 0.345, x_0 = 1.000
}

// Where a sampler of four steps looks.
func ExampleEvenTimesteps() {
	fmt.Println(diffusion.EvenTimesteps(1000, 4))
	// Output: [0 333 666 999] <nil>
}
