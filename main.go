// Command palimpsest trains diffusion models on one task after another and shows what they forget.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/kernelsetup"
	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/command"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/report"
	"palimpsest/pkg/results"
	"palimpsest/pkg/settings"
)

// exitUsage is the exit code of a command line that says no command; package command has the others.
const exitUsage = 2

func main() {
	ctx, stdout, stderr, stop := command.Start()
	defer stop()
	usage := true // until a command's own work begins, an error is one of usage
	root := newRoot(func() { usage = false })
	root.SetOut(stdout)
	root.SetErr(stderr)
	called, err := root.ExecuteContextC(ctx)
	code := command.End(ctx, err, stdout, stderr, slices.Contains(goOn, called.Name()))
	if code == command.Failure && usage {
		fmt.Fprintln(stderr, "`go run . --help` lists the commands, `go run . COMMAND --help` explains one")
		code = exitUsage
	}
	if code != 0 {
		os.Exit(code)
	}
}

// goOn are the commands that, stopped and given again, go on where they stopped.
var goOn = []string{"bench", "search", "run", "resume", "setup", "lab", "perf"}

// newRoot is the tree of all commands; begins is called when the work of one begins.
func newRoot(begins func()) *cobra.Command {
	root := &cobra.Command{
		Use:   "palimpsest",
		Short: "Continual learning of diffusion models: train one task after another, see what is forgotten",
		Long: "Palimpsest trains denoising diffusion models on a sequence of tasks under continual-learning strategies and\n" +
			"measures what each forgets and what remembering costs. Start with `go run . bench`, then `go run . lab`.",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { begins() },
	}
	root.SetFlagErrorFunc(command.FlagError)
	root.AddCommand(setupCommand(), labCommand(), benchCommand(), searchCommand(), runCommand(), resumeCommand(), sampleCommand(),
		bpdCommand(), calibrateCommand(), dynamicsCommand(), autopsyCommand(), reportCommand(), dataCommand(), strategiesCommand(), doctorCommand(),
		command.Perf(commandLine))
	return root
}

func setupCommand() *cobra.Command {
	var o kernelsetup.SetupOptions
	var noLab, noCompletion bool
	c := &cobra.Command{
		Use: "setup", Short: "Install what is missing: XLA plugin, Go kernel, JupyterLab (pinned, private)", Args: cobra.NoArgs,
		Example: "  go run . setup                  # everything the notebooks need\n  go run . setup --cuda           # and the plugin for an NVIDIA GPU\n  go run . setup --no-lab         # the XLA plugin and the kernel only",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Lab, o.Completion, o.Out = !noLab, !noCompletion, cmd.OutOrStdout()
			return kernelsetup.Setup(cmd.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.CUDA, "cuda", false, "install the XLA plugin for NVIDIA GPUs too (large)")
	c.Flags().StringVar(&o.GPU, "gpu", "", "install the plugin for another GPU: "+strings.Join(slices.Sorted(maps.Keys(backend.GPUPlugins)), ", ")+" ("+backend.NotTried+")")
	c.Flags().StringVar(&o.Plugin, "plugin", "", "file of an XLA CPU plugin, for a system that none is pinned for")
	c.Flags().BoolVar(&noLab, "no-lab", false, "leave out JupyterLab")
	c.Flags().BoolVar(&noCompletion, "no-completion", false, "leave out gopls, which completes names in cells")
	return c
}

func labCommand() *cobra.Command {
	var o kernelsetup.LabOptions
	c := &cobra.Command{
		Use: "lab", Short: "Open JupyterLab on the notebooks, the Go kernel ready", Args: cobra.NoArgs,
		Example: "  go run . lab\n  go run . lab --no-browser --port 8899",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Port < 0 || o.Port > 65535 {
				return errors.Errorf("--port is %d; need 0 (JupyterLab's own choice) to 65535", o.Port)
			}
			o.Out = cmd.OutOrStdout()
			return kernelsetup.Lab(cmd.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.NoBrowser, "no-browser", false, "print the address instead of opening a browser")
	c.Flags().BoolVar(&o.NoCompletion, "no-completion", false, "do without gopls, which completes names in cells and takes longest to build")
	c.Flags().IntVar(&o.Port, "port", 0, "port of the server; 0: JupyterLab's own choice")
	c.Flags().StringVar(&o.Notebook, "notebook", "00_tour.ipynb", "notebook to open")
	return c
}

func benchCommand() *cobra.Command {
	var (
		dir, configPath, store string
		g                      experiment.Grid
		workers                int
		dryRun                 bool
	)
	c := &cobra.Command{
		Use: "bench", Short: "Train the strategies one after another and compare what they forget", Args: cobra.NoArgs,
		Long: "Bench trains a DDPM on five tasks of real Fashion-MNIST images under several strategies, measures every task\n" +
			"after each, prints the table and writes a report. Interrupted, the same command goes on where it stopped.\n" +
			"It says first about how long that takes, from finished runs in the folder or from some steps timed.",
		Example: "  go run . bench\n  go run . bench --seeds 3 --dir runs/three\n" +
			"  go run . bench --strategies finetune,er,joint --sweep lambda=0.03,0.1,0.3,1,3\n" +
			"  go run . bench --strategies er --sweep rows=4,16 --sweep benchmark.class_order=natural,seeded --dir runs/rows\n" +
			"  go run . bench --strategies joint --variant 'T=100: diffusion.timesteps=100' --dir runs/t\n" +
			"  go run . bench --strategies finetune,er,ewc,er+ewc --tuned --seeds 3 --dir runs/tuned\n" +
			"  go run . bench --sweep 'benchmark.datasets=[mnist],[fashion-mnist]' --set benchmark.class_order=seeded --sweep benchmark.order_seed=1,2,3 --dir runs/orders\n" +
			"  go run . bench --set loop.steps_per_task=1000 --set benchmark.prep.size=32 --set benchmark.prep.method=pad --dir runs/long\n" +
			"  go run . bench --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var text []byte
			label := "the quick benchmark"
			if configPath != "" {
				var err error
				if text, err = settings.ReadFile(configPath); err != nil {
					return err
				}
				label = configPath
			}
			usualSweeps(cmd, &g)
			if err := checkWorkers(workers); err != nil {
				return err
			}
			configs, err := g.Configs(label, text)
			if err != nil {
				return err
			}
			planned := experiment.Study{Dir: dir, Runs: configs}
			if err := planned.Check(); err != nil {
				return err
			}
			if dryRun {
				return listRuns(cmd, planned, workers)
			}
			if err := ensurePlugin(cmd); err != nil {
				return err
			}
			runs, err := doStudy(cmd, planned, workers, nil)
			if err != nil {
				return err
			}
			path, err := printStudy(cmd.OutOrStdout(), dir, runs)
			if err != nil {
				return err
			}
			if store != "" {
				if err := results.Store(dir, store, runs); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nReport: %s\nNotebooks: `go run . lab`\n", path)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", filepath.Join("runs", "bench"), "folder of the run folders")
	c.Flags().StringVar(&configPath, "config", "", "YAML file with the settings all runs share; default: the quick benchmark")
	c.Flags().StringArrayVar(&g.Set, "set", nil, "one setting, KEY=VALUE, over the configuration; may be repeated")
	c.Flags().StringSliceVar(&g.Strategies, "strategies", []string{"finetune", "er", "joint"}, "strategies to compare; see `go run . strategies`")
	c.Flags().StringArrayVar(&g.Sweeps, "sweep", []string{"lambda=1,0.3,0.1"}, "SETTING=VALUE,VALUE,…: one run a value for strategies that have the setting; a setting with a dot is the configuration's, for all")
	c.Flags().StringArrayVar(&g.Variants, "variant", nil, "\"NAME: KEY=VALUE KEY=VALUE …\": every run once more under these settings, called so; may be repeated")
	c.Flags().BoolVar(&g.Tuned, "tuned", false, "run strategies at the settings that `go run . search` has chosen; a setting that is swept is not taken from there")
	c.Flags().IntVar(&g.Seeds, "seeds", 1, "runs of each, with seeds 0, 1, …")
	c.Flags().IntVar(&workers, "workers", 0, "runs at a time; 0: as many as make it fastest")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list the runs and what they take, and stop")
	c.Flags().StringVar(&store, "store", "", "also keep the results, small, in this folder")
	return c
}

// usualSweeps says of a grid whether its sweeps are those that `bench` makes unasked.
func usualSweeps(bench *cobra.Command, g *experiment.Grid) {
	if g.UsualSweeps = !bench.Flags().Changed("sweep"); g.UsualSweeps && g.Tuned {
		g.Sweeps = nil // they would undo what was tuned
	}
}

func searchCommand() *cobra.Command {
	var (
		s          experiment.Search
		dir, store string
		workers    int
		dryRun     bool
	)
	c := &cobra.Command{
		Use: "search", Short: "Choose the settings of strategies on validation images, with the same budget for each", Args: cobra.NoArgs,
		Long: "Search trains every strategy once for each candidate on its card (pkg/cl/cards), on a short benchmark, and keeps the\n" +
			"candidate with the lowest FID against validation images in pkg/cl/tuned, with what else was tried and how. Test images\n" +
			"are not looked at. `go run . bench --tuned` runs strategies at the settings kept. Interrupted, the same command goes on.",
		Example: "  go run . search\n  go run . search --strategies er,ewc --seeds 2 --store runs/tuned\n" +
			"  go run . search --set loop.steps_per_task=300 --dir runs/search300 --store runs/tuned300\n  go run . search --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkWorkers(workers); err != nil {
				return err
			}
			trials, err := s.Trials()
			if err != nil {
				return err
			}
			if err := s.CheckStore(store, trials); err != nil {
				return err
			}
			study := experiment.SearchStudy(dir, trials)
			fmt.Fprintf(cmd.OutOrStdout(), "Settings over the quick benchmark's:\n  %s\n", strings.Join(s.Overrides(), "\n  "))
			if err := study.Check(); err != nil {
				return err
			}
			if dryRun {
				return listRuns(cmd, study, workers)
			}
			if err := ensurePlugin(cmd); err != nil {
				return err
			}
			runs, err := doStudy(cmd, study, workers, func(_ experiment.Config, err error) bool { return experiment.Diverged(err) })
			if err != nil {
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
			return nil
		},
	}
	c.Flags().StringSliceVar(&s.Strategies, "strategies", nil, "strategies to search; default: all that have candidates")
	c.Flags().StringVar(&dir, "dir", filepath.Join("runs", "search"), "folder of the run folders")
	c.Flags().StringVar(&store, "store", filepath.Join("pkg", "cl", "tuned"), "folder of the chosen settings, a file a strategy")
	c.Flags().StringArrayVar(&s.Set, "set", nil, "one setting, KEY=VALUE, over the search's own; may be repeated")
	c.Flags().IntVar(&s.Seeds, "seeds", 1, "runs of each candidate")
	c.Flags().IntVar(&workers, "workers", 0, "runs at a time; 0: as many as make it fastest")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "list the runs and what they take, and stop")
	return c
}

// listRuns prints what a study would do and about how long it would take.
func listRuns(cmd *cobra.Command, s experiment.Study, workers int) error {
	e, err := estimateStudy(cmd, s, workers)
	if err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), e.Table())
	fmt.Fprintln(cmd.OutOrStdout(), describeEstimate(e))
	return nil
}

// describeEstimate says how long a study takes, on what grounds, and what is not in it.
func describeEstimate(e *experiment.Estimate) string {
	text := e.String()
	if e.Basis != "" {
		text += "; from " + e.Basis
	}
	if len(e.Without) > 0 {
		text += ".\nNot included is what " + strings.Join(e.Without, ", ") + " may evaluate beside the steps: no finished run tells"
	}
	return text + "."
}

// estimateStudy says how long a study takes, if need be by a process that times some steps.
func estimateStudy(cmd *cobra.Command, s experiment.Study, workers int) (*experiment.Estimate, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	workers = workersFor(s, workers)
	return s.Estimate(cmd.Context(), workers, func(ctx context.Context, c experiment.Config) (experiment.Rates, error) {
		if err := ensurePlugin(cmd); err != nil {
			return experiment.Rates{}, err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "timing some steps; most of it is compilation")
		return experiment.CalibrateApart(ctx, c, experiment.Processes(workers, self, "calibrate"))
	})
}

// checkWorkers refuses a number of workers that there cannot be.
func checkWorkers(workers int) error {
	if most := 1024; workers < 0 || workers > most {
		return errors.Errorf("--workers is %d; need 0 (as many as make it fastest) to %d", workers, most)
	}
	return nil
}

// workersFor is how many runs of a study are made at a time; 0 asks for what makes it fastest.
func workersFor(s experiment.Study, workers int) int {
	if workers > 0 {
		return workers
	}
	_, err := backend.CUDAPluginPath()
	return experiment.AutoWorkers(err == nil && len(backend.NVIDIADevices()) > 0, len(s.Runs))
}

// calibrateCommand times the run in a folder for the process that started this one.
func calibrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "calibrate DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := experiment.StoredConfig(args[0])
			if err != nil {
				return err
			}
			rates, err := experiment.Calibrate(cmd.Context(), config, experiment.Options{})
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(rates)
		},
	}
}

// fewRuns is the number of runs up to which a study starts without timing steps first: its own first steps tell soon.
const fewRuns = 8

// printEstimate says how long a study will take before it starts.
func printEstimate(cmd *cobra.Command, s experiment.Study, workers int) error {
	if len(s.Runs) <= fewRuns {
		e, err := s.Estimate(cmd.Context(), workers, nil)
		if err == nil && e.Basis != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), describeEstimate(e))
		}
		return err
	}
	e, err := estimateStudy(cmd, s, workers)
	if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), describeEstimate(e))
	}
	return err
}

// doStudy runs a study in processes of this program and shows its progress; missing says which failures it can do without.
func doStudy(cmd *cobra.Command, s experiment.Study, workers int, missing func(experiment.Config, error) bool) ([]*results.Run, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	workers = workersFor(s, workers)
	if err := printEstimate(cmd, s, workers); err != nil {
		return nil, err
	}
	typed := commandLine()
	show := studyDisplay(cmd.ErrOrStderr())
	runs, err := s.Do(cmd.Context(), experiment.StudyOptions{Workers: workers, Log: cmd.ErrOrStderr(), Progress: show, Command: typed, Missing: missing,
		Spawn: experiment.Processes(workers, self, "resume", "--progress=json", "--command="+typed)})
	fmt.Fprintln(cmd.ErrOrStderr())
	return runs, err
}

// commandLine is how the user called this program.
func commandLine() string {
	words := []string{"go run ."}
	for _, a := range os.Args[1:] {
		if strings.ContainsAny(a, " \t\"'$*") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// studyDisplay shows the progress of a study: a bar in a terminal, else a line every 15 seconds.
func studyDisplay(out io.Writer) func(experiment.StudyProgress) {
	describe := func(p experiment.StudyProgress) string {
		var parts []string
		for _, a := range p.Active {
			parts = append(parts, fmt.Sprintf("%s %d/%d loss %.3f %.0f img/s", strings.TrimSuffix(a.Run, "-seed0"), a.Step, a.Steps, a.Loss, a.ImagesPerSecond))
		}
		eta := "?"
		if p.ETA > 0 {
			eta = p.ETA.Round(time.Second).String()
		}
		return fmt.Sprintf("%d/%d runs, %s left | %s", p.Done, p.Runs, eta, strings.Join(parts, " | "))
	}
	if !command.IsTerminal(out) {
		var last time.Time
		return func(p experiment.StudyProgress) {
			if time.Since(last) > 15*time.Second {
				last = time.Now()
				fmt.Fprintf(out, "%3.0f%% %s\n", 100*p.Fraction, describe(p))
			}
		}
	}
	bar := progressbar.NewOptions(1000, progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetElapsedTime(true))
	return func(p experiment.StudyProgress) {
		bar.Describe(describe(p))
		_ = bar.Set(int(1000 * p.Fraction))
	}
}

// studyTitle heads the reports.
const studyTitle = "What each strategy forgets"

// printStudy prints table and verdict and writes the report of the runs in dir.
func printStudy(out io.Writer, dir string, runs []*results.Run) (string, error) {
	groups := report.Group(runs)
	fmt.Fprintln(out, report.TextTable(groups))
	for _, line := range report.Verdict(groups) {
		fmt.Fprintln(out, "- "+line)
	}
	path := filepath.Join(dir, "report.html")
	return path, report.WriteHTML(path, report.Study{Title: studyTitle, Dir: dir, Runs: runs})
}

func runCommand() *cobra.Command {
	var dir string
	var set []string
	var defaults bool
	c := &cobra.Command{
		Use: "run CONFIG", Short: "Make the run a YAML file describes",
		Args: func(cmd *cobra.Command, args []string) error {
			if defaults {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		Example: "  go run . run --defaults > my.yaml\n  go run . run my.yaml\n  go run . run my.yaml --set seed=1 --set strategy.name=er --set strategy.lambda=0.3 --dir runs/second",
		RunE: func(cmd *cobra.Command, args []string) error {
			if defaults {
				text, err := yaml.Marshal(experiment.DefaultConfig())
				if err == nil {
					_, err = cmd.OutOrStdout().Write(text)
				}
				return err
			}
			config, err := experiment.LoadConfig(args[0], set...)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", config.RunName())
			}
			if err := ensurePlugin(cmd); err != nil {
				return err
			}
			if _, err := experiment.Run(cmd.Context(), config, dir, experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: commandLine()}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nResult: %s\nReport: `go run . report %s`\n", filepath.Join(dir, "result.json"), dir)
			return nil
		},
	}
	c.Flags().BoolVar(&defaults, "defaults", false, "print the settings of the quick benchmark as YAML, to start a file from")
	c.Flags().StringVar(&dir, "dir", "", "run folder; default: runs/NAME")
	c.Flags().StringArrayVar(&set, "set", nil, "one setting, KEY=VALUE, over the file's; may be repeated")
	return c
}

func resumeCommand() *cobra.Command {
	var progress, typed string
	c := &cobra.Command{
		Use: "resume DIR", Short: "Go on with the run in a folder from its newest checkpoint", Args: cobra.ExactArgs(1),
		Example: "  go run . resume runs/er-lambda0.3-seed0",
		RunE: func(cmd *cobra.Command, args []string) error {
			o := experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: typed}
			if typed == "" {
				o.Command = commandLine()
			}
			if progress == "json" {
				// The process that started this one reads JSON lines.
				lines := json.NewEncoder(cmd.OutOrStdout())
				o.Log, o.Progress = nil, func(p experiment.Progress) { _ = lines.Encode(p) }
			} else if err := ensurePlugin(cmd); err != nil {
				return err
			}
			_, err := experiment.Resume(cmd.Context(), args[0], o)
			return err
		},
	}
	c.Flags().StringVar(&progress, "progress", "text", "\"text\", or \"json\": a JSON line at a time on standard output")
	c.Flags().StringVar(&typed, "command", "", "what to store as the command that makes the run again")
	return c
}

// runDisplay shows the progress of one run: a line that is written over in a terminal, else one every 15 seconds.
func runDisplay(out io.Writer) func(experiment.Progress) {
	terminal := command.IsTerminal(out)
	var last time.Time
	return func(p experiment.Progress) {
		switch {
		case terminal:
			fmt.Fprintf(out, "\r\033[K%3.0f%% %s", 100*p.Fraction, p)
		case time.Since(last) > 15*time.Second:
			last = time.Now()
			fmt.Fprintf(out, "%3.0f%% %s\n", 100*p.Fraction, p)
		}
	}
}

// ensurePlugin installs the plugin unless it is there, and says so where pure Go will compute.
func ensurePlugin(cmd *cobra.Command) error {
	if err := kernelsetup.EnsurePlugin(cmd.Context(), cmd.OutOrStdout()); err != nil {
		return err
	}
	sayPureGo.Do(func() {
		if note := backend.PureGoNote(); note != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), note)
		}
	})
	return nil
}

// sayPureGo has the note once, though a command estimates and then computes.
var sayPureGo sync.Once

// openBackend installs the plugin unless it is there, opens a backend and says which.
func openBackend(ctx context.Context, out io.Writer) (compute.Backend, error) {
	if err := kernelsetup.EnsurePlugin(ctx, out); err != nil {
		return nil, err
	}
	back, choice, err := backend.Open()
	if err == nil {
		fmt.Fprintln(out, choice)
	}
	return back, err
}

func sampleCommand() *cobra.Command {
	var (
		classes  []int
		count    int
		output   string
		guidance float64
		sampler  = diffusion.DefaultSampler()
	)
	c := &cobra.Command{
		Use: "sample DIR", Short: "Draw images from the network of a run", Args: cobra.ExactArgs(1),
		Long: "Sample draws images of the classes asked for. Where a run's network depends on the task at sampling (`strategies` says\n" +
			"of which), each class is drawn with the weights of its task; a class of several tasks can then not be named by itself.\n" +
			"A class that the run has not learned yet is drawn as well, and a line on standard error says so.",
		Example: "  go run . sample runs/bench/joint-seed0\n  go run . sample runs/bench/joint-seed0 --classes 7,9 --count 16 --sampler ancestral --steps 1000 -o shoes.png",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := atomicfile.Check(output); err != nil {
				return err
			}
			trained, err := openTrained(cmd, args[0])
			if err != nil {
				return err
			}
			defer trained.Close()
			note, err := trained.DrawGrid(cmd.Context(), output, classes, count, sampler, guidance)
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
			}
			return err
		},
	}
	c.Flags().IntSliceVar(&classes, "classes", nil, "classes to draw, a row each; default: all")
	c.Flags().IntVar(&count, "count", 10, "images of each class")
	c.Flags().StringVarP(&output, "output", "o", "samples.png", "PNG to write")
	c.Flags().Float64Var(&guidance, "guidance", 0, "scale of classifier-free guidance; needs a run with loop.label_dropout")
	c.Flags().StringVar(&sampler.Name, "sampler", sampler.Name, "\"ancestral\", \"ddim\" or \"dpm++2m\"")
	c.Flags().IntVar(&sampler.Steps, "steps", sampler.Steps, "timesteps visited")
	c.Flags().Float64Var(&sampler.Eta, "eta", 0, "noise of ddim, 0 to 1")
	c.Flags().Uint64Var(&sampler.Seed, "seed", 0, "seed of the noise")
	return c
}

// openTrained opens the network of the run in the folder dir.
func openTrained(cmd *cobra.Command, dir string) (*experiment.Trained, error) {
	back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
	if err != nil {
		return nil, err
	}
	trained, err := experiment.OpenTrained(back, dir)
	if err != nil {
		return nil, err
	}
	for _, w := range trained.Warnings {
		fmt.Fprintln(os.Stderr, w)
	}
	return trained, nil
}

func bpdCommand() *cobra.Command {
	o := experiment.BPDOptions{Batch: 256}
	c := &cobra.Command{
		Use: "bpd DIR", Short: "Measure the bits per dimension of every task's test images under a run's network", Args: cobra.ExactArgs(1),
		Long: "Bpd bounds the negative log-likelihood of test images, in bits per dimension, by the variational bound. By default it\n" +
			"estimates it from some timesteps of each image; --terms 0 computes the whole bound with its parts (prior, diffusion\n" +
			"terms, decoder) and stores all terms in DIR/likelihood. Lower is better, but it says little about samples: compare\n" +
			"it within one protocol only.",
		Example: "  go run . bpd runs/bench/joint-seed0\n  go run . bpd runs/bench/finetune-seed0 --images 16 --terms 0\n  go run . bpd runs/bench/finetune-seed0 --images 8 --terms 0 --ode 4",
		RunE: func(cmd *cobra.Command, args []string) error {
			trained, err := openTrained(cmd, args[0])
			if err != nil {
				return err
			}
			defer trained.Close()
			if command.IsTerminal(cmd.ErrOrStderr()) {
				bar := progressbar.NewOptions(len(trained.Benchmark.Tasks)*1000, progressbar.OptionSetWriter(cmd.ErrOrStderr()),
					progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
				o.Progress = func(task, done, total int) { _ = bar.Set(task*1000 + 1000*done/total) }
			}
			tasks, err := trained.BPD(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			for _, t := range tasks {
				fmt.Fprintf(cmd.OutOrStdout(), "task %d  %s bits/dim over %d test images", t.Task+1, report.PlusMinus(t.BPD, t.SE, 3), t.Images)
				if p := t.Parts; p != nil {
					fmt.Fprintf(cmd.OutOrStdout(), " = prior %.5f + diffusion %.3f + decoder %.3f", p.PriorBPD, p.DiffuseBPD, p.DecoderBPD)
				}
				if t.ODEImages > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "; by the ODE %s where the bound is %.3f, on %d images", report.PlusMinus(t.ODEBPD, t.ODESE, 3), t.SameBound, t.ODEImages)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  (%s)\n", t.Name)
			}
			if o.Terms > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "estimated from %d of %d timesteps an image; ± is the standard error against all of them\n", o.Terms, trained.Network.Process.T)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "± is the standard error over images; all terms are in %s\n", filepath.Join(args[0], "likelihood"))
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Images, "images", 32, "test images of each task")
	c.Flags().IntVar(&o.Terms, "terms", 81, "timesteps an image, odd; 0: all of them")
	c.Flags().IntVar(&o.ODE, "ode", 0, "with --terms 0: so many images of each task also by the probability-flow ODE (tolerance 1e-5), which takes minutes")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "seed of the noise")
	return c
}

func dynamicsCommand() *cobra.Command {
	bins, findings := 5, false
	c := &cobra.Command{
		Use: "dynamics DIR", Short: "Show which timesteps a study's strategies forget", Args: cobra.ExactArgs(1),
		Long: "Dynamics reads what the probe of runs measured along training (--set probe.every=50) and prints, by range of timesteps,\n" +
			"how much higher the loss of old tasks is at the end than just after each was learned, as a share of the latter.\n" +
			"With --findings it says in sentences what this and all else that the runs measured shows: autopsies, likelihoods.",
		Example: "  go run . bench --strategies finetune,er --sweep lambda=1 --set probe.every=50 --dir runs/dynamics\n  go run . dynamics runs/dynamics",
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := experiment.ForgettingByTimestep(args[0], bins)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), table.Markdown())
			if !findings {
				return nil
			}
			sentences, err := studyFindings(args[0])
			for _, s := range sentences {
				fmt.Fprintln(cmd.OutOrStdout(), "- "+s)
			}
			return err
		},
	}
	c.Flags().IntVar(&bins, "bins", bins, "ranges of timesteps")
	c.Flags().BoolVar(&findings, "findings", false, "say in sentences what the runs show")
	return c
}

// studyFindings says in sentences what the runs in a folder show of forgetting by timestep and of likelihoods, as far as
// they measured it.
func studyFindings(dir string) ([]string, error) {
	d, err := report.OpenDynamics(dir)
	if err != nil {
		return nil, err
	}
	parts := []func() ([]string, error){d.ForgettingFindings, d.CourseFindings, d.RecoveryFindings}
	if len(d.Dissected()) > 0 {
		parts = append(parts, d.StitchingFindings, d.DriftFindings, d.InterferenceFindings)
	}
	study, err := report.Open(dir)
	if err != nil {
		return nil, err
	}
	if study.Runs[0].Protocol.BPD != nil {
		parts = append(parts, func() ([]string, error) { return report.BitsSentences(study.Group()) },
			func() ([]string, error) {
				s, err := report.LostSentence(study.Runs)
				return []string{s}, err
			},
			func() ([]string, error) {
				r, err := report.NewBPDRanks(study.Runs)
				if err != nil {
					return nil, err
				}
				return r.Sentences(), nil
			})
	}
	var all []string
	for _, part := range parts {
		sentences, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, sentences...)
	}
	return all, nil
}

func autopsyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "autopsy RUN…", Short: "Make the autopsy of finished runs anew from the networks they kept after each task", Args: cobra.MinimumNArgs(1),
		Long: "A run with --set autopsy.images=32 keeps its network after each task and ends with an autopsy: which timesteps carry\n" +
			"the forgetting that samples show (old and final network stitched), how far representations drifted, how gradients of\n" +
			"old and new tasks agree. Autopsy makes it again, without training; the figures are those of notebook 02.",
		Example: "  go run . autopsy runs/bench/finetune-seed0",
		RunE: func(cmd *cobra.Command, args []string) error {
			back, err := openBackend(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			for _, dir := range args {
				o := experiment.Options{Log: cmd.OutOrStdout(), Progress: runDisplay(cmd.ErrOrStderr()), Command: commandLine(), Backend: back}
				if err := experiment.Autopsy(cmd.Context(), dir, o); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "\nAutopsy: %s\n", filepath.Join(dir, results.AutopsyFile))
			}
			return nil
		},
	}
}

// sayAtWork adds to the error of who looked for results in folders that a run is at work in one.
func sayAtWork(err error, dirs []string) error {
	for _, dir := range dirs {
		if experiment.AtWork(dir) {
			return errors.WithMessagef(err, "a run is at work in %s; wait for its result", dir)
		}
	}
	return err
}

func reportCommand() *cobra.Command {
	var output, table, only, strategy, reference string
	var scorecard bool
	c := &cobra.Command{
		Use: "report DIR…", Short: "Compare finished runs: table, intervals and HTML report", Args: cobra.MinimumNArgs(1),
		Example: "  go run . report runs/bench\n  go run . report runs/bench runs/mine -o compared.html\n  go run . report notebooks/results/quick --table README.md:quick\n" +
			"  go run . report runs/sweep --only lambda\n  go run . report runs/bench --only ledger --table README.md:ledger",
		RunE: func(cmd *cobra.Command, args []string) error {
			study, err := report.Open(args...)
			if err != nil {
				return sayAtWork(err, args)
			}
			if scorecard {
				only = "scorecard"
			}
			if table != "" {
				file, name, found := strings.Cut(table, ":")
				if !found {
					return errors.Errorf("--table is %q; need FILE:NAME, for instance README.md:quick", table)
				}
				part, err := reportPart(study, cmp.Or(only, "table"), strategy, reference)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), part.text)
				return report.WriteSection(file, name, part.markdown)
			}
			if only != "" {
				part, err := reportPart(study, only, strategy, reference)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), part.text)
				}
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), report.TextTable(study.Group()))
			for _, r := range report.Rankings(study.Group()) {
				fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n\n%s\n", r.Table(), strings.Join(r.Sentences(), "\n"))
			}
			if output == "" {
				output = filepath.Join(args[0], "report.html")
			}
			study.Title = studyTitle
			if err := report.WriteHTML(output, *study); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nReport: %s\n", output)
			return nil
		},
	}
	c.Flags().BoolVar(&scorecard, "scorecard", false, "short for --only scorecard")
	c.Flags().StringVar(&only, "only", "", "print one part: \"table\"; \"scorecard\", the numbers to report of a continual study, bits per dimension in two parts; "+
		"\"intervals\", mean ranks and differences with intervals; \"pareto\", who is best at its price; \"lambda\", what a sweep of λ finds; \"benchmarks\", methods that ran on several; \"ledger\", what methods are verified against and whether their papers agree")
	c.Flags().StringVar(&strategy, "strategy", "er", "with --only lambda: the strategy that was swept")
	c.Flags().StringVar(&reference, "reference", "", "with --only intervals: label of the method that differences are to; default: er with λ = 1")
	c.Flags().StringVarP(&output, "output", "o", "", "HTML file to write; default: report.html in the first folder")
	c.Flags().StringVar(&table, "table", "", "FILE:NAME: instead of a page, renew what stands between <!-- table:NAME --> and <!-- /table:NAME --> of a Markdown file by the table, or the part --only names")
	return c
}

// part is one part of a report in two forms.
type part struct{ text, markdown string }

// reportPart makes the named part of a report.
func reportPart(study *report.Study, name, strategy, reference string) (part, error) {
	methods := study.Group()
	both := func(t *report.Table, sentences []string) part {
		p := part{text: t.Text(110)}
		for _, s := range sentences {
			p.text += "- " + s + "\n"
			p.markdown += "- " + s + "\n"
		}
		if len(sentences) > 0 {
			p.markdown += "\n"
		}
		p.markdown += t.Markdown()
		return p
	}
	switch name {
	case "table":
		return part{report.TextTable(methods), report.MarkdownTable(methods)}, nil
	case "scorecard":
		return both(report.NewScorecard(methods), nil), nil
	case "intervals":
		var all part
		for _, same := range report.ByBenchmark(methods) {
			if len(same) < 2 && len(methods) > 2 { // nothing to compare with
				continue
			}
			r, err := report.NewRanking(same, report.FinalOf(report.FID), reference)
			if err != nil {
				return part{}, err
			}
			p := both(r.Table(), r.Sentences())
			all.text, all.markdown = all.text+p.text+"\n", all.markdown+p.markdown+"\n"
		}
		return all, nil
	case "pareto":
		var all part
		for _, same := range report.ByBenchmark(methods) {
			for _, s := range report.ParetoSentences(same, report.FinalOf(report.FID), report.PriceImages, report.PriceBytes, report.PriceCompute) {
				all.text, all.markdown = all.text+"- "+s+"\n", all.markdown+"- "+s+"\n"
			}
		}
		return all, nil
	case "lambda":
		b, err := report.BestLambda(study.Runs, strategy)
		if err != nil {
			return part{}, err
		}
		return both(b.Table(), b.Sentences()), nil
	case "benchmarks":
		return both(report.AcrossBenchmarks(methods, report.FinalOf(report.FID), report.ForgettingOf(report.FID)), nil), nil
	case "ledger":
		cards, err := report.Cards(methods)
		if err != nil {
			return part{}, err
		}
		l, err := report.NewLedger(cards, methods)
		if err != nil {
			return part{}, err
		}
		return part{l.Markdown(), l.Markdown()}, nil
	}
	parts := []string{"table", "scorecard", "intervals", "pareto", "lambda", "benchmarks", "ledger"}
	return part{}, errors.Errorf("--only is %q%s; choose one of %v", name, cl.DidYouMean(name, parts), parts)
}

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
			return datasets.Get(cmd.Context(), args[0], get)
		},
	}
	bring.Flags().StringVar(&get.From, "from", "", "folder that holds the set's canonical files")
	bring.Flags().BoolVar(&get.StandIn, "stand-in", false, "where mnist is out of reach, bring mnist-10k, which has a split of its own, and count that as done")
	c.AddCommand(bring, trainClassifierCommand())
	return c
}

func trainClassifierCommand() *cobra.Command {
	var output string
	prep := datasets.Prep{Size: 32, Method: "pad"}
	var seed uint64
	c := &cobra.Command{
		Use: "train-classifier NAME", Short: "Train the classifier whose features the metrics compare; NAME+NAME is that of a domain-incremental benchmark", Args: cobra.ExactArgs(1),
		Example: "  go run . data train-classifier fashion-mnist --size 16 --method area\n  go run . data train-classifier mnist+cifar-10 --channels 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return trainClassifier(cmd.Context(), args[0], prep, seed, output, cmd.OutOrStdout())
		},
	}
	c.Flags().IntVar(&prep.Size, "size", prep.Size, "side of the prepared images")
	c.Flags().StringVar(&prep.Method, "method", prep.Method, "how images come to that size: \"pad\", \"area\" or \"none\"")
	c.Flags().IntVar(&prep.Channels, "channels", 0, "1: grey images, 3: in colour; 0: as the set's are")
	c.Flags().Uint64Var(&seed, "seed", 0, "seed of weights and order")
	c.Flags().StringVarP(&output, "output", "o", filepath.Join("pkg", "metrics", "weights"), "folder to write weights and description to")
	return c
}

// trainClassifier trains and stores one classifier.
func trainClassifier(ctx context.Context, name string, prep datasets.Prep, seed uint64, output string, out io.Writer) error {
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

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say what is installed, which backend runs, what is missing and what mends it", Args: cobra.NoArgs,
		Example: "  go run . doctor",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return kernelsetup.Doctor(cmd.Context(), cmd.OutOrStdout(), datasetChecks)
		},
	}
}

// datasetChecks says which image sets are here.
func datasetChecks(context.Context) []kernelsetup.Check {
	sets, err := datasets.List()
	if err != nil {
		return []kernelsetup.Check{{Name: "image sets", Found: err.Error(), Missing: true}}
	}
	var checks []kernelsetup.Check
	for _, s := range sets {
		c := kernelsetup.Check{Name: "images " + s.Name, Found: s.Where}
		if !s.OnDisk() {
			c.Found, c.Missing, c.Optional, c.Fix = "not here", true, true, "go run . data get "+s.Name
		}
		checks = append(checks, c)
	}
	return checks
}
