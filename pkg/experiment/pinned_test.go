package experiment

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/fastconv"
	"palimpsest/pkg/host"
	"palimpsest/pkg/safetensors"

	"github.com/gomlx/compute"
)

var update = flag.Bool("update", false, "write testdata/pinned.json anew; say in the commit's message why its digits change")

// pinnedFile holds the outcomes of the pinned runs, by run and [digitsOf].
var pinnedFile = filepath.Join("testdata", "pinned.json")

// pinned is what a run gave, to the last bit.
type pinned struct {
	Losses  []float64 `json:"losses"`  // of the training steps, averaged over ten
	FID     []float64 `json:"fid"`     // of the tasks, after each
	Weights string    `json:"weights"` // SHA-256 of all that the last checkpoint has of the network
	Samples string    `json:"samples"` // SHA-256 of the pixels of all samples
}

// pinnedRuns are the runs whose digits change on purpose only: twenty steps each, half of them with rehearsal.
func pinnedRuns() map[string]Config {
	er := smallConfig()
	er.Benchmark.Classes = []int{7, 9, 0, 3}
	er.Cores = 1 // one more thing that digits depend on
	er.Loop.StepsPerTask = 10
	er.Strategy.Settings = map[string]any{"lambda": 1.0, "buffer": 12, "policy": "reservoir"}
	er.Evaluate.SamplesPerTask, er.Evaluate.Batch, er.Evaluate.AllowSmallN = 16, 16, true
	er.Evaluate.Ahead = true // samples of classes that a network has not learned are its digits too
	er.Probe, er.BPD, er.Autopsy = ProbeConfig{}, BPDConfig{}, AutopsyConfig{}
	composite := er
	composite.Strategy = cl.Spec{Name: "er+ewc_rank1+generative_distillation", Settings: map[string]any{"buffer": 12, "fisher_rows": 8, "pool": 8}}
	return map[string]Config{"er": er, "composite": composite}
}

// digitsOf names what the last digits of a run on one core depend on. XLA writes code for the processor that it finds: LLVM knows
// it by vendor, family and model, and decides by that, among others, how many numbers are added at a time. Pure Go's code, and
// the measures' in all runs, is the compiler's.
func digitsOf(c backend.Choice) string {
	compiled := runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOAMD64" && s.Value != "v1" || s.Key == "GOEXPERIMENT" && s.Value != "" {
				compiled += " " + s.Key + "=" + s.Value
			}
		}
	}
	if strings.HasPrefix(c.Config, "go") {
		return "go, " + compiled
	}
	convolutions, _, _ := strings.Cut(c.Convolutions, " (")
	plugin, processor := filepath.Base(c.Config), host.Machine().GPU
	if plugin == backend.CPU.File || processor == "" {
		text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere than on Linux the runs are compared where the architecture is the same
		first, _, _ := strings.Cut(string(text), "\n\n")
		for line := range strings.Lines(first) {
			key, value, _ := strings.Cut(line, ":")
			if slices.Contains([]string{"vendor_id", "cpu family", "model"}, strings.TrimSpace(key)) {
				processor += strings.TrimSpace(value) + " "
			}
		}
		processor += fastconv.Vectors()
	}
	return strings.TrimSuffix(strings.Join([]string{plugin, compiled, processor, convolutions, os.Getenv("XLA_FLAGS")}, ", "), ", ")
}

// A move of code changes no digit: two short runs end with the weights and the samples that are on record, bit for bit, in pure
// Go and, on a processor of a kind on record, in XLA. On another kind they come close to those on record, and the test is
// skipped with a line that says so.
//
// Where digits are to change, write them anew, and say why in the commit's message:
//
//	go test ./pkg/experiment -run TestPinnedRuns -update
func TestPinnedRuns(t *testing.T) {
	record, backends := readPinned(t), pinnedBackends()
	for name, c := range pinnedRuns() {
		if record[name] == nil {
			record[name] = map[string]pinned{}
		}
		for _, config := range backends {
			t.Run(name+"/"+cmp.Or(config, "default"), func(t *testing.T) {
				t.Setenv(compute.ConfigEnvVar, config)
				got, digits := pinnedRun(t, c)
				want, known := record[name][digits]
				switch {
				case *update:
					if known && !got.equal(want) { // then those of other machines are out of date too
						maps.DeleteFunc(record[name], func(other string, _ pinned) bool { return sameBackend(other, digits) })
					}
					record[name][digits] = got
				case known:
					got.compare(t, want)
				default:
					for other, want := range record[name] {
						if got.equal(want) {
							return
						}
						if sameBackend(other, digits) {
							got.near(t, other, want)
						}
					}
					t.Skip(notOnRecord(digits, record[name]))
				}
			})
		}
	}
	if *update && !t.Failed() {
		text, err := json.MarshalIndent(record, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pinnedFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A processor whose digits are not on record is named, without a run: .ci/run prints the line that this test is skipped with.
func TestDigitsAreOnRecord(t *testing.T) {
	record := readPinned(t)
	for _, config := range pinnedBackends() {
		t.Run(cmp.Or(config, "default"), func(t *testing.T) {
			t.Setenv(compute.ConfigEnvVar, config)
			_, choice, err := backend.Shared()
			if err != nil {
				t.Fatal(err)
			}
			for name := range pinnedRuns() {
				if _, known := record[name][digitsOf(choice)]; !known {
					t.Skip(notOnRecord(digitsOf(choice), record[name]))
				}
			}
		})
	}
}

// readPinned returns the outcomes on record.
func readPinned(t *testing.T) (record map[string]map[string]pinned) {
	t.Helper()
	text, err := os.ReadFile(pinnedFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatalf("%s: %v", pinnedFile, err)
	}
	return record
}

// pinnedBackends are the backends that runs are pinned on, as the environment names them: the usual one and pure Go.
func pinnedBackends() []string {
	usual := os.Getenv(compute.ConfigEnvVar)
	if strings.HasPrefix(usual, "go") {
		return []string{usual}
	}
	return []string{usual, "go"}
}

// notOnRecord says that runs are compared to those of other processors.
func notOnRecord(digits string, record map[string]pinned) string {
	return fmt.Sprintf("not compared to the last bit: the digits of %q are not on record in %s, those of %q are; at a commit you trust: go test ./pkg/experiment -run TestPinnedRuns -update",
		digits, pinnedFile, slices.Sorted(maps.Keys(record)))
}

// sameBackend tells whether two names of digits are of one backend.
func sameBackend(a, b string) bool {
	a, _, _ = strings.Cut(a, ",")
	b, _, _ = strings.Cut(b, ",")
	return a == b
}

func (p pinned) equal(o pinned) bool {
	return slices.Equal(p.Losses, o.Losses) && slices.Equal(p.FID, o.FID) && p.Weights == o.Weights && p.Samples == o.Samples
}

// compare reports what differs from want, the earliest in a run first.
func (p pinned) compare(t *testing.T, want pinned) {
	t.Helper()
	switch {
	case p.equal(want):
	case !slices.Equal(p.Losses, want.Losses):
		t.Errorf("the losses are %v, on record %v", p.Losses, want.Losses)
	case p.Weights != want.Weights:
		t.Errorf("the losses are those on record, the weights at the end are not: SHA-256 %s, on record %s", p.Weights, want.Weights)
	case p.Samples != want.Samples:
		t.Error("the weights are those on record, the samples drawn with them are not")
	default:
		t.Errorf("the samples are those on record, their FID is %v, on record %v", p.FID, want.FID)
	}
}

// near reports losses that are not those of another machine but for the rounding.
func (p pinned) near(t *testing.T, other string, want pinned) {
	t.Helper()
	if len(p.Losses) != len(want.Losses) {
		t.Fatalf("%d losses, on %s %d", len(p.Losses), other, len(want.Losses))
	}
	for i, loss := range p.Losses {
		if math.Abs(loss-want.Losses[i]) > 1e-4*want.Losses[i] {
			t.Errorf("loss %d is %g, on %s %g", i, loss, other, want.Losses[i])
		}
	}
}

// pinnedRun makes a run and returns its outcome, and what that depends on.
func pinnedRun(t *testing.T, c Config) (p pinned, digits string) {
	t.Helper()
	_, choice, err := backend.Shared()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := Run(t.Context(), c, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range r.Losses {
		p.Losses = append(p.Losses, point.Loss)
	}
	for _, e := range r.Evaluations {
		for _, task := range e.Tasks {
			p.FID = append(p.FID, *task.FID)
		}
	}
	names, err := checkpoints(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("%d checkpoints, %v", len(names), err)
	}
	all, err := safetensors.ReadFileAll(filepath.Join(dir, "checkpoints", names[len(names)-1], "network.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	weights, samples := sha256.New(), sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(weights, "%s %s\n", name, all[name].Shape())
		if err := all[name].ConstBytes(func(data []byte) { weights.Write(data) }); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "samples", "*.png"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%d sheets of samples, want 2 (%v)", len(files), err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		picture, err := png.Decode(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fmt.Fprintln(samples, picture.Bounds())
		pixels := image.NewNRGBA(picture.Bounds())
		draw.Draw(pixels, pixels.Rect, picture, picture.Bounds().Min, draw.Src)
		samples.Write(pixels.Pix)
	}
	p.Weights, p.Samples = hex.EncodeToString(weights.Sum(nil)), hex.EncodeToString(samples.Sum(nil))
	return p, digitsOf(choice)
}
