package command

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"palimpsest/datasets"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/metrics"
)

func trainClassifierCommand() *cobra.Command {
	var output string
	prep := datasets.Prep{Size: 32, Method: "pad"}
	var seed uint64
	c := &cobra.Command{
		Use: "train-classifier NAME", Short: "Train the classifier whose features the metrics compare; NAME+NAME is that of a domain-incremental benchmark", Args: cobra.ExactArgs(1),
		Example: "  go run . data train-classifier fashion-mnist --size 16 --method area\n  go run . data train-classifier mnist+cifar-10 --channels 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if prep.Size < 1 {
				return experiment.Refusef("--size is %d; need 1 or more pixels", prep.Size)
			}
			if err := checkOutputFolder("--output", output); err != nil {
				return err
			}
			return trainClassifier(cmd.Context(), args[0], prep, seed, output, cmd.OutOrStdout())
		},
	}
	c.Flags().IntVar(&prep.Size, "size", prep.Size, "side of the prepared images")
	c.Flags().StringVar(&prep.Method, "method", prep.Method, "how images come to that size: \"pad\", \"crop\", \"stretch\", \"area\" or \"none\"")
	c.Flags().BoolVar(&prep.SkipBroken, "skip-broken", false, "go on without pictures that cannot be read")
	c.Flags().IntVar(&prep.Channels, "channels", 0, "1: grey images, 3: in colour; 0: as the set's are")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of weights and order")
	c.Flags().StringVarP(&output, "output", "o", filepath.Join("pkg", "metrics", "weights"), "folder to write weights and description to")
	return c
}

// trainClassifier trains and stores one classifier.
func trainClassifier(ctx context.Context, name string, prep datasets.Prep, seed uint64, output string, out io.Writer) error {
	for set := range strings.SplitSeq(name, "+") {
		if err := datasets.Known(set); err != nil {
			return experiment.Refused{Err: err}
		}
	}
	if err := prep.Validate(); err != nil {
		return experiment.Refused{Err: err}
	}
	data, err := metrics.LoadJoined(name, prep)
	if err != nil {
		return err
	}
	back, err := openBackend(ctx, out)
	if err != nil {
		return err
	}
	config := metrics.DefaultTrainConfig(name, prep.Size)
	config.Seed = seed
	classifier, err := metrics.TrainClassifier(ctx, back, data, prep, config, out)
	if err != nil {
		return err
	}
	stored, err := classifier.Save(output)
	if err == nil {
		fmt.Fprintf(out, "stored %s\n", filepath.Join(output, stored+".safetensors"))
	}
	return err
}
