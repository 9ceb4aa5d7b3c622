package diffusers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// version of diffusers whose form is written.
const version = "0.42.1"

// unetConfig is the config.json of a UNet2DModel. A key that is absent has the default of diffusers, which defaults fills in.
type unetConfig struct {
	Class          string          `json:"_class_name"`
	Version        string          `json:"_diffusers_version"`
	SampleSize     json.RawMessage `json:"sample_size"` // a number, or height and width
	In             int             `json:"in_channels"`
	Out            int             `json:"out_channels"`
	Center         bool            `json:"center_input_sample"`
	TimeType       string          `json:"time_embedding_type"`
	TimeDim        *int            `json:"time_embedding_dim"`
	FreqShift      float64         `json:"freq_shift"`
	Flip           bool            `json:"flip_sin_to_cos"`
	Down           []string        `json:"down_block_types"`
	Mid            *string         `json:"mid_block_type"`
	Up             []string        `json:"up_block_types"`
	Widths         []int           `json:"block_out_channels"`
	Layers         int             `json:"layers_per_block"`
	MidScale       float64         `json:"mid_block_scale_factor"`
	DownPadding    int             `json:"downsample_padding"`
	DownType       string          `json:"downsample_type"`
	UpType         string          `json:"upsample_type"`
	Dropout        float64         `json:"dropout"`
	Activation     string          `json:"act_fn"`
	HeadDim        *int            `json:"attention_head_dim"`
	Groups         *int            `json:"norm_num_groups"`
	AttnGroups     *int            `json:"attn_norm_num_groups"`
	Eps            float64         `json:"norm_eps"`
	TimeShift      string          `json:"resnet_time_scale_shift"`
	AddAttention   bool            `json:"add_attention"`
	ClassType      *string         `json:"class_embed_type"`
	NumClasses     *int            `json:"num_class_embeds"`
	TrainTimesteps *int            `json:"num_train_timesteps"`
}

// defaults is the config.json that says nothing.
func defaults() unetConfig {
	return unetConfig{Class: "UNet2DModel", In: 3, Out: 3, TimeType: "positional", Flip: true,
		Down: []string{downPlain, downAttn, downAttn, downAttn}, Mid: ptr(midBlock), Up: []string{upAttn, upAttn, upAttn, upPlain},
		Widths: []int{224, 448, 672, 896}, Layers: 2, MidScale: 1, DownPadding: 1, DownType: "conv", UpType: "conv", Activation: "silu",
		HeadDim: ptr(8), Groups: ptr(32), Eps: 1e-5, TimeShift: "default", AddAttention: true}
}

func ptr[T any](v T) *T { return &v }

// Names of blocks.
const (
	downPlain, downAttn = "DownBlock2D", "AttnDownBlock2D"
	upPlain, upAttn     = "UpBlock2D", "AttnUpBlock2D"
	midBlock            = "UNetMidBlock2D"
)

// Resnet time embeddings.
const (
	shiftAdd   = "default"
	shiftScale = "scale_shift"
)

// toTheirs is the config.json of a network; it fails where diffusers has no form for something, and lists all of it.
func toTheirs(c unet.Config) (unetConfig, error) {
	var lacks []string
	u := defaults()
	u.Version = version
	shape := c.Shape()
	u.SampleSize = json.RawMessage(fmt.Sprint(shape.H))
	if shape.H != shape.W {
		u.SampleSize = json.RawMessage(fmt.Sprintf("[%d, %d]", shape.H, shape.W))
	}
	u.In, u.Out, u.Layers, u.Dropout, u.Groups, u.AddAttention = c.Channels, c.OutChannels, c.ResBlocks, c.Dropout, ptr(c.Groups), c.MidAttn
	u.Flip, u.FreqShift, u.Eps = c.Form.CosFirst, 1, c.Form.NormEps
	if c.Form.OpenFreq {
		u.FreqShift = 0
	}
	if u.Eps == 0 {
		u.Eps = 1e-6
	}
	u.DownPadding = 0
	if c.Form.PadAround {
		u.DownPadding = 1
	}
	if c.Form.ScaleShift {
		u.TimeShift = shiftScale
		if !c.Form.PlainMid {
			u.AttnGroups = ptr(c.Groups)
		}
	} else if c.Form.PlainMid {
		lacks = append(lacks, "attention without normalisation in the middle block (form.plain_mid) together with an embedding that is added")
	}
	if c.Mults[0] != 1 {
		lacks = append(lacks, fmt.Sprintf("a first level %d times as wide as the first convolution (network.mults %v; its first needs to be 1)", c.Mults[0], c.Mults))
	}
	if c.Classes > 0 {
		u.NumClasses = ptr(c.Classes + 1)
	}
	u.Down, u.Up, u.Widths = nil, nil, nil
	var attended []int // channels wherever there is attention
	for level, yes := range attending(c) {
		width := c.Base * c.Mults[level]
		u.Widths = append(u.Widths, width)
		down, up := downPlain, upPlain
		if yes {
			down, up = downAttn, upAttn
			attended = append(attended, width)
		}
		u.Down, u.Up = append(u.Down, down), slices.Insert(u.Up, 0, up)
	}
	if c.MidAttn {
		attended = append(attended, c.Base*c.Mults[len(c.Mults)-1])
	}
	u.HeadDim = nil // one head
	switch {
	case c.Form.HeadDim > 0:
		u.HeadDim = ptr(c.Form.HeadDim)
	case c.Heads > 1 && len(slices.Compact(slices.Clone(attended))) > 1:
		lacks = append(lacks, fmt.Sprintf("%d heads at every width (%v channels): it knows heads of one size", c.Heads, attended))
	case c.Heads > 1 && len(attended) > 0:
		u.HeadDim = ptr(attended[0] / c.Heads)
	}
	return u, lacking("diffusers has no form for", lacks)
}

// lacking is the error that lists what the other form lacks.
func lacking(what string, lacks []string) error {
	if len(lacks) == 0 {
		return nil
	}
	return errors.Errorf("%s: %s", what, strings.Join(lacks, "; "))
}

// Options say of a model what its folder does not.
type Options struct {
	// NoLabel says that the last row of the class embedding means "no label". Otherwise all rows are classes, and the network
	// gets another, which is the mean of theirs. Models that this program wrote need no option.
	NoLabel bool

	// ImageSize is the side of the model's images in pixels where sample_size is null.
	ImageSize int

	// Variant names the weights to read, "fp16" those in diffusion_pytorch_model.fp16.safetensors. "" is the plain ones, or
	// where there are none the only variant.
	Variant string
}

// toOurs is the network of a config.json, all of whose class embeddings are classes, except for the last where noLabel is set. It
// fails where we have no form for something, and lists all of it.
func toOurs(text []byte, o Options) (unet.Config, error) {
	u := defaults()
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return unet.Config{}, errors.WithMessage(plainJSON(err), "no JSON object")
	}
	if err := json.Unmarshal(text, &u); err != nil {
		return unet.Config{}, errors.WithMessage(plainJSON(err), "not as diffusers writes it")
	}
	var lacks []string
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			lacks = append(lacks, fmt.Sprintf(format, args...))
		}
	}
	known, _ := json.Marshal(defaults())
	var names map[string]any
	_ = json.Unmarshal(known, &names)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		_, ok := names[key]
		refuse(!ok && !strings.HasPrefix(key, "_") && string(bytes.TrimSpace(keys[key])) != "null", "%s, a setting that we do not know", key)
	}
	if u.Class != "UNet2DModel" {
		return unet.Config{}, errors.Errorf("_class_name is %q; only a UNet2DModel can be imported", u.Class)
	}
	if o.ImageSize < 0 || o.ImageSize > mostPixels {
		return unet.Config{}, errors.Errorf("the size given is %d; need the side of the model's images in pixels, 1 to %d", o.ImageSize, mostPixels)
	}
	h, w, sized := sampleSize(u.SampleSize, o.ImageSize)
	if !sized {
		if len(u.SampleSize) > 0 && string(u.SampleSize) != "null" {
			return unet.Config{}, errors.Errorf("sample_size is %.40s; need a whole number of pixels up to %d, or a list of height and width", strings.ReplaceAll(string(u.SampleSize), notFinite, "Infinity or NaN"), mostPixels)
		}
		return unet.Config{}, errors.Errorf("sample_size is null; give the side of its images in pixels, up to %d, as size (`import --size`)", mostPixels)
	}
	if o.ImageSize > 0 && (h != o.ImageSize || w != o.ImageSize) {
		return unet.Config{}, errors.Errorf("the size given is %d, but the model says itself that its images are %d×%d (sample_size); give none", o.ImageSize, h, w)
	}
	refuse(u.In != 1 && u.In != 3, "in_channels %d (need 1 or 3, as images are grey or in colour: no study can start from another)", u.In)
	refuse(u.Out != u.In && u.Out != 2*u.In, "in_channels %d with out_channels %d (need as many, or twice as many where the variance is learned)", u.In, u.Out)
	refuse(u.Center, "center_input_sample")
	refuse(u.TimeType != "positional", "time_embedding_type %q (need \"positional\")", u.TimeType)
	refuse(u.FreqShift != 0 && u.FreqShift != 1, "freq_shift %g (need 0 or 1)", u.FreqShift)
	refuse(u.Mid == nil || *u.Mid != midBlock, "mid_block_type %s (need %q)", show(u.Mid), midBlock)
	refuse(u.MidScale != 1, "mid_block_scale_factor %g (need 1)", u.MidScale)
	refuse(u.DownPadding != 0 && u.DownPadding != 1, "downsample_padding %d (need 0 or 1)", u.DownPadding)
	refuse(u.DownType != "conv", "downsample_type %q (need \"conv\")", u.DownType)
	refuse(u.UpType != "conv", "upsample_type %q (need \"conv\")", u.UpType)
	refuse(u.Activation != "silu" && u.Activation != "swish", "act_fn %q (need \"silu\")", u.Activation)
	refuse(u.TimeShift != shiftAdd && u.TimeShift != shiftScale, "resnet_time_scale_shift %q (need %q or %q)", u.TimeShift, shiftAdd, shiftScale)
	refuse(u.ClassType != nil, "class_embed_type %s (need null)", show(u.ClassType))
	refuse(u.Groups == nil, "norm_num_groups null")
	refuse(u.Layers < 1 || u.Layers > mostLayers, "layers_per_block %d (need 1 to %d)", u.Layers, mostLayers)
	refuse(slices.ContainsFunc(u.Widths, func(w int) bool { return w < 1 || w > mostChannels }), "block_out_channels %v (need 1 to %d each)", u.Widths, mostChannels)
	refuse(u.TimeDim != nil && *u.TimeDim != 0 && len(u.Widths) > 0 && *u.TimeDim != 4*u.Widths[0], "time_embedding_dim %s (need null, or four times the first of block_out_channels)", show(u.TimeDim))
	refuse(u.Groups != nil && u.AttnGroups != nil && *u.AttnGroups != *u.Groups, "attn_norm_num_groups %s next to norm_num_groups %s (need the same)", show(u.AttnGroups), show(u.Groups))
	refuse(u.HeadDim != nil && *u.HeadDim < 1, "attention_head_dim %s (need 1 or more, or null for one head)", show(u.HeadDim))
	refuse(!(u.Eps > 0 && u.Eps < 1), "norm_eps %g", u.Eps)
	levels := len(u.Widths)
	refuse(levels == 0 || len(u.Down) != levels || len(u.Up) != levels, "%d block_out_channels, %d down_block_types, %d up_block_types (need as many of each)", levels, len(u.Down), len(u.Up))
	if len(lacks) > 0 && (levels == 0 || len(u.Down) != levels || len(u.Up) != levels) {
		return unet.Config{}, lacking("we have no form for", lacks)
	}
	c := unet.Config{ImageSize: h, Channels: u.In, OutChannels: u.Out, Base: u.Widths[0], ResBlocks: u.Layers, MidAttn: u.AddAttention, Heads: 1, Dropout: u.Dropout}
	if w != h {
		c.Width = w
	}
	if u.Groups != nil {
		c.Groups = *u.Groups
	}
	for level, width := range u.Widths {
		down, up := u.Down[level], u.Up[levels-1-level]
		refuse(down != downPlain && down != downAttn, "down_block_types[%d] %q (need %q or %q)", level, down, downPlain, downAttn)
		refuse(up != upPlain && up != upAttn, "up_block_types[%d] %q (need %q or %q)", levels-1-level, up, upPlain, upAttn)
		refuse((down == downAttn) != (up == upAttn), "attention at level %d on one way only (%q down, %q up)", level, down, up)
		refuse(u.Widths[0] > 0 && width%u.Widths[0] != 0, "block_out_channels %v (need multiples of the first)", u.Widths)
		if u.Widths[0] > 0 {
			c.Mults = append(c.Mults, width/u.Widths[0])
		}
		if down == downAttn {
			c.Attention = append(c.Attention, min(h, w)>>level)
		}
	}
	c.Form = unet.Form{CosFirst: u.Flip, OpenFreq: u.FreqShift == 0, PadAround: u.DownPadding == 1, ScaleShift: u.TimeShift == shiftScale}
	c.Form.PlainMid = c.Form.ScaleShift && c.MidAttn && u.AttnGroups == nil
	if math.Abs(u.Eps-1e-6) > 1e-15 {
		c.Form.NormEps = u.Eps
	}
	if u.HeadDim != nil {
		c.Form.HeadDim = *u.HeadDim
	}
	if u.NumClasses != nil {
		c.Classes = *u.NumClasses
		if o.NoLabel {
			c.Classes--
		}
		refuse(c.Classes < 1, "num_class_embeds %d, of which %d are classes (need 1 or more)", *u.NumClasses, c.Classes)
	}
	if len(lacks) > 0 {
		return unet.Config{}, lacking("we have no form for", slices.Compact(lacks))
	}
	return c, errors.WithMessage(c.Validate(), "no network can be made of it")
}

// plainJSON says what is wrong with a file of settings by its keys and the kinds of their values.
func plainJSON(err error) error {
	var other *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return errors.Errorf("%v, at byte %d", syntax, syntax.Offset)
	case errors.As(err, &other):
		key, need := other.Field, "an object"
		if key == "" {
			key = "it"
		}
		switch other.Type.Kind() {
		case reflect.Int:
			need = "a whole number"
		case reflect.Float64:
			need = "a number"
		case reflect.String:
			need = "a string"
		case reflect.Bool:
			need = "true or false"
		case reflect.Slice:
			need = "a list"
		}
		if strings.HasSuffix(other.Value, notFinite) {
			return errors.Errorf("%s is Infinity, -Infinity or NaN; need %s", key, need)
		}
		return errors.Errorf("%s is of kind %s; need %s", key, other.Value, need)
	}
	return err
}

// Far more than any network has, so that none is laid out that no memory holds.
const (
	mostLayers   = 100
	mostChannels = 1 << 16
	mostPixels   = 1 << 14
)

// show writes what a pointer leads to.
func show[T any](p *T) string {
	if p == nil {
		return "null"
	}
	return fmt.Sprintf("%v", *p)
}

// sampleSize reads a number or a pair of them; size is taken where there is none.
func sampleSize(text json.RawMessage, size int) (h, w int, ok bool) {
	var pair []int
	switch {
	case len(text) == 0 || string(text) == "null":
		h, w = size, size
	case json.Unmarshal(text, &h) == nil:
		w = h
	case json.Unmarshal(text, &pair) == nil && len(pair) == 2:
		h, w = pair[0], pair[1]
	}
	return h, w, min(h, w) > 0 && max(h, w) <= mostPixels
}

// scheduler is the scheduler_config.json of a DDPMScheduler or another on the same forward process.
type scheduler struct {
	Class      string    `json:"_class_name"`
	Version    string    `json:"_diffusers_version"`
	Timesteps  int       `json:"num_train_timesteps"`
	Start      float64   `json:"beta_start"`
	End        float64   `json:"beta_end"`
	Schedule   string    `json:"beta_schedule"`
	Betas      []float64 `json:"trained_betas"`
	Variance   string    `json:"variance_type"`
	Prediction string    `json:"prediction_type"`
	Clip       bool      `json:"clip_sample"`
	ClipRange  float64   `json:"clip_sample_range"`
	Spacing    string    `json:"timestep_spacing"`
	Offset     int       `json:"steps_offset"`
	ZeroSNR    bool      `json:"rescale_betas_zero_snr"`
	Threshold  bool      `json:"thresholding"`
	Ratio      float64   `json:"dynamic_thresholding_ratio"`
	Max        float64   `json:"sample_max_value"`
}

// schedulers are those whose forward process is a DDPM's and whose settings have the defaults of DDPMScheduler.
var schedulers = []string{"DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
	"DEISMultistepScheduler", "UniPCMultistepScheduler"}

// Our names for theirs.
var (
	predictions = map[string]string{"epsilon": diffusion.PredictNoise, "sample": diffusion.PredictImage, "v_prediction": diffusion.PredictVelocity}
	variances   = map[string]string{"fixed_small": diffusion.FixedSmall, "fixed_small_log": diffusion.FixedSmall, "fixed_large": diffusion.FixedLarge,
		"fixed_large_log": diffusion.FixedLarge, "learned_range": diffusion.LearnedRange}
)

// inverse looks a value up; of several keys the shortest is the plain one.
func inverse(m map[string]string, value string) (string, bool) {
	best, found := "", false
	for k, v := range m {
		if v == value && (!found || len(k) < len(best)) {
			best, found = k, true
		}
	}
	return best, found
}

// squaredCos is their name of the "cosine" schedule.
const squaredCos = "squaredcos_cap_v2"

// flowScheduler is the scheduler_config.json of a FlowMatchEulerDiscreteScheduler that leaves the path as it is: its noise level
// sigma is our τ, its timestep sigma·T, which is one more than ours, and its model's output dx/dsigma.
type flowScheduler struct {
	Class     string  `json:"_class_name"`
	Version   string  `json:"_diffusers_version"`
	Timesteps int     `json:"num_train_timesteps"`
	Shift     float64 `json:"shift"`
	Dynamic   bool    `json:"use_dynamic_shifting"`
}

// flowClass is the scheduler of flows.
const flowClass = "FlowMatchEulerDiscreteScheduler"

// isFlow says whether a process is a flow, which diffusers has schedulers of their own for.
func isFlow(c diffusion.Config) bool { return c.Prediction == diffusion.PredictFlow }

// schedulerOf is the scheduler_config.json of a process, and the class of its scheduler.
func schedulerOf(c diffusion.Config) (config any, class string, err error) {
	if isFlow(c) {
		return flowScheduler{Class: flowClass, Version: version, Timesteps: c.T, Shift: 1}, flowClass, nil
	}
	s, err := ddpmSchedulerOf(c)
	return s, s.Class, err
}

// ddpmSchedulerOf is that of a process that is no flow.
func ddpmSchedulerOf(c diffusion.Config) (scheduler, error) {
	s := scheduler{Class: "DDPMScheduler", Version: version, Timesteps: c.T, Start: 1e-4, End: 0.02, Schedule: "linear", Clip: true, ClipRange: 1,
		Spacing: "trailing", Ratio: 0.995, Max: 1}
	var ok [2]bool
	s.Prediction, ok[0] = inverse(predictions, c.Prediction)
	s.Variance, ok[1] = inverse(variances, c.Variance)
	if !ok[0] || !ok[1] {
		return s, errors.Errorf("diffusers has no form for prediction %q with variance %q", c.Prediction, c.Variance)
	}
	table, err := diffusion.NewSchedule(c.Schedule, c.T)
	if err != nil {
		return s, err
	}
	kind, ends, _ := strings.Cut(c.Schedule, ":")
	s.Start, s.End = table.Beta[0], table.Beta[c.T-1]
	switch {
	case kind == "cosine":
		s.Schedule, s.Start, s.End = squaredCos, 1e-4, 0.02 // of no effect
	case kind == "scaled-linear" && ends != "":
		s.Schedule = "scaled_linear"
	case kind == "linear" && isLinear(table.Beta):
	default: // a line that was cut off at the top
		s.Betas = table.Beta
	}
	return s, nil
}

// isLinear says whether variances lie on a line, to the last digits of float32.
func isLinear(beta []float64) bool {
	first, last := beta[0], beta[len(beta)-1]
	for t, b := range beta {
		if math.Abs(b-(first+(last-first)*float64(t)/float64(len(beta)-1))) > 1e-8 {
			return false
		}
	}
	return true
}

// processOf is the process of a scheduler_config.json for a network with or without a learned variance; own says that this program
// wrote it. It fails where we have no form for something, and lists all of it.
func processOf(text []byte, learned, own bool) (diffusion.Config, error) {
	s := scheduler{Timesteps: 1000, Start: 1e-4, End: 0.02, Schedule: "linear", Variance: "fixed_small", Prediction: "epsilon", ClipRange: 1}
	if err := json.Unmarshal(text, &s); err != nil {
		return diffusion.Config{}, errors.WithMessage(plainJSON(err), "not as diffusers writes it")
	}
	if s.Class == flowClass {
		f := flowScheduler{Timesteps: 1000, Shift: 1}
		err := json.Unmarshal(text, &f)
		switch {
		case err != nil:
			return diffusion.Config{}, errors.WithMessage(plainJSON(err), "not as diffusers writes it")
		case !own:
			return diffusion.Config{}, errors.Errorf("_class_name is %q of a model that this program did not export: it counts a flow's timesteps from sigma·T, ours from one less", flowClass)
		case f.Shift != 1 || f.Dynamic || learned:
			return diffusion.Config{}, errors.Errorf("%s with shift %g, use_dynamic_shifting %t, a learned variance %t; need 1, false, false", flowClass, f.Shift, f.Dynamic, learned)
		}
		c := diffusion.Config{T: f.Timesteps, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge}
		_, err = diffusion.New(c)
		return c, err
	}
	if !slices.Contains(schedulers, s.Class) {
		return diffusion.Config{}, errors.Errorf("_class_name is %q; need one of %v", s.Class, schedulers)
	}
	var lacks []string
	c := diffusion.Config{T: s.Timesteps}
	var ok bool
	if c.Prediction, ok = predictions[s.Prediction]; !ok {
		lacks = append(lacks, fmt.Sprintf("prediction_type %q (need epsilon, sample or v_prediction)", s.Prediction))
	}
	switch c.Variance, ok = variances[s.Variance]; {
	case learned && (!ok || c.Variance != diffusion.LearnedRange):
		if s.Class == "DDPMScheduler" {
			lacks = append(lacks, fmt.Sprintf("variance_type %q with twice as many output channels (need learned_range)", s.Variance))
		}
		c.Variance = diffusion.LearnedRange // of other schedulers, which know no variance
	case !ok || !learned && c.Variance == diffusion.LearnedRange:
		lacks = append(lacks, fmt.Sprintf("variance_type %q (need fixed_small, fixed_large, or learned_range with twice as many output channels)", s.Variance))
	}
	if s.ZeroSNR {
		lacks = append(lacks, "rescale_betas_zero_snr")
	}
	switch {
	case len(s.Betas) > 0:
		if c.T = len(s.Betas); !fits(&c, s.Betas) {
			lacks = append(lacks, fmt.Sprintf("trained_betas of %d timesteps that are none of our schedules", len(s.Betas)))
		}
	case s.Schedule == squaredCos:
		c.Schedule = "cosine"
	case s.Schedule == "linear" || s.Schedule == "scaled_linear":
		c.Schedule = fmt.Sprintf("%s:%v:%v", strings.ReplaceAll(s.Schedule, "_", "-"), s.Start, s.End)
		if own, err := diffusion.NewSchedule("linear", c.T); err == nil && s.Schedule == "linear" && near(own.Beta[0], s.Start) && near(own.Beta[c.T-1], s.End) && isLinear(own.Beta) {
			c.Schedule = "linear"
		}
	default:
		lacks = append(lacks, fmt.Sprintf("beta_schedule %q (need linear, scaled_linear or %s)", s.Schedule, squaredCos))
	}
	if len(lacks) > 0 {
		return c, lacking("we have no form for", lacks)
	}
	_, err := diffusion.New(c)
	return c, err
}

// clipping is a note about a scheduler that treats estimates of images otherwise than runs here do, which clip them to [-1, 1]; "" where
// it does as they.
func clipping(text []byte) string {
	s := scheduler{Clip: true, ClipRange: 1, Max: 1}
	if err := json.Unmarshal(text, &s); err != nil || s.Class == flowClass {
		return ""
	}
	const ours = "runs here clip them to [-1, 1] unless evaluate.sampler.clip is false"
	switch {
	case s.Threshold && s.Max == 1:
		return "its scheduler's thresholding=true with sample_max_value 1 clips estimates of images to [-1, 1], as runs here do"
	case s.Threshold:
		return fmt.Sprintf("its scheduler scales estimates of images down by their quantile (thresholding=true, sample_max_value %g); %s", s.Max, ours)
	case !s.Clip:
		return "its scheduler does not clip estimates of images (clip_sample=false); " + ours
	case s.ClipRange != 1:
		return fmt.Sprintf("its scheduler clips estimates of images to ±%g (clip_sample_range); %s", s.ClipRange, ours)
	}
	return ""
}

// near says whether two variances are one, to the last digits of float32.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }

// fits finds the schedule of ours that has given variances.
func fits(c *diffusion.Config, beta []float64) bool {
	for _, name := range []string{"linear", "cosine"} {
		s, err := diffusion.NewSchedule(name, len(beta))
		if err != nil {
			return false
		}
		same := true
		for t, b := range beta {
			same = same && near(s.Beta[t], b)
		}
		if same {
			c.Schedule = name
			return true
		}
	}
	return false
}
