package diffusers

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/unet"
)

// random is a model with weights of no pattern.
func random(net unet.Config, process diffusion.Config) *Model {
	m := &Model{Net: net, Process: process, Weights: map[string][]float32{}, Labels: Labels{NoLabel: net.Classes}}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, w := range weights(net) {
		values := make([]float32, product(w.ourDims))
		for i := range values {
			values[i] = rng.Float32() - 0.5
		}
		m.Weights[w.ours] = values
	}
	return m
}

func preset(t *testing.T, name string, size, channels, classes int, change func(*unet.Config)) unet.Config {
	t.Helper()
	c, err := unet.Preset(name, size, size, channels, classes)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	return c
}

// narrow makes a network small, where any will do.
func narrow(c *unet.Config) { c.Base, c.Groups = 8, 2 }

// What goes out comes back: the same weights bit for bit, the same process, and a network of the same function.
func TestRoundTrip(t *testing.T) {
	linear := diffusion.Config{T: 1000, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge}
	cosine := diffusion.Config{T: 50, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedSmall}
	for name, m := range map[string]*Model{
		"tiny with labels":     random(preset(t, "tiny", 16, 1, 10, nil), cosine),
		"small, four heads":    random(preset(t, "small", 16, 3, 0, func(c *unet.Config) { c.Base = 16 }), linear),
		"ddpm with a variance": random(preset(t, "ddpm", 32, 3, 0, func(c *unet.Config) { c.Base, c.OutChannels = 32, 6 }), diffusion.Config{T: 10, Schedule: "linear", Prediction: diffusion.PredictImage, Variance: diffusion.LearnedRange}),
		"wide images":          random(preset(t, "small", 16, 1, 3, func(c *unet.Config) { c.Base, c.Width = 16, 32 }), cosine),
		"a flow":               random(preset(t, "tiny", 16, 1, 10, nil), diffusion.Config{T: 1000, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge}),
		"another form": random(preset(t, "tiny", 16, 1, 3, func(c *unet.Config) {
			c.Attention, c.Form = []int{8}, unet.Form{HeadDim: 4, NormEps: 1e-5, CosFirst: true, OpenFreq: true, PadAround: true, ScaleShift: true}
		}), diffusion.Config{T: 100, Schedule: "scaled-linear:0.00085:0.012", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge}),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := m.Write(dir); err != nil {
				t.Fatal(err)
			}
			back, notes, err := Read(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(notes) > 0 {
				t.Errorf("notes %q about a model of our own", notes)
			}
			if back.Process != m.Process {
				t.Errorf("process %+v, was %+v", back.Process, m.Process)
			}
			for name, values := range m.Weights {
				if !slices.Equal(back.Weights[name], values) {
					t.Errorf("%s is not what it was", name)
				}
			}
			if len(back.Weights) != len(m.Weights) {
				t.Errorf("%d weights, were %d", len(back.Weights), len(m.Weights))
			}
			// Heads are told by their number or by their size.
			net, was := back.Net, m.Net
			if heads := func(c unet.Config) int {
				if c.Form.HeadDim > 0 {
					return c.Base * c.Mults[len(c.Mults)-1] / c.Form.HeadDim
				}
				return c.Heads
			}; heads(net) != heads(was) && was.MidAttn {
				t.Errorf("%d heads, were %d", heads(net), heads(was))
			}
			net.Heads, was.Heads, net.Form.HeadDim, was.Form.HeadDim = 1, 1, 0, 0
			if !was.MidAttn && len(was.Attention) == 0 {
				net.Form.PlainMid, was.Form.PlainMid = false, false
			}
			if was.Attention == nil {
				was.Attention = net.Attention
			}
			if !reflect.DeepEqual(net, was) {
				t.Errorf("network %+v, was %+v", net, was)
			}
			// Once more, from what came back: the same bytes.
			again := t.TempDir()
			if err := back.Write(again); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json", "model_index.json", LabelsFile} {
				a, errA := os.ReadFile(filepath.Join(dir, file))
				b, errB := os.ReadFile(filepath.Join(again, file))
				if file == indexFile && isFlow(m.Process) && os.IsNotExist(errA) && os.IsNotExist(errB) {
					continue // a flow has none
				}
				if errA != nil || errB != nil || string(a) != string(b) {
					t.Errorf("%s differs on the second way out (%v, %v)", file, errA, errB)
				}
			}
		})
	}
}

// A flow goes out without a pipeline, which would ask its network for other timesteps, and comes in only from this program, whose
// networks count them so.
func TestFlowsOfOthersAreRefused(t *testing.T) {
	flow := diffusion.Config{T: 1000, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge}
	dir := t.TempDir()
	if err := random(preset(t, "tiny", 16, 1, 0, nil), flow).Write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, indexFile)); err == nil {
		t.Errorf("it has a %s", indexFile)
	}
	path := filepath.Join(dir, schedFolder, schedulerFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func() error{
		"with shift 3": func() error {
			return os.WriteFile(path, bytes.Replace(text, []byte(`"shift": 1`), []byte(`"shift": 3`), 1), 0o644)
		},
		"did not export": func() error {
			return errors.Join(os.WriteFile(path, text, 0o644), os.Rename(filepath.Join(dir, LabelsFile), filepath.Join(dir, "away")))
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Read(dir, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		_ = os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, LabelsFile))
	}
}

// Convolutions are [3, 3, in, out] here and [out, in, 3, 3] there.
func TestOrder(t *testing.T) {
	w := weight{"a", "b", conv, []int{3, 3, 2, 4}}
	ours := make([]float32, 3*3*2*4)
	for i := range ours {
		ours[i] = float32(i)
	}
	theirs := w.toTheirs(ours)
	for h := range 3 {
		for v := range 3 {
			for i := range 2 {
				for o := range 4 {
					if got, want := theirs[((o*2+i)*3+h)*3+v], ours[((h*3+v)*2+i)*4+o]; got != want {
						t.Fatalf("[%d %d %d %d] is %g there, %g here", h, v, i, o, got, want)
					}
				}
			}
		}
	}
	if !slices.Equal(w.toOurs(theirs), ours) {
		t.Error("it does not come back")
	}
}

// A model that has several things we lack is refused with all of them, in one line.
func TestAllThatIsLackingIsListed(t *testing.T) {
	_, err := toOurs([]byte(`{"_class_name": "UNet2DModel", "sample_size": 32, "block_out_channels": [32, 48], "norm_num_groups": 8, "layers_per_block": 1,
		"down_block_types": ["SkipDownBlock2D", "AttnDownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"], "time_embedding_type": "fourier",
		"mid_block_scale_factor": 1.4, "act_fn": "gelu", "class_embed_type": "timestep", "new_thing": 3, "center_input_sample": true}`), Options{})
	for _, want := range []string{"new_thing", "SkipDownBlock2D", "[32 48]", "fourier", "mid_block_scale_factor 1.4", "gelu", "timestep", "center_input_sample", "attention at level 1 on one way only"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("it says %v; need one line with %q", err, want)
		}
	}
	_, err = toTheirs(unet.Config{ImageSize: 8, Channels: 1, OutChannels: 1, Base: 8, Mults: []int{2, 4}, ResBlocks: 1, Heads: 2, Groups: 4, MidAttn: true, Attention: []int{8}})
	for _, want := range []string{"2 times as wide", "2 heads at every width"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("it says %v; need one line with %q", err, want)
		}
	}
	_, err = processOf([]byte(`{"_class_name": "DDPMScheduler", "beta_schedule": "sigmoid", "prediction_type": "flow", "variance_type": "learned", "rescale_betas_zero_snr": true}`), false, false)
	for _, want := range []string{"sigmoid", "flow", "learned", "rescale_betas_zero_snr"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v; need %q", err, want)
		}
	}
	if _, err := processOf([]byte(`{"_class_name": "KarrasVeScheduler"}`), false, false); err == nil || !strings.Contains(err.Error(), "KarrasVeScheduler") {
		t.Errorf("another process is taken: %v", err)
	}
}

// The mean of all classes stands for "no label" where a model has none.
func TestNoLabelRow(t *testing.T) {
	if got := meanRow([]float32{1, 2, 3, 6}, 2); got[0] != 2 || got[1] != 4 {
		t.Errorf("mean %v, want [2 4]", got)
	}
}

// A schedule goes out as β at its two ends, or as a list where it is no line, and comes back as itself.
func TestSchedules(t *testing.T) {
	for _, name := range []string{"linear", "cosine", "linear:0.0001:0.02", "scaled-linear:0.00085:0.012"} {
		for _, T := range []int{10, 100, 1000} {
			c := diffusion.Config{T: T, Schedule: name, Prediction: diffusion.PredictNoise, Variance: diffusion.FixedSmall}
			s, _, err := schedulerOf(c)
			if err != nil {
				t.Fatal(err)
			}
			text, err := marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			back, err := processOf(text, false, false)
			if err != nil {
				t.Fatalf("%s, T=%d: %v", name, T, err)
			}
			was, _ := diffusion.NewSchedule(name, T)
			is, err := diffusion.NewSchedule(back.Schedule, back.T)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range was.Beta {
				if math.Abs(is.Beta[i]-b) > 1e-12 {
					t.Fatalf("%s, T=%d comes back as %s: beta[%d] is %g, was %g", name, T, back.Schedule, i, is.Beta[i], b)
				}
			}
		}
	}
}

// Weights that cannot be taken are refused in one line with what is there, what is needed and what to do.
func TestWeightsAreRefused(t *testing.T) {
	process := diffusion.Config{T: 10, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge}
	net := preset(t, "tiny", 16, 1, 3, narrow)
	weights := func(dir string) string { return filepath.Join(dir, unetFolder, weightsFile) }
	change := func(dir string, how func([]byte) []byte) {
		text, err := os.ReadFile(weights(dir))
		if err == nil {
			err = os.WriteFile(weights(dir), how(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config2 := func(dir, file, from, to string) {
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config := func(dir, from, to string) { config2(dir, filepath.Join(unetFolder, configFile), from, to) }
	for what, tc := range map[string]struct {
		change func(dir string)
		want   []string
	}{
		"NaN": {func(dir string) {
			change(dir, func(b []byte) []byte { copy(b[len(b)-4:], "\x00\x00\xc0\x7f"); return b })
		}, []string{"NaN or infinity", ".weight"}},
		"infinity": {func(dir string) {
			change(dir, func(b []byte) []byte { copy(b[len(b)-4:], "\x00\x00\x80\xff"); return b })
		}, []string{"NaN or infinity"}},
		"short integers": {func(dir string) {
			change(dir, func(b []byte) []byte { return bytes.Replace(b, []byte(`"F32"`), []byte(`"I16"`), 1) })
		}, []string{"of type I16; weights need to be F32, F16, BF16 or F64"}},
		"integers": {func(dir string) {
			change(dir, func(b []byte) []byte { return bytes.Replace(b, []byte(`"F32"`), []byte(`"I32"`), 1) })
		}, []string{"of type I32", ".float().save_pretrained("}},
		"half as long as told": {func(dir string) {
			change(dir, func(b []byte) []byte { return bytes.Replace(b, []byte(`"F32"`), []byte(`"F16"`), 1) })
		}, []string{"is at bytes"}},
		"a pointer": {func(dir string) {
			change(dir, func([]byte) []byte { return []byte(lfsPointer + "/spec/v1\noid sha256:ab\nsize 3\n") })
		}, []string{"pointer of Git LFS", "git lfs pull"}},
		"cut short": {func(dir string) { change(dir, func(b []byte) []byte { return b[:len(b)-8] }) }, []string{"truncated"}},
		"a .bin": {func(dir string) {
			_ = os.Rename(weights(dir), filepath.Join(dir, unetFolder, "diffusion_pytorch_model.bin"))
		}, []string{"but diffusion_pytorch_model.bin", ".save_pretrained("}},
		"a .bin of a variant": {func(dir string) {
			_ = os.Rename(weights(dir), filepath.Join(dir, unetFolder, "diffusion_pytorch_model.fp16.bin"))
		}, []string{"but diffusion_pytorch_model.fp16.bin", `variant="fp16"`}},
		"none": {func(dir string) { _ = os.Remove(weights(dir)) }, []string{"no weights of another form"}},
		"latents": {func(dir string) {
			config2(dir, indexFile, `"scheduler"`, `"vqvae": ["diffusers", "VQModel"], "scheduler"`)
		}, []string{"tells of a vqvae"}},
		"a pipeline cut": {func(dir string) { config2(dir, indexFile, `{`, ``) }, []string{indexFile}},
		"endless":        {func(dir string) { config(dir, `"layers_per_block": 1`, `"layers_per_block": 1000000000`) }, []string{"layers_per_block 1000000000 (need 1 to"}},
		"wide": {func(dir string) {
			config(dir, `"block_out_channels": [`, `"block_out_channels": [-9223372036854775808,`)
		}, []string{"block_out_channels"}},
		"another time":    {func(dir string) { config(dir, `"time_embedding_dim": null`, `"time_embedding_dim": 7`) }, []string{"time_embedding_dim 7 (need null"}},
		"size of a float": {func(dir string) { config(dir, `"sample_size": 16`, `"sample_size": 16.5`) }, []string{"sample_size is 16.5; need a whole number"}},
		"huge":            {func(dir string) { config(dir, `"sample_size": 16`, `"sample_size": [1073741824, 1073741824]`) }, []string{"need a whole number"}},
		"other shape": {func(dir string) {
			config(dir, `"norm_num_groups"`, `"dropout": 0, "norm_num_groups"`)
			config(dir, `"in_channels": 1`, `"in_channels": 3`)
			config(dir, `"out_channels": 1`, `"out_channels": 3`)
		}, []string{"(need ["}},
		"no heads": {func(dir string) { config(dir, `"attention_head_dim": null`, `"attention_head_dim": 0`) }, []string{"attention_head_dim 0 (need 1 or more"}},
		"a string": {func(dir string) { config(dir, `"in_channels": 1`, `"in_channels": "1"`) }, []string{"in_channels is of kind string; need a whole number"}},
	} {
		dir := t.TempDir()
		if err := random(net, process).Write(dir); err != nil {
			t.Fatal(err)
		}
		tc.change(dir)
		_, _, err := Read(dir, Options{})
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v; need one line with %q", what, err, want)
			}
		}
	}
}

// Weights in float16, bfloat16 and float64, of a variant, and in several files with an index are read as diffusers reads them:
// to the last digit of their type.
func TestWeightsOfOtherForms(t *testing.T) {
	m := random(preset(t, "tiny", 16, 1, 3, narrow), diffusion.Config{T: 10, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	half := func(v float32) float32 { return float16.FromFloat32(v).Float32() }
	brain := func(v float32) float32 { return bfloat16.FromFloat32(v).Float32() }
	same := func(v float32) float32 { return v }
	halves := func(v []float32, d []int) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(float16.FromFloat32s(v...), d...)
	}
	brains := func(v []float32, d []int) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(bfloat16.FromFloat32s(v...), d...)
	}
	plain := func(v []float32, d []int) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, d...) }
	doubles := func(v []float32, d []int) *tensors.Tensor {
		wide := make([]float64, len(v))
		for i := range v {
			wide[i] = float64(v[i])
		}
		return tensors.FromFlatDataAndDimensions(wide, d...)
	}
	// rewritten writes the weights in dir anew: those of kind i to the i-th file, whose values as makes.
	rewritten := func(dir string, as func([]float32, []int) *tensors.Tensor, files ...string) map[string]string {
		folder := filepath.Join(dir, unetFolder)
		all, err := safetensors.ReadFileAll(filepath.Join(folder, weightsFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(folder, weightsFile)); err != nil {
			t.Fatal(err)
		}
		parts, in := make([][]safetensors.Tensor, len(files)), map[string]string{}
		for i, name := range slices.Sorted(maps.Keys(all)) {
			values, err := tensors.CopyFlatData[float32](all[name])
			if err != nil {
				t.Fatal(err)
			}
			k := i % len(files)
			parts[k], in[name] = append(parts[k], safetensors.Tensor{Name: name, Value: as(values, all[name].Shape().Dimensions)}), files[k]
		}
		for k, name := range files {
			if err := safetensors.WriteFile(filepath.Join(folder, name), nil, parts[k]); err != nil {
				t.Fatal(err)
			}
		}
		return in
	}
	index := func(dir, name string, in map[string]string) {
		text, err := marshal(map[string]any{"metadata": map[string]any{"total_size": 3}, "weight_map": in})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, unetFolder, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const one, two = "diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model-00002-of-00002.safetensors"
	for what, tc := range map[string]struct {
		write   func(dir string)
		variant string
		as      func(float32) float32
		say     []string // in the notes, or where as is nil in the error
	}{
		"float16": {func(dir string) { rewritten(dir, halves, weightsFile) }, "", half, []string{"type F16 are kept as float32"}},
		"bfloat16": {func(dir string) {
			rewritten(dir, brains, weightsFile)
		}, "", brain, []string{"type BF16"}},
		"float64":   {func(dir string) { rewritten(dir, doubles, weightsFile) }, "", same, []string{"type F64"}},
		"a variant": {func(dir string) { rewritten(dir, halves, "diffusion_pytorch_model.fp16.safetensors") }, "", half, []string{"variant fp16, the only ones"}},
		"it, named": {func(dir string) { rewritten(dir, halves, "diffusion_pytorch_model.fp16.safetensors") }, "fp16", half, []string{"type F16"}},
		"no such":   {func(dir string) { rewritten(dir, halves, weightsFile) }, "ema", nil, []string{`no weights of the variant "ema", but the plain ones`}},
		"two variants": {func(dir string) {
			rewritten(dir, halves, "diffusion_pytorch_model.fp16.safetensors")
			if err := os.WriteFile(filepath.Join(dir, unetFolder, "diffusion_pytorch_model.ema.safetensors"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", nil, []string{"variants ema, fp16; say which with --variant"}},
		"parted": {func(dir string) {
			index(dir, weightsFile+".index.json", rewritten(dir, plain, one, two))
		}, "", same, nil},
		"parted halves": {func(dir string) {
			index(dir, "diffusion_pytorch_model.safetensors.index.fp16.json", rewritten(dir, halves, one, two))
		}, "fp16", half, []string{"type F16"}},
		"parted halves, unasked": {func(dir string) {
			index(dir, "diffusion_pytorch_model.safetensors.index.fp16.json", rewritten(dir, halves, "diffusion_pytorch_model.fp16-00001-of-00001.safetensors"))
		}, "", half, []string{"variant fp16, the only ones"}},
		"parts alone": {func(dir string) { rewritten(dir, halves, one, two) }, "", nil, []string{"has no " + weightsFile + ", but " + one}},
		"a part away": {func(dir string) {
			index(dir, weightsFile+".index.json", rewritten(dir, halves, one, two))
			_ = os.Remove(filepath.Join(dir, unetFolder, two))
		}, "", nil, []string{two + " is not there"}},
		"a part outside": {func(dir string) {
			in := rewritten(dir, halves, one, two)
			in["conv_in.bias"] = "../" + weightsFile
			index(dir, weightsFile+".index.json", in)
		}, "", nil, []string{"need one beside it"}},
		"told wrongly": {func(dir string) {
			in := rewritten(dir, halves, one, two)
			in["conv_in.bias"] = map[string]string{one: two, two: one}[in["conv_in.bias"]]
			index(dir, weightsFile+".index.json", in)
		}, "", nil, []string{"does not tell of"}},
		"a weight more": {func(dir string) {
			in := rewritten(dir, halves, one, two)
			in["nothing"] = two
			index(dir, weightsFile+".index.json", in)
		}, "", nil, []string{"has no nothing, of which"}},
		"no map": {func(dir string) { rewritten(dir, halves, one, two); index(dir, weightsFile+".index.json", nil) }, "", nil, []string{"has no weight_map"}},
	} {
		dir := t.TempDir()
		if err := m.Write(dir); err != nil {
			t.Fatal(err)
		}
		tc.write(dir)
		got, notes, err := Read(dir, Options{Variant: tc.variant})
		said := strings.Join(notes, "; ")
		if tc.as == nil {
			if err == nil {
				t.Errorf("%s: it is read", what)
				continue
			}
			said = err.Error()
		} else if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, want := range tc.say {
			if !strings.Contains(said, want) || strings.Contains(said, "\n") {
				t.Errorf("%s: it says %q; need one line with %q", what, said, want)
			}
		}
		if tc.as != nil && len(tc.say) == 0 && said != "" {
			t.Errorf("%s: notes %q", what, said)
		}
		for name, values := range m.Weights {
			for i, v := range values {
				if tc.as != nil && got.Weights[name][i] != tc.as(v) {
					t.Fatalf("%s: %s[%d] is %g; need %g", what, name, i, got.Weights[name][i], tc.as(v))
				}
			}
		}
	}
}

// A note says where a scheduler treats estimates of images otherwise than runs here do.
func TestClippingIsNoted(t *testing.T) {
	for text, want := range map[string]string{
		`{"_class_name": "DDPMScheduler"}`:                                                     "",
		`{"_class_name": "DDIMScheduler", "clip_sample": true}`:                                "",
		`{"_class_name": "DDPMScheduler", "clip_sample": false}`:                               "clip_sample=false",
		`{"_class_name": "DDPMScheduler", "clip_sample_range": 2}`:                             "±2",
		`{"_class_name": "DDPMScheduler", "thresholding": true}`:                               "as runs here do",
		`{"_class_name": "DDPMScheduler", "thresholding": true, "sample_max_value": 3}`:        "sample_max_value 3",
		`{"_class_name": "FlowMatchEulerDiscreteScheduler", "clip_sample": false, "shift": 1}`: "",
	} {
		if got := clipping([]byte(text)); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// The side of images that is given is held against the model's own.
func TestSizeIsHeldAgainstTheModels(t *testing.T) {
	model := func(size string) []byte {
		return []byte(`{"_class_name": "UNet2DModel", "sample_size": ` + size + `, "block_out_channels": [32], "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}`)
	}
	for _, tc := range []struct {
		size  string
		given int
		want  string
	}{{"32", 16, "the size given is 16, but the model says itself that its images are 32×32"}, {"[32, 16]", 32, "32×16"}, {"null", -3, "the size given is -3"}, {"null", 1 << 20, "the size given is 1048576"},
		{"null", 0, "give the side"}, {"32", 32, ""}, {"null", 32, ""}} {
		_, err := toOurs(model(tc.size), Options{ImageSize: tc.given})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("sample_size %s, --size %d: %v, want %q", tc.size, tc.given, err, tc.want)
		}
	}
}

// Files that Python wrote have Infinity and NaN bare, as every scheduler_config.json of a DPMSolverMultistepScheduler: they are passed over
// where nothing reads them, refused by name where something does, and left alone within strings.
func TestNumbersOfPython(t *testing.T) {
	net := preset(t, "tiny", 16, 1, 0, narrow)
	process := diffusion.Config{T: 1000, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge}
	const scheduler, config, index = schedFolder + "/" + schedulerFile, unetFolder + "/" + configFile, indexFile
	for _, tc := range []struct{ file, old, new, want string }{
		{scheduler, `"DDPMScheduler",`, `"DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "a": [Infinity,NaN],`, ""},
		{scheduler, `"DDPMScheduler",`, `"DPMSolverSinglestepScheduler", "lambda_min_clipped": -Infinity,`, ""},
		{scheduler, `"DDPMScheduler",`, `"DDPMScheduler", "a": "NaN, \" -Infinity", "b\\": NaN, "c": "\\",`, ""},
		{scheduler, `"beta_end": 0.02`, `"beta_end": Infinity`, "beta_end is Infinity, -Infinity or NaN; need a number"},
		{scheduler, `"trained_betas": null`, `"trained_betas": [0.1, NaN]`, "trained_betas is Infinity, -Infinity or NaN"},
		{scheduler, `"num_train_timesteps": 1000`, `"num_train_timesteps": -Infinity`, "num_train_timesteps is Infinity, -Infinity or NaN; need a whole number"},
		{scheduler, `"epsilon"`, `"NaN"`, `prediction_type "NaN"`},
		{scheduler, `"linear",`, `"linear" Infinity,`, "not as diffusers writes it: invalid character '1'"},
		{config, `"_class_name"`, `"_gain": Infinity, "_class_name"`, ""},
		{config, `"norm_eps": 0.000001`, `"norm_eps": NaN`, "norm_eps is Infinity, -Infinity or NaN"},
		{config, `"sample_size": 16`, `"sample_size": Infinity`, "sample_size is Infinity or NaN"},
		{config, `"_class_name"`, `"gain": Infinity, "_class_name"`, "gain, a setting that we do not know"},
		{index, `"_class_name"`, `"a": -Infinity, "_class_name"`, ""},
	} {
		dir := t.TempDir()
		if err := random(net, process).Write(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, tc.file)
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), tc.old) != 1 {
			t.Fatalf("%s has not one %s (%v): %s", tc.file, tc.old, err, text)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), tc.old, tc.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err = Read(dir, Options{})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %s: %v, want %q", tc.file, tc.new, err, tc.want)
		}
	}
}

// A file of settings without a byte is no absent one.
func TestEmptySchedulerIsRefused(t *testing.T) {
	dir := t.TempDir()
	m := random(preset(t, "tiny", 16, 1, 0, narrow), diffusion.Config{T: 10, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, schedFolder, schedulerFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(dir, Options{}); err == nil || !strings.Contains(err.Error(), schedulerFile) {
		t.Errorf("it says %v; need an error of %s", err, schedulerFile)
	}
}

// A network of images that no set has is refused when it is imported, since nothing could start from it.
func TestChannelsOfNoImagesAreRefused(t *testing.T) {
	for channels, want := range map[string]string{"1": "", "3": "", "2": "in_channels 2 (need 1 or 3", "4": "in_channels 4 (need 1 or 3", "0": "in_channels 0 (need 1 or 3"} {
		_, err := toOurs([]byte(`{"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": `+channels+`, "out_channels": `+channels+`,
			"block_out_channels": [32], "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}`), Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s channels: %v, want %q", channels, err, want)
		}
	}
}
