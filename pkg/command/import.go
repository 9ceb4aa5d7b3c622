package command

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"

	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/models"
	"palimpsest/pkg/words"
)

func importCommand() *cobra.Command {
	var o diffusers.Options
	var overwrite bool
	c := &cobra.Command{
		Use: "import [DIR NAME]", Short: "Keep a model of diffusers under a name, for studies to start from",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		Long: "Import reads the UNet2DModel and the scheduler in the folder DIR, as diffusers and `export` write them, and keeps them in the\n" +
			"cache folder under NAME. `--set network.init=NAME` then starts a run or a study from it: architecture and diffusion process\n" +
			"are the model's, label k of the benchmark is label k of the model, and classes beyond those it knows get embeddings of their\n" +
			"own. What the program cannot represent it lists, all at once. Without arguments it lists the models.",
		Example: "  go run . import ~/ddpm-cifar10-32 cifar-ddpm\n  go run . bench --set network.init=cifar-ddpm --set 'benchmark.datasets=[cifar-10]' --set benchmark.prep.size=32\n" +
			"  go run . import\n  go run . import remove cifar-ddpm",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listModels(cmd)
			}
			dir, name := args[0], args[1]
			if cmd.Flags().Changed("size") && o.ImageSize < 1 {
				return experiment.Refusef("--size is %d; need the side of the model's images in pixels, 1 or more", o.ImageSize)
			}
			if err := models.Free(name, overwrite); err != nil {
				return experiment.Refused{Err: err}
			}
			m, notes, err := diffusers.Read(dir, o)
			if err != nil {
				return namedFolder(err, dir)
			}
			source, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			info, err := models.Put(name, source, m, overwrite)
			if err != nil {
				return err
			}
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\nStart from it: --set network.init=%s\n", describeModel(info), name)
			return nil
		},
	}
	c.Flags().BoolVar(&o.NoLabel, "no-label", false, "the last row of the class embedding means \"no label\" (known of models that 'export' wrote)")
	c.Flags().IntVar(&o.ImageSize, "size", 0, "pixels a side of its images, where the model does not say")
	c.Flags().StringVar(&o.Variant, "variant", "", "of weights in several variants, the one to read: fp16 reads diffusion_pytorch_model.fp16.safetensors")
	c.Flags().BoolVar(&overwrite, "overwrite", false, "replace a model of that name")
	c.AddCommand(&cobra.Command{
		Use: "remove NAME", Short: "Remove an imported model", Args: cobra.ExactArgs(1), Example: "  go run . import remove cifar-ddpm",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := models.Remove(args[0]); err != nil {
				return experiment.Refused{Err: err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Removed: %s\n", args[0])
			return nil
		},
	})
	return c
}

// listModels lists the models that were imported.
func listModels(cmd *cobra.Command) error {
	all, err := models.List()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "No model has been imported; `go run . import DIR NAME` does it.")
	}
	for _, i := range all {
		fmt.Fprintln(cmd.OutOrStdout(), describeModel(i))
	}
	return nil
}

// describeModel says in two lines what a model is.
func describeModel(i models.Info) string {
	n, classes := i.Net, "unconditional"
	if n.Classes > 0 {
		classes = fmt.Sprintf("labels 0 to %d", n.Classes-1)
	}
	return fmt.Sprintf("%-22s %d×%d×%d, %d channels × %v, %s; %s, predicts %s, %d timesteps\n%22s SHA-256 %.12s…, from %s",
		i.Name, n.Shape().H, n.Shape().W, n.Channels, n.Base, n.Mults, classes, i.Process.Schedule, i.Process.Prediction, i.Process.T, "", i.SHA256, i.Source)
}

// importInit imports the models whose folders settings name, "network.init=DIR" with a slash in it, under the folders' names, and
// has the settings say these. A model that was imported from there before is taken as it is, unless the folder has changed since, and
// so is one of the same files from another folder of that name. What a dry run imports is gone once end is called.
func importInit(cmd *cobra.Command, set []string, dryRun bool) (end func(), err error) {
	end = func() {}
	for i, s := range set {
		dir, ok := strings.CutPrefix(s, "network.init=")
		if !ok || !strings.ContainsAny(dir, `/\`) {
			continue
		}
		source, err := filepath.Abs(dir)
		if err != nil {
			return end, err
		}
		name := nameOf(source)
		if err := models.CheckName(name); err != nil {
			return end, experiment.Refusef("--set %s: no name can be made of that folder's; import it with `go run . import %s NAME`", s, words.Shell(dir))
		}
		if have, err := models.Get(name); err == nil {
			if err := sameModel(cmd, have, dir, source); err != nil {
				return end, err
			}
		} else if end, err = importFor(cmd, dir, source, name, dryRun); err != nil {
			return end, err
		}
		set[i] = "network.init=" + name
	}
	return end, nil
}

// sameModel refuses a model that is not what is in the folder from which a study is to begin.
func sameModel(cmd *cobra.Command, have models.Info, dir, source string) error {
	now, err := diffusers.FilesSHA256(source)
	switch {
	case err != nil:
		return namedFolder(err, dir)
	case now == have.SourceSHA256:
	case have.Source != source:
		other := fmt.Sprintf("%.*s-%.6s", models.LongestName-7, have.Name, now)
		return experiment.Refusef("--set network.init=%s: there is a model %s already, from %s; import this one under another name, `go run . import %s %s`, and start from that: --set network.init=%s",
			dir, have.Name, have.Source, words.Shell(dir), other, other)
	case have.SourceSHA256 == "":
		fmt.Fprintf(cmd.ErrOrStderr(), "note: the model %s is taken as it was imported, whether its folder has changed since is not known; `go run . import %s %s --overwrite` reads it anew\n",
			have.Name, words.Shell(dir), have.Name)
	default:
		return experiment.Refusef("--set network.init=%s: the folder has changed since the model %s was imported from it: the SHA-256 of its files was %s, now it is %s; read it anew with `go run . import %s %s --overwrite`, or import it under another name",
			dir, have.Name, have.SourceSHA256, now, words.Shell(dir), have.Name)
	}
	return nil
}

// importFor imports the model in a folder for the study at hand; a dry run keeps it until end is called.
func importFor(cmd *cobra.Command, dir, source, name string, dryRun bool) (end func(), err error) {
	end = func() {}
	m, notes, err := diffusers.Read(dir, diffusers.Options{})
	if err != nil {
		return end, namedFolder(err, dir)
	}
	if dryRun {
		if end, err = models.Aside(); err != nil {
			return end, err
		}
	}
	info, err := models.Put(name, source, m, false)
	if err != nil {
		return end, err
	}
	for _, n := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
	}
	fmt.Fprintln(cmd.OutOrStdout(), describeModel(info))
	if !dryRun {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: the model is kept in the cache folder as %s; `go run . import remove %s` removes it\n", name, name)
	}
	return end, nil
}

// nameOf is a name for the model in a folder, by the folder's: letters lose their accents, and what no name can have becomes a dash. Where
// letters of another script are lost so, six digits of the hash of the folder's name tell it from others. It is no name of a model where
// there was nothing to begin with.
func nameOf(dir string) string {
	base, lost := norm.NFC.String(filepath.Base(dir)), false
	var name []byte
	for _, r := range norm.NFKD.String(base) {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent
		case models.CheckName("x"+string(r)) == nil:
			name = append(name, string(r)...)
		default:
			lost = lost || unicode.IsLetter(r) || unicode.IsDigit(r)
			if !lost || len(name) == 0 || name[len(name)-1] != '-' { // a lost word is one dash
				name = append(name, '-')
			}
		}
	}
	trimmed := strings.TrimLeft(string(name), ".-")
	if !lost {
		return trimmed
	}
	sum := sha256.Sum256([]byte(base))
	return fmt.Sprintf("%s-%x", cmp.Or(strings.TrimRight(trimmed, "-"), "model"), sum[:3])
}
