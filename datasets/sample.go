package datasets

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run ./internal/mksample embedded

// What the embedded sample holds: so many images a class of each official split, chosen
// with this seed.
const (
	sampleTrainPerClass = 600
	sampleTestPerClass  = 100
	sampleSeed          = 0
)

// MakeSample writes the four files of the embedded sample to a folder, made from the full
// Fashion-MNIST on disk: of each class the first 600 training and the first 100 test images
// of a seeded shuffle (see Balanced), each split in its official order. It is how the
// sample came to be; using it needs no call.
func MakeSample(folder string) error {
	full, err := Load("fashion-mnist")
	if err != nil {
		return err
	}
	content, err := sampleContent(full)
	if err != nil {
		return err
	}
	for name, b := range content {
		path := filepath.Join(folder, name+".gz")
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(path+".tmp", z.Bytes(), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
		fmt.Printf("%s  %s\n", sha256Hex(b), name)
	}
	return nil
}

// sampleContent is the decompressed content of the sample's files.
func sampleContent(full *Dataset) (map[string][]byte, error) {
	train, err := Balanced(full.Train.Labels, len(full.Classes), sampleTrainPerClass, sampleSeed)
	if err != nil {
		return nil, err
	}
	// The seed is the same, but the classes' sizes differ, and so the shuffles.
	test, err := Balanced(full.Test.Labels, len(full.Classes), sampleTestPerClass, sampleSeed)
	if err != nil {
		return nil, err
	}
	return idxContent(full.Train.Select(train), full.Test.Select(test))
}
