package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// The tags of cells that are run otherwise than the rest.
const (
	TagMustFail = "raises-exception" // the cell must fail
	TagSkip     = "skip-test"        // the cell is not run
)

// RunOptions says how [Notebook.Run] runs a notebook.
type RunOptions struct {
	CellTimeout time.Duration // for each cell; 0 is none
	// OnCell is called before each code cell is run: its number and its first line that is neither %% nor of an import.
	OnCell func(number int, first string)
}

// Failure is the error of a cell.
type Failure struct {
	Cell int    // its number in the notebook, from 1
	Why  string // what was wrong, with what the cell wrote
}

// Error returns the failure as one text.
func (f *Failure) Error() string { return fmt.Sprintf("cell %d: %s", f.Cell, f.Why) }

// Run runs the notebook's code cells in order in p, which must be fresh, and returns a copy
// with their new outputs. It stops at the first cell that fails with a *[Failure] and the
// copy up to there; any other error is not a cell's.
func (nb *Notebook) Run(ctx context.Context, p *Process, o RunOptions) (*Notebook, error) {
	done := &Notebook{Metadata: nb.Metadata}
	for _, cell := range nb.Cells {
		bare := *cell
		bare.Count, bare.Outputs = 0, nil
		done.Cells = append(done.Cells, &bare)
	}
	out := newOutputs()
	requests := map[string]*Cell{}
	collect := func() {
		for id, cell := range requests {
			cell.Outputs = out.cells[id].settled()
		}
	}
	for i, cell := range done.Cells {
		if cell.Type != "code" || cell.Tagged(TagSkip) || strings.TrimSpace(cell.Source) == "" {
			continue
		}
		if o.OnCell != nil {
			o.OnCell(i+1, opening(cell.Source))
		}
		cell.Count = len(requests) + 1
		id, err := runCell(ctx, p, cell, o.CellTimeout, out)
		if id != "" {
			requests[id] = cell
		}
		collect()
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		if err != nil {
			return done, &Failure{i + 1, err.Error() + shown(cell.Outputs)}
		}
		if why := verdict(cell); why != "" {
			return done, &Failure{i + 1, why + shown(cell.Outputs)}
		}
	}
	err := p.drain(out)
	collect()
	if err == nil {
		done.sign()
		if p.language != nil {
			done.Metadata["language_info"] = p.language
		}
	}
	return done, err
}

// reImports matches what a cell imports.
var reImports = regexp.MustCompile(`(?m)^import (\([^)]*\)|.*)$`)

// opening is the line that says best what a cell is.
func opening(source string) string {
	for line := range strings.Lines(reImports.ReplaceAllString(source, "")) {
		if line = strings.TrimSpace(line); line != "" && line != "%%" {
			return line
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(source), "\n")
	return first
}

func runCell(ctx context.Context, p *Process, cell *Cell, timeout time.Duration, out *outputs) (string, error) {
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	id, err := p.execute(limited, cell.Source, out)
	if errors.Is(err, context.DeadlineExceeded) {
		return id, errors.Errorf("not done after %s", timeout)
	}
	return id, err
}

// complaint matches what GoNB leaves on standard error, and nowhere else, of a shell line
// that failed and of a %magic it does not know.
var complaint = regexp.MustCompile(`(?m)exit status [0-9]+|unknown or not implemented`)

// verdict returns what is wrong with the outputs of a cell that was run, or "".
func verdict(cell *Cell) string {
	why := ""
	for _, out := range cell.Outputs {
		switch {
		case out.Type == "error":
			why = "it ended in an error: " + out.Name + ": " + out.Value
		case out.Type == "stream" && out.Stream == "stderr" && complaint.MatchString(out.Text):
			why = "it wrote to standard error: " + complaint.FindString(out.Text)
		}
	}
	if cell.Tagged(TagMustFail) {
		if why == "" {
			return "it is tagged " + TagMustFail + " but did not fail"
		}
		return ""
	}
	return why
}

// shown returns the texts a failed cell wrote, for a message: the last 40 lines.
func shown(outs []*Output) string {
	var all []string
	for _, out := range outs {
		if text := strings.TrimSpace(out.Text); text != "" {
			all = append(all, strings.Split(text, "\n")...)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "\n\t" + strings.Join(all[max(0, len(all)-40):], "\n\t")
}

// signature is the key of a notebook's metadata that says of which code its outputs are. JupyterLab keeps it.
const signature = "palimpsest_outputs_of"

// sign notes that all outputs are those of the code there is.
func (nb *Notebook) sign() {
	nb.Metadata = maps.Clone(orEmpty(nb.Metadata))
	nb.Metadata[signature] = nb.code()
}

// Stale says whether code cells have changed since [Notebook.Run] made the outputs, or it never did.
func (nb *Notebook) Stale() bool { return nb.Metadata[signature] != nb.code() }

// code is the hash of all code cells: what one of them shows depends on those before it.
func (nb *Notebook) code() string {
	h := sha256.New()
	for _, cell := range nb.Cells {
		if cell.Type == "code" {
			fmt.Fprintf(h, "%d\n%s\n", len(cell.Source), cell.Source)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Missing compares a notebook that was run with the one that was committed: it returns a
// line for each cell that lacks an image or an HTML output it was committed with, and for
// each cell with code that was committed without having been run.
func Missing(committed, run *Notebook) []string {
	var lacking []string
	for i, cell := range committed.Cells {
		if cell.Type != "code" || cell.Tagged(TagSkip) || i >= len(run.Cells) {
			continue
		}
		if cell.Count == 0 && strings.TrimSpace(cell.Source) != "" {
			lacking = append(lacking, fmt.Sprintf("cell %d: committed without having been run", i+1))
		}
		now := kinds(run.Cells[i])
		for _, kind := range kinds(cell) {
			if !slices.Contains(now, kind) {
				lacking = append(lacking, fmt.Sprintf("cell %d: committed with an output of type %s, run without one", i+1, kind))
			}
		}
	}
	return lacking
}

// kinds returns the MIME types of a cell's images and HTML, sorted.
func kinds(cell *Cell) []string {
	var all []string
	for _, out := range cell.Outputs {
		for mime := range out.Data {
			if strings.HasPrefix(mime, "image/") || mime == "text/html" {
				all = append(all, mime)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
