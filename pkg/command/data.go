package command

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"palimpsest/datasets"
	"palimpsest/pkg/experiment"
)

func dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "data", Short: "List the image sets, bring one, or train its classifier", Args: cobra.NoArgs,
		Example: "  go run . data\n  go run . data get fashion-mnist\n  go run . data get cifar-10 --from ~/cifar-10-batches-bin\n  go run . data train-classifier fashion-mnist --size 16",
		RunE: func(cmd *cobra.Command, _ []string) error {
			sets, err := datasets.List()
			if err != nil {
				return err
			}
			for _, s := range sets {
				where := s.Where
				if where == "" {
					where = "not here; `go run . data get " + s.Name + "`"
				}
				if s.OnDisk() { // Load checks the sum of every file
					if _, err := datasets.Load(s.Name); err != nil {
						where = "damaged: " + err.Error()
					}
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-22s %6d + %5d images of %d×%d×%d, %d classes, %s\n%22s %s\n", s.Name, s.Train, s.Test, s.H, s.W, s.C, len(s.Classes), s.Licence, "", where)
			}
			return nil
		},
	}
	var get datasets.GetOptions
	bring := &cobra.Command{
		Use: "get NAME", Short: "Bring a full image set into the cache folder", Args: cobra.ExactArgs(1),
		Example: "  go run . data get fashion-mnist\n  go run . data get mnist --from ~/Downloads/mnist",
		RunE: func(cmd *cobra.Command, args []string) error {
			get.Out = cmd.OutOrStdout()
			err := datasets.Get(cmd.Context(), args[0], get)
			if err != nil && !slices.Contains(datasets.Names(), args[0]) { // what there is none of
				return experiment.Refused{Err: err}
			}
			return err
		},
	}
	bring.Flags().StringVar(&get.From, "from", "", "folder that holds the set's canonical files")
	bring.Flags().BoolVar(&get.StandIn, "stand-in", false, "where mnist is out of reach, bring mnist-10k, which has a split of its own, and count that as done")
	c.AddCommand(bring, trainClassifierCommand())
	return c
}
