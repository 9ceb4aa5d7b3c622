package command

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

func reportCommand() *cobra.Command {
	var output, target, only, strategy, reference string
	var scorecard bool
	c := &cobra.Command{
		Use: "report DIR…", Short: "Compare finished runs: table, intervals and HTML report", Args: cobra.MinimumNArgs(1),
		Example: "  go run . report runs/bench\n  go run . report runs/bench runs/mine -o compared.html\n  go run . report notebooks/results/quick --only summary --table README.md:summary\n" +
			"  go run . report runs/sweep --only lambda\n  go run . report runs/bench --only ledger --table notebooks/results/methods.md:ledger",
		RunE: func(cmd *cobra.Command, args []string) error {
			if scorecard {
				if only != "" && only != "scorecard" {
					return experiment.Refusef("--scorecard is short for --only scorecard, and there is --only %s; leave one of them out", only)
				}
				only = "scorecard"
			}
			if output != "" && (only != "" || target != "") {
				return experiment.Refusef("-o names the page that is written of all parts, and --only or --table asks for one part; leave one of them out")
			}
			if only != "" {
				if err := report.CheckPart(only); err != nil {
					return experiment.Refused{Err: err}
				}
			}
			if cmd.Flags().Changed("strategy") && !slices.Contains([]string{"lambda", "storage", "copying"}, only) {
				return experiment.Refusef("--strategy names what was swept for --only lambda, storage or copying; give one of these with it, or leave it out")
			}
			if cmd.Flags().Changed("reference") && only != "intervals" {
				return experiment.Refusef("--reference is of --only intervals; give that with it, or leave it out")
			}
			file, name, found := strings.Cut(target, ":")
			if target != "" && !found {
				return experiment.Refusef("--table is %q; need FILE:NAME, for instance README.md:summary", target)
			}
			if target != "" {
				if err := checkSection("--table", file, name); err != nil {
					return err
				}
			}
			if err := checkOutputFile("-o", output, ".html", ".htm"); err != nil {
				return err
			}
			set, err := study.Open(args...)
			if err != nil {
				return namedFolder(experiment.SayUnfinished(err), args...)
			}
			if n := len(set.Unfinished); n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "left out, not finished: %s; `go run . resume DIR`, or the command that began them, goes on\n", words.Some(set.Unfinished, 10))
			}
			if target != "" {
				part, err := report.ExcerptOf(set, cmp.Or(only, "table"), strategy, reference)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), part.Text)
				return table.WriteSection(file, name, part.Markdown)
			}
			if only != "" {
				part, err := report.ExcerptOf(set, only, strategy, reference)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), part.Text)
				}
				return err
			}
			if output == "" {
				output = filepath.Join(args[0], "report.html")
				if err := checkOutputFile("the page, which -o puts elsewhere", output); err != nil {
					return err
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), report.TextTable(set.Group()))
			for _, r := range study.Rankings(set.Group()) {
				fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n\n%s\n", r.Table(), strings.Join(r.Sentences(), "\n"))
			}
			set.Title = studyTitle
			if err := writeReport(cmd, output, *set); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nReport: %s\n", output)
			return nil
		},
	}
	c.Flags().BoolVar(&scorecard, "scorecard", false, "short for --only scorecard")
	c.Flags().StringVar(&only, "only", "", "print one part: \"table\"; \"summary\", the same in short; \"scorecard\", the numbers to report of a continual study, bits per dimension in two parts; "+
		"\"intervals\", mean ranks and differences with intervals; \"pareto\", who is best at its price; \"lambda\", what a sweep of λ finds; \"storage\", what a strategy had better keep in as many bytes; \"copying\", from which λ on it copies its buffer; \"benchmarks\", methods that ran on several; \"ledger\", what methods are verified against and whether their papers agree")
	c.Flags().StringVar(&strategy, "strategy", "er", "with --only lambda, storage or copying: the strategy that was swept")
	c.Flags().StringVar(&reference, "reference", "", "with --only intervals: label of the method that differences are to; default: er with λ = 1")
	c.Flags().StringVarP(&output, "output", "o", "", "HTML file to write; default: report.html in the first folder")
	c.Flags().StringVar(&target, "table", "", "FILE:NAME: instead of a page, renew what stands between <!-- table:NAME --> and <!-- /table:NAME --> of a Markdown file by the table, or the part --only names")
	return c
}
