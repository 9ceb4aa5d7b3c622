// Package settings reads settings written in YAML without cutting, guessing or dropping any: one document a file, whole
// numbers where whole numbers are needed, finite ones everywhere. Whatever does not fit is an error of one line that
// names the setting as the user would write it, "loop.steps_per_task".
package settings

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// Limit is the largest number of bytes of a document. The longest of the product's own, with a thousand weights of
// timesteps, is a hundredth of it.
const Limit = 4 << 20

// ReadFile reads a file of settings: a regular one of at most [Limit] bytes.
func ReadFile(path string) ([]byte, error) { return atomicfile.Read(path, Limit) }

// Document parses the one YAML document of a text; name is for errors. The result is its content, nil where there is
// none. A text of two documents is refused: the second would be read by nobody. Integers with a leading zero or in another
// base are text.
func Document(name string, text []byte) (*yaml.Node, error) {
	if len(text) > Limit {
		return nil, errors.Errorf("%s has %d bytes; settings have at most %d", name, len(text), Limit)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, errors.Errorf("%s is not YAML: %s", name, oneline.Text(err.Error()))
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, errors.Errorf("%s:%d: a second YAML document begins; need one alone, so leave it out or give it a file of its own", name, second.Line)
	} else if err != io.EOF {
		return nil, errors.Errorf("%s is not YAML: %s", name, oneline.Text(err.Error()))
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	unguessed(&doc)
	return doc.Content[0], nil
}

// unguessed makes text of the integers that YAML 1.1 reads in another base, as 010 (8) and 0x10 (16): whoever writes leading zeros means
// none of it, and a name may have them.
func unguessed(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!int" && OtherBase(node.Value) {
		node.Tag = "!!str"
	}
	for _, below := range node.Content {
		unguessed(below)
	}
}

// InDecimal is what the need for a whole number goes on with where [OtherBase] is true of what was given.
const InDecimal = ", in decimal digits without a leading 0"

// OtherBase says whether an integer is written with a leading zero or the letter of a base.
func OtherBase(text string) bool {
	digits := strings.TrimLeft(text, "+-")
	return len(digits) > 1 && digits[0] == '0'
}

// Decode puts the YAML of a text into a struct. A key that the struct lacks is an error.
func Decode(text []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	return oneline.Error(errors.WithStack(decoder.Decode(into)))
}

// own marks types that read themselves from YAML; what they take only they know.
var own = reflect.TypeFor[yaml.Unmarshaler]()

// Fits reports the first value that a setting of the type t cannot hold as it is written: a fraction or a number out of
// range for an integer, no finite number for a float (of 32 bits, which is what networks reckon in), a word for a
// number, a text of several lines for one. tree is what YAML decodes into an `any`; path names it, "" for the top. Keys that t lacks are left to others.
func Fits(tree any, t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(own) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return fitsStruct(tree, t, path)
	case reflect.Slice, reflect.Array:
		list, ok := tree.([]any)
		if !ok && tree != nil {
			return errors.Errorf("%s is %s; need a list, such as %s", path, show(tree), listed(tree, t))
		}
		for i, v := range list {
			if _, ok := v.([]any); !ok && v != nil && lists(t.Elem()) {
				return errors.Errorf("%s[%d] is %s; need a list of lists, such as %s", path, i, show(v), listed(tree, t))
			}
			if err := Fits(v, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map, reflect.Interface:
		return nil
	}
	switch tree.(type) {
	case nil:
		return errors.Errorf("%s has no value; give it one, or leave it out", path)
	case map[string]any, map[any]any, []any:
		return errors.Errorf("%s is %s; need a single value", path, show(tree))
	}
	switch kind := t.Kind(); {
	case kind == reflect.Bool:
		if word, ok := tree.(string); ok && slices.Contains([]string{"y", "yes", "on", "n", "no", "off"}, strings.ToLower(word)) {
			return nil
		}
		if _, ok := tree.(bool); !ok {
			return errors.Errorf("%s is %s; need true or false", path, show(tree))
		}
	case kind == reflect.String:
		// A line break alone is written by the YAML package as a block of no text, and read as nothing.
		if word, ok := tree.(string); ok && !oneline.Is(word) {
			return errors.Errorf("%s is %s; need one line of text", path, show(tree))
		}
	case t.PkgPath() == "" && kind >= reflect.Int && kind <= reflect.Uint64:
		return fitsInteger(tree, t, path)
	case kind == reflect.Float32 || kind == reflect.Float64:
		if number, ok := float(tree); !ok || !(math.Abs(number) <= math.MaxFloat32) {
			return errors.Errorf("%s is %s; need a finite number, of 32 bits", path, show(tree))
		}
	}
	return nil
}

// lists says whether values of a type are written as lists.
func lists(t reflect.Type) bool {
	return (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && !reflect.PointerTo(t).Implements(own)
}

// listed shows what a list, or a list of lists, of the values in tree would look like; another where that is no short line.
func listed(tree any, t reflect.Type) string {
	values, ok := tree.([]any)
	if text, isText := tree.(string); isText {
		for part := range strings.SplitSeq(text, ",") {
			var scalar any = strings.TrimSpace(part)
			if number, err := strconv.Atoi(strings.TrimSpace(part)); err == nil && number >= 0 {
				scalar = number
			}
			values = append(values, scalar)
		}
	} else if !ok {
		values = []any{tree}
	}
	values = slices.Clone(values)
	deep := lists(t.Elem())
	for i, v := range values {
		switch v := v.(type) {
		case map[string]any, map[any]any:
			return "[1, 2]"
		case []any:
		default:
			if deep {
				values[i] = []any{v}
			}
		}
	}
	var node yaml.Node
	if err := node.Encode(values); err == nil {
		node.Style = yaml.FlowStyle
		if text, err := yaml.Marshal(&node); err == nil {
			if line := strings.TrimSpace(string(text)); len(line) < 200 && oneline.Is(line) {
				return line
			}
		}
	}
	return "[1, 2]"
}

// fitsStruct is [Fits] for a struct, by its yaml tags.
func fitsStruct(tree any, t reflect.Type, path string) error {
	if tree == nil && path == "" {
		return nil
	}
	values, ok := tree.(map[string]any)
	if !ok {
		if path == "" {
			path = "the document"
		}
		return errors.Errorf("%s is %s; need a mapping of settings", path, show(tree))
	}
	return eachField(t, func(name string, _ int, field reflect.Type) error {
		if v, given := values[name]; given {
			return Fits(v, field, join(path, name))
		}
		return nil
	})
}

// eachField calls f for every setting of a struct, those of inlined structs too, in order; index is the field's place
// in t, -1 in an inlined struct.
func eachField(t reflect.Type, f func(name string, index int, field reflect.Type) error) error {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() && !field.Anonymous || name == "-" {
			continue
		}
		if strings.Contains(options, "inline") {
			if field.Type.Kind() == reflect.Struct {
				err := eachField(field.Type, func(name string, _ int, field reflect.Type) error { return f(name, -1, field) })
				if err != nil {
					return err
				}
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name) // as the YAML package has it
		}
		if err := f(name, i, field.Type); err != nil {
			return err
		}
	}
	return nil
}

// exactFloat is the largest float up to which every whole number is one.
const exactFloat = 1 << 53

// fitsInteger is [Fits] for an integer: a number with a point or an exponent passes where it is whole and no digit of it
// is lost.
func fitsInteger(tree any, t reflect.Type, path string) error {
	zero := reflect.New(t).Elem()
	signed, whole, within := zero.CanInt(), true, false
	switch v := tree.(type) {
	case int, int64:
		n := reflect.ValueOf(v).Int()
		within = signed && !zero.OverflowInt(n) || !signed && n >= 0 && !zero.OverflowUint(uint64(n))
	case uint, uint64:
		n := reflect.ValueOf(v).Uint()
		within = signed && n <= math.MaxInt64 && !zero.OverflowInt(int64(n)) || !signed && !zero.OverflowUint(n)
	case float64:
		whole = v == math.Trunc(v) && !math.IsInf(v, 0)
		within = math.Abs(v) <= exactFloat && (signed && !zero.OverflowInt(int64(v)) || !signed && v >= 0 && !zero.OverflowUint(uint64(v)))
	default:
		whole = false
	}
	switch bits := t.Bits(); {
	case whole && within:
		return nil
	case !whole:
		decimal := ""
		if text, ok := tree.(string); ok && OtherBase(text) {
			decimal = InDecimal
		}
		return errors.Errorf("%s is %s; need a whole number%s", path, show(tree), decimal)
	case signed:
		return errors.Errorf("%s is %s; need a whole number from %d to %d, written in digits", path, show(tree), math.MinInt64>>(64-bits), math.MaxInt64>>(64-bits))
	default:
		return errors.Errorf("%s is %s; need a whole number from 0 to %d, written in digits", path, show(tree), uint64(math.MaxUint64)>>(64-bits))
	}
}

// float is a number as YAML reads it.
func float(tree any) (float64, bool) {
	switch v := reflect.ValueOf(tree); {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}

// show writes what was found, words in quotes and not at length.
func show(tree any) string {
	switch v := tree.(type) {
	case nil:
		return "empty"
	case string:
		if len(v) > 40 {
			v = v[:40] + "…"
		}
		return fmt.Sprintf("%q", v)
	case map[string]any, map[any]any:
		return "a mapping"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return fmt.Sprint(tree)
}

// join is the path of a setting below another.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Check reports the first value in the struct v, by its yaml tags, that no document could hold: a number that is not
// finite or below 0, text that is not one line of UTF-8. What is set in Go or by an option passes through no document, and
// no comparison catches a NaN by itself. Maps and types that read themselves are left to others.
func Check(v any) error { return check(reflect.ValueOf(v), "") }

func check(v reflect.Value, path string) error {
	switch {
	case reflect.PointerTo(v.Type()).Implements(own):
		return nil
	case v.Kind() == reflect.Struct:
		return eachField(v.Type(), func(name string, index int, _ reflect.Type) error {
			if index < 0 {
				return nil // inlined structs are of types that read themselves
			}
			return check(v.Field(index), join(path, name))
		})
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if err := check(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case v.CanFloat():
		if x := v.Float(); !(x >= 0 && x <= math.MaxFloat32) {
			return errors.Errorf("%s is %g; need a finite number of 0 or more, of 32 bits", path, x)
		}
	case v.Kind() == reflect.String && !oneline.Is(v.String()):
		return errors.Errorf("%s is %s; need one line of text", path, show(v.String()))
	case v.CanInt() && v.Int() < 0:
		return errors.Errorf("%s is %d; need 0 or more", path, v.Int())
	}
	return nil
}
