// Command mksample makes the embedded Fashion-MNIST sample again from the full set, which
// `go run . data get fashion-mnist` brings. `go generate ./datasets` runs it.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"

	"palimpsest/datasets"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mksample FOLDER (where the four files go)")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(folder string) error {
	full, err := datasets.Load("fashion-mnist")
	if err != nil {
		return err
	}
	train, test, err := datasets.Sample(full)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []uint8
		dims []int
	}{
		{"train-images-idx3-ubyte", train.Flat(), []int{train.N, train.H, train.W}},
		{"train-labels-idx1-ubyte", datasets.AppendLabels(nil, train.Labels), []int{train.N}},
		{"t10k-images-idx3-ubyte", test.Flat(), []int{test.N, test.H, test.W}},
		{"t10k-labels-idx1-ubyte", datasets.AppendLabels(nil, test.Labels), []int{test.N}},
	} {
		var file bytes.Buffer
		z, err := gzip.NewWriterLevel(&file, gzip.BestCompression)
		if err != nil {
			return err
		}
		if err := datasets.WriteIDX(z, f.data, f.dims...); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		path := filepath.Join(folder, f.name+".gz")
		if err := os.WriteFile(path+".tmp", file.Bytes(), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
