package command

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/datasets"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/sheet"
)

func dataCommand() *cobra.Command {
	var sheetFile string
	var size int
	c := &cobra.Command{
		Use: "data [NAME|PATH]", Short: "List the image sets, show one, register one's own, bring one, or train its classifier", Args: cobra.MaximumNArgs(1),
		Example: "  go run . data\n  go run . data /data/flowers --sheet flowers.png\n  go run . data add flowers /data/flowers\n  go run . data get fashion-mnist\n" +
			"  go run . data get cifar-10 --from ~/cifar-10-batches-bin\n  go run . data train-classifier fashion-mnist --size 16",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && cmd.Flags().Changed("size") && sheetFile == "" {
				return experiment.Refusef("--size is of a sheet; add --sheet FILE.png, or leave it out")
			}
			if len(args) == 1 {
				return showSet(args[0], sheetFile, size, cmd.OutOrStdout())
			}
			if cmd.Flags().Changed("sheet") || cmd.Flags().Changed("size") {
				return experiment.Refusef("--sheet and --size are of one set; name it: go run . data NAME --sheet FILE.png")
			}
			return listSets(cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&sheetFile, "sheet", "", "also write the first images of each class as a contact sheet to this PNG file")
	c.Flags().IntVar(&size, "size", 64, "side of an image on the sheet, in pixels; other shapes are cut")
	var get datasets.GetOptions
	bring := &cobra.Command{
		Use: "get NAME", Short: "Bring a full image set into the cache folder", Args: cobra.ExactArgs(1),
		Example: "  go run . data get fashion-mnist\n  go run . data get mnist --from ~/Downloads/mnist",
		RunE: func(cmd *cobra.Command, args []string) error {
			if get.From != "" {
				if info, err := os.Stat(get.From); err != nil || !info.IsDir() {
					return experiment.Refusef("--from is %s, which is no folder; name the one that holds the set's files", get.From)
				}
			}
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
	add := &cobra.Command{
		Use: "add NAME PATH", Short: "Register images of one's own by a name, which is then good wherever a set's name is; nothing is copied", Args: cobra.ExactArgs(2),
		Long: "Registers a folder or file of images by a name. PATH is as where a set is named by its path: " +
			"it may be followed by #test=0.1,seed=1 (how a set without a split is split) and #label=NAME (which labels to take where there are several).",
		Example: "  go run . data add flowers /data/flowers\n  go run . data add flowers '/data/flowers#test=0.1,seed=1'",
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := datasets.Add(args[0], args[1])
			if err != nil {
				return experiment.Refused{Err: err}
			}
			fmt.Fprint(cmd.OutOrStdout(), setLines(info, info.Where))
			return nil
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Forget a set that was registered, and what was prepared of it; its files stay", Args: cobra.ExactArgs(1),
		Example: "  go run . data remove flowers",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := datasets.Remove(args[0]); err != nil {
				return experiment.Refused{Err: err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is forgotten; its files are where they were\n", args[0])
			return nil
		},
	}
	c.AddCommand(bring, add, remove, trainClassifierCommand())
	return c
}

// listSets lists the sets of the catalogue and the registered ones, and where they are.
func listSets(out io.Writer) error {
	sets, err := datasets.List()
	if err != nil {
		return err
	}
	for _, s := range sets {
		where := s.Where
		switch {
		case s.Err != nil: // nothing is known of its images
			fmt.Fprintf(out, "%-22s %v\n", s.Name, s.Err)
			continue
		case s.Own:
		case where == "":
			where = "not here; `go run . data get " + s.Name + "`"
		default: // Load checks the sum of every file
			if _, err := datasets.Load(s.Name); err != nil {
				where = "damaged: " + err.Error()
			}
		}
		fmt.Fprint(out, setLines(s, where))
	}
	return nil
}

// setLines describe a set in two lines, and in others what its owner may not expect and what a study will say of it.
func setLines(s datasets.Info, where string) string {
	size := fmt.Sprintf("%d×%d×%d", s.H, s.W, s.C)
	if s.SizesDiffer {
		size = fmt.Sprintf("%d×%d to %d×%d pixels", s.MinH, s.MinW, s.H, s.W)
	}
	lines := fmt.Sprintf("%-22s %6d + %5d images of %s, %s, %s\n%22s %s\n", s.Name, s.Train, s.Test, size, classCount(len(s.Classes)), s.Licence, "", where)
	for _, note := range s.Notes {
		lines += fmt.Sprintf("%22s %s\n", "", note)
	}
	for _, refusal := range s.Refusals {
		lines += fmt.Sprintf("%22s a study will stop at this: %s\n", "", refusal)
	}
	if err := experiment.FewTestImages(s); err != nil && len(s.Refusals) == 0 {
		lines += fmt.Sprintf("%22s a study will stop at this, unless told otherwise: %v\n", "", err)
	}
	return lines
}

// classCount counts classes in words.
func classCount(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}

// showSet describes one set and its classes, and writes a sheet of its images.
func showSet(ref, sheetFile string, size int, out io.Writer) error {
	if err := datasets.Known(ref); err != nil {
		return experiment.Refused{Err: err}
	}
	if sheetFile != "" {
		if size < 1 {
			return experiment.Refusef("--size is %d; need 1 or more pixels", size)
		}
		if err := (datasets.Prep{Size: size}).Validate(); err != nil {
			return experiment.Refused{Err: errors.WithMessage(err, "--size")}
		}
		if err := checkOutputFile("--sheet", sheetFile, ".png"); err != nil {
			return err
		}
		switch inside, err := datasets.Holds(ref, sheetFile); {
		case err != nil:
			return err
		case inside:
			return experiment.Refusef("--sheet %s lies in the set that it shows and would become one of its pictures, or replace one; name a file outside of it", sheetFile)
		}
	}
	s, err := datasets.Describe(ref)
	if err != nil {
		return err
	}
	if !s.OnDisk() {
		return errors.Errorf("%s is not on this machine; get it with: go run . data get %s", s.Name, s.Name)
	}
	if !s.Own {
		d, err := datasets.Load(ref)
		if err != nil {
			return err
		}
		s.TrainOf, s.TestOf = d.Train.CountPerClass(len(d.Classes)), d.Test.CountPerClass(len(d.Classes))
	}
	fmt.Fprintf(out, "%sSHA-256 of the content %s\n\n%8s %8s  class\n", setLines(s, s.Where), s.Hash, "training", "test")
	for i, class := range s.Classes {
		fmt.Fprintf(out, "%8d %8d  %s\n", s.TrainOf[i], s.TestOf[i], class)
	}
	if sheetFile == "" {
		return nil
	}
	return writeSheet(ref, sheetFile, size, out)
}

// writeSheet writes the first images of the first classes of a set, a row a class.
func writeSheet(ref, file string, size int, out io.Writer) error {
	const columns, most = 10, 100
	d, err := datasets.Open(ref)
	if err != nil {
		return err
	}
	b, err := d.Glance(columns, most, datasets.Prep{Size: size, Method: "crop", Channels: 3})
	if err != nil {
		return err
	}
	images, rows := b.Sheet(columns)
	grid, err := sheet.New(images, rows, columns, b.H, b.W, b.C, 1)
	if err != nil {
		return err
	}
	if err := sheet.Write(file, grid); err != nil {
		return err
	}
	of := fmt.Sprintf("each of %s", classCount(rows))
	if rows < len(d.Classes) {
		of = fmt.Sprintf("each of the first %d of %s", rows, classCount(len(d.Classes)))
	}
	fmt.Fprintf(out, "\nwrote %s: up to %d images of %s, the set's first, a row a class\n", file, columns, of)
	return nil
}
