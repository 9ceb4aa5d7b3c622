package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestMain says in one line why nothing is tried where no Chromium is installed.
func TestMain(m *testing.M) {
	if chromium = findBrowser(); chromium == "" {
		fmt.Println("no Chromium is installed (apt-get install chromium): the notebooks are not tried in a browser")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// chromium is the browser's program.
var chromium string

func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		// On some systems there is a script of that name that only says how to install it.
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	return ""
}

// startBrowser starts Chromium with one page.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.WindowSize(1400, 1000),
		chromedp.NoSandbox, // which root and most containers cannot have; the only pages opened are the checkout's own
		chromedp.WSURLReadTimeout(*patience))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Run(ctx); err != nil { // the first Run starts it, and its context is the browser's
		t.Fatal(err)
	}
	chromedp.ListenTarget(ctx, func(event any) {
		if _, ok := event.(*cdp.EventJavascriptDialogOpening); ok { // a page that is left with unsaved changes asks whether it may be
			go chromedp.Run(ctx, cdp.HandleJavaScriptDialog(true))
		}
	})
	return ctx
}

// page is the browser's.
type page struct {
	t   *testing.T
	ctx context.Context
	lab *lab
}

func (p page) do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, *patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.fatal(err)
	}
}

// fatal ends the test, with a picture of what there was to see.
func (p page) fatal(args ...any) {
	p.t.Helper()
	p.shoot("failed " + strings.ReplaceAll(p.t.Name(), "/", " "))
	p.t.Fatal(args...)
}

// text is the value of an expression in the page, or the error that it ends with, as it does where the page is just loading.
func (p page) text(expression string) (text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, *patience)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Evaluate("String("+expression+")", &text)); err != nil {
		return err.Error()
	}
	return text
}

// click clicks until a match is in the value of an expression: a page that is just drawn anew may lose a click.
func (p page) click(what, selector, expression, pattern string) {
	p.t.Helper()
	re, why, text := regexp.MustCompile(pattern), error(nil), ""
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%.1000q does not match %s; clicking %s: %v", text, pattern, selector, why)
		}
	}()
	var clicked time.Time
	p.wait(what, *patience, func() bool {
		if text = p.text(expression); re.MatchString(text) {
			return true
		}
		if time.Since(clicked) > 20*time.Second {
			ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
			defer cancel()
			why = chromedp.Run(ctx, chromedp.Click(selector, chromedp.ByQuery))
			clicked = time.Now()
		}
		return false
	})
}

// until waits for a match in the value of an expression, and returns its groups.
func (p page) until(what, expression, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	text := ""
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%.1000q does not match %s", text, pattern)
		}
	}()
	p.wait(what, *patience, func() bool {
		text = p.text(expression)
		return re.MatchString(text)
	})
	return re.FindStringSubmatch(text)
}

// wait waits until done says so.
func (p page) wait(what string, limit time.Duration, done func() bool) {
	p.t.Helper()
	since := time.Now()
	for !done() {
		if time.Since(since) > limit {
			p.fatal(fmt.Sprintf("after %s it is not so: %s", limit, what))
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.t.Logf("%5.1f s  %s", time.Since(since).Seconds(), what)
}

// shoot keeps a picture.
func (p page) shoot(name string) {
	p.t.Helper()
	if *screenshots == "" {
		return
	}
	var picture []byte
	ctx, cancel := context.WithTimeout(p.ctx, *patience)
	defer cancel()
	err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&picture))
	if err == nil {
		err = os.MkdirAll(*screenshots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), picture, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

const (
	panel   = `.jp-NotebookPanel:not(.lm-mod-hidden)`
	visible = `document.querySelector('` + panel + `')`
	outputs = `[...` + visible + `.querySelectorAll('.jp-OutputArea-output')].map(o => o.innerText).join('\n')`
	state   = visible + `?.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status`
	prompts = `[...` + visible + `.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.innerText).join(' ')`
	dialogs = `document.querySelectorAll('.jp-Dialog').length`
	unsaved = `document.querySelectorAll('.lm-TabBar-tab.jp-mod-dirty').length`
)

// open opens a notebook, named from the root of the checkout, as in a browser that has not been here before.
func (p page) open(notebook string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.lab.address(p.lab.workspace() + "/tree/" + notebook)))
	p.until(notebook+" opens", visible+`?.querySelectorAll('.jp-Cell').length`, `^[1-9]`)
	// Before its kernel is connected the page says that this is idle, and loses what it is asked.
	p.wait("a kernel is connected", *patience, func() bool { return p.lab.connected(p.t) })
	time.Sleep(time.Second)
	p.until("its kernel is ready", state, "^idle$")
}

// openAgain opens a notebook that is open, anew.
func (p page) openAgain(notebook string) {
	p.t.Helper()
	p.do(chromedp.Navigate("about:blank"), chromedp.Navigate(p.lab.address(p.lab.workspace()+"/tree/"+notebook)))
	p.until(notebook+" opens", visible+`?.querySelectorAll('.jp-Cell').length`, `^[1-9]`)
}

// button is one of the notebook's toolbar.
func button(command string) string { return panel + ` .jp-Toolbar [data-command="` + command + `"]` }

// press clicks a button of the notebook's toolbar.
func (p page) press(command string) {
	p.t.Helper()
	p.do(chromedp.Click(button(command), chromedp.ByQuery))
}

// restart restarts the kernel, by a button of the toolbar, which may run all cells then.
func (p page) restart(command string) {
	p.t.Helper()
	p.click("a dialog asks", button(command), dialogs, "^[1-9]")
	p.click("the dialog closes", ".jp-Dialog .jp-mod-accept", dialogs, "^0$")
	time.Sleep(time.Second) // until then the kernel may seem to be idle
}

// run runs a cell, with the keyboard.
func (p page) run(cell int) {
	p.t.Helper()
	prompt := fmt.Sprintf(visible+".querySelectorAll('.jp-Cell .jp-InputPrompt')[%d].innerText", cell)
	before := p.text(prompt)
	for range 10 {
		p.do(p.runOnce(cell))
		for since := time.Now(); p.text(prompt) == before && time.Since(since) < 10*time.Second; {
			time.Sleep(200 * time.Millisecond)
		}
		since := time.Now()
		for now := ""; now != before && time.Since(since) < *patience; { // one that is lost is marked as waiting at first
			time.Sleep(2 * time.Second)
			if now = p.text(prompt); now != before && (p.text(state) == "busy" || strings.ContainsAny(now, "0123456789")) {
				return
			}
		}
	}
	p.fatal(fmt.Sprintf("cell %d does not begin", cell+1))
}

// runOnce asks for a cell to be run, once.
func (p page) runOnce(cell int) chromedp.Action {
	return chromedp.Tasks{chromedp.Click(fmt.Sprintf(panel+` .jp-Cell[data-windowed-list-index="%d"] .jp-InputPrompt`, cell), chromedp.ByQuery),
		chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("\r", chromedp.KeyModifiers(input.ModifierCtrl))}
}

// edit puts the cursor at the end of a cell.
func (p page) edit(cell int) {
	p.t.Helper()
	p.do(chromedp.Click(fmt.Sprintf(panel+` .jp-Cell[data-windowed-list-index="%d"] .cm-content`, cell), chromedp.ByQuery),
		chromedp.KeyEvent(kb.End, chromedp.KeyModifiers(input.ModifierCtrl)))
}

// beside is the text of what JupyterLab shows beside the cursor.
func beside(selector string) string {
	return `[...document.querySelectorAll('` + selector + `')].map(e => e.innerText).join('\n')`
}

// ask presses a key until a match is in what JupyterLab shows beside the cursor, which a machine that has much to do may be late with.
func (p page) ask(what, selector, pattern string, key chromedp.Action) {
	p.t.Helper()
	re, text, asked := regexp.MustCompile(pattern), "", time.Time{}
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%.1000q does not match %s", text, pattern)
		}
	}()
	p.wait(what, *patience, func() bool {
		if time.Since(asked) > 35*time.Second { // JupyterLab waits for half a minute
			if !asked.IsZero() {
				p.t.Logf("asked again: %s", what)
			}
			p.do(key)
			asked = time.Now()
		}
		text = p.text(beside(selector))
		return re.MatchString(text)
	})
}

// controls is the first figure with controls that the notebook holds in the page, scrolling on while it holds none.
const controls = `(p => {
	const o = p.querySelector('.jp-WindowedPanel-outer') ?? p;
	const c = p.querySelector('[data-palimpsest][role=group]:has(svg)');
	if (c) { c.scrollIntoView(); return c }
	o.scrollTop = o.scrollTop + 600 < o.scrollHeight - o.clientHeight ? o.scrollTop + 600 : 0;
	return null
})(` + visible + `)`

// moveControl moves a control, with the keyboard, and says whether the figure changed.
func (p page) moveControl() {
	p.t.Helper()
	drawn := `(` + controls + `)?.querySelector('svg').innerHTML`
	p.until("a figure with controls", drawn, `<`)
	before, keys := p.text(drawn), []string{kb.ArrowDown, kb.ArrowUp} // the one moves no control that is at its end
	p.wait("the figure changes with its control", *patience, func() bool {
		p.text(`(` + controls + `)?.querySelector('select, input').focus()`)
		p.do(chromedp.KeyEvent(keys[0]))
		keys[0], keys[1] = keys[1], keys[0]
		now := p.text(drawn)
		return now != before && strings.Contains(now, "<")
	})
}

// scrollTable makes a table wider than the page and scrolls it, with the keyboard.
func (p page) scrollTable() {
	p.t.Helper()
	const table = `document.querySelector('` + panel + ` [data-palimpsest-table]')`
	p.until("there is a table", `(t => t && (t.style.minWidth = '4000px'))(`+table+`?.querySelector('table'))`, "^4000px$")
	p.wait("a wide table scrolls", *patience, func() bool {
		p.text(table + `.focus()`)
		p.do(chromedp.KeyEvent(kb.ArrowRight))
		return p.text(table+`.scrollLeft > 0`) == "true"
	})
}
