package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/results"
)

// checkWorkers refuses a number of workers that there cannot be.
func checkWorkers(workers int) error {
	if most := 1024; workers < 0 || workers > most {
		return experiment.Refusef("--workers is %d; need 0 (as many as make it fastest) to %d", workers, most)
	}
	return nil
}

// studyFlags are the flags of a command that runs a study.
type studyFlags struct {
	dir     string
	workers int
	dryRun  bool
}

// addTo declares the flags; dir is the folder by default.
func (f *studyFlags) addTo(c *cobra.Command, dir string) {
	c.Flags().StringVar(&f.dir, "dir", dir, "folder of the run folders")
	c.Flags().IntVar(&f.workers, "workers", 0, "runs at a time; 0: as many as make it fastest")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list the runs and what they take, and stop")
}

// do checks a study and runs it as [doStudy] does; a dry run lists it instead and returns no runs.
func (f *studyFlags) do(cmd *cobra.Command, s experiment.Study, missing func(experiment.Config, error) bool) ([]*results.Run, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if err := warnOfSets(cmd, s); err != nil {
		return nil, err
	}
	if f.dryRun {
		return nil, listRuns(cmd, s, f.workers)
	}
	if err := ensurePlugin(cmd); err != nil {
		return nil, err
	}
	return doStudy(cmd, s, f.workers, missing)
}

// warnOfSets warns of image sets of a study that go together badly.
func warnOfSets(cmd *cobra.Command, s experiment.Study) error {
	lines, err := s.Warnings()
	for _, line := range lines {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", line)
	}
	return err
}

// workersFor is how many runs of a study are made at a time; 0 asks for what makes it fastest.
func workersFor(s experiment.Study, workers int) int {
	if workers > 0 {
		return workers
	}
	return experiment.AutoWorkers(onCard(), len(s.Runs))
}

// processes is [experiment.Processes], but that on a card the workers share all cores: steps there need one now and then, compilations
// as many as there are.
func processes(workers int, program string, args ...string) func(context.Context, string, int, io.Writer) error {
	if onCard() {
		workers = 1
	}
	return experiment.Processes(workers, program, args...)
}

// onCard says whether runs compute on an NVIDIA card here.
func onCard() bool {
	if len(backend.NVIDIADevices()) == 0 {
		return false
	}
	if asked := os.Getenv(compute.ConfigEnvVar); asked != "" {
		return strings.Contains(strings.ToLower(asked), "cuda")
	}
	_, err := backend.CUDAPluginPath()
	return err == nil
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
		Spawn: processes(workers, self, "resume", "--progress=json", "--command="+typed)})
	if isTerminal(cmd.ErrOrStderr()) { // the bar's line has no end
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	return runs, err
}

// studyDisplay shows the progress of a study: a bar in a terminal, else a line every 15 seconds.
func studyDisplay(out io.Writer) func(experiment.StudyProgress) {
	describe := func(p experiment.StudyProgress) string {
		var parts []string
		for _, a := range p.Active {
			parts = append(parts, strings.TrimSuffix(a.Run, "-seed0")+" "+a.Doing())
		}
		eta := "?"
		if p.ETA > 0 {
			eta = p.ETA.Round(time.Second).String()
		}
		return strings.Join(append([]string{fmt.Sprintf("%d/%d runs, %s left", p.Done, p.Runs, eta)}, parts...), " | ")
	}
	if !isTerminal(out) {
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
