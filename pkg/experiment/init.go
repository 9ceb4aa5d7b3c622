package experiment

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
	keeping "palimpsest/pkg/kept"
	"palimpsest/pkg/models"
	"palimpsest/pkg/network"
	"palimpsest/pkg/unet"
)

// defaultsFor is [DefaultConfig] for a document of settings: where that names a model to start from, its process is the default.
func defaultsFor(doc *yaml.Node) Config {
	c := DefaultConfig()
	var named struct {
		Network struct {
			Init string `yaml:"init"`
		} `yaml:"network"`
	}
	if doc.Decode(&named) != nil || named.Network.Init == "" { // what is wrong with it is told by who decodes all of it
		return c
	}
	if model, err := models.Get(named.Network.Init); err == nil { // else Validate says that it is not there
		c.Diffusion = model.Process
	}
	return c
}

// takeProcess gives c the process of the model that it starts from where a document spells out the whole default, as the file
// does that `run --defaults` prints: nobody has chosen that. Part of it, or another, is somebody's choice and stays.
func (c *Config) takeProcess(doc *yaml.Node) {
	var spelled struct {
		Diffusion map[string]any `yaml:"diffusion"`
	}
	if c.Network.Init == "" || c.Diffusion != DefaultConfig().Diffusion || doc.Decode(&spelled) != nil || len(spelled.Diffusion) < reflect.TypeFor[diffusion.Config]().NumField() {
		return
	}
	if model, err := models.Get(c.Network.Init); err == nil { // else Validate says that it is not there
		c.Diffusion = model.Process
	}
}

// checkInitSize refuses a size beside a model to start from, which has its own. Configurations stored before it was refused have it and
// go on, so it is for what a user gives.
func (c Config) checkInitSize() error {
	if usual := DefaultConfig().Network.Size; c.Network.Init != "" && c.Network.Size != usual {
		return errors.Errorf("network.size is %.100q, but the model %s (network.init) has its own; leave it out", c.Network.Size, c.Network.Init)
	}
	return nil
}

// validateInit reports a model that a run on images of h×w pixels cannot start from.
func (c Config) validateInit(h, w, channels int) error {
	n := c.Network
	if n.Knows != "" && n.Knows != KnowsReal && n.Knows != KnowsSamples {
		return errors.Errorf("network.knows is %.100q; choose %q or %q, or leave it out", n.Knows, KnowsReal, KnowsSamples)
	}
	if n.Init == "" {
		if n.Knows != "" {
			return errors.New("network.knows needs network.init, the model that knows the first task")
		}
		return nil
	}
	model, err := models.Get(n.Init)
	if err != nil {
		return errors.WithMessage(err, "network.init")
	}
	shape := model.Net.Shape()
	switch {
	case n.Architecture != "" && n.Architecture != "unet":
		return errors.Errorf("network.architecture is %.100q, but the model %s (network.init) is a U-Net; leave one of them out", n.Architecture, n.Init)
	case n.Base != 0 || len(n.Mults) > 0 || n.ResBlocks != 0 || len(n.Attention) > 0:
		return errors.Errorf("network.base, mults, res_blocks and attention are those of the model %s (network.init); leave them out", n.Init)
	case shape.Channels != 1 && shape.Channels != 3:
		return errors.Errorf("the model %s (network.init) is of images with %d channels; need 1 or 3, as images are grey or in colour: start from another model", n.Init, shape.Channels)
	case h != shape.H || w != shape.W || channels != shape.Channels:
		return errors.Errorf("images are %d×%d×%d, those of the model %s (network.init) %d×%d×%d; prepare them so with benchmark.prep (method \"pad\" or \"area\", size, channels)",
			h, w, channels, n.Init, shape.H, shape.W, shape.Channels)
	case c.Diffusion != model.Process:
		return errors.Errorf("diffusion is %s, the model %s (network.init) was trained for %s; leave diffusion out, and the model's is taken",
			writeProcess(c.Diffusion), n.Init, writeProcess(model.Process))
	case !n.Conditional && shape.Classes > 0:
		return errors.Errorf("network.conditional is false, but the model %s (network.init) is told the class, of %d; set it to true", n.Init, shape.Classes)
	}
	return nil
}

// What stands for the task that a model knows, [NetworkConfig].Knows.
const (
	KnowsReal    = "real"
	KnowsSamples = "samples"
)

// mostRemembered is how many bytes of samples are kept in the cache folder.
const mostRemembered = 2 << 30

// remember returns images that the model of network.init draws of the first task's classes, as many of each as there are for
// training, by the sampler of the evaluation. They are kept in the cache folder; drawn anew on another machine their last
// digits may differ, and a run that began with the others then does not go on.
func (c Config) remember(ctx context.Context, back compute.Backend, bench *datasets.Benchmark) (*datasets.Images, error) {
	model, err := models.Get(c.Network.Init)
	if err != nil {
		return nil, err
	}
	task := bench.Tasks[0]
	if known, last := model.Net.Classes, int(slices.Max(task.Train.Labels)); known > 0 && last >= known {
		return nil, errors.Errorf("network.knows is %q, but class %d of the first task is none of the model %s, which has labels 0 to %d",
			KnowsSamples, last, c.Network.Init, known-1)
	}
	process, err := diffusion.New(c.Diffusion)
	if err != nil {
		return nil, err
	}
	u, err := c.unetConfig(bench, process)
	if err != nil {
		return nil, err
	}
	how, err := json.Marshal(struct {
		Model, Backend string
		Evaluate       EvaluateConfig
		Seed           uint64
		Labels         []int32
	}{model.SHA256, back.Name(), c.Evaluate, c.Seed, task.Train.Labels})
	if err != nil {
		return nil, errors.WithStack(err)
	}
	images := &datasets.Images{N: task.Train.N, H: bench.H, W: bench.W, C: bench.C, Labels: task.Train.Labels}
	cache, err := backend.CacheDir()
	if err != nil {
		return nil, err
	}
	store, key := keeping.Store{Dir: filepath.Join(cache, "remembered"), Most: mostRemembered}, keeping.Digest(how)
	if images.Pixels = store.Get(key); len(images.Pixels) == images.N*bench.H*bench.W*bench.C {
		return images, nil
	}
	n, err := diffusion.NewNetwork(back, process, u, c.Train, c.Seed)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	if err := c.startFrom(n); err != nil {
		return nil, err
	}
	sampler := c.Evaluate.Sampler
	sampler.Seed = c.Seed
	// The model's own weights, which the average begins with.
	drawn, err := diffusion.Sample(ctx, process, guided(n, c.Evaluate.Guidance, n.Denoiser(false)), bench.C, bench.H*bench.W*bench.C, task.Train.Labels, sampler, c.Evaluate.rows(), nil)
	if err != nil {
		return nil, err
	}
	images.Pixels = make([]uint8, len(drawn))
	datasets.Unscale(images.Pixels, drawn)
	if err := os.MkdirAll(store.Dir, 0o755); err == nil {
		store.Put(key, images.Pixels)
	}
	return images, nil
}

// writeProcess writes a process in a few words.
func writeProcess(c diffusion.Config) string {
	text, _ := yaml.Marshal(c)
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")
}

// importedConfig is the network of network.init with so many classes, 0 for none: the model's, or more.
func (c Config) importedConfig(classes int) (unet.Config, error) {
	model, err := models.Get(c.Network.Init)
	if err != nil {
		return unet.Config{}, errors.WithMessage(err, "network.init")
	}
	u := model.Net
	u.Classes = max(u.Classes, classes)
	u.Compute = c.Backend.Compute
	if c.Network.Dropout > 0 {
		u.Dropout = c.Network.Dropout
	}
	return u, u.Validate()
}

// startFrom has a network begin at the weights of network.init.
func (c Config) startFrom(n *diffusion.Network) error {
	model, err := models.Get(c.Network.Init)
	if err != nil {
		return errors.WithMessage(err, "network.init")
	}
	weights, err := model.Load()
	if err != nil {
		return err
	}
	return n.StartFrom(func(name string, values []float32) error {
		if strings.HasSuffix(name, "/"+network.LoRAA) || strings.HasSuffix(name, "/"+network.LoRAB) {
			return nil // beside the model's own
		}
		have := weights[name]
		if strings.HasSuffix(name, "/"+network.Embedding) {
			grow(values, have, model.Net.Classes, n.Shape.Classes)
			return nil
		}
		if len(have) != len(values) {
			return errors.Errorf("the model %s has %d, need %d", c.Network.Init, len(have), len(values))
		}
		copy(values, have)
		return nil
	})
}

// grow fills the embeddings of labels 0 .. classes with those of a model of known classes, or none: a label that it lacks begins
// as its "no label", or where it knows no labels as nothing, which changes nothing there.
func grow(values, have []float32, known, classes int) {
	width := len(values) / (classes + 1)
	none := make([]float32, width)
	if known > 0 {
		none = have[known*width:]
	}
	for label, row := range slices.Collect(slices.Chunk(values, width)) {
		if label < known {
			copy(row, have[label*width:])
		} else {
			copy(row, none)
		}
	}
}
