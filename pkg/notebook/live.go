package notebook

import (
	"encoding/base64"
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

// Progress returns a progress callback that keeps one bar up to date below the running cell: stage, step,
// loss, images a second and remaining time, the curve of the loss, and the percentage in the title of the browser's tab.
// Outside a notebook it shows nothing.
func Progress() func(experiment.Progress) {
	return newLive("").show
}

// live is what is shown of a run while its cell works.
type live struct {
	id, pictures string // of the outputs
	dir          string // the run's folder, whose samples are shown as they come; "" shows none
	losses       []float64
	steps        []int
	begun        time.Time
	shown        time.Time
	picture      string // the newest that is shown
	last         experiment.Progress
	mu           sync.Mutex // a run that does not stop in time may still be told of while it is given up
	kept         bool       // the page was told to save the notebook
}

func newLive(dir string) *live {
	return &live{id: "progress_" + gonbui.UniqueId(), pictures: "samples_" + gonbui.UniqueId(), dir: dir, begun: time.Now()}
}

// show is the callback.
func (l *live) show(p experiment.Progress) {
	if !gonbui.IsNotebook {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = p
	for _, line := range p.Warnings {
		gonbui.DisplayHtml("<div>" + html.EscapeString(p.Run+": "+line) + "</div>")
	}
	if p.Stage == "train" && p.Loss > 0 {
		l.losses, l.steps = append(l.losses, p.Loss), append(l.steps, p.Step)
		if len(l.losses) > 2*mostPoints { // every other one is enough
			l.losses, l.steps = everyOther(l.losses), everyOther(l.steps)
		}
	}
	ended := p.Stage == "done"
	if !ended && time.Since(l.shown) < 400*time.Millisecond {
		return
	}
	l.shown = time.Now()
	if ended {
		l.untitle()
	}
	text := bar(p) + curve(l.steps, l.losses, p.Steps)
	if !ended {
		text = l.alive(p, text+stopButton()) + titled(fmt.Sprintf("%.0f %% · ", 100*p.Fraction))
	}
	gonbui.UpdateHtml(l.id, text)
	l.showSamples(ended)
	if ended {
		l.forget()
		flush()
	}
}

// untitle takes the percentage out of the title. What is shown then, and stored with the notebook, has neither script nor button.
func (l *live) untitle() {
	gonbui.UpdateHtml(l.id, bar(l.last)+titled(""))
}

// titled is a script that puts what is before the title of the browser's tab, which JupyterLab writes anew every few seconds: it is
// put there again before anybody sees the page without it. "" takes it away.
func titled(before string) string {
	return `<script>window.palimpsestTitle = "` + before + `";` + titleJS + `</script>`
}

// titleJS is also what a page does that reads how far a run is.
const titleJS = `
window.palimpsestTitled ??= (() => {
	const put = () => {
		const title = window.palimpsestTitle + document.title.replace(/^\d+ % · /, "");
		if (title !== document.title) document.title = title;
	};
	new MutationObserver(put).observe(document.querySelector("title"), { childList: true });
	return put;
})();
window.palimpsestTitled();
`

// stop shows how far a run came that has stopped, without what is of use only while it goes on.
func (l *live) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if !gonbui.IsNotebook || l.shown.IsZero() {
		return
	}
	l.last.ETA = 0
	l.untitle()
	gonbui.UpdateHtml(l.id, bar(l.last)+curve(l.steps, l.losses, l.last.Steps))
}

// finished shows in place of a run's progress that there was nothing to do.
func (l *live) finished(name string) {
	if !gonbui.IsNotebook {
		return
	}
	gonbui.UpdateHtml(l.id, `<div style="font:13px sans-serif">`+html.EscapeString(name+" is finished and only read here, from "+l.dir+"; to train it anew, remove that folder")+`</div>`)
	flush()
}

// liveFile is the file in a run folder that holds what a page shows of a run that is opened again while it goes on.
const liveFile = "progress.html"

// alive returns what is shown so that a page which is opened again goes on showing how far the run has come: from the run's
// folder, where the server of the notebooks can reach it.
func (l *live) alive(p experiment.Progress, text string) string {
	root := os.Getenv(protocol.GONB_JUPYTER_ROOT_ENV)
	if l.dir == "" || root == "" || p.Stage == "prepare" { // a folder that is not the run's yet stays as it is
		return text
	}
	dir, err := filepath.Abs(l.dir)
	if err != nil {
		return text
	}
	path, err := filepath.Rel(root, filepath.Join(dir, liveFile))
	if err != nil || !filepath.IsLocal(path) {
		return text
	}
	text = fmt.Sprintf(`<div data-at="%d" data-title="%.0f %% · ">%s</div>`, time.Now().UnixMilli(), 100*p.Fraction, text)
	if atomicfile.Write(filepath.Join(dir, liveFile), []byte(text)) != nil { // the run says so too, where its disk is full
		return text
	}
	script := liveJS
	if !l.kept {
		l.kept, script = true, script+keepJS
	}
	address := url.URL{Path: filepath.ToSlash(filepath.Dir(path))}
	return fmt.Sprintf(`<div data-palimpsest-live="%s" data-kernel="%s">%s</div><script>%s</script>`, html.EscapeString(address.EscapedPath()),
		html.EscapeString(os.Getenv(protocol.GONB_JUPYTER_KERNEL_ID_ENV)), text, script)
}

// keepJS saves the notebook once, as its button does: a page that is opened again shows what was saved.
const keepJS = `
for (const e of document.querySelectorAll("[data-palimpsest-live]"))
	e.closest(".jp-NotebookPanel")?.querySelector('.jp-Toolbar [data-command="docmanager:save"]')?.click();`

// liveJS reads the file again and again, and marks the cell as JupyterLab marks one that it knows to run. When the file has gone, or
// the kernel has and nothing runs in it any more, it says so and what to do. An output that is replaced by the next takes its reader
// with it; one that is scrolled out of sight may come back.
const liveJS = `for (const e of document.querySelectorAll("[data-palimpsest-live]:not([data-read])")) {
	const config = document.getElementById("jupyter-config-data");
	if (!config) continue;
	const { baseUrl, token } = JSON.parse(config.textContent);
	e.dataset.read = "1";
	const say = text => { e.firstElementChild.append(Object.assign(document.createElement("div"), { textContent: text })) };
	const ask = (path, method) => fetch(baseUrl + path + "?" + Date.now(), { method, headers: { Authorization: "token " + token } });
	const mark = text => {
		const prompt = e.closest(".jp-Cell")?.querySelector(".jp-InputPrompt");
		if (/^\[[ *]?\]:$/.test(prompt?.textContent)) prompt.textContent = text;
	};
	const title = text => { window.palimpsestTitle = text;` + titleJS + `};
	const end = text => {
		clearInterval(timer);
		title("");
		mark("[ ]:");
		for (const button of e.querySelectorAll("button")) button.remove();
		if (!e.closest(".jp-OutputArea")?.innerText.includes("run the cell again")) say(text);
	};
	let missed = 0, idle = 0;
	const timer = setInterval(async () => {
		if (!e.isConnected) return void (++missed > 60 && clearInterval(timer));
		const answer = await ask("files/" + e.dataset.palimpsestLive + "/` + liveFile + `");
		if (!answer.ok) {
			const done = (await ask("files/" + e.dataset.palimpsestLive + "/result.json", "HEAD")).ok;
			if (done) e.innerHTML = "<div></div>";
			return end(done ? "The run is done: run the cell again, which only reads it, and those below." :
				"The run has stopped: run the cell again to go on; after a restart of the kernel, the cells above it first.");
		}
		e.innerHTML = await answer.text();
		const kernel = e.dataset.kernel && await ask("api/kernels/" + e.dataset.kernel);
		const busy = !kernel || kernel.ok && (await kernel.json()).execution_state === "busy";
		idle = busy ? 0 : idle + 1;
		if (idle > 2) return end("Its kernel has ended, and the run with it: run the cells above, then run the cell again to go on.");
		if (busy) mark("[*]:");
		title(e.firstElementChild.dataset.title);
		const minutes = Math.floor((Date.now() - e.firstElementChild.dataset.at) / 60000);
		if (minutes > 0) say("as of " + minutes + " min ago");
	}, 2000);
}`

// forget removes the file that a page would read.
func (l *live) forget() {
	if l.dir != "" {
		_ = os.Remove(filepath.Join(l.dir, liveFile)) // it may never have been there
	}
}

// showSamples shows the newest samples that the run has stored since it began to be shown. They go when it is done: the
// notebook shows them then as it likes.
func (l *live) showSamples(ended bool) {
	if l.dir == "" {
		return
	}
	if ended {
		if l.picture != "" {
			gonbui.UpdateHtml(l.pictures, "")
		}
		return
	}
	files, _ := atomicfile.Glob(l.dir, "samples/after_task_*.png") // fails on a malformed pattern only
	newest := ""
	latest := l.begun
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(latest) {
			newest, latest = file, info.ModTime()
		}
	}
	if newest == "" || newest == l.picture {
		return
	}
	data, err := os.ReadFile(newest)
	if err != nil {
		return // the next call tries again
	}
	l.picture = newest
	name := namedSamples(newest, l.last.Tasks)
	gonbui.UpdateHtml(l.pictures, fmt.Sprintf(`<div style="font:13px sans-serif">Samples %s<br><img alt="samples %s" style="max-width:100%%" src="data:image/png;base64,%s"></div>`,
		html.EscapeString(name), html.EscapeString(name), base64.StdEncoding.EncodeToString(data)))
}

// namedSamples says after which task the samples in a run's file were drawn, which files count from 0, and of one that is not the last
// of the run what its black rows are.
func namedSamples(file string, tasks int) string {
	j := 0
	if _, err := fmt.Sscanf(filepath.Base(file), "after_task_%d.png", &j); err != nil {
		return ""
	}
	if j+1 < tasks {
		return "after " + words.Task(j) + ", a row a class; black are classes still to come, of which nothing was drawn"
	}
	return "after " + words.Task(j)
}

// bar is a progress as a bar with a line below.
func bar(p experiment.Progress) string {
	return fmt.Sprintf(`<div style="font:13px sans-serif"><div style="width:100%%;max-width:40em;background:#8883;border-radius:3px">`+
		`<div style="width:%.1f%%;background:#0072b2;height:8px;border-radius:3px"></div></div>%s</div>`, 100*p.Fraction, html.EscapeString(p.String()))
}

// mostPoints is how many points of a curve are kept.
const mostPoints = 200

func everyOther[T any](all []T) []T {
	for i := range len(all) / 2 {
		all[i] = all[2*i+1]
	}
	return all[:len(all)/2]
}

// curve draws losses at steps, of all steps there will be, on a logarithmic axis.
func curve(at []int, losses []float64, steps int) string {
	if len(losses) < 2 || steps == 0 {
		return ""
	}
	low, high := losses[0], losses[0]
	for _, v := range losses {
		low, high = min(low, v), max(high, v)
	}
	if high < 1.01*low {
		high = 1.01 * low
	}
	const width, height = 400.0, 60.0
	var points strings.Builder
	for i, v := range losses {
		fmt.Fprintf(&points, "%.1f,%.1f ", width*float64(at[i])/float64(steps), height*(1-math.Log(v/low)/math.Log(high/low)))
	}
	return fmt.Sprintf(`<svg role="img" aria-label="loss from %.3g to %.3g" viewBox="-2 -2 %g %g" style="width:100%%;max-width:40em;height:64px" preserveAspectRatio="none">`+
		`<polyline fill="none" stroke="#0072b2" stroke-width="1.5" vector-effect="non-scaling-stroke" points="%s"/></svg>`+
		`<div style="font:11px sans-serif;opacity:.7">loss, logarithmic: %.3g … %.3g</div>`, losses[0], losses[len(losses)-1], width+4, height+4, strings.TrimSpace(points.String()), low, high)
}

// stopButton is a button that interrupts the kernel, as ■ above the notebook does; "" where the kernel's name at the server is
// not known.
func stopButton() string {
	id := os.Getenv(protocol.GONB_JUPYTER_KERNEL_ID_ENV)
	if id == "" {
		return ""
	}
	return `<button onclick="` + html.EscapeString(`const c = JSON.parse(document.getElementById('jupyter-config-data').textContent);`+
		`const x = document.cookie.match(/_xsrf=([^;]*)/);`+
		`fetch(c.baseUrl + 'api/kernels/`+id+`/interrupt', {method: 'POST', headers: {'X-XSRFToken': x ? x[1] : '', Authorization: 'token ' + c.token}})`) +
		`">Stop (keeps a checkpoint)</button>`
}

// flush waits until the kernel has what it was sent; of a kernel that is no more it does not wait long.
func flush() {
	done := make(chan struct{})
	go func() {
		gonbui.Sync()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}
