package command

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"palimpsest/pkg/cluster"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// clusterFlags are the flags of `bench` that have machines elsewhere make the runs.
type clusterFlags struct {
	on, slurm, kubernetes string
	status                bool
}

// addTo declares the flags.
func (f *clusterFlags) addTo(c *cobra.Command) {
	c.Flags().StringVar(&f.on, "on", "", "hand the runs over and end: \"slurm\" submits a job array, \"kubernetes\" writes the manifest of an Indexed Job, \"list\" prints a command a run; given again, what is missing alone")
	c.Flags().StringVar(&f.slurm, "slurm", "", "options of sbatch, NAME=VALUE,…; array-limit=N: runs at a time")
	c.Flags().StringVar(&f.kubernetes, "kubernetes", "", "image=…,claim=… and path, namespace, cpu, memory, gpu, limit: what the pods are made of")
	c.Flags().BoolVar(&f.status, "status", false, "say which runs of the study in --dir wait, run, are done or dead, and why, from any machine that sees the folder")
}

// check refuses flags that do not go together, before anything is looked at.
func (f *clusterFlags) check(cmd *cobra.Command) error {
	switch f.on {
	case "", "slurm", "kubernetes", "list":
	default:
		engines := []string{"slurm", "kubernetes", "list"}
		return experiment.Refusef("--on is %q%s; need slurm, kubernetes or list", f.on, words.DidYouMean(f.on, engines))
	}
	var instead []string // of making the runs here
	for _, flag := range []string{"on", "dry-run", "status"} {
		if f := cmd.Flags().Lookup(flag); f.Changed && f.Value.String() != "false" && (f.Name != "on" || f.Value.String() != "") {
			instead = append(instead, "--"+flag)
		}
	}
	if len(instead) > 1 && f.status {
		return experiment.Refusef("%s are given together; need one of them: --status tells of the study in --dir and does nothing else", words.List(instead))
	}
	for _, flag := range []string{"slurm", "kubernetes"} {
		if cmd.Flags().Changed(flag) && f.on != flag {
			return experiment.Refusef("--%s is for --on %s; add that, or leave it out", flag, flag)
		}
	}
	if _, err := cluster.ParseDirectives(f.slurm); err != nil {
		return err
	}
	if f.on != "" && cmd.Flags().Changed("workers") {
		return experiment.Refusef("--workers is for runs on this machine; with --on slurm say --slurm array-limit=N, with --on kubernetes --kubernetes limit=N")
	}
	return nil
}

// hand hands the missing runs of a study over, and returns the results once none is missing and all are finished or, as missing is told,
// diverged.
func (f *clusterFlags) hand(cmd *cobra.Command, s experiment.Study, missing func(experiment.Config, error) bool) ([]*results.Run, error) {
	notes := cmd.ErrOrStderr()
	directives, err := cluster.ParseDirectives(f.slurm)
	if err != nil {
		return nil, err
	}
	var k cluster.Kubernetes
	if f.on == "kubernetes" {
		if f.kubernetes == "" {
			return nil, experiment.Refusef("--on kubernetes is given without --kubernetes; say what the pods are made of, for instance --kubernetes image=registry.example/palimpsest:cuda,claim=research,gpu=1")
		}
		if k, err = cluster.ParseKubernetes(f.kubernetes, s.Dir); err != nil {
			return nil, err
		}
	}
	study := cluster.Study{Study: s, Command: commandLine(), Say: notes}
	if err := study.Check(); err != nil {
		return nil, err
	}
	if err := warnOfSets(cmd, s); err != nil {
		return nil, err
	}
	runs, diverged, err := study.Finished()
	switch {
	case err != nil:
		return nil, err
	case runs != nil && f.on == "list" && len(diverged) == 0: // whose output may go to a shell
		fmt.Fprintln(notes, "all runs are finished; without --on this command prints the table")
		return nil, nil
	case runs != nil && f.on == "list":
		for _, run := range slices.Sorted(maps.Keys(diverged)) {
			study.SayDiverged(run, diverged[run])
		}
		fmt.Fprintf(notes, "all other runs are finished; `go run . report %s` compares them\n", words.Shell(s.Dir))
		return nil, nil
	case runs != nil:
		for _, c := range s.Runs {
			if why, ok := diverged[c.RunName()]; ok {
				study.SayDiverged(c.RunName(), why)
				missing(c, diffusion.Divergedf("%s", why))
			}
		}
		return runs, nil
	}
	if f.on == "slurm" {
		if err := cluster.FindSlurm(); err != nil {
			return nil, err
		}
	}
	unlock, err := study.Open(cluster.AskSlurm(cmd.Context()))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if len(study.Missing()) == 0 {
		return nil, cluster.Status(s.Dir, cluster.AskSlurm(cmd.Context()), notes, notes) // the output of a list may go to a shell
	}
	if kind := cluster.LocalFolder(s.Dir); kind != "" {
		fmt.Fprintf(notes, "warning: %s is on this machine's own file system (%s); other machines make the runs only if they see it under the same path, so name a folder of a shared one with --dir\n", s.Dir, kind)
	}
	if err := study.TakeProgram(); err != nil {
		return nil, err
	}
	handed := words.Count(len(study.Missing()), "run")
	switch f.on {
	case "slurm":
		job, err := study.Slurm(cmd.Context(), directives)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "job %s: %s submitted\n", job, handed)
	case "kubernetes":
		path, err := study.Kubernetes(k)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s; kubectl apply -f %s\n", path, handed, words.Shell(path))
	case "list":
		lines, err := study.List()
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
	}
	fmt.Fprintf(notes, "`go run . bench --status --dir %s` says how far they are; this command, given again, hands over what is then missing, and prints the table once all are done\n", words.Shell(s.Dir))
	return nil, nil
}
