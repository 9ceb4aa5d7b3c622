package command

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/pkg/cluster"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

func benchCommand() *cobra.Command {
	var (
		configPath, store string
		g                 = experiment.Grid{Flags: true}
		flags             studyFlags
		elsewhere         clusterFlags
	)
	c := &cobra.Command{
		Use: "bench", Short: "Train the strategies one after another and compare what they forget", Args: cobra.NoArgs,
		Long: "Bench trains a DDPM on five tasks of real Fashion-MNIST images under several strategies, measures every task\n" +
			"after each, prints the table and writes a report. Interrupted, the same command goes on where it stopped.\n" +
			"It says first about how long that takes, from finished runs in the folder or from some steps timed.\n" +
			"A run that leaves the finite numbers ends no other: those are compared without it, and bench ends with an error that names it.",
		Example: "  go run . bench\n  go run . bench --seeds 3 --dir runs/three\n" +
			"  go run . bench --strategies finetune,er,joint --sweep lambda=0.03,0.1,0.3,1,3\n" +
			"  go run . bench --strategies er --sweep rows=4,16 --sweep benchmark.class_order=natural,seeded --dir runs/rows\n" +
			"  go run . bench --strategies joint --variant 'T=100: diffusion.timesteps=100' --dir runs/t\n" +
			"  go run . bench --strategies finetune,er,ewc,er+ewc --tuned --seeds 3 --dir runs/tuned\n" +
			"  go run . bench --strategies er,ewc --tuned=runs/tuned300 --set loop.steps_per_task=300 --dir runs/bench300\n" +
			"  go run . bench --sweep 'benchmark.datasets=[mnist],[fashion-mnist]' --set benchmark.class_order=seeded --sweep benchmark.order_seed=1,2,3 --dir runs/orders\n" +
			"  go run . bench --set loop.steps_per_task=1000 --set benchmark.prep.size=32 --set benchmark.prep.method=pad --dir runs/long\n" +
			"  go run . bench --dry-run\n" +
			"  go run . bench --seeds 3 --dir /shared/three --on slurm --slurm 'partition=gpu,gres=gpu:1,time=04:00:00,array-limit=20'\n" +
			"  go run . bench --status --dir /shared/three",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := elsewhere.check(cmd); err != nil {
				return err
			}
			if elsewhere.status {
				return namedFolder(cluster.Status(flags.dir, cluster.AskSlurm(cmd.Context()), cmd.OutOrStdout(), cmd.ErrOrStderr()), flags.dir)
			}
			var text []byte
			label := "the quick benchmark"
			if configPath != "" {
				var err error
				if text, err = experiment.ReadConfig(configPath); err != nil {
					return namedFile(err, configPath)
				}
				label = configPath
			}
			removeImports, err := importInit(cmd, g.Set, flags.dryRun)
			defer removeImports()
			if err != nil {
				return err
			}
			usualSweeps(cmd, &g)
			if err := checkWorkers(flags.workers); err != nil {
				return err
			}
			if err := checkOutputFolder("--store", store); err != nil {
				return err
			}
			configs, err := g.Configs(label, text)
			if err != nil {
				return err
			}
			var runs []*results.Run
			var diverged divergedRuns
			if s := (experiment.Study{Dir: flags.dir, Runs: configs, Elsewhere: elsewhere.on != ""}); s.Elsewhere && !flags.dryRun {
				runs, err = elsewhere.hand(cmd, s, diverged.without)
			} else {
				runs, err = flags.do(cmd, s, diverged.without)
			}
			if err != nil || runs == nil {
				return experiment.Blame(err, label, text)
			}
			if runs = slices.DeleteFunc(runs, func(r *results.Run) bool { return r == nil }); len(runs) == 0 {
				return diverged.err(flags.dir)
			}
			path, err := printStudy(cmd, flags.dir, runs)
			if err != nil {
				return err
			}
			if store != "" {
				if err := results.Store(flags.dir, store, runs); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nReport: %s\nNotebooks: `go run . lab`\n", path)
			return diverged.err(flags.dir)
		},
	}
	flags.addTo(c, filepath.Join("runs", "bench"))
	elsewhere.addTo(c)
	c.Flags().StringVar(&configPath, "config", "", "YAML file with the settings all runs share; default: the quick benchmark")
	c.Flags().StringArrayVar(&g.Set, "set", nil, "one setting, KEY=VALUE, over the configuration; may be repeated")
	skipBrokenFlag(c)
	c.Flags().StringSliceVar(&g.Strategies, "strategies", []string{"finetune", "er", "joint"}, "strategies to compare, of those listed by \"go run . strategies\"")
	c.Flags().StringArrayVar(&g.Sweeps, "sweep", []string{"lambda=1,0.3,0.1"}, "SETTING=VALUE,VALUE,…: one run a value for strategies that have the setting; a setting with a dot is the configuration's, for all")
	c.Flags().StringArrayVar(&g.Variants, "variant", nil, "\"NAME: KEY=VALUE KEY=VALUE …\": every run once more under these settings, called so; may be repeated")
	c.Flags().Var(&tunedFlag{&g}, "tuned", "run strategies at the settings chosen by \"go run . search\", with =DIR at those that search --store DIR kept; a setting that is swept is not taken from there")
	c.Flags().Lookup("tuned").NoOptDefVal = "true"
	c.Flags().IntVar(&g.Seeds, "seeds", 1, "runs of each, with seeds 0, 1, …; with --set seed=N from N on")
	c.Flags().StringVar(&store, "store", "", "also keep the results, small, in this folder")
	return c
}

// tunedFlag is --tuned or --tuned=DIR.
type tunedFlag struct{ g *experiment.Grid }

// String implements [pflag.Value].
func (f *tunedFlag) String() string {
	switch {
	case f.g == nil || !f.g.Tuned:
		return "false"
	case f.g.TunedFrom != "":
		return f.g.TunedFrom
	}
	return "true"
}

// Set implements [pflag.Value].
func (f *tunedFlag) Set(text string) error {
	switch f.g.Tuned, f.g.TunedFrom = text != "false", ""; text {
	case "":
		return errors.New("empty")
	case "true", "false":
	default:
		f.g.TunedFrom = text
	}
	return nil
}

// Type implements [pflag.Value].
func (f *tunedFlag) Type() string { return "folder" }

// divergedRuns are those of a study whose training or samples left the finite numbers: the others are made and compared.
type divergedRuns struct {
	mu    sync.Mutex
	names []string
	why   []error
}

// without says whether the study goes on without a run that failed. Several may fail at a time.
func (d *divergedRuns) without(c experiment.Config, err error) bool {
	if !experiment.Diverged(err) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names, d.why = append(d.names, c.RunName()), append(d.why, err)
	return true
}

// err names the runs, with why the first of them failed; nil where there are none.
func (d *divergedRuns) err(dir string) error {
	if len(d.names) == 0 {
		return nil
	}
	first := errors.WithMessagef(d.why[0], "run %s", d.names[0])
	if len(d.names) == 1 {
		return first
	}
	return errors.WithMessagef(first, "%d runs have no result: %s; log.txt in each one's folder in %s says why. The first", len(d.names), words.Some(d.names, 10), dir)
}

// usualSweeps says of a grid whether its sweeps are those that `bench` makes unasked.
func usualSweeps(bench *cobra.Command, g *experiment.Grid) {
	if g.UsualSweeps = !bench.Flags().Changed("sweep"); g.UsualSweeps && g.Tuned {
		g.Sweeps = nil // they would undo what was tuned
	}
}

// studyTitle heads the reports.
const studyTitle = "What each strategy forgets"

// printStudy prints table and verdict and writes the report of the runs in dir.
func printStudy(cmd *cobra.Command, dir string, runs []*results.Run) (string, error) {
	out := cmd.OutOrStdout()
	groups := study.Group(runs)
	fmt.Fprint(out, report.TextTable(groups))
	for _, line := range report.Verdict(groups) {
		fmt.Fprintln(out, "- "+line)
	}
	path := filepath.Join(dir, "report.html")
	return path, writeReport(cmd, path, study.Set{Title: studyTitle, Dir: dir, Runs: runs})
}

// writeReport writes the report of a study, and says what that leaves out.
func writeReport(cmd *cobra.Command, path string, s study.Set) error {
	warnings, err := report.WriteHTML(path, s)
	for _, line := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", line)
	}
	return err
}
