package kernel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// Write stores the notebook in the form Jupyter itself writes: keys in alphabetical order,
// indented by one, texts as lists of lines. The same notebook gives the same bytes; a cell
// without an id gets one by its place.
func (nb *Notebook) Write(path string) error {
	text, err := nb.encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, text)
}

// encode is the content of the file.
func (nb *Notebook) encode() ([]byte, error) {
	cells := []any{} // through maps, whose keys come out sorted
	for i, c := range nb.Cells {
		cells = append(cells, c.stored(i))
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(map[string]any{
		"cells": cells, "metadata": orEmpty(nb.Metadata), "nbformat": 4, "nbformat_minor": 5,
	})
	return text.Bytes(), errors.WithStack(err)
}

// stored returns the cell at a place, counted from 0, as [nbformat] has it.
func (c *Cell) stored(place int) map[string]any {
	id := c.ID
	if id == "" {
		id = fmt.Sprintf("cell-%02d", place+1)
	}
	cell := map[string]any{"cell_type": c.Type, "id": id, "metadata": orEmpty(c.Metadata), "source": lines(c.Source)}
	if c.Type == "code" {
		outputs := []any{}
		for _, o := range c.Outputs {
			outputs = append(outputs, o.stored(c.Count))
		}
		cell["outputs"] = outputs
		cell["execution_count"] = count(c.Count)
	}
	return cell
}

// stored returns the output of a cell with the given count as [nbformat] has it.
func (o *Output) stored(n int) map[string]any {
	switch o.Type {
	case "stream":
		return map[string]any{"output_type": o.Type, "name": o.Stream, "text": lines(o.Text)}
	case "error":
		return map[string]any{"output_type": o.Type, "ename": o.Name, "evalue": o.Value, "traceback": strings.Split(o.Text, "\n")}
	}
	data := map[string]any{}
	for mime, value := range o.Data {
		// Texts go by lines, so that a difference can be read; encoded bytes do not.
		if text, ok := value.(string); ok && (strings.HasPrefix(mime, "text/") || mime == "image/svg+xml") {
			value = lines(text)
		}
		data[mime] = value
	}
	stored := map[string]any{"output_type": o.Type, "data": data, "metadata": orEmpty(o.Metadata)}
	if o.Type == "execute_result" {
		stored["execution_count"] = count(n)
	}
	return stored
}

// count returns an execution count, nil for a cell that was not run.
func count(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

// lines returns text as a list of lines with their ends.
func lines(text string) []string {
	split := strings.SplitAfter(text, "\n")
	if split[len(split)-1] == "" {
		split = split[:len(split)-1]
	}
	return split
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
