package experiment

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dit"
	"palimpsest/pkg/network"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/results"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/unet"
	"palimpsest/pkg/words"
)

// Config is one run. [DefaultConfig] has the settings of the quick benchmark.
type Config struct {
	Name      string                `yaml:"name"` // of the run's folder; empty: made from strategy and seed
	Seed      uint64                `yaml:"seed"` // of weights, data order, noise, buffers and samples
	Benchmark BenchmarkConfig       `yaml:"benchmark"`
	Network   NetworkConfig         `yaml:"network"`
	Diffusion diffusion.Config      `yaml:"diffusion"`
	Train     diffusion.TrainConfig `yaml:"train"`
	Loop      cl.LoopConfig         `yaml:"loop"`
	Strategy  cl.Spec               `yaml:"strategy"`
	Evaluate  EvaluateConfig        `yaml:"evaluate"`
	Probe     ProbeConfig           `yaml:"probe"`
	BPD       BPDConfig             `yaml:"bpd"`
	Autopsy   AutopsyConfig         `yaml:"autopsy"`

	// Variant tells runs of one strategy under different settings apart: it is added to label and folder name.
	Variant string `yaml:"variant"`

	CheckpointEvery int `yaml:"checkpoint_every"` // optimiser steps between checkpoints; 0: only at the end of each task
	// KeepNetworks keeps the network as it is after each task, for [Export] and to be looked at; a network of float32 weights takes 16
	// bytes a weight.
	KeepNetworks bool `yaml:"keep_networks,omitempty"`

	// Cores is how many of the processor's cores the run's process is kept to. XLA divides its work by that number, which
	// the last digits of all results depend on. 0: all that the process may run on when the run begins; the run then goes on
	// with as many, wherever there are.
	Cores int `yaml:"cores"`

	Backend BackendConfig `yaml:"backend,omitempty"`

	// Extends names the finished run that this one goes on with; written by [Extension].
	Extends ExtendsConfig `yaml:"extends,omitempty"`
}

// BackendConfig says how the network is computed.
type BackendConfig struct {
	// Compute is "float32" ("" is the same) or "bfloat16": what the network computes with; weights, normalisation, losses
	// and the optimiser stay float32 ([unet.Config.Compute]).
	Compute string `yaml:"compute,omitempty"`

	// Devices is on how many devices of this machine the training step computes, each on a share of its rows: "2" say, or
	// "all" for every GPU. "": one. Results are the same but for the last digits, so a run may go on with another number.
	Devices string `yaml:"devices,omitempty"`
}

// BenchmarkConfig says which images arrive in which order.
type BenchmarkConfig struct {
	Scenario       string     `yaml:"scenario"`           // "class-incremental" or "domain-incremental"
	Datasets       []string   `yaml:"datasets"`           // one a task for domain-incremental; for class-incremental one whose classes are parted into tasks, and any that follow as a task each
	ClassesPerTask int        `yaml:"classes_per_task"`   // class-incremental
	PartAll        bool       `yaml:"part_all,omitempty"` // class-incremental: part the classes of all sets into tasks, not of the first alone
	ClassOrder     string     `yaml:"class_order"`        // "natural", "seeded" (by order_seed) or "given"
	OrderSeed      uint64     `yaml:"order_seed"`
	Tasks          [][]string `yaml:"tasks,omitempty"` // class-incremental: the names of each task's classes, [[rose, tulip], [daisy]], in place of the three above and of classes
	Classes        []int      `yaml:"classes"`         // the order where class_order is "given"; may leave classes out
	SharedLabels   bool       `yaml:"shared_labels"`   // domain-incremental: class k of every domain is one label
	ValFraction    float64    `yaml:"val_fraction"`    // share of the training images held out for choices, of sets that have no validation images of their own

	// Blur is the share of each task's training images that arrives with its neighbours, drawn by order_seed: see
	// [datasets.Benchmark.Blurred].
	Blur float64 `yaml:"blur,omitempty"`
	// Stream is StreamTasks ("" is the same), one task after another, or StreamOnline: every image once, in batches, with nothing
	// that tells where one task ends and the next begins; the number of steps follows, and loop.steps_per_task says nothing.
	Stream string `yaml:"stream,omitempty"`

	Prep datasets.Prep `yaml:"prep"`
}

// NetworkConfig names a size and what deviates from it. Zero and empty values keep the size's own.
type NetworkConfig struct {
	// Init names an imported model ([models.Info]) to start from: architecture and process are the model's, and Size says
	// nothing. Label k of the benchmark is the model's label k; labels that it lacks begin as what it does without a label.
	Init string `yaml:"init,omitempty"`

	// Knows says that the first task is what the model of Init knows already. It is not trained; the strategy is given its images:
	// KnowsReal, those of the benchmark, or KnowsSamples, as many that the model itself draws of the same classes.
	Knows string `yaml:"knows,omitempty"`

	// Architecture is "unet" ("" is the same) or "dit", the transformer of package dit.
	Architecture string `yaml:"architecture,omitempty"`

	Size        string `yaml:"size"`        // "tiny", "small" or "ddpm"; of dit "tiny", or "S/2" to "XL/8"
	Conditional bool   `yaml:"conditional"` // whether the network is told the class

	// Classes is for how many classes the network has labels, where that is more than the benchmark has: room for sets that come
	// later, so that a run extended by them is, bit for bit, the one that knew of them. 0: as many as the benchmark has.
	Classes int `yaml:"classes,omitempty"`

	Base      int     `yaml:"base"`
	Mults     []int   `yaml:"mults"`
	ResBlocks int     `yaml:"res_blocks"`
	Attention []int   `yaml:"attention"`
	Dropout   float64 `yaml:"dropout"`

	// Of dit alone, whose sizes these are ([dit.Config]); base, mults, res_blocks, attention and dropout are of unet.
	Patch  int `yaml:"patch,omitempty"`
	Depth  int `yaml:"depth,omitempty"`
	Hidden int `yaml:"hidden,omitempty"`
	Heads  int `yaml:"heads,omitempty"`
}

// Architectures of networks.
const (
	ArchitectureUNet = "unet"
	ArchitectureDiT  = "dit"
)

// EvaluateConfig says what is measured after each task.
type EvaluateConfig struct {
	SamplesPerTask int                     `yaml:"samples_per_task"`
	Ahead          bool                    `yaml:"ahead,omitempty"` // measure tasks before they are learned too; their rows of a matrix are whole then
	Reference      string                  `yaml:"reference"`       // "test", or "validation" while settings are chosen
	Sampler        diffusion.SamplerConfig `yaml:"sampler"`
	Guidance       float64                 `yaml:"guidance"`      // scale of classifier-free guidance; 0: none
	EMA            bool                    `yaml:"ema"`           // sample from the averaged weights
	Batch          int                     `yaml:"batch"`         // images a network call
	Extractor      string                  `yaml:"extractor"`     // "auto": the classifier shipped for the sets, or one trained on them once; or the file of an Inception network, of a classifier, or of any network in ONNX
	AllowSmallN    bool                    `yaml:"allow_small_n"` // permit FID with fewer samples than features
}

// DefaultConfig is one run of the quick benchmark: five tasks of two classes from the embedded Fashion-MNIST sample at
// 16×16, a tiny class-conditional DDPM. It predicts the velocity on a cosine schedule: noise prediction on
// the linear schedule leaves joint training's FID on validation images nearly twice as high after as many steps.
func DefaultConfig() Config {
	return Config{
		Benchmark: BenchmarkConfig{
			Scenario: ClassIncremental, Datasets: []string{"fashion-mnist-sample"}, ClassesPerTask: 2,
			ClassOrder: "natural", Prep: datasets.Prep{Method: "area", Size: 16},
		},
		Network:   NetworkConfig{Size: "tiny", Conditional: true},
		Diffusion: diffusion.Config{T: 1000, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge},
		Train:     diffusion.TrainConfig{LearningRate: 1e-3, ClipNorm: 1, EMA: 0.99, WarmUp: 20},
		Loop:      cl.LoopConfig{FreshRows: 16, ReplayRows: 16, StepsPerTask: 150},
		Strategy:  cl.Spec{Name: "finetune"},
		Evaluate: EvaluateConfig{
			SamplesPerTask: 100, Reference: ReferenceTest, EMA: true, Batch: 100, Extractor: "auto",
			Sampler: diffusion.SamplerConfig{Name: "dpm++2m", Steps: 10, Clip: true},
		},
		Probe:           ProbeConfig{Images: 8, Timesteps: 20},
		BPD:             BPDConfig{Terms: 41},
		Autopsy:         AutopsyConfig{Timesteps: 10, Steps: 10, Thresholds: 11},
		CheckpointEvery: 100,
	}
}

// Which images of a task a run is measured against, [EvaluateConfig].Reference.
const (
	ReferenceTest       = "test"
	ReferenceValidation = "validation"
)

// noReference is the error of a reference that there is none of.
func noReference(name string) error {
	return errors.Errorf("evaluate.reference is %.100q; choose %q or %q", name, ReferenceTest, ReferenceValidation)
}

// Images are the images of a task that the run is measured against. It panics where the reference is none that there is.
func (e EvaluateConfig) Images(t datasets.Task) *datasets.Images {
	switch e.Reference {
	case ReferenceTest:
		return t.Test
	case ReferenceValidation:
		return t.Val
	}
	panic(noReference(e.Reference))
}

// calls is how many rows of the network a timestep of one sample takes: two with classifier-free guidance.
func (e EvaluateConfig) calls() int {
	if e.Guidance > 0 {
		return 2
	}
	return 1
}

// rows is how many images a measuring call of the network has: as many as the sampler's, so that one compiled network
// serves both.
func (e EvaluateConfig) rows() int { return min(e.Batch, e.SamplesPerTask) }

// decodeConfig reads a YAML configuration over the defaults, without asking whether a run can be made. A key that does not exist is
// an error that names the nearest one, a value that its setting cannot hold as it is written is one that names the setting; name is
// for errors.
func decodeConfig(name string, text []byte) (Config, error) {
	doc, err := settings.Document(name, text)
	if err != nil || doc == nil {
		return DefaultConfig(), err
	}
	return decodeNode(name, doc)
}

// decodeNode puts the settings of a document over the defaults.
func decodeNode(name string, doc *yaml.Node) (Config, error) {
	c := defaultsFor(doc)
	if err := checkKeys(name, doc, settingNames(reflect.TypeFor[Config]()), nil); err != nil {
		return c, err
	}
	var tree any
	if err := doc.Decode(&tree); err != nil {
		return c, errors.Errorf("%s: %s", name, oneline.Text(err.Error()))
	}
	if err := settings.Fits(tree, reflect.TypeFor[Config](), ""); err != nil {
		return c, errors.WithMessage(err, name)
	}
	if err := doc.Decode(&c); err != nil {
		return c, errors.Errorf("%s: %s", name, oneline.Text(err.Error()))
	}
	c.takeProcess(doc)
	return c, nil
}

// LoadConfig reads the YAML file at path and applies settings of the form "loop.steps_per_task=300" over it, see [OverrideConfig].
func LoadConfig(path string, set ...string) (Config, error) { return loadConfig("set", path, set) }

// LoadConfigFlags is [LoadConfig] for a command line: errors name a setting as the option --set that gave it.
func LoadConfigFlags(path string, set ...string) (Config, error) {
	return loadConfig(flagOf["Set"], path, set)
}

func loadConfig(option, path string, set []string) (Config, error) {
	text, err := ReadConfig(path)
	if err != nil {
		return Config{}, err
	}
	if err := checkRepeated(set); err != nil {
		return Config{}, refuse(err)
	}
	return overrideConfig(path, text, set, func(s string) string { return option + " " + s })
}

// DefaultText is [DefaultConfig] as YAML, and in comments the settings that it leaves out.
func DefaultText() ([]byte, error) {
	c := DefaultConfig()
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, errors.Wrap(err, "configuration")
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, errors.Wrap(err, "configuration")
	}
	text = append(text, "\n# Left out above, at their usual values; for --set as they stand here, or for a line in their section:\n"...)
	for _, s := range flatten(c) {
		var at any = tree
		keys := strings.Split(s.key, ".")
		for _, key := range keys {
			section, _ := at.(map[string]any)
			at = section[key]
		}
		if at == nil && keys[len(keys)-1] != "-" && keys[0] != "extends" && keys[0] != "strategy" { // `extend` writes the one, each strategy has its own
			text = fmt.Appendf(text, "#   %s=%s\n", s.key, cmp.Or(s.value, `""`))
		}
	}
	return text, nil
}

// ReadConfig reads the text of a configuration's file.
func ReadConfig(path string) ([]byte, error) {
	text, err := settings.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Errorf("%s: there is no such file; name a YAML file of settings, such as `go run . run --defaults` prints", path)
	}
	return text, err
}

// OverrideConfig reads a YAML configuration over the defaults, with settings of the form "loop.steps_per_task=300" over it. A
// key that does not exist is an error that names the nearest one, a value that its setting cannot hold as it is written is one
// that names the setting; name is for errors, those of a setting begin with "set" and it. Where the text alone would do, the error is one of
// [Refused].
func OverrideConfig(name string, text []byte, set []string) (Config, error) {
	return overrideConfig(name, text, set, func(s string) string { return "set " + s })
}

// overrideConfig is OverrideConfig with the options that gave the settings, "" for one that the user did not give. An error that goes away, or gives way to
// another, without a setting is the setting's and no error of the text.
func overrideConfig(name string, text []byte, set []string, option func(setting string) string) (Config, error) {
	c, err := override(name, text, set)
	if err == nil || len(set) == 0 {
		return c, err
	}
	same := func(other error) bool { return other != nil && other.Error() == err.Error() }
	_, alone := override(name, text, nil)
	ofText := same(alone)
	for i, s := range set {
		if option(s) == "" {
			continue
		}
		if _, without := override(name, text, slices.Delete(slices.Clone(set), i, i+1)); without == nil {
			name = oneline.Text(option(s))
			break
		}
		if !ofText && i == len(set)-1 { // several are wrong, or only together
			var all []string
			for _, s := range concerned(name, text, set, err) {
				if o := option(s); o != "" {
					all = append(all, o)
				}
			}
			name = oneline.Text(strings.Join(all, " "))
		}
	}
	c, err = override(name, text, set)
	if !ofText {
		err = refuse(err)
	}
	return c, err
}

// concerned are those of the settings that an error of override needs to come about as it is.
func concerned(name string, text []byte, set []string, err error) []string {
	need := slices.Clone(set)
	for i := len(need) - 1; i >= 0; i-- {
		without := slices.Delete(slices.Clone(need), i, i+1)
		if _, same := override(name, text, without); same != nil && same.Error() == err.Error() {
			need = without
		}
	}
	return need
}

func override(name string, text []byte, set []string) (Config, error) {
	doc, err := settings.Document(name, text)
	if err != nil {
		return Config{}, err
	}
	if doc == nil {
		doc = &yaml.Node{Kind: yaml.MappingNode}
	}
	if doc.Kind != yaml.MappingNode {
		return Config{}, errors.Errorf("%s is not a YAML mapping of settings", name)
	}
	// Before a setting takes the place of what the text has there.
	if err := checkKeys(name, doc, settingNames(reflect.TypeFor[Config]()), nil); err != nil {
		return Config{}, err
	}
	for _, s := range set {
		path, value, found := strings.Cut(s, "=")
		if !found || path == "" {
			return Config{}, errors.Errorf("setting %.100q; need KEY=VALUE, for instance loop.steps_per_task=300", s)
		}
		// The literal itself, not what it stands for: no digit of a large number or of a name is lost.
		parsed, err := settings.Document(fmt.Sprintf("the value of setting %.100q", s), []byte(value))
		if err != nil {
			return Config{}, err
		}
		if strings.TrimSpace(value) == "" {
			return Config{}, errors.Errorf("%s: %.100s has no value; give it one, or leave it out", name, path)
		}
		if parsed == nil {
			parsed = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		}
		parsed.Line = 0 // it stands in no file
		put(doc, strings.Split(path, "."), parsed)
	}
	c, err := decodeNode(name, doc)
	if err == nil {
		err = errors.WithMessage(c.checkInitSize(), name)
	}
	if err != nil {
		return c, err
	}
	c, err = c.placed()
	return c, errors.WithMessage(err, name)
}

// placed is c with the full paths of its sets, once it is sound.
func (c Config) placed() (Config, error) {
	for _, sets := range []*[]string{&c.Benchmark.Datasets, &c.BPD.Outside} {
		*sets = slices.Clone(*sets) // the caller's stay as they are
		for i, set := range *sets { // a path is good from every folder; what is no set, Validate says
			if full, err := datasets.Canonical(set); err == nil {
				(*sets)[i] = full
			}
		}
	}
	return c, c.Validate()
}

// put sets what stands under the keys of a mapping, one below the other. What is not a mapping on the way becomes one.
func put(mapping *yaml.Node, keys []string, value *yaml.Node) {
	at := -1
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == keys[0] {
			at = i + 1
		}
	}
	if at < 0 {
		mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: keys[0]}, nil)
		at = len(mapping.Content) - 1
	}
	if len(keys) == 1 {
		mapping.Content[at] = value
		return
	}
	below := &yaml.Node{Kind: yaml.MappingNode}
	switch have := mapping.Content[at]; {
	case have != nil && have.Kind == yaml.MappingNode:
		below = have
	case have != nil && have.Kind == yaml.AliasNode && have.Alias.Kind == yaml.MappingNode:
		below.Content = slices.Clone(have.Alias.Content) // the others that share it stay as they are
	}
	mapping.Content[at] = below
	put(below, keys[1:], value)
}

// settingNames are the settings of a struct by their YAML names; a setting that is a struct has its own below it.
func settingNames(t reflect.Type) map[string]any {
	names := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		names[name] = nil
		if f.Type.Kind() == reflect.Struct {
			names[name] = settingNames(f.Type)
		}
	}
	return names
}

// checkKeys reports the first key of node that known lacks. The strategy's own settings are checked by pkg/cl.
func checkKeys(name string, node *yaml.Node, known map[string]any, path []string) error {
	if node.Kind != yaml.MappingNode {
		have := "a list"
		if node.Kind == yaml.ScalarNode {
			have = fmt.Sprintf("%.100q", node.Value)
		}
		at, names := strings.Join(path, "."), slices.Sorted(maps.Keys(known))
		return errors.Errorf("%s: %s is %s; it is a mapping of settings, %v: set one of them, as %s.%s", lineOf(name, node), at, have, names, at, names[0])
	}
	if slices.Equal(path, []string{"strategy"}) {
		return nil
	}
	names := slices.Sorted(maps.Keys(known))
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		below, ok := known[key.Value]
		if !ok {
			return errors.Errorf("%s: there is no setting %.100q%s; here are %v", lineOf(name, key),
				strings.Join(append(slices.Clone(path), key.Value), "."), words.DidYouMean(key.Value, names), names)
		}
		if sub, ok := below.(map[string]any); ok {
			if err := checkKeys(name, value, sub, append(slices.Clone(path), key.Value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineOf names the line of a node, where it comes from text.
func lineOf(name string, node *yaml.Node) string {
	if node.Line == 0 {
		return name
	}
	return fmt.Sprintf("%s:%d", name, node.Line)
}

// Largest sizes: beyond them lies no experiment but a slip of the keyboard, which would ask for more memory than there is.
const (
	mostRows    = 1 << 20
	mostSamples = 1 << 24
	mostSteps   = 1 << 40
)

// Validate reports the first setting that no run can be made from. It reads no file: [Config.Check] does.
func (c Config) Validate() error {
	b, e := c.Benchmark, c.Evaluate
	// Before the general check, which would let 0 pass where there must be one.
	for _, s := range []struct {
		name        string
		value, most int
	}{
		{"loop.steps_per_task", c.Loop.StepsPerTask, mostSteps}, {"loop.fresh_rows", c.Loop.FreshRows, mostRows},
		{"evaluate.samples_per_task", e.SamplesPerTask, mostSamples}, {"evaluate.batch", e.Batch, mostRows},
	} {
		if s.value < 1 || s.value > s.most {
			return errors.Errorf("%s is %d; need 1 to %d", s.name, s.value, s.most)
		}
	}
	if err := settings.Check(c); err != nil {
		return err
	}
	switch {
	case b.Scenario != ClassIncremental && b.Scenario != DomainIncremental:
		return noScenario(b.Scenario)
	case b.Scenario == ClassIncremental && len(b.Datasets) == 0:
		return errors.New("benchmark.datasets names no set; class-incremental needs one, and those after it follow as a task each")
	case b.Scenario == ClassIncremental && len(b.Datasets) > 1 && b.SharedLabels:
		return errors.New("benchmark.shared_labels is for domain-incremental; in a class-incremental benchmark the sets after the first bring labels of their own, leave it out")
	case b.PartAll && b.Scenario != ClassIncremental:
		return errors.Errorf("benchmark.part_all parts the classes of all sets into tasks, which is for class-incremental; in a %s benchmark each set is a task, leave it out", b.Scenario)
	case b.PartAll && len(b.Datasets) < 2:
		return errors.New("benchmark.part_all parts the classes of the sets after the first into tasks too; name two or more in benchmark.datasets, or leave it out")
	case b.PartAll && (len(b.Tasks) > 0 || b.ClassOrder == "given"):
		return errors.New("benchmark.part_all parts all sets by classes_per_task, and the classes of the first are given (benchmark.tasks, or class_order \"given\"); leave one of them out")
	case b.Scenario == DomainIncremental && len(b.Datasets) < 2:
		return errors.Errorf("benchmark.datasets names %s; domain-incremental needs two or more", words.Count(len(b.Datasets), "set"))
	case b.Scenario != ClassIncremental && len(b.Tasks) > 0:
		return errors.Errorf("benchmark.tasks lists the classes of each task, but in a %s benchmark each set is a task; leave it out", b.Scenario)
	case len(b.Tasks) > 0 && (b.ClassOrder != "natural" || len(b.Classes) > 0):
		return errors.New("benchmark.tasks lists the classes of each task, so that benchmark.class_order and benchmark.classes say nothing; leave them out")
	case !(b.Blur <= datasets.MostBlurred):
		return errors.Errorf("benchmark.blur is %g; need 0 to %g", b.Blur, datasets.MostBlurred)
	case b.Stream != "" && b.Stream != StreamTasks && b.Stream != StreamOnline:
		return errors.Errorf("benchmark.stream is %.100q; choose %q or %q", b.Stream, StreamTasks, StreamOnline)
	case b.Stream == StreamOnline && c.Loop.ResetOptimizer:
		return errors.New("loop.reset_optimizer starts the optimiser anew at each task, and an online stream (benchmark.stream) tells of no tasks; leave one of them out")
	case b.Scenario == ClassIncremental && b.ClassesPerTask < 1:
		return errors.Errorf("benchmark.classes_per_task is %d; need 1 or more", b.ClassesPerTask)
	case !(b.ValFraction >= 0 && b.ValFraction < 1):
		return errors.Errorf("benchmark.val_fraction is %g; need 0 <= val_fraction < 1", b.ValFraction)
	case e.Reference != ReferenceTest && e.Reference != ReferenceValidation:
		return noReference(e.Reference)
	case c.Loop.LabelDropout > 0 && !c.Network.Conditional:
		return errors.Errorf("loop.label_dropout is %g, but network.conditional is false, so that there are no labels; leave one of them out", c.Loop.LabelDropout)
	case e.Guidance > 0 && (!c.Network.Conditional || c.Loop.LabelDropout == 0):
		return errors.New("evaluate.guidance needs network.conditional and a loop.label_dropout above 0, for instance 0.1")
	case e.Guidance > diffusion.MostGuidance:
		return errors.Errorf("evaluate.guidance is %g; need 0 to %d, usually below 10", e.Guidance, diffusion.MostGuidance)
	case c.Loop.ReplayRows > mostRows:
		return errors.Errorf("loop.replay_rows is %d; need 0 to %d", c.Loop.ReplayRows, mostRows)
	case strings.ContainsAny(c.Variant, "/\\"):
		return errors.Errorf("variant is %.100q; it becomes a part of a folder's name, so leave out slashes", c.Variant)
	}
	if err := results.CheckName(c.RunName()); err != nil {
		return err
	}
	for _, name := range b.Datasets {
		if err := datasets.Known(name); err != nil {
			return errors.WithMessage(err, "benchmark.datasets")
		}
	}
	if err := b.Prep.Validate(); err != nil {
		return errors.WithMessage(err, "benchmark.prep")
	}
	if err := datasets.CheckDistinct(b.Datasets...); err != nil {
		return errors.WithMessage(err, "benchmark.datasets")
	}
	h, w, channels, err := datasets.PreparedShape(b.Prep, b.Datasets...)
	if err != nil {
		return errors.WithMessage(err, "benchmark.datasets")
	}
	if b.Scenario == ClassIncremental {
		for _, name := range b.parted() {
			if err := datasets.CheckClassIncremental(name, b.classIncremental()); err != nil {
				return err
			}
		}
	}
	if err := c.Backend.validate(); err != nil {
		return err
	}
	if err := c.Extends.validate(); err != nil {
		return err
	}
	if err := c.Network.validate(); err != nil {
		return err
	}
	if c.Network.Architecture == ArchitectureDiT && c.Backend.Compute == unet.BFloat16 {
		return errors.New("backend.compute is \"bfloat16\", but network.architecture dit computes in float32; leave backend.compute out")
	}
	if err := c.validateInit(h, w, channels); err != nil {
		return err
	}
	if err := c.Loop.Validate(); err != nil {
		return errors.WithMessage(err, "loop")
	}
	p, err := diffusion.New(c.Diffusion)
	if err != nil {
		return err // which says "diffusion" itself
	}
	if err := c.Train.ValidateFor(p); err != nil {
		return errors.WithMessage(err, "train")
	}
	if c.Diffusion.Variance == diffusion.LearnedRange && c.Train.VLBWeight == 0 && c.Train.Objective != diffusion.ObjectiveVLB && c.Network.Init == "" {
		return errors.New("diffusion.variance is \"learned-range\", but nothing trains the variance: train.vlb_weight is 0 and the objective \"simple\"; set train.vlb_weight, usually 0.001, or train.objective=vlb, or leave diffusion.variance out")
	}
	if err := e.Sampler.ValidateFor(p); err != nil {
		return errors.WithMessage(err, "evaluate.sampler")
	}
	if _, err := e.Sampler.Timesteps(p.Schedule); err != nil {
		return errors.WithMessagef(err, "evaluate.sampler.steps is %d", e.Sampler.Steps)
	}
	if c.BPD.Images > 0 && !p.HasBound() {
		return errors.Errorf("bpd.images is %d, but prediction %q has no variational bound by parts; set bpd.images=0, and measure the likelihood of the finished run by the ODE (`go run . bpd DIR --ode 4`)", c.BPD.Images, p.Prediction)
	}
	if _, err := p.LossWeights(c.Train.LossWeight); err != nil {
		return errors.WithMessage(err, "train.loss_weight")
	}
	if err := c.Probe.validate(p.T); err != nil {
		return err
	}
	if err := c.BPD.validate(p.T, c.Network.Conditional); err != nil {
		return err
	}
	if err := c.Autopsy.validate(p.T, c.Network.Conditional); err != nil {
		return err
	}
	for _, name := range c.BPD.Outside {
		if err := datasets.Known(name); err != nil {
			return errors.WithMessage(err, "bpd.outside")
		}
		oh, ow, oc, err := datasets.PreparedShape(b.Prep, name)
		if err != nil {
			return errors.WithMessage(err, "bpd.outside")
		}
		if oh != h || ow != w || oc != channels {
			return errors.Errorf("bpd.outside: images of %s are %d×%d×%d once prepared, the network's %d×%d×%d; set benchmark.prep.method to \"pad\" or \"area\", "+
				"and benchmark.prep.channels to %d", name, oh, ow, oc, h, w, channels, channels)
		}
	}
	strategy, err := cl.New(c.Strategy)
	if err != nil {
		return err
	}
	if len(c.BPD.Outside) > 0 && strategy.Info().TaskAtSampling {
		return errors.Errorf("bpd.outside measures images that belong to no task, but the network of %s depends on the task; leave one of them out", c.Strategy.Name)
	}
	return nil
}

// validate reports what no network of any image size can have; [unet.Config.Validate] sees the rest.
func (n NetworkConfig) validate() error {
	switch {
	case n.Classes < 0 || n.Classes > datasets.MaxClasses:
		return errors.Errorf("network.classes is %d; need 0 (as many as the benchmark has) to %d", n.Classes, datasets.MaxClasses)
	case n.Classes > 0 && !n.Conditional:
		return errors.New("network.classes makes room for labels, but network.conditional is false; leave one of them out")
	}
	given := func(names ...string) error {
		for _, name := range names {
			if field := reflect.ValueOf(n).FieldByName(name); !field.IsZero() && !(field.Kind() == reflect.Slice && field.Len() == 0) {
				architecture := n.Architecture
				if architecture == "" {
					architecture = ArchitectureUNet
				}
				f, _ := reflect.TypeFor[NetworkConfig]().FieldByName(name)
				key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				return errors.Errorf("network.%s is %v, but a network of architecture %s has no such size; leave it out", key, field, architecture)
			}
		}
		return nil
	}
	switch n.Architecture {
	case "", ArchitectureUNet:
		if err := given("Patch", "Depth", "Hidden", "Heads"); err != nil {
			return err
		}
	case ArchitectureDiT:
		if known := dit.PresetNames(); !slices.Contains(known, n.Size) {
			return errors.Errorf("network.size is %.100q%s; choose one of %v for architecture dit", n.Size, words.DidYouMean(n.Size, known), known)
		}
		if n.Init != "" {
			return errors.Errorf("network.init is %.100q, an imported U-Net; leave network.architecture out", n.Init)
		}
		if widest := max(n.Patch, n.Depth, n.Hidden, n.Heads); widest > mostRows || min(n.Patch, n.Depth, n.Hidden, n.Heads) < 0 {
			return errors.Errorf("network.patch is %d, depth %d, hidden %d, heads %d; need 0 (the size's own) to %d", n.Patch, n.Depth, n.Hidden, n.Heads, mostRows)
		}
		return given("Base", "Mults", "ResBlocks", "Attention", "Dropout")
	default:
		return errors.Errorf("network.architecture is %.100q; choose %q or %q", n.Architecture, ArchitectureUNet, ArchitectureDiT)
	}
	if known := unet.PresetNames(); !slices.Contains(known, n.Size) {
		return errors.Errorf("network.size is %.100q%s; choose one of %v", n.Size, words.DidYouMean(n.Size, known), known)
	}
	if !(n.Dropout >= 0 && n.Dropout < 1) {
		return errors.Errorf("network.dropout is %g; need 0 <= dropout < 1", n.Dropout)
	}
	if widest := slices.Max(append([]int{n.Base, n.ResBlocks}, n.Mults...)); widest > mostRows {
		return errors.Errorf("network.base is %d, res_blocks %d, mults %v; need at most %d", n.Base, n.ResBlocks, n.Mults, mostRows)
	}
	return nil
}

// RunName is the folder of a run: its own name, or strategy, settings, variant and seed.
func (c Config) RunName() string {
	if c.Name != "" {
		return c.Name
	}
	keys := make([]string, 0, len(c.Strategy.Settings))
	for k := range c.Strategy.Settings {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	name := c.Strategy.Name
	for _, k := range keys {
		value := c.Strategy.Settings[k]
		text := folderName(fmt.Sprint(value))
		if reflect.ValueOf(value).Kind() == reflect.Slice {
			text = fmt.Sprintf("-%08x", crc32.ChecksumIEEE([]byte(fmt.Sprint(value)))) // too many numbers to read
		}
		name += "-" + k + text
	}
	if c.Variant != "" {
		name += "-" + variantName(c.Variant)
	}
	return fmt.Sprintf("%s-seed%d", name, c.Seed)
}

// variantName is a variant as part of a folder's name, word by word where it is long.
func variantName(variant string) string {
	name := folderName(variant)
	words := strings.Fields(variant)
	if len(folderCharacters(variant)) <= longestName || len(words) == 1 {
		return name
	}
	for i, w := range words {
		words[i] = folderName(w)
	}
	if long := strings.Join(words, "-"); len(long) <= 3*longestName {
		return long
	}
	return name
}

// longestName is the longest part of a folder's name that is written out.
const longestName = 24

// folderName is a setting's value as part of a folder's name on any system: other characters than letters, digits and
// ".+-" are left out, and what is long is told apart by a checksum.
func folderName(value string) string {
	name := folderCharacters(value)
	if len(name) > longestName {
		return fmt.Sprintf("%.12s-%08x", name, crc32.ChecksumIEEE([]byte(value)))
	}
	return name
}

// folderCharacters leaves out what a folder's name cannot have on some system.
func folderCharacters(value string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(".+-", r)) {
			return r
		}
		return -1
	}, value)
}

// LoadBenchmark loads the images and splits them into tasks, as a run of c sees them.
func (c Config) LoadBenchmark() (*datasets.Benchmark, error) {
	b := c.Benchmark
	var sets []*datasets.Dataset
	for _, name := range b.Datasets {
		d, err := datasets.Open(name)
		if err != nil {
			return nil, err
		}
		sets = append(sets, d)
	}
	var bench *datasets.Benchmark
	var err error
	switch b.Scenario {
	case ClassIncremental:
		o := b.classIncremental()
		o.Then, o.PartThen = sets[1:], b.PartAll
		bench, err = datasets.ClassIncremental(sets[0], o)
	case DomainIncremental:
		bench, err = datasets.DomainIncremental(sets, datasets.DomainIncrementalOptions{SharedLabels: b.SharedLabels,
			Seed: b.OrderSeed, ValFraction: b.ValFraction, Prep: b.Prep})
	default:
		err = noScenario(b.Scenario)
	}
	if err != nil {
		return nil, err
	}
	if bench, err = bench.Blurred(b.Blur, b.OrderSeed); err != nil {
		return nil, errors.WithMessage(err, "benchmark.blur")
	}
	bench.Online = b.Stream == StreamOnline
	if c.Evaluate.Reference == ReferenceValidation && b.ValFraction == 0 {
		for j, t := range bench.Tasks {
			if t.Val == nil || t.Val.N == 0 {
				return nil, errors.Errorf("evaluate.reference is %q, but benchmark.val_fraction is 0 and %s (%s) has no validation images of its own; hold out a share, for instance 0.1",
					ReferenceValidation, words.Task(j), t.Name)
			}
		}
	}
	return bench, nil
}

// parted are the sets whose classes are parted into tasks, in a class-incremental benchmark.
func (b BenchmarkConfig) parted() []string {
	if b.PartAll {
		return b.Datasets
	}
	return b.Datasets[:min(1, len(b.Datasets))]
}

// classIncremental says how the classes of a set become tasks.
func (b BenchmarkConfig) classIncremental() datasets.ClassIncrementalOptions {
	return datasets.ClassIncrementalOptions{ClassesPerTask: b.ClassesPerTask, Tasks: b.Tasks,
		Order: b.ClassOrder, Given: b.Classes, Seed: b.OrderSeed, ValFraction: b.ValFraction, Prep: b.Prep}
}

// How a benchmark splits image sets into tasks, [BenchmarkConfig].Scenario.
const (
	ClassIncremental  = "class-incremental"  // the classes of one set, some a task
	DomainIncremental = "domain-incremental" // one set a task
)

// How the images of a benchmark arrive, [BenchmarkConfig].Stream.
const (
	StreamTasks  = "tasks"  // one task after another
	StreamOnline = "online" // once each, without borders between tasks
)

// scenario says how the images arrive, in words: "class-incremental, a share of 0.1 at blurred borders, online".
func (b BenchmarkConfig) scenario() string {
	text := b.Scenario
	if b.Blur > 0 {
		text += fmt.Sprintf(", a share of %g at blurred borders", b.Blur)
	}
	if b.Stream == StreamOnline {
		text += ", online"
	}
	return text
}

// noScenario is the error of a scenario that there is none of.
func noScenario(name string) error {
	return errors.Errorf("benchmark.scenario is %.100q; choose %q or %q", name, ClassIncremental, DomainIncremental)
}

// validate reports a way of computing that there is none of.
func (b BackendConfig) validate() error {
	if b.Compute != "" && b.Compute != unet.Float32 && b.Compute != unet.BFloat16 {
		return errors.Errorf("backend.compute is %.100q; choose %q or %q", b.Compute, unet.Float32, unet.BFloat16)
	}
	return b.validateDevices()
}

// labels is for how many classes the network has labels; 0 where it is told none.
func (n NetworkConfig) labels(b *datasets.Benchmark) (int, error) {
	if !n.Conditional {
		return 0, nil
	}
	if has := len(b.ClassNames); n.Classes > 0 && n.Classes < has {
		return 0, errors.Errorf("network.classes is %d, but the benchmark has %d classes; need at least as many, or leave it out", n.Classes, has)
	}
	return max(n.Classes, len(b.ClassNames)), nil
}

// network is the network for images of a benchmark.
func (c Config) network(b *datasets.Benchmark, p *diffusion.Process) (network.Network, error) {
	n := c.Network
	if n.Architecture != ArchitectureDiT {
		return c.unetConfig(b, p)
	}
	classes, err := n.labels(b)
	if err != nil {
		return nil, err
	}
	d, err := dit.Preset(n.Size, b.H, b.W, b.C, classes)
	if err != nil && n.Patch == 0 { // another patch may fit where the size's own does not
		return nil, err
	}
	d.OutChannels = p.OutChannels(b.C)
	for _, s := range []struct {
		to   *int
		size int
	}{{&d.Patch, n.Patch}, {&d.Depth, n.Depth}, {&d.Hidden, n.Hidden}, {&d.Heads, n.Heads}} {
		if s.size > 0 {
			*s.to = s.size
		}
	}
	return d, d.Validate()
}

// unetConfig is the U-Net for images of a benchmark.
func (c Config) unetConfig(b *datasets.Benchmark, p *diffusion.Process) (unet.Config, error) {
	n := c.Network
	classes, err := n.labels(b)
	if err != nil {
		return unet.Config{}, err
	}
	if n.Init != "" {
		return c.importedConfig(classes)
	}
	u, err := unet.Preset(n.Size, b.H, b.W, b.C, classes)
	if err != nil {
		return u, err
	}
	u.OutChannels = p.OutChannels(b.C)
	if n.Base > 0 {
		u.Base = n.Base
	}
	if len(n.Mults) > 0 {
		u.Mults = n.Mults
	}
	if n.ResBlocks > 0 {
		u.ResBlocks = n.ResBlocks
	}
	if len(n.Attention) > 0 {
		u.Attention = n.Attention
	}
	if n.Dropout > 0 {
		u.Dropout = n.Dropout
	}
	u.Compute = c.Backend.Compute
	return u, u.Validate()
}
