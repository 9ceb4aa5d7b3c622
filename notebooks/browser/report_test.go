package browser

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/ledongthuc/pdf"
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

// writeReport writes the page of the runs in a folder of the checkout.
func writeReport(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	write := exec.Command("go", "run", ".", "report", dir, "-o", file)
	write.Dir = root
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// TestReportOnPaper: the page of a report loses nothing on a sheet of A4 with margins of 1 cm, where nothing can be scrolled or opened.
func TestReportOnPaper(t *testing.T) {
	file := writeReport(t, "notebooks/results/methods")
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

// long leaves of the page the table of that number alone, with rows for several sheets of paper, and says what its header reads.
const long = `(() => {
	const t = document.querySelectorAll("table")[%d];
	document.body.replaceChildren(t);
	const rows = Array.from(t.tBodies[0].rows);
	for (let i = 0; i < 150; i++) { t.tBodies[0].append(rows[i %% rows.length].cloneNode(true)); }
	return t.tHead.textContent;
})()`

// TestHeadersOnPaper: a table that goes on on the next sheet has its header there, too.
func TestHeadersOnPaper(t *testing.T) {
	file := writeReport(t, "notebooks/results/quick")
	p := page{t: t, ctx: startBrowser(t)}
	var tables int
	p.do(chromedp.Navigate("file://"+file), chromedp.Evaluate(`document.querySelectorAll("table").length`, &tables))
	bare := strings.NewReplacer(" ", "", "\n", "", "\u00a0", "")
	for i := range tables {
		var head string
		var paper []byte
		p.do(chromedp.Navigate("file://"+file), chromedp.Evaluate(fmt.Sprintf(long, i), &head), chromedp.ActionFunc(func(ctx context.Context) (err error) {
			paper, _, err = cdp.PrintToPDF().Do(ctx)
			return err
		}))
		printed, err := pdf.NewReader(bytes.NewReader(paper), int64(len(paper)))
		if err != nil {
			t.Fatal(err)
		}
		if printed.NumPage() < 2 {
			t.Errorf("table %d of %d is on one sheet: nothing is repeated", i+1, tables)
		}
		for n := range printed.NumPage() {
			text, err := printed.Page(n + 1).GetPlainText(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(bare.Replace(text), bare.Replace(head)) {
				t.Errorf("table %d of %d, sheet %d: no header %q in %.300q", i+1, tables, n+1, head, text)
			}
		}
	}
	t.Logf("%d tables", tables)
}
