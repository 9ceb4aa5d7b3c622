package command

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

func searchCommand() *cobra.Command {
	var (
		s     = experiment.Search{Flags: true}
		store string
		flags studyFlags
	)
	c := &cobra.Command{
		Use: "search", Short: "Choose the settings of strategies on validation images, with the same budget for each", Args: cobra.NoArgs,
		Long: "Search trains every strategy once for each candidate on its card (pkg/cards/written), on a short benchmark, and keeps the\n" +
			"candidate with the lowest FID against validation images in pkg/cards/tuned, with what else was tried and how. Test images\n" +
			"are not looked at. `go run . bench --tuned` runs strategies at the settings kept, `--tuned=DIR` at those kept by --store DIR.\n" +
			"Interrupted, the same command goes on.",
		Example: "  go run . search\n  go run . search --strategies er,ewc --seeds 2 --store runs/tuned\n" +
			"  go run . search --set loop.steps_per_task=300 --dir runs/search300 --store runs/tuned300\n  go run . search --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkWorkers(flags.workers); err != nil {
				return err
			}
			if err := checkOutputFolder("--store", store); err != nil {
				return err
			}
			removeImports, err := importInit(cmd, s.Set, flags.dryRun)
			defer removeImports()
			if err != nil {
				return err
			}
			trials, err := s.Trials()
			if err != nil {
				return err
			}
			if err := s.CheckStore(store, trials); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Settings over the quick benchmark's:\n  %s\n", strings.Join(s.Overrides(), "\n  "))
			runs, err := flags.do(cmd, experiment.SearchStudy(flags.dir, trials), func(_ experiment.Config, err error) bool { return experiment.Diverged(err) })
			if err != nil || flags.dryRun {
				return err
			}
			choices, err := s.Choose(trials, runs, commandLine())
			if err != nil {
				return err
			}
			for i := range choices {
				if err := choices[i].Tuning.Save(store, choices[i].Strategy); err != nil {
					return err
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), "\n"+experiment.SearchTable(choices))
			fmt.Fprintf(cmd.OutOrStdout(), "\nChosen settings: %s\n", store)
			if cmd.Flags().Changed("store") {
				fmt.Fprintf(cmd.OutOrStdout(), "`go run . bench --tuned=%s` runs strategies at them\n", words.Shell(store))
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&s.Strategies, "strategies", nil, "strategies to search; default: all that have candidates")
	flags.addTo(c, filepath.Join("runs", "search"))
	c.Flags().StringVar(&store, "store", filepath.Join("pkg", "cards", "tuned"), "folder of the chosen settings, a file a strategy")
	c.Flags().StringArrayVar(&s.Set, "set", nil, "one setting, KEY=VALUE, over the search's own; may be repeated")
	skipBrokenFlag(c)
	c.Flags().IntVar(&s.Seeds, "seeds", 1, "runs of each candidate")
	return c
}
