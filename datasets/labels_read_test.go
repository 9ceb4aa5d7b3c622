package datasets

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestLabelColumn: which column of a Parquet file has the labels, and which others may have, in the order that labelColumn's comment gives.
func TestLabelColumn(t *testing.T) {
	kinds := map[byte]parquet.Node{'c': parquet.Int(64), 'i': parquet.Int(64), 'f': parquet.Leaf(parquet.DoubleType), 't': parquet.String(),
		'b': parquet.Leaf(parquet.ByteArrayType), 'l': parquet.Repeated(parquet.Int(64))}
	for _, tc := range []struct{ columns, chosen, want string }{ // each column: its kind, c where the metadata say it has classes, a colon, its name
		{"c:fine_label c:coarse_label c:label", "", "fine_label not coarse_label label"},
		{"c:coarse c:label i:fine_label", "", "label not coarse fine_label"},
		{"c:kind i:label t:fine_label", "", "kind not label fine_label"},
		{"c:a c:b i:label", "", "error: has 2 columns that may be labels, [a b]; need one: choose it by #label=NAME after the path"},
		{"i:label t:fine_label", "", "fine_label not label"},
		{"i:row t:fine_label", "", "fine_label"},
		{"i:row f:label", "", "label"},
		{"i:row t:label", "", "label"},
		{"i:row f:x t:y", "", "row"},
		{"f:x t:y t:z", "", "x"},
		{"t:y", "", "y"},
		{"i:a i:b f:c", "", "error: has 2 columns that may be labels, [a b]; need one: choose it by #label=NAME after the path"},
		{"b:a l:label", "", "error: has no column that may be labels; need one of whole numbers or of the names of classes"},
		{"c:fine_label c:coarse_label", "coarse", "coarse_label not fine_label"},
		{"c:fine_label c:coarse_label t:coarse", "coarse", "coarse not coarse_label fine_label"},
		{"c:fine_label i:row t:y", "y", "y not fine_label"},
		{"c:fine_label i:row l:many", "many", "error: has no labels \"many\"; it has [fine_label row]"},
	} {
		group, features := parquet.Group{}, map[string]feature{}
		for column := range strings.FieldsSeq(tc.columns) {
			name := column[2:]
			if group[name] = kinds[column[0]]; column[0] == 'c' {
				features[name] = feature{Type: "ClassLabel"}
			}
		}
		var b bytes.Buffer
		w := parquet.NewWriter(&b, parquet.NewSchema("set", group))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		got, others, err := labelColumn(f, features, tc.chosen)
		if err != nil {
			got = "error: " + err.Error()
		}
		if len(others) > 0 {
			got += " not " + strings.Join(others, " ")
		}
		if got != tc.want {
			t.Errorf("%s, chosen %q: %s, want %s", tc.columns, tc.chosen, got, tc.want)
		}
	}
}

// TestTarNumbers: in a .cls a whole number with a decimal point is that number; other text is a name.
func TestTarNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"2": "2", "2.0": "2", "10.": "10", "2.000000000000000000e+00\n": "2", "1.5e1": "15", "0.0": "0",
		"1.5": "1.5", "1e3": "1e3", "-1.0": "-1.0", "v2.0": "v2.0", "2.0.0": "2.0.0", "0x1.8p1": "0x1.8p1", "9.0e99": "9.0e99",
	} {
		if got, err := labelOf("k", map[string][]byte{"cls": []byte(text)}, ""); err != nil || got != want {
			t.Errorf("%q is the class %q, %v; want %q", text, got, err, want)
		}
	}
	if got := classesByName([]string{"10", "2"}); !slices.Equal(got, []string{"2", "10"}) {
		t.Errorf("classes %v", got)
	}
}
