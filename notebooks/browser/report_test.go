package browser

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// lost lists what a page shows beyond its right edge or in a box that scrolls, and the parts of it that are closed.
const lost = `(() => {
	const wide = document.documentElement.clientWidth + 1;
	const text = e => e.tagName + " " + e.textContent.trim().slice(0, 40);
	const all = Array.from(document.querySelectorAll("body *"));
	return all.filter(e => e.getBoundingClientRect().right > wide || e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible")
		.concat(Array.from(document.querySelectorAll("details > :not(summary)")).filter(e => !e.checkVisibility({contentVisibilityAuto: true})))
		.map(text);
})()`

// TestReportOnPaper: the page of a report loses nothing on a sheet of A4 with margins of 1 cm, where nothing can be scrolled or opened.
func TestReportOnPaper(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.html")
	write := exec.Command("go", "run", ".", "report", "notebooks/results/methods", "-o", file)
	write.Dir = root
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := page{t: t, ctx: startBrowser(t)}
	var screen, paper []string
	p.do(chromedp.EmulateViewport(718, 1046), chromedp.Navigate("file://"+file), chromedp.Evaluate(lost, &screen),
		chromedp.ActionFunc(func(ctx context.Context) error { return emulation.SetEmulatedMedia().WithMedia("print").Do(ctx) }),
		chromedp.Evaluate(lost, &paper))
	if len(screen) == 0 {
		t.Error("nothing scrolls or is closed on a screen of that width: what is looked for is not found")
	}
	if len(paper) > 0 {
		t.Errorf("%d parts of the page are lost on paper: %q", len(paper), paper[:min(10, len(paper))])
	}
}
