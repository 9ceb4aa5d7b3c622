// Command run executes a notebook in the GoNB kernel of this checkout and stores it with
// the outputs it made, as the committed notebooks are made:
//
//	go run ./notebooks/kernel/run -o notebooks/00_tour.ipynb notebooks/00_tour.ipynb
//
// The kernel runs in the folder of the notebook that is read. When a cell fails, the
// notebook up to there is stored under the output's name with ".failed.ipynb" added, and the
// exit status is 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"palimpsest/kernelsetup"
	"palimpsest/notebooks/kernel"

	"github.com/pkg/errors"
)

func main() {
	out := flag.String("o", "", "file to store the notebook in; without it nothing is stored")
	timeout := flag.Duration("timeout", 30*time.Minute, "limit for each cell")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: go run ./notebooks/kernel/run [-o OUT.ipynb] [-timeout 30m] IN.ipynb\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Arg(0), *out, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, in, out string, timeout time.Duration) error {
	notebook, err := kernel.Read(in)
	if err != nil {
		return err
	}
	installed, err := kernelsetup.EnsureKernel(ctx, os.Stderr)
	if err != nil {
		return err
	}
	// Boxed errors are of use to readers alone, and a notebook that fails is not stored.
	process, err := kernel.Start(ctx, installed.Options(filepath.Dir(in)))
	if err != nil {
		return err
	}
	defer process.Close()
	start := time.Now()
	done, err := notebook.Run(ctx, process, kernel.RunOptions{CellTimeout: timeout, OnCell: func(number int, first string) {
		fmt.Fprintf(os.Stderr, "%6.1f s  cell %d: %s\n", time.Since(start).Seconds(), number, first)
	}})
	var failure *kernel.Failure
	if errors.As(err, &failure) {
		if out != "" {
			failed := strings.TrimSuffix(out, ".ipynb") + ".failed.ipynb"
			if err := done.Write(failed); err != nil {
				return err
			}
			fmt.Fprintln(os.Stderr, "stored up to the failure in", failed)
		}
		return errors.Errorf("%s, %s", in, failure)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%6.1f s  done\n", time.Since(start).Seconds())
	if out == "" {
		return nil
	}
	return done.Write(out)
}
