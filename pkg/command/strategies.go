package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"palimpsest/pkg/cl"
)

func strategiesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "strategies", Short: "List the continual-learning strategies: name, paper, what each stores", Args: cobra.NoArgs,
		Example: "  go run . strategies",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range cl.All() {
				i := s.Info()
				told := ""
				if i.TaskAtSampling {
					told = " Told the task at sampling."
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s. %s. Stores %s.%s\n", i.Name, i.Title, i.Paper, i.Stores, told)
			}
			return nil
		},
	}
}
