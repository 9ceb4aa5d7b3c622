package counterpart

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/npz"
)

// featuresFile holds what torch-fidelity and prdc make of [madeUpFeatures], for the tests.
const featuresFile = "features.json"

// How far measures of the same features may be from theirs: FID relative to 1 + its size, shares as they are.
const measureTolerance = 1e-4

// nearest is the k of precision, recall, density and coverage.
const nearest = 5

// madeUpFeatures are features of real images, in three clusters, and of samples, which miss one of them and stray from the others.
func madeUpFeatures() (real, samples *mat.Dense) {
	const dim = 16
	rng := rand.New(rand.NewPCG(5, 6))
	cloud := func(n, clusters int, spread float64) *mat.Dense {
		m := mat.NewDense(n, dim, nil)
		for i := range n {
			for j := range dim {
				centre := 2 * math.Sin(float64(3*(i%clusters)+j))
				m.Set(i, j, float64(float32(centre+spread*rng.NormFloat64()/(1+0.2*float64(j))))) // as it is written
			}
		}
		return m
	}
	return cloud(240, 3, 1), cloud(200, 2, 1.2)
}

// measures are ours of features.
func measures(real, samples *mat.Dense) (map[string]float64, error) {
	fid, err := metrics.FID(real, samples, metrics.FIDOptions{})
	if err != nil {
		return nil, err
	}
	p, err := metrics.PRDC(real, samples, nearest)
	return map[string]float64{"fid": fid, "precision": p.Precision, "recall": p.Recall, "density": p.Density, "coverage": p.Coverage}, err
}

// features has torch-fidelity and prdc measure features in a file like those of `sample --features`, and returns what they make of
// it, and in a line how far ours is from that.
func features(p python, dir string) (theirs map[string]float64, said string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", errors.WithStack(err)
	}
	real, samples := madeUpFeatures()
	file := filepath.Join(dir, "features.npz")
	var arrays []npz.Array
	for name, m := range map[string]*mat.Dense{"reference": real, "samples": samples} {
		rows, dim := m.Dims()
		var values []float32
		for _, v := range m.RawMatrix().Data {
			values = append(values, float32(v))
		}
		arrays = append(arrays, npz.Array{Name: name, Shape: []int{rows, dim}, Data: values})
	}
	if err := npz.WriteFile(file, arrays...); err != nil {
		return nil, "", err
	}
	out, err := p.run("features", file)
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		return nil, "", errors.Wrapf(err, "what counterpart.py printed, %.200q", out)
	}
	said, err = compareMeasures(theirs)
	return theirs, said, err
}

// compareMeasures says how far ours of [madeUpFeatures] are from theirs.
func compareMeasures(theirs map[string]float64) (string, error) {
	ours, err := measures(madeUpFeatures())
	if err != nil {
		return "", err
	}
	if len(theirs) != len(ours) {
		return "", errors.Errorf("%d measures, ours are %d: %v", len(theirs), len(ours), theirs)
	}
	most := 0.0
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		want, ok := theirs[name]
		off := math.Abs(ours[name]-want) / (1 + math.Abs(want))
		if !ok || !(off <= measureTolerance) {
			return "", errors.Errorf("%s is %.7g, theirs %.7g (need the same within %.0e of 1 + its size)", name, ours[name], want, measureTolerance)
		}
		most = max(most, off)
	}
	return fmt.Sprintf("FID %.4f, precision %.3f, recall %.3f, density %.3f, coverage %.3f, within %.1e (need %.0e)",
		ours["fid"], ours["precision"], ours["recall"], ours["density"], ours["coverage"], most, measureTolerance), nil
}
