package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// page is what the template shows.
type page struct {
	Title, Question, NoSheets, Benchmark string
	Damaged                              []string // sentences on sheets that are left out
	CSS                                  template.CSS
	JS                                   template.JS
	Verdict, Machines                    []string
	Table, Numbers                       template.HTML
	Matrices                             []pageMatrix
	Sure                                 []pageRanking
	Curves, Costs                        []template.HTML
	Strips                               []pageStrip
	Tasks                                []pageTask
	Strategies                           []results.Strategy
	Runs                                 []pageRun
	Configs                              []pageConfig
}

type pageMatrix struct {
	Name, Caption string
	Maps          []template.HTML
}

type pageRanking struct {
	Sentences     []string
	Figure, Table template.HTML
}

type pageStrip struct {
	Label, Run    string
	Classes       string // that it shows
	Image         template.URL
	Width, Height int
}

type pageTask struct {
	Number      int
	Classes     string
	All         string // all of its classes, where Classes names some
	Train, Test int
}

type pageRun struct {
	Name, Commit, Started, Train, Eval, Compile, Command string
	Seed                                                 uint64
}

type pageConfig struct{ Label, Run, JSON string }

// WriteHTML writes [HTML] to a file, whole or not at all. What it leaves out, as it is damaged, the warnings name, and so does the page.
func WriteHTML(path string, s study.Set) (warnings []string, err error) {
	var b bytes.Buffer
	if warnings, err = writePage(&b, s); err != nil {
		return nil, err
	}
	return warnings, atomicfile.Write(path, b.Bytes())
}

// HTML writes the study as one page that needs nothing else: figures are inline SVG, sample sheets are PNG in data
// URLs, styles and the small script are inside. It follows the reader's light or dark setting and fits a phone. It is
// an error if the study has no runs. A stored sheet that is damaged is left out, which the page says.
func HTML(w io.Writer, s study.Set) error {
	_, err := writePage(w, s)
	return err
}

// writePage is [HTML], with what was left out as it is damaged.
func writePage(w io.Writer, s study.Set) (damaged []string, _ error) {
	if len(s.Runs) == 0 {
		return nil, errors.New("report.HTML: the study has no runs; need at least one")
	}
	methods := s.Group()
	numbers := table.Download("measurements.csv", "Every measurement as CSV, tasks counted from 0", Measurements(s.Runs))
	p := page{
		Title: pageTitle(&s), Question: question(methods), Benchmark: benchmark(methods),
		CSS: template.CSS(pageCSS), JS: template.JS(pageJS),
		Verdict: unbroken(Verdict(methods)), Machines: machines(s.Runs),
		Table: template.HTML(NewTable(methods).HTML()), Numbers: template.HTML(numbers),
	}
	for _, r := range study.Rankings(methods) {
		p.Sure = append(p.Sure, pageRanking{unbroken(r.Sentences()), template.HTML(figure.Ranking(r).HTML()), template.HTML(r.Table().HTML())})
	}
	for _, m := range study.Metrics() {
		if !study.Measured(methods, m) {
			continue
		}
		matrix := pageMatrix{Name: m.Label(), Caption: figure.HeatmapCaption(methods, m)}
		for _, f := range figure.Heatmaps(methods, m) {
			matrix.Maps = append(matrix.Maps, template.HTML("<figure>"+f.Inline()+"</figure>\n")) // one caption below all
		}
		p.Matrices = append(p.Matrices, matrix)
	}
	p.Curves = []template.HTML{template.HTML(figure.ForgettingCurves(methods, study.FID).HTML())}
	if study.Measured(methods, study.ClassAccuracy) {
		f := figure.ForgettingCurves(methods, study.ClassAccuracy)
		f.Title = "The same in class accuracy"
		p.Curves = append(p.Curves, template.HTML(f.HTML()))
	}
	p.Curves = append(p.Curves, template.HTML(figure.AverageCurve(methods, study.FID).HTML()), template.HTML(figure.LossCurve(methods).HTML()))
	p.Costs = []template.HTML{template.HTML(figure.CostQuality(methods).HTML()), template.HTML(figure.CopiesScatter(methods).HTML())}
	for _, f := range fronts(methods) {
		p.Costs = append(p.Costs, template.HTML(f.HTML()))
	}
	if err := p.addStrips(&s, methods); err != nil {
		return nil, err
	}
	if err := p.addRuns(methods); err != nil {
		return nil, err
	}
	var b bytes.Buffer // so that nothing is written if the template fails
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, errors.Wrap(err, "report.HTML")
	}
	_, err := w.Write(b.Bytes())
	return p.Damaged, errors.WithStack(err)
}

// addStrips adds one sample sheet a method, of its first seed with sheets on disk.
func (p *page) addStrips(s *study.Set, methods []study.Method) error {
	var without []string
	for _, m := range methods {
		found := false
		for _, r := range m.Runs {
			dir := s.Folder(r)
			if dir == "" {
				continue
			}
			img, damaged, err := strips(r, dir)
			for _, why := range damaged {
				p.Damaged = append(p.Damaged, fmt.Sprintf("%v: left out; making the run again with its command draws them anew, no measurement is touched by it", why))
			}
			if errors.Is(err, ErrNoSheets) {
				continue
			}
			if err != nil {
				return err
			}
			data, err := sheet.PNG(img)
			if err != nil {
				return err
			}
			size := img.Bounds().Size()
			p.Strips = append(p.Strips, pageStrip{Label: m.Label, Run: r.Name, Classes: StripWords(r), Width: size.X, Height: size.Y,
				Image: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(data))})
			found = true
			break
		}
		if !found {
			without = append(without, m.Label)
		}
	}
	switch {
	case len(p.Strips) == 0:
		p.NoSheets = "No sample sheets are stored with these runs; making a run again with its command writes them."
	case len(without) > 0:
		p.NoSheets = "No sample sheets are stored of " + strings.Join(without, ", ") + "."
	}
	return nil
}

// addRuns adds where every number came from.
func (p *page) addRuns(methods []study.Method) error {
	b := &methods[0].Runs[0].Benchmark
	for i, t := range b.Tasks {
		task := pageTask{Number: i + 1, Classes: b.TaskTitle(i), Train: t.Train, Test: t.Test}
		if task.Classes != t.Name {
			task.All = t.Name
		}
		p.Tasks = append(p.Tasks, task)
	}
	for _, m := range methods {
		strategy := m.Runs[0].Strategy
		p.Strategies = append(p.Strategies, strategy)
		var config strings.Builder
		encoder := json.NewEncoder(&config)
		encoder.SetEscapeHTML(false) // the template escapes
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(m.Runs[0].Config); err != nil {
			return errors.Wrapf(err, "settings of run %s", m.Runs[0].Name)
		}
		p.Configs = append(p.Configs, pageConfig{m.Label, m.Runs[0].Name, config.String()})
		for _, r := range m.Runs {
			v := r.Provenance
			commit := v.Commit[:min(10, len(v.Commit))]
			if v.Dirty {
				commit += " (changed)"
			}
			p.Runs = append(p.Runs, pageRun{Name: r.Name, Seed: r.Seed, Commit: commit, Started: v.Started.UTC().Format(time.DateTime),
				Train: secondsText(r.Cost.TrainSeconds), Eval: secondsText(r.Cost.EvalSeconds), Compile: secondsText(r.Cost.CompileSeconds), Command: v.Command})
		}
	}
	return nil
}

// unbroken keeps numbers, their deviations and their units on one line.
func unbroken(sentences []string) []string {
	join := strings.NewReplacer(" ± ", "\u00a0±\u00a0", " %", "\u00a0%")
	out := make([]string, len(sentences))
	for i, s := range sentences {
		out[i] = join.Replace(s)
	}
	return out
}

// secondsText writes a duration for people.
func secondsText(s float64) string {
	if s < 60 {
		return words.Number(s, 1) + " s"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// pageTitle is the page's heading.
func pageTitle(s *study.Set) string { return cmp.Or(s.Title, "What each strategy forgets") }

// question says what the page answers.
func question(methods []study.Method) string {
	b := methods[0].Runs[0].Benchmark
	return fmt.Sprintf("A diffusion model learns %s, one task after another (%s, %s). How much of the earlier tasks does each strategy forget, and what does remembering cost?",
		b.Dataset, words.Count(len(b.Tasks), "task"), b.Scenario)
}

// benchmark describes data and model.
func benchmark(methods []study.Method) string {
	r := methods[0].Runs[0]
	b := r.Benchmark
	h, w := b.Sides()
	return fmt.Sprintf("%s, %s, images of %d×%d pixels with %d channel%s (%s); the network has %s parameters.", b.Dataset, b.Scenario,
		h, w, b.Channels, map[bool]string{true: "", false: "s"}[b.Channels == 1], b.Prep, words.Short(float64(r.Cost.Parameters)))
}

// machines describes every computer once.
func machines(runs []*results.Run) []string {
	var out []string
	for _, r := range runs {
		m := r.Provenance.Machine
		text := fmt.Sprintf("Machine: %s, %s, %s GiB memory, %s, %s; %s.", m.CPU, words.Count(m.Cores, "core"), words.Number(float64(m.Memory)/(1<<30), 1), m.OS, m.Go, m.Backend)
		if m.GPU != "" {
			text = strings.Replace(text, " GiB memory,", " GiB memory, "+m.GPU+",", 1)
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// fronts are the Pareto figures of final FID, once a benchmark, where at least three methods compete.
func fronts(methods []study.Method) []figure.Figure {
	var out []figure.Figure
	for _, part := range study.ByBenchmark(methods) {
		if len(study.ParetoFront(part, study.FinalOf(study.FID), study.PriceBytes)) < study.EnoughMethods {
			continue
		}
		if f, err := figure.Pareto(part, study.FinalOf(study.FID)); err == nil { // the benchmark is the same
			out = append(out, f)
		}
	}
	return out
}
