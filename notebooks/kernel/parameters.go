package kernel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// The tags of papermill [papermill]: the cell with the parameters of a notebook and the one put behind it that sets them.
const (
	TagParameters = "parameters"
	TagInjected   = "injected-parameters"
)

// SetParameters returns a copy of the notebook in which parameters have other values: settings are NAME=VALUE. Parameters are
// the constants without a type that the cell tagged "parameters" declares, by a const each: GoNB replaces a block of them as a
// whole. A cell that declares the given ones again is put behind it, or replaces the one that an earlier call put there.
//
// It is an error if the notebook has no such cell, the cell no such parameter, or a value is not of the kind of its default: a
// whole number, a number, a truth value or a text, which needs no quotes.
func (nb *Notebook) SetParameters(settings []string) (*Notebook, error) {
	if len(settings) == 0 {
		return nb, nil
	}
	at := slices.IndexFunc(nb.Cells, func(c *Cell) bool { return c.Type == "code" && c.Tagged(TagParameters) })
	if at < 0 {
		return nil, errors.Errorf("no cell of this notebook is tagged %q, so nothing can be set", TagParameters)
	}
	defaults, err := parameters(nb.Cells[at].Source)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range defaults {
		names = append(names, d.name)
	}
	source := "// Parameters set for this run.\n"
	for _, setting := range settings {
		name, value, ok := strings.Cut(setting, "=")
		i := slices.Index(names, name)
		if !ok || i < 0 {
			return nil, errors.Errorf("%q sets no parameter of this notebook; need NAME=VALUE with one of %s", setting, strings.Join(names, ", "))
		}
		text, err := defaults[i].written(value)
		if err != nil {
			return nil, err
		}
		source += "const " + name + " = " + text + "\n"
	}
	set := *nb
	set.Cells = slices.Clone(nb.Cells[:at+1])
	set.Cells = append(set.Cells, &Cell{Type: "code", Source: source, Metadata: map[string]any{"tags": []any{TagInjected}}})
	rest := nb.Cells[at+1:]
	if len(rest) > 0 && rest[0].Tagged(TagInjected) {
		rest = rest[1:]
	}
	set.Cells = append(set.Cells, rest...)
	return &set, nil
}

// parameter is a constant with its default.
type parameter struct {
	name string
	kind token.Token // INT, FLOAT, STRING, or IDENT of a truth value
}

// parameters are the constants that a cell declares.
func parameters(source string) ([]parameter, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+source, parser.SkipObjectResolution)
	if err != nil {
		return nil, errors.Wrapf(err, "the cell tagged %q", TagParameters)
	}
	var all []parameter
	for _, d := range file.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		if general.Lparen.IsValid() {
			return nil, errors.Errorf("the cell tagged %q declares constants in a block, which GoNB replaces as a whole; give each a const of its own", TagParameters)
		}
		for _, s := range general.Specs {
			spec := s.(*ast.ValueSpec) // of a const declaration nothing else is
			for i, name := range spec.Names {
				if spec.Type != nil || i >= len(spec.Values) {
					continue
				}
				switch value := spec.Values[i].(type) {
				case *ast.BasicLit:
					all = append(all, parameter{name.Name, value.Kind})
				case *ast.Ident:
					if value.Name == "true" || value.Name == "false" {
						all = append(all, parameter{name.Name, token.IDENT})
					}
				}
			}
		}
	}
	return all, nil
}

// written is a value as Go source.
func (p parameter) written(value string) (string, error) {
	var err error
	need := ""
	switch p.kind {
	case token.INT:
		need = "a whole number"
		_, err = strconv.ParseInt(value, 10, 64)
	case token.FLOAT:
		need = "a number"
		_, err = strconv.ParseFloat(value, 64)
		if err == nil && strings.ContainsAny(value, "xXnN_") { // hexadecimal, infinite or none
			err = strconv.ErrSyntax
		}
	case token.IDENT:
		need = "true or false"
		if value != "true" && value != "false" {
			err = strconv.ErrSyntax
		}
	case token.STRING:
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		return strconv.Quote(value), nil
	default:
		return "", errors.Errorf("the default of %s is neither a number, a text nor a truth value", p.name)
	}
	if err != nil {
		return "", errors.Errorf("%s=%s: need %s", p.name, value, need)
	}
	return value, nil
}
