package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"github.com/spf13/cobra"

	"palimpsest/kernelsetup"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/host"
	"palimpsest/pkg/perf"
	"palimpsest/pkg/table"
)

func perfCommand() *cobra.Command {
	o := perf.Defaults()
	device := perf.DeviceDefaults()
	var python string
	var onDevice bool
	c := &cobra.Command{
		Use: "perf", Short: "Measure speed and memory, beside PyTorch and JAX doing the same work", Args: cobra.NoArgs,
		Long: "Perf times training steps, forward passes, sampling and the bound: ours, ours with XLA's own convolutions, pure Go (tiny\n" +
			"alone), and with --peers PyTorch (eager, channels last, compiled) and JAX with the same network, checked output by\n" +
			"output. All are measured in turn in one sitting, on one core and on all, by the clock and by the processor. Peers get\n" +
			"an environment of their own in the cache folder, made when first asked for. Interrupted, the same command goes on\n" +
			"with the round that is missing. Numbers mean something on a quiet machine alone; it warns where it is not.",
		Example: "  go run . perf --peers torch,jax\n  go run . perf --networks tiny --sizes 16 --what step --threads 1 --rounds 3\n" +
			"  go run . perf --networks ddpm --sizes 32 --peers torch --rows 32 --samples 4\n  go run . perf --networks tiny,dit-tiny --sizes 16 --what step\n  go run . perf --growth\n  go run . perf show\n" +
			"  go run . perf --device\n  go run . perf --device --networks small --rows-of-steps 32,512 --peers torch --python /opt/venv/bin/python3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if onDevice && !cmd.Flags().Changed("networks") {
				o.Networks = device.Networks
			}
			if onDevice && !cmd.Flags().Changed("threads") {
				o.Threads = []string{"all"}
			}
			if err := o.Validate(); err != nil {
				return experiment.Refused{Err: err}
			}
			if err := checkPython(python); err != nil {
				return err
			}
			if err := checkOutputFolder("--store", o.Store); err != nil {
				return err
			}
			if onDevice && o.Growth {
				return experiment.Refusef("--device and --growth are given together; leave one of them out")
			}
			for _, flag := range []string{"rows-of-steps", "compute", "devices", "seconds", "limit"} {
				if !onDevice && cmd.Flags().Changed(flag) {
					return experiment.Refusef("--%s is for --device; add that, or leave it out", flag)
				}
			}
			if device.Limit <= 0 {
				return experiment.Refusef("--limit is %s; need more than 0, for instance 5m", device.Limit)
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if err := kernelsetup.EnsurePlugin(cmd.Context(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			if note := backend.PureGoNote(); note != "" {
				return errors.Errorf("perf compares pure Go and others with XLA, and XLA would not run (%s)", strings.TrimPrefix(note, "note: "))
			}
			o.Command, o.Log = []string{self, "perf", "serve"}, cmd.ErrOrStderr()
			o.Python = func(ctx context.Context, peer string) (string, error) {
				if python != "" {
					return filepath.Abs(python)
				}
				return kernelsetup.PeerPython(ctx, peer, cmd.ErrOrStderr())
			}
			o.Origin = perf.Origin{Command: commandLine(), Machine: host.Machine()}
			o.Origin.Commit, o.Origin.Dirty = host.Commit()
			if onDevice {
				return measureDevice(cmd, self, o, device)
			}
			if err := perf.Measure(cmd.Context(), o); err != nil {
				return err
			}
			name := "perf"
			if o.Growth {
				name = "growth"
			}
			return printPerf(cmd, o.Store, name)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Networks, "networks", o.Networks, "networks: tiny, small, ddpm, or dit-tiny, dit-S/2 to dit-XL/8")
	f.IntSliceVar(&o.Sizes, "sizes", o.Sizes, "pixels a side")
	f.StringSliceVar(&o.What, "what", o.What, "what to measure")
	f.StringSliceVar(&o.Threads, "threads", o.Threads, "\"1\": one process on one core; \"all\": one process on all cores")
	f.StringSliceVar(&o.Peers, "peers", nil, "whom to measure against: torch, jax (torch takes 5.4 GB on the disk)")
	f.BoolVar(&o.Growth, "growth", false, "measure instead how the cost of a step grows with batch, width, resolution, tasks, buffer and penalties")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds in which everyone is measured once")
	f.IntVar(&o.Batch, "batch", o.Batch, "rows of a training step")
	f.IntVar(&o.Rows, "rows", o.Rows, "rows of a forward call")
	f.IntVar(&o.Samples, "samples", o.Samples, "images drawn by a sampler")
	f.BoolVar(&o.Anew, "anew", false, "measure again what the store has, in its place")
	f.BoolVar(&onDevice, "device", false, "measure instead training steps on the device that the backend opens, a GPU say: images/s, share of what a plain matrix product reaches, the host's share, memory")
	f.IntSliceVar(&device.Rows, "rows-of-steps", device.Rows, "with --device: rows of a training step")
	f.StringSliceVar(&device.Compute, "compute", device.Compute, "with --device: what the network computes with, float32, bfloat16")
	f.IntSliceVar(&device.Devices, "devices", device.Devices, "with --device: GPUs that a step's rows are parted among, 1,2,4 to see how it scales")
	f.Float64Var(&device.Seconds, "seconds", device.Seconds, "with --device: how long each case is measured")
	f.DurationVar(&device.Limit, "limit", device.Limit, "with --device: when a case is given up, compilation included")
	f.StringVar(&python, "python", "", "a Python that has the peers' packages, in place of an environment made for them")
	c.PersistentFlags().StringVar(&o.Store, "store", filepath.Join("runs", "perf"), "folder of the measurements, a file each")
	c.AddCommand(perfShowCommand(&o.Store), perfServeCommand(), perfCaseCommand(), perfCheckCommand())
	return c
}

// perfShowCommand prints what is stored.
func perfShowCommand(store *string) *cobra.Command {
	var target string
	c := &cobra.Command{
		Use: "show", Short: "Print the stored measurements", Args: cobra.NoArgs,
		Example: "  go run . perf show\n  go run . perf show --store notebooks/results/perf --table notebooks/results/perf.md:perf",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutputFolder("--store", *store); err != nil {
				return err
			}
			if target == "" {
				return printPerf(cmd, *store, "perf", "growth")
			}
			file, name, found := strings.Cut(target, ":")
			if !found {
				return experiment.Refusef("--table is %q; need FILE:NAME, for instance notebooks/results/perf.md:perf", target)
			}
			if err := checkSection("--table", file, name); err != nil {
				return err
			}
			if !slices.Contains([]string{"perf", "growth", "device"}, name) {
				return experiment.Refusef("--table is %q, and no table of measurements is named %q; choose perf, growth or device", target, name)
			}
			markdown, err := perfMarkdown(*store, name)
			if err != nil {
				return err
			}
			return table.WriteSection(file, name, markdown)
		},
	}
	c.Flags().StringVar(&target, "table", "", "FILE:perf, FILE:growth or FILE:device: renew what stands between <!-- table:NAME --> and <!-- /table:NAME --> of a Markdown file")
	return c
}

// perfMarkdown is the table of a name of what a store has.
func perfMarkdown(store, name string) (string, error) {
	if name == "device" {
		r, err := perf.LoadDevice(store)
		if err != nil {
			return "", err
		}
		return r.Markdown(), nil
	}
	all, err := perf.LoadAll(store)
	if err != nil {
		return "", err
	}
	return perf.Markdown(all, name)
}

// perfServeCommand is one of the processes that are measured.
func perfServeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return perf.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// measureDevice measures a device, and prints and keeps what it does.
func measureDevice(cmd *cobra.Command, self string, o perf.Options, device perf.DeviceOptions) error {
	if len(o.Peers) > 0 {
		o.Device, o.Batches, o.What, o.Compute, o.PeerDevice = true, device.Rows, []string{perf.Step}, device.Compute, "cuda"
		if strings.HasPrefix(os.Getenv(compute.ConfigEnvVar), "xla:cpu") {
			o.PeerDevice = "cpu"
		}
		if err := perf.Measure(cmd.Context(), o); err != nil {
			return err
		}
		return printPerf(cmd, o.Store, "perf")
	}
	device.Networks, device.Origin, device.Anew, device.Log = o.Networks, o.Origin, o.Anew, o.Log
	device.Command, device.File = []string{self, "perf", "case"}, perf.DeviceFile(o.Store)
	r, err := perf.MeasureDevice(cmd.Context(), device)
	if r != nil && len(r.Measured) > 0 {
		fmt.Fprint(cmd.OutOrStdout(), r.Text())
	}
	return err
}

// perfCaseCommand is the process of one case of a device.
func perfCaseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "case", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return perf.ServeDevice(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// perfCheckCommand compares the numbers of one backend with another's.
func perfCheckCommand() *cobra.Command {
	var write, against string
	var networks []string
	c := &cobra.Command{
		Use: "check", Short: "Compare what this backend computes with what another did: training steps, a sampling call", Args: cobra.NoArgs,
		Long: "Check does ten training steps and one sampling call from given weights, images and seeds. --write keeps the numbers, on the\n" +
			"processor say; --against holds a GPU's against them, each within a tolerance that it prints, and fails beyond it.",
		Example: "  go run . perf check --write cpu.json\n  GOMLX_BACKEND=xla:cuda go run . perf check --against cpu.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (write == "") == (against == "") {
				return experiment.Refusef("perf check needs one of --write FILE and --against FILE")
			}
			if err := perf.CheckNetworks(networks); err != nil {
				return experiment.Refused{Err: err}
			}
			if err := checkOutputFile("--write", write); err != nil {
				return err
			}
			var expected *perf.Numbers
			if against != "" {
				var err error
				if expected, err = perf.LoadNumbers(against); err != nil {
					return namedFile(err, against)
				}
			}
			if err := kernelsetup.EnsurePlugin(cmd.Context(), cmd.ErrOrStderr()); err != nil {
				return err
			}
			origin := perf.Origin{Command: commandLine(), Machine: host.Machine()}
			origin.Commit, origin.Dirty = host.Commit()
			if write != "" {
				got, err := perf.ComputeNumbers(cmd.Context(), networks, origin, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				return got.Save(write)
			}
			var far error
			for _, name := range networks { // one by one, so that each is printed before the next
				got, err := perf.ComputeNumbers(cmd.Context(), []string{name}, origin, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				if err := got.Against(expected, cmd.OutOrStdout()); err != nil {
					far = err
				}
			}
			return far
		},
	}
	c.Flags().StringSliceVar(&networks, "networks", []string{"tiny", "small"}, "networks: tiny, small, ddpm, or dit-tiny, dit-S/2 to dit-XL/8")
	c.Flags().StringVar(&write, "write", "", "file to keep the numbers in")
	c.Flags().StringVar(&against, "against", "", "file with the numbers that are expected")
	return c
}

// printPerf prints tables of the stored measurements.
func printPerf(cmd *cobra.Command, store string, names ...string) error {
	all, err := perf.LoadAll(store)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := perf.Text(all, name)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), text)
	}
	return nil
}
