package browser

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	screenshots = flag.String("screenshots", "", "folder for a picture of every notebook; default: none are kept")
	patience    = flag.Duration("patience", 4*time.Minute, "how long a busy machine may take for one thing that a reader waits for")
)

// root is the checkout.
const root = "../.."

// notebook is the file of a notebook.
type notebook struct {
	Cells []struct {
		Type    string   `json:"cell_type"`
		Count   *int     `json:"execution_count"`
		Outputs []output `json:"outputs"`
	} `json:"cells"`
}

type output struct {
	Type  string         `json:"output_type"`
	Name  string         `json:"name"` // of a stream
	Text  any            `json:"text"`
	Value string         `json:"evalue"`
	Data  map[string]any `json:"data"`
}

func read(t *testing.T, file string) (n notebook) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		t.Fatal(file, err)
	}
	return n
}

// TestNotebooksInBrowser opens every notebook, runs all its cells and moves a control.
func TestNotebooksInBrowser(t *testing.T) {
	files, err := filepath.Glob("../[0-9][0-9]_*.ipynb")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d notebooks, %v", len(files), err)
	}
	// JupyterLab saves what it shows: it is given copies, beside the notebooks because paths in cells start there, and without what
	// the cells showed when they were stored.
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = fmt.Sprintf("try-%d-%s", os.Getpid(), filepath.Base(file))
		copied := filepath.Join("..", names[i])
		t.Cleanup(func() { os.Remove(copied) })
		if err := os.WriteFile(copied, cleared(t, file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Finished runs are only read, and show none of what training shows.
	for _, where := range []string{"*", "*/*"} {
		left, _ := filepath.Glob(filepath.Join(root, "runs", where, "test-*")) // fails on a malformed pattern only
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := startLab(t, "--no-completion")
	ctx := startBrowser(t)
	for i, name := range names {
		short := strings.TrimSuffix(filepath.Base(files[i]), ".ipynb")
		t.Run(short, func(t *testing.T) {
			begun := time.Now()
			p := page{t, ctx, l}
			p.open("notebooks/" + name)
			defer l.endKernels(t)
			p.restart("notebook:restart-run-all")
			busy := time.Now() // when it last was
			p.wait("all its cells run", 3**patience, func() bool {
				if p.text(state) != "idle" {
					busy = time.Now()
					return false
				}
				if time.Since(busy) > time.Minute {
					t.Log("nothing runs; asked once more")
					p.restart("notebook:restart-run-all")
					busy = time.Now()
				}
				p.click("it is saved", button("docmanager:save"), unsaved, "^0$")
				return ran(p, read(t, filepath.Join("..", name)))
			})
			lacking(t, read(t, files[i]), read(t, filepath.Join("..", name)))
			p.shoot(short)
			p.moveControl()
			p.shoot(short + " control moved")
			if contains(t, files[i], "notebook.ShowTable(") {
				p.scrollTable()
			}
			t.Logf("%.0f s", time.Since(begun).Seconds())
		})
	}
	l.end(t)
}

// removeLeft removes what tests that were killed left: files that are named by the number of a process that is no more.
func removeLeft(t *testing.T, pattern string) {
	t.Helper()
	all, _ := filepath.Glob(strings.Replace(pattern, "%d", "*", 1)) // fails on a malformed pattern only
	for _, file := range all {
		begins, _, _ := strings.Cut(filepath.Base(pattern), "*")
		pid := 0
		if _, err := fmt.Sscanf(filepath.Base(file), begins, &pid); err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
	}
}

// cleared is a notebook none of whose cells has run.
func cleared(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var n map[string]any
	if err := json.Unmarshal(text, &n); err != nil {
		t.Fatal(file, err)
	}
	for _, c := range n["cells"].([]any) {
		if cell := c.(map[string]any); cell["cell_type"] == "code" {
			cell["outputs"], cell["execution_count"] = []any{}, nil
		}
	}
	text, err = json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// contains says whether a notebook contains a text.
func contains(t *testing.T, file, what string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(what))
}

// complaint is what a shell line that failed and a %magic that is not known leave on standard error.
var complaint = regexp.MustCompile(`exit status [0-9]+|unknown or not implemented`)

// ran says whether all cells have run. One that failed fails the test.
func ran(p page, n notebook) bool {
	p.t.Helper()
	all := true
	for i, c := range n.Cells {
		for _, o := range c.Outputs {
			if o.Type == "error" || o.Name == "stderr" && complaint.MatchString(fmt.Sprint(o.Text)) {
				p.fatal(fmt.Sprintf("cell %d fails: %s %v", i+1, o.Value, o.Text))
			}
		}
		all = all && (c.Type != "code" || c.Count != nil)
	}
	return all
}

// lacking finds the images and the HTML that cells are stored with in the repository and do not show here.
func lacking(t *testing.T, stored, here notebook) {
	t.Helper()
	for i, c := range stored.Cells {
		now := map[string]bool{}
		for _, o := range here.Cells[i].Outputs {
			for mime := range o.Data {
				now[mime] = true
			}
		}
		for _, o := range c.Outputs {
			for mime := range o.Data {
				if (strings.HasPrefix(mime, "image/") || mime == "text/html") && !now[mime] {
					t.Errorf("cell %d is stored with %s and shows none", i+1, mime)
				}
			}
		}
	}
}

// TestRunInBrowser interrupts a run, goes on with it, opens the page again meanwhile, and restarts the kernel.
func TestRunInBrowser(t *testing.T) {
	dir := filepath.Join(root, "runs", fmt.Sprintf("browser-%d", os.Getpid())) // JupyterLab shows the checkout alone
	t.Cleanup(func() { os.RemoveAll(dir) })
	endless := writeNotebook(t, dir)
	l := startLab(t)
	p := page{t, startBrowser(t), l}
	p.do(chromedp.Navigate(l.address(l.workspace() + "/tree/" + endless)))
	p.until(endless+" opens", visible+`?.querySelectorAll('.jp-Cell').length`, `^[1-9]`)
	p.do(p.runOnce(1))
	p.until("a cell that is run before its kernel is connected waits for it", outputs, `there is the kernel`)
	p.open(endless)
	p.edit(2)
	// JupyterLab is to wait for the kernel, which answers when gopls has loaded the packages: else the first Tab after a start is lost.
	if waits := l.waitsForNames(t); waits < 10*time.Second {
		t.Errorf("JupyterLab waits %s for names", waits)
	}
	p.ask("the first Tab completes", ".jp-Completer", "ShowImage", chromedp.KeyEvent(kb.Tab))
	p.shoot("completed")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.edit(1)
	p.do(chromedp.KeyEvent(kb.Home + strings.Repeat(kb.ArrowRight, len("fmt.P"))))
	p.ask("Shift-Tab shows the documentation", ".jp-Tooltip", "Println formats", chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(input.ModifierShift)))
	p.shoot("documentation")
	p.do(chromedp.KeyEvent(kb.Escape))

	p.run(0)
	p.until("it trains", outputs, `step [1-9]\d*/`)
	p.until("the title tells the percentage", "document.title", `^\d+ % · `)
	p.until("the loss is drawn", visible+`.querySelectorAll('.jp-OutputArea-output svg polyline').length`, "^1$")
	p.shoot("training")
	p.wait("the page saves the notebook, which nobody asks it to", *patience, func() bool { // or a page that is opened again would have nothing to show
		text, err := os.ReadFile(filepath.Join(root, endless))
		return err == nil && bytes.Contains(text, []byte("data-palimpsest-live"))
	})

	p.press("notebook:interrupt-kernel")
	stopped := p.until("interrupted, it stops", outputs, `stopped at step (\d+) of \d+; run the cell again to go on`)
	if all := p.text(outputs); strings.Count(all, "stopped at step") != 1 || strings.Contains(all, "signal: ") || strings.Contains(all, "exit status") {
		t.Errorf("the output is %q; want to be told once", all)
	}
	if left := p.text(visible + `.querySelectorAll('.jp-OutputArea-output button').length`); left != "0" {
		t.Errorf("stopped, it shows %s buttons that would stop it", left)
	}
	p.shoot("interrupted")
	p.until("its kernel is ready", state, "^idle$")

	p.run(0)
	p.until("what it said goes", outputs+`.includes('stopped at step')`, "^false$")
	on := p.until("it goes on", outputs, `step ([1-9]\d*)/`)
	if before, after := number(t, stopped[1]), number(t, on[1]); after < before {
		t.Errorf("it stopped at step %d and goes on at step %d", before, after)
	}

	p.openAgain(endless)
	seen := p.until("opened again, it shows how far the run is", outputs, `step ([1-9]\d*)/`)
	p.until("and goes on showing it", `[...(`+outputs+`).matchAll(/step ([1-9]\d*)\//g)].some(m => +m[1] > `+seen[1]+`)`, "true")
	p.until("its cell is marked as one that runs", prompts, `^\[\*\]:`)
	p.until("its kernel is told to be busy", state, "^busy$")
	p.until("the title tells the percentage", "document.title", `^\d+ % · `)
	p.shoot("opened again")
	p.click("the button stops it", panel+` .jp-OutputArea-output button`, outputs, `The run has stopped: run the cell again to go on`)
	p.until("its kernel is ready", state, "^idle$")
	p.until("its cell is marked no more", prompts, `^\[ \]:`)
	p.until("the title neither", "document.title", `^endless`)
	p.shoot("stopped by the button")

	p.restart("notebook:restart-kernel")
	p.until("its kernel is ready", state, "^idle$")
	p.run(1)
	p.until("a cell runs after the restart", outputs, `there is the kernel`)

	p.run(0)
	p.until("it trains", outputs, `step [1-9]\d*/`)
	l.killKernel(t)
	p.until("a dialog says that the kernel died", dialogs, "^[1-9]")
	p.click("the dialog closes", ".jp-Dialog .jp-mod-accept", dialogs, "^0$")
	p.until("restarted, it is ready", state, "^idle$")
	p.until("it is told what is to be run", outputs, `run the cell again to go on; after a restart of the kernel, the cells above it first`)
	p.until("the title tells no percentage", "document.title", `^\W*endless`)
	p.shoot("kernel killed")
	p.run(1)
	p.until("a cell runs after the death", outputs, `there is the kernel`)
	l.end(t)
	if left, _ := filepath.Glob(filepath.Join(l.temp, "go*")); len(left) > 0 { // fails on a malformed pattern only
		t.Errorf("%q are left", left)
	}
}

// writeNotebook writes what is interrupted here: the smallest network, training for hours. It returns its path from the root.
func writeNotebook(t *testing.T, dir string) string {
	t.Helper()
	cells := []any{}
	for i, source := range []string{
		"import (\n\t\"palimpsest/pkg/cl\"\n\t\"palimpsest/pkg/experiment\"\n\t\"palimpsest/pkg/notebook\"\n)\n\n" +
			"%%\nc := experiment.DefaultConfig()\nc.Network.Base, c.Network.Mults = 8, []int{1}\nc.Loop.StepsPerTask = 1000000\n" +
			"c.Strategy = cl.Spec{Name: \"finetune\"}\nnotebook.Get(notebook.Run(c, \".\"))",
		"import \"fmt\"\n\n%%\nfmt.Println(\"there is the kernel\")",
		"import \"palimpsest/pkg/notebook\"\n\n%%\nnotebook.Show",
	} {
		cells = append(cells, map[string]any{"cell_type": "code", "id": fmt.Sprint("c", i), "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil, "source": source})
	}
	text, err := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 5, "cells": cells,
		"metadata": map[string]any{"kernelspec": map[string]any{"display_name": "Go (gonb)", "language": "go", "name": "gonb"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "endless.ipynb")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(filepath.Join("runs", filepath.Base(dir), "endless.ipynb"))
}

func number(t *testing.T, digits string) int {
	t.Helper()
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
