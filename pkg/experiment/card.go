package experiment

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/models"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// card is the README.md of an exported model: what is known of it, how to draw from it, and what is left to its author.
func (e *export) card(name, sheet string, o ExportOptions) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("---\nlibrary_name: diffusers\npipeline_tag: unconditional-image-generation\ntags:\n- diffusion\n- continual-learning\n---\n")
	line("# %s\n", name)
	which := "averaged (EMA)"
	if o.Raw {
		which = "trained, not averaged"
	}
	learned := "before the end of its first task"
	switch {
	case e.info.TaskAtSampling:
		learned = fmt.Sprintf("as it generates %s (%s)", words.Task(e.task), e.bench.Tasks[e.task].Name)
	case e.info.Stream == cl.AllTasks && e.task >= 0:
		learned = "after all tasks at once"
	case e.task >= 0:
		learned = fmt.Sprintf("after %s of %d (%s)", words.Task(e.task), len(e.bench.Tasks), e.bench.Tasks[e.task].Name)
	}
	line("A denoising diffusion model (`UNet2DModel`, %d×%d pixels, %s) that Palimpsest trained by continual learning: the network of run `%s` %s, weights %s.\n",
		e.bench.H, e.bench.W, words.Count(e.bench.C, "channel"), e.config.RunName(), learned, which)
	if sheet != "" {
		line("![samples, a row a class in the order of the tasks](%s)\n", sheet)
	}
	line("## Data\n")
	sets, _ := datasets.List()
	for _, set := range e.config.Benchmark.Datasets {
		i := slices.IndexFunc(sets, func(s datasets.Info) bool { return s.Name == set })
		if i < 0 {
			line("- %s (its licence is not known to this program)", set)
			continue
		}
		line("- %s (`%s`): %s. Source: %s", sets[i].Title, set, sets[i].Licence, sets[i].Source)
	}
	line("\n%s; %s. Content hash of the images: `%s`.\n", e.bench.Name, e.config.Benchmark.Scenario, e.state.Images)
	if i := e.state.Init; i != nil {
		line("Training began with the model `%s` (SHA-256 `%s`), imported from %s; its own licence and data apply too.\n", i.Name, i.SHA256, i.Source)
	}
	line("## Strategy\n")
	line("%s (`%s`): %s\n\n    %s\n", e.info.Title, e.strategy.Label(), e.info.Paper, e.info.Equation)
	line("Stored between tasks: %s.\n", e.info.Stores)
	e.results(&b)
	line("## Labels\n")
	if n := e.model.Labels.NoLabel; n > 0 {
		for k := range n {
			line("- %d: %s", k, e.label(k))
		}
		line("- %d: no label, for classifier-free guidance. Labels were dropped in %g %% of the rows (`loop.label_dropout`)%s.\n", n, 100*e.config.Loop.LabelDropout,
			map[bool]string{true: ": this label was never trained, do not use it"}[e.config.Loop.LabelDropout == 0])
	} else {
		line("The network is unconditional.\n")
	}
	line("## How to sample\n\nIn this folder, with the labels above:\n\n```python\n%s```\n", e.python())
	if e.config.Diffusion.Prediction == diffusion.PredictFlow {
		line("The network predicts the velocity of a flow, noise less image. It counts timesteps 0 to %d for noise levels 1/%d to 1, one less than diffusers does; no pipeline of diffusers takes that off, so the loop is written out.\n",
			e.model.Process.T-1, e.model.Process.T)
	} else {
		line("`DDPMPipeline` passes no class labels, so the loop is written out.\n")
	}
	line("## Settings\n")
	settings, _ := yaml.Marshal(e.config)
	line("```yaml\n%s```\n", settings)
	line("## Provenance\n")
	line("Made by `%s` at commit %s; exported by `%s`.\n", e.state.Command, e.state.Commit, o.Command)
	line("## Left to the author\n")
	line("This card says what the program knows. The licence of these weights, what they are meant and not meant for, their risks and biases, and whom to ask are the author's to write.")
	return b.String()
}

// label says what a label that is a class's makes the network draw.
func (e *export) label(k int) string {
	if slices.Contains(e.learned(), k) {
		return e.model.Labels.Names[k]
	}
	if e.origin != nil && k < e.origin.Net.Classes {
		return knownBefore(*e.origin, k)
	}
	if k >= len(e.model.Labels.Names) {
		return "room for a class to come (`network.classes`), not learned: do not use it"
	}
	if e.info.TaskAtSampling {
		return e.model.Labels.Names[k] + " (not drawn by this export, which is of one task: do not use it)"
	}
	return e.model.Labels.Names[k] + " (not learned: do not use it)"
}

// knownBefore says what a label means of which the model, with which training began, alone has learned.
func knownBefore(origin models.Info, label int) string {
	name := ""
	if label < len(origin.Labels.Names) {
		name = fmt.Sprintf(", there %q", origin.Labels.Names[label])
	}
	return fmt.Sprintf("not learned in this run; it means what it meant in the data of the model %s, which training began with%s", origin.Name, name)
}

// learned are the classes of which the network has seen images in this run.
func (e *export) learned() []int {
	tasks := e.bench.Tasks[:min(e.task+1, len(e.bench.Tasks))]
	switch {
	case e.info.TaskAtSampling:
		tasks = tasks[e.task:]
	case e.within && e.info.Stream == cl.AllTasks:
		tasks = e.bench.Tasks
	case e.within && e.task+1 < len(e.bench.Tasks):
		tasks = e.bench.Tasks[:e.task+2]
	}
	var classes []int
	for _, t := range tasks {
		classes = append(classes, t.Classes...)
	}
	return classes
}

// results writes the table of measurements.
func (e *export) results(b *strings.Builder) {
	fmt.Fprintf(b, "## Results\n\n")
	at := e.evaluation()
	if at < 0 {
		fmt.Fprintf(b, "Not measured at this point of training.\n\n")
		return
	}
	now := e.state.Evaluations[at]
	t := table.Table{Head: "task"}
	columns := []table.Column{{Head: "FID when learned", Arrow: "↓"}, {Head: "FID now", Arrow: "↓"}, {Head: "precision", Arrow: "↑"}, {Head: "recall", Arrow: "↑"}, {Head: "class accuracy", Unit: "%", Arrow: "↑"}}
	cell := func(v *float64, scale float64, digits int) table.Cell {
		if v == nil {
			return table.Cell{Text: "–"}
		}
		return table.Cell{Text: fmt.Sprintf("%.*f", digits, scale**v)}
	}
	for _, m := range now.Tasks {
		if m.Task >= len(e.bench.Tasks) {
			continue
		}
		t.Rows = append(t.Rows, fmt.Sprintf("%d: %s", m.Task+1, e.bench.Tasks[m.Task].Name)) // counted as words.Task does
		first := m.FID
		if m.Task > now.AfterTask { // not learned yet
			first = nil
		}
		for _, before := range e.state.Evaluations[:at] {
			if before.AfterTask == m.Task && m.Task < len(before.Tasks) {
				first = before.Tasks[m.Task].FID
			}
		}
		for i, c := range []table.Cell{cell(first, 1, 1), cell(m.FID, 1, 1), cell(m.Precision, 1, 2), cell(m.Recall, 1, 2), cell(m.ClassAccuracy, 100, 1)} {
			columns[i].Cells = append(columns[i].Cells, c)
		}
	}
	t.Sections = []table.Section{{Title: "Quality by task", Columns: columns}}
	weights := "trained"
	if e.config.Evaluate.EMA {
		weights = "averaged"
	}
	t.Notes = []string{fmt.Sprintf("Measured by Palimpsest on %d generated images a task (%s, %d steps, %s weights) against images of the %s split, by its extractor `%s`: not comparable with FID by Inception unless that was it.",
		e.config.Evaluate.SamplesPerTask, e.config.Evaluate.Sampler.Name, e.config.Evaluate.Sampler.Steps, weights, e.config.Evaluate.Reference, e.config.Evaluate.Extractor)}
	fmt.Fprintf(b, "%s\n", t.Markdown())
}

// python is the program that draws images from the export.
func (e *export) python() string {
	n := e.model.Net
	labels, call, rows := "", "", "4"
	if n.Classes > 0 {
		known := e.bench.Tasks[max(e.task, 0)].Classes
		var list []string
		for _, k := range known[:min(2, len(known))] {
			list = append(list, fmt.Sprint(k))
		}
		labels = fmt.Sprintf("labels = torch.tensor([%s])\n", strings.Join(list, ", "))
		call, rows = ", class_labels=labels", "len(labels)"
	}
	cut := ""
	if n.OutChannels > n.Channels {
		cut = fmt.Sprintf("[:, :%d]  # the rest is the variance", n.Channels)
	}
	if e.config.Diffusion.Prediction == diffusion.PredictFlow {
		return fmt.Sprintf(`import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DModel

unet = UNet2DModel.from_pretrained(".", subfolder="unet")
scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(".", subfolder="scheduler")
scheduler.set_timesteps(sigmas=torch.linspace(1, 0, %d + 1)[:-1].tolist())
%sx = torch.randn(%s, %d, %d, %d)
for t in scheduler.timesteps:
    with torch.no_grad():
        out = unet(x, t - 1%s).sample
    x = scheduler.step(out, t, x).prev_sample
images = ((x.clamp(-1, 1) + 1) * 127.5).round().byte()
`, min(50, e.model.Process.T), labels, rows, n.Channels, e.bench.H, e.bench.W, call)
	}
	steps := diffusion.DividingSteps(50, e.model.Process.T)
	if steps < 10 { // a prime, or nearly: diffusers' DDIM is then a timestep off at times
		steps = min(50, e.model.Process.T)
	}
	return fmt.Sprintf(`import torch
from diffusers import DDIMScheduler, UNet2DModel

unet = UNet2DModel.from_pretrained(".", subfolder="unet")
scheduler = DDIMScheduler.from_pretrained(".", subfolder="scheduler")
scheduler.set_timesteps(%d)
%sx = torch.randn(%s, %d, %d, %d)
for t in scheduler.timesteps:
    with torch.no_grad():
        out = unet(x, t%s).sample%s
    x = scheduler.step(out, t, x, use_clipped_model_output=True).prev_sample
images = ((x.clamp(-1, 1) + 1) * 127.5).round().byte()
`, steps, labels, rows, n.Channels, e.bench.H, e.bench.W, call, cut)
}
