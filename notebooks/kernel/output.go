package kernel

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/pkg/errors"
)

// Output is one output of a cell.
type Output struct {
	Type     string         // "stream", "display_data", "execute_result" or "error"
	Stream   string         // of a stream: "stdout" or "stderr"
	Text     string         // of a stream: what a terminal would show; of an error: its trace
	Name     string         // of an error
	Value    string         // of an error
	Data     map[string]any // of a display: MIME type to string, or any JSON for JSON types
	Metadata map[string]any // of a display
}

// outputs gathers the outputs of a notebook's cells as a front end shows them. GoNB may
// send one after it has said that the cell is done, so they go by request.
type outputs struct {
	cells    map[string]*gathered // by the id of the request that ran the cell
	displays map[string][]*Output // by the display's id, of all cells
}

// gathered is the output of one cell.
type gathered struct {
	list  []*Output
	clear bool // clear the list at the next output
}

func newOutputs() *outputs {
	return &outputs{cells: map[string]*gathered{}, displays: map[string][]*Output{}}
}

// content is the union of the contents of the messages that make outputs.
type content struct {
	Name      string         `json:"name"`
	Text      string         `json:"text"`
	Data      map[string]any `json:"data"`
	Metadata  map[string]any `json:"metadata"`
	Transient struct {
		Display string `json:"display_id"`
	} `json:"transient"`
	ErrorName  string   `json:"ename"`
	ErrorValue string   `json:"evalue"`
	Traceback  []string `json:"traceback"`
	Wait       bool     `json:"wait"`
}

// add applies a message. Those of other types, and those that answer none of the cells'
// requests, change nothing.
func (o *outputs) add(m message) error {
	cell := o.cells[m.Parent.ID]
	if cell == nil {
		return nil
	}
	var c content
	switch m.Header.Type {
	case "stream", "display_data", "execute_result", "update_display_data", "error", "clear_output":
		if err := json.Unmarshal(m.Content, &c); err != nil {
			return errors.Wrapf(err, "a %s message came malformed", m.Header.Type)
		}
	}
	switch m.Header.Type {
	case "stream":
		cell.add(&Output{Type: "stream", Stream: c.Name, Text: c.Text})
	case "display_data", "execute_result":
		out := &Output{Type: m.Header.Type, Data: c.Data, Metadata: c.Metadata}
		cell.add(out)
		if id := c.Transient.Display; id != "" {
			o.displays[id] = append(o.displays[id], out)
		}
	case "update_display_data":
		for _, out := range o.displays[c.Transient.Display] {
			out.Data, out.Metadata = c.Data, c.Metadata
		}
	case "error":
		trace := strings.TrimSpace(ansi.ReplaceAllString(strings.Join(c.Traceback, "\n"), ""))
		cell.add(&Output{Type: "error", Name: c.ErrorName, Value: c.ErrorValue, Text: trace})
	case "clear_output":
		if cell.clear = true; !c.Wait {
			cell.list, cell.clear = nil, false
		}
	}
	return nil
}

// add appends an output; consecutive texts of one stream are one output.
func (g *gathered) add(out *Output) {
	if g.clear {
		g.list, g.clear = nil, false
	}
	if n := len(g.list); n > 0 && out.Type == "stream" && g.list[n-1].Type == "stream" && g.list[n-1].Stream == out.Stream {
		g.list[n-1].Text += out.Text
		return
	}
	g.list = append(g.list, out)
}

// settled returns the outputs with streams as a terminal would leave them.
func (g *gathered) settled() []*Output {
	var all []*Output
	for _, out := range g.list {
		if out.Type == "stream" {
			final := *out
			if final.Text = settle(out.Text); final.Text == "" {
				continue
			}
			out = &final
		}
		all = append(all, out)
	}
	return all
}

// ansi matches the escape sequences that move the cursor or colour text.
var ansi = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// settle returns the last state of text on a terminal: of a line overwritten by carriage
// returns, as a progress bar does it, what was written last.
func settle(text string) string {
	lines := strings.Split(ansi.ReplaceAllString(text, ""), "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		lines[i] = strings.TrimRight(line[strings.LastIndexByte(line, '\r')+1:], " ")
	}
	return strings.Join(lines, "\n")
}
