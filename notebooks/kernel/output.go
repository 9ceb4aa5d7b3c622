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

	display string // the display's id, if it can be updated
}

// outputs gathers the outputs of a notebook's cells as a front end shows them.
type outputs struct {
	cell     []*Output            // of the cell under way
	displays map[string][]*Output // by id, of all cells
	clear    bool                 // clear the cell's at its next output
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

// add applies a message; those of other types change nothing.
func (o *outputs) add(m message) error {
	var c content
	switch m.Header.Type {
	case "stream", "display_data", "execute_result", "update_display_data", "error", "clear_output":
		if err := json.Unmarshal(m.Content, &c); err != nil {
			return errors.Wrapf(err, "a %s message came malformed", m.Header.Type)
		}
	}
	if c.Metadata == nil {
		c.Metadata = map[string]any{}
	}
	switch m.Header.Type {
	case "stream":
		o.empty()
		// Consecutive texts of one stream are one output.
		if n := len(o.cell); n > 0 && o.cell[n-1].Type == "stream" && o.cell[n-1].Stream == c.Name {
			o.cell[n-1].Text += c.Text
		} else {
			o.cell = append(o.cell, &Output{Type: "stream", Stream: c.Name, Text: c.Text})
		}
	case "display_data", "execute_result":
		o.empty()
		out := &Output{Type: m.Header.Type, Data: c.Data, Metadata: c.Metadata, display: c.Transient.Display}
		o.cell = append(o.cell, out)
		if out.display != "" {
			o.displays[out.display] = append(o.displays[out.display], out)
		}
	case "update_display_data":
		for _, out := range o.displays[c.Transient.Display] {
			out.Data, out.Metadata = c.Data, c.Metadata
		}
	case "error":
		o.empty()
		trace := strings.TrimSpace(ansi.ReplaceAllString(strings.Join(c.Traceback, "\n"), ""))
		o.cell = append(o.cell, &Output{Type: "error", Name: c.ErrorName, Value: c.ErrorValue, Text: trace})
	case "clear_output":
		if o.clear = true; !c.Wait {
			o.empty()
		}
	}
	return nil
}

// empty carries out a clear_output.
func (o *outputs) empty() {
	if o.clear {
		o.cell, o.clear = nil, false
	}
}

// finish returns the cell's outputs, streams as a terminal would leave them, and starts
// the next cell.
func (o *outputs) finish() []*Output {
	cell := o.cell
	for _, out := range cell {
		if out.Type == "stream" {
			out.Text = settle(out.Text)
		}
	}
	o.cell, o.clear = nil, false
	return cell
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
