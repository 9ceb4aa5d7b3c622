package experiment

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// program is the SHA-256 of the file that this process runs.
var program = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", errors.WithStack(err)
	}
	return atomicfile.SHA256(path)
})

// featureStore is where the runs of a study keep what each would compute again of the same images. The program is part of
// what the last digits depend on, so that another one computes its own. It is nil where a run is given a backend of which
// nothing is known, and where there is no folder.
func featureStore(now results.Stretch) *metrics.FeatureStore {
	if now.Backend == "" {
		return nil
	}
	cache, err := backend.CacheDir()
	if err != nil {
		return nil
	}
	code, err := program()
	if err != nil {
		return nil
	}
	by, err := featuresBy(code, now)
	if err != nil {
		return nil
	}
	return metrics.NewFeatureStore(filepath.Join(cache, "features"), by)
}

// featuresBy is all that the last digits of features depend on besides network and images.
func featuresBy(program string, now results.Stretch) (string, error) {
	now.FromStep, now.Started, now.Commit, now.Dirty = 0, time.Time{}, "", false // the program says more than its commit
	by, err := json.Marshal(now)
	return program + string(by), errors.WithStack(err)
}
