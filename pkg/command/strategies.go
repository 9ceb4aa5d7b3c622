package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"palimpsest/pkg/cl"
)

func strategiesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "strategies", Short: "List the continual-learning strategies: name, paper, what each stores and knows", Args: cobra.NoArgs,
		Example: "  go run . strategies",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range cl.All() {
				i := s.Info()
				fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s. %s. Stores %s. Knows %s.\n", i.Name, i.Title, i.Paper, i.Stores, i.Knows())
			}
			return nil
		},
	}
}
