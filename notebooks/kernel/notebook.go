package kernel

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// Notebook is a notebook in nbformat 4.
type Notebook struct {
	Cells    []*Cell
	Metadata map[string]any
}

// Cell is a cell of a notebook.
type Cell struct {
	Type     string // "code", "markdown" or "raw"
	ID       string
	Source   string
	Metadata map[string]any
	Count    int       // of code: its place among the code cells run, from 1; 0 if it was not run
	Outputs  []*Output // of code
}

// Tagged says whether the cell carries a tag.
func (c *Cell) Tagged(tag string) bool {
	tags, _ := c.Metadata["tags"].([]any)
	return slices.Contains(tags, any(tag))
}

// file is a notebook as it is stored, as far as it is read.
type file struct {
	Cells []struct {
		Type     string         `json:"cell_type"`
		Count    int            `json:"execution_count"`
		ID       string         `json:"id"`
		Metadata map[string]any `json:"metadata"`
		Source   multiline      `json:"source"`
		Outputs  []struct {
			Type      string         `json:"output_type"`
			Stream    string         `json:"name"`
			Text      multiline      `json:"text"`
			Data      map[string]any `json:"data"`
			Metadata  map[string]any `json:"metadata"`
			Name      string         `json:"ename"`
			Value     string         `json:"evalue"`
			Traceback []string       `json:"traceback"`
		} `json:"outputs"`
	} `json:"cells"`
	Metadata map[string]any `json:"metadata"`
	Format   int            `json:"nbformat"`
}

// multiline is a text, stored as a list of lines with their ends or as one string.
type multiline string

// UnmarshalJSON reads either form.
func (m *multiline) UnmarshalJSON(data []byte) error {
	var lines []string
	if err := json.Unmarshal(data, &lines); err == nil {
		*m = multiline(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(data, (*string)(m))
}

// Read reads a notebook. The error of a file that is none says what is wrong with it.
func Read(path string) (*Notebook, error) {
	text, err := atomicfile.Read(path, atomicfile.Large)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	nb, err := parse(text)
	return nb, errors.WithMessage(oneline.Error(err), path)
}

func parse(text []byte) (*Notebook, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, errors.Errorf("no notebook, or a damaged one, for a notebook is JSON: %v", err)
	}
	if f.Format == 0 {
		return nil, errors.New("no notebook, for it names no nbformat; need a file that Jupyter wrote")
	}
	if f.Format != 4 {
		return nil, errors.Errorf("nbformat %d, need 4; save it with a newer JupyterLab", f.Format)
	}
	nb := &Notebook{Metadata: f.Metadata}
	for i, c := range f.Cells {
		if !slices.Contains([]string{"code", "markdown", "raw"}, c.Type) {
			return nil, errors.Errorf("cell %d is of type %q, need code, markdown or raw", i+1, c.Type)
		}
		cell := &Cell{Type: c.Type, ID: c.ID, Source: string(c.Source), Metadata: c.Metadata, Count: c.Count}
		for _, o := range c.Outputs {
			out := &Output{Type: o.Type, Stream: o.Stream, Text: string(o.Text), Name: o.Name, Value: o.Value,
				Data: map[string]any{}, Metadata: o.Metadata}
			if o.Type == "error" {
				out.Text = strings.Join(o.Traceback, "\n")
			}
			for mime, value := range o.Data {
				out.Data[mime] = joined(value)
			}
			cell.Outputs = append(cell.Outputs, out)
		}
		nb.Cells = append(nb.Cells, cell)
	}
	return nb, nil
}

// joined returns a list of strings as one string and anything else as it is.
func joined(value any) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	var all strings.Builder
	for _, line := range list {
		text, ok := line.(string)
		if !ok {
			return value
		}
		all.WriteString(text)
	}
	return all.String()
}
