package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/fuzztest"
)

// example has what a file can hold: more than one axis, a scalar, both types, a tensor without values, and values that
// only a copy of the bits keeps.
func example() []Tensor {
	return []Tensor{
		{Name: "b", Value: tensors.FromFlatDataAndDimensions([]float32{2, float32(math.Inf(-1))}, 1, 2)},
		{Name: "step", Value: tensors.FromScalar(int64(-3))},
		{Name: "none", Value: tensors.FromShape(shapes.Make(dtypes.Float32, 0, 4))},
		{Name: "a", Value: tensors.FromFlatDataAndDimensions([]float32{math.Float32frombits(0x7fc12345)}, 1)},
		{Name: "label", Value: tensors.FromFlatDataAndDimensions([]int32{-7}, 1)},
	}
}

func shapesOf(all []Tensor) map[string]shapes.Shape {
	want := make(map[string]shapes.Shape)
	for _, t := range all {
		want[t.Name] = t.Value.Shape()
	}
	return want
}

func encode(t testing.TB, metadata map[string]string, all []Tensor) []byte {
	t.Helper()
	var content bytes.Buffer
	if err := Write(&content, metadata, all); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func read(content []byte, want map[string]shapes.Shape) (map[string]*tensors.Tensor, error) {
	return Read(bytes.NewReader(content), int64(len(content)), want)
}

// file puts a file together by hand.
func file(header string, values ...any) []byte {
	content := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	content = append(content, header...)
	for _, v := range values {
		content, _ = binary.Append(content, binary.LittleEndian, v)
	}
	return content
}

func TestFormat(t *testing.T) {
	header := `{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},` +
		`"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"label":{"dtype":"I32","shape":[1],"data_offsets":[20,24]},` +
		`"none":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]},"step":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := file(header, []float32{2, float32(math.Inf(-1))}, int64(-3), uint32(0x7fc12345), int32(-7))
	if content := encode(t, map[string]string{"format": "pt"}, example()); !bytes.Equal(content, want) {
		t.Errorf("content\n%q, want\n%q", content, want)
	}
	if content := encode(t, nil, nil); !bytes.Equal(content, file("{}      ")) {
		t.Errorf("no tensors are %q", content)
	}
}

func TestReadFileReturnsWhatWriteFileWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tensors")
	if err := WriteFile(path, nil, example()); err != nil {
		t.Fatal(err)
	}
	values, err := ReadFile(path, shapesOf(example()))
	if err != nil {
		t.Fatal(err)
	}
	var again []Tensor
	for _, e := range example() {
		again = append(again, Tensor{Name: e.Name, Value: values[e.Name]})
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != len(again) || !bytes.Equal(encode(t, nil, again), content) {
		t.Errorf("read %v", values)
	}
	if err := os.WriteFile(path, content[:len(content)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path, shapesOf(example())); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a shorter file: error %v", err)
	}
	if _, err := ReadFile(path+"x", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

// Python's safetensors puts the metadata first, then the tensors in the order of their values: the larger types before
// the smaller, those of a type by name. These are the bytes of its version 0.8.0 for
// safetensors.numpy.save({"layer.weight": ..., "layer.bias": ..., "step": ...}, {"format": "pt"}).
func TestReadsPythonsLayout(t *testing.T) {
	content := file(`{"__metadata__":{"format":"pt"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},`+
		`"layer.bias":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},`+
		`"layer.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]}}      `,
		int64(7), []float32{0.5, -0.5}, []float32{1, 2, 3, 4, 5, 6})
	values, err := read(content, map[string]shapes.Shape{"layer.weight": shapes.Make(dtypes.Float32, 2, 3),
		"layer.bias": shapes.Make(dtypes.Float32, 2), "step": shapes.Make(dtypes.Int64)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"step": int64(7), "layer.bias": []float32{0.5, -0.5}, "layer.weight": [][]float32{{1, 2, 3}, {4, 5, 6}}} {
		if got := values[name].Value(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	all := example()[:2]
	want := shapesOf(all)
	good := encode(t, map[string]string{"format": "pt"}, all)
	if _, err := read(good, want); err != nil {
		t.Fatal(err)
	}
	// replace keeps the length of the header right by the spaces at its end.
	replace := func(old, new string) []byte {
		length := binary.LittleEndian.Uint64(good)
		text := string(good[8 : 8+length])
		if !strings.Contains(text, old) {
			t.Fatalf("no %s in %s", old, text)
		}
		return append(file(strings.Replace(text, old, new, 1)), good[8+length:]...)
	}
	const b, step = `"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}`, `"step":{"dtype":"I64","shape":[],"data_offsets":[8,16]}`
	for _, tc := range []struct {
		name    string
		content []byte
		say     string
	}{
		{"empty", nil, "0 bytes are no safetensors file"},
		{"three bytes", good[:3], "3 bytes are no safetensors file"},
		{"cut in the header", good[:40], "truncated, or no safetensors file"},
		{"cut in the values", good[:len(good)-1], "truncated?"},
		{"longer", append(bytes.Clone(good), 0), "17 bytes of values; the header tells of 16"},
		{"huge header", append(bytes.Repeat([]byte{255}, 8), good[8:]...), "truncated, or no safetensors file"},
		{"no JSON", bytes.Repeat([]byte{' ', 0, 0, 0, 0, 0, 0, 0}, 5), "header"},
		{"an array", replace("{", "["), "does not start a JSON object"},
		{"two objects", replace(step+"}", step+"}{}"), "more than a JSON object"},
		{"an object without end", replace(step+"}", step), "header"},
		{"metadata without text", replace(`"pt"`, `1`), "__metadata__"},
		{"other name", replace(`"b"`, `"c"`), "no tensor b among 2"},
		{"a tensor too few", replace(b+",", ""), "no tensor b among 1"},
		{"a tensor too many", replace(b, b+`,"c":{"dtype":"F32","shape":[0],"data_offsets":[16,16]}`), "unknown tensor c"},
		{"a tensor twice", replace(b, b+","+b), "b is there twice"},
		{"other type", replace("F32", "F16"), "is F16 [1 2]; need F32 [1 2]"},
		{"type of equal size", replace("F32", "I32"), "is I32 [1 2]; need F32 [1 2]"},
		{"other shape", replace("[1,2]", "[2,1]"), "is F32 [2 1]; need F32 [1 2]"},
		{"no shape", replace(`"shape":[1,2],`, ""), "need F32 [1 2]"},
		{"shape of text", replace("[1,2]", `"x"`), "header: b"},
		{"a gap", append(replace(b, strings.Replace(b, "[0,8]", "[4,12]", 1)), 0, 0, 0, 0), "b is at bytes 4 to 12; need 0 to 8"},
		{"overlap", replace(step, strings.Replace(step, "[8,16]", "[0,8]", 1)), "is at bytes 0 to 8; need 8 to 16"},
		{"negative offset", replace("[0,8]", "[-8,0]"), "b is at bytes -8 to 0"},
		{"offsets outside", replace("[8,16]", "[8,9223372036854775807]"), "need 8 to 16"},
		{"offsets too large", replace("[8,16]", "[8,9223372036854775808]"), "header: step"},
	} {
		if values, err := read(tc.content, want); err == nil || values != nil || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: values %v, error %v; want an error with %q", tc.name, values, err, tc.say)
		}
	}
	if _, err := read(good, map[string]shapes.Shape{"b": shapes.Make(dtypes.Int16, 1, 2)}); err == nil || !strings.Contains(err.Error(), "only F64, F32, F16, BF16, I32 and I64") {
		t.Errorf("int16 is wanted: error %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := tensors.FromScalar(float32(1))
	dir := t.TempDir()
	for want, all := range map[string][]Tensor{
		"only F64, F32, F16, BF16, I32 and I64": {{Name: "a", Value: tensors.FromScalar(int16(1))}},
		"second tensor a":                       {{Name: "a", Value: one}, {Name: "a", Value: one}},
		"reserved name":                         {{Name: metadataKey, Value: one}},
	} {
		if err := WriteFile(filepath.Join(dir, "a"), nil, all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

// FuzzRead reads arbitrary bytes. What is accepted is told whole by the tensors: their values are the file's last
// bytes in some order, and written again they are read as the same.
func FuzzRead(f *testing.F) {
	all := example()
	want := shapesOf(all)
	good := encode(f, map[string]string{"format": "pt"}, all)
	f.Add(good)
	f.Add(encode(f, nil, []Tensor{all[3], all[2], all[0], all[1]}))
	f.Add(good[:len(good)-1])
	f.Add(bytes.Replace(good, []byte("[0,8]"), []byte("[8,0]"), 1))
	f.Add(bytes.Replace(good, []byte("[8,16]"), []byte("[0, 8]"), 1))
	f.Add(file("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var values map[string]*tensors.Tensor
		if err := fuzztest.Read(t, len(content), func() (err error) { values, err = read(content, want); return err }); err != nil {
			if values != nil {
				t.Error("values with an error")
			}
			return
		}
		var size int64
		var again []Tensor
		for _, e := range all {
			v := values[e.Name]
			if v == nil || !v.Shape().Equal(e.Value.Shape()) {
				t.Fatalf("%s is %v", e.Name, v)
			}
			size += v.Shape().ByteSize()
			again = append(again, Tensor{Name: e.Name, Value: v})
			if v.Shape().ByteSize() == 0 {
				continue
			}
			if err := v.ConstBytes(func(data []byte) {
				if !bytes.Contains(content, data) {
					t.Errorf("%s has bytes that the file has not", e.Name)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if length := binary.LittleEndian.Uint64(content); 8+int64(length)+size != int64(len(content)) {
			t.Errorf("%d bytes of values and a header of %d in %d bytes", size, length, len(content))
		}
		rewritten := encode(t, nil, again)
		back, err := read(rewritten, want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range again {
			again[i].Value = back[again[i].Name]
		}
		if !bytes.Equal(encode(t, nil, again), rewritten) {
			t.Error("values change when they are written and read")
		}
	})
}

// FuzzReadAll reads arbitrary bytes of which nothing is known. What is accepted, written and read again, is the same.
func FuzzReadAll(f *testing.F) {
	good := encode(f, map[string]string{"format": "pt"}, example())
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(file("{}"))
	f.Add(file(`{"a\n":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a":{"dtype":"I64","shape":[0,-1],"data_offsets":[0,0]}}`))
	f.Add(file(`{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}`, int16(1)))
	f.Fuzz(func(t *testing.T, content []byte) {
		readAll := func(b []byte) (map[string]*tensors.Tensor, error) {
			values, _, err := ReadAll(bytes.NewReader(b), int64(len(b)))
			return values, err
		}
		var values map[string]*tensors.Tensor
		if fuzztest.Read(t, len(content), func() (err error) { values, err = readAll(content); return err }) != nil {
			return
		}
		rewrite := func(values map[string]*tensors.Tensor) []byte {
			var all []Tensor
			for _, name := range slices.Sorted(maps.Keys(values)) {
				all = append(all, Tensor{Name: name, Value: values[name]})
			}
			return encode(t, nil, all)
		}
		written := rewrite(values)
		again, err := readAll(written)
		if err != nil {
			t.Fatal(err)
		}
		fuzztest.Same(t, rewrite(again), written)
	})
}

// Parts of a vector and of rows of one are tensors of the file, and come back to where they were.
func TestParts(t *testing.T) {
	vector := tensors.FromFlatDataAndDimensions([]float32{0, 1, 2, 3, 4, 5, 6}, 7)
	rows := tensors.FromFlatDataAndDimensions([]float32{0, 1, 2, 10, 11, 12}, 2, 3)
	all := []Tensor{
		{Name: "matrix", Value: vector, Part: &Part{First: 1, Dims: []int{2, 2}}},
		{Name: "scalar", Value: vector, Part: &Part{First: 6, Dims: []int{}}},
		{Name: "nothing", Value: vector, Part: &Part{First: 7, Dims: []int{0, 3}}},
		{Name: "ends", Value: rows, Part: &Part{First: 1, Dims: []int{2, 1, 2}}},
	}
	values, err := read(encode(t, nil, all), map[string]shapes.Shape{
		"matrix": shapes.Make(dtypes.Float32, 2, 2), "scalar": shapes.Make(dtypes.Float32),
		"nothing": shapes.Make(dtypes.Float32, 0, 3), "ends": shapes.Make(dtypes.Float32, 2, 1, 2),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"matrix": {1, 2, 3, 4}, "scalar": {6}, "nothing": nil, "ends": {1, 2, 11, 12}} {
		if got := tensors.MustCopyFlatData[float32](values[name]); !slices.Equal(got, want) {
			t.Errorf("%s is %v; want %v", name, got, want)
		}
	}
	for _, part := range all {
		whole := tensors.FromShape(part.Value.Shape())
		if err := part.Part.Copy(whole, values[part.Name]); err != nil {
			t.Fatal(err)
		}
		was, is := tensors.MustCopyFlatData[float32](part.Value), tensors.MustCopyFlatData[float32](whole)
		for i := range is {
			inside := slices.Contains(tensors.MustCopyFlatData[float32](values[part.Name]), was[i])
			if want := map[bool]float32{true: was[i]}[inside]; is[i] != want {
				t.Errorf("%s copied back is %v within %v", part.Name, is, was)
			}
		}
		if err := part.Part.Copy(whole, tensors.FromShape(shapes.Make(dtypes.Float32, 9))); err == nil {
			t.Errorf("%s takes nine values", part.Name)
		}
	}
	for _, c := range []struct {
		value *tensors.Tensor
		part  Part
	}{
		{vector, Part{6, []int{2}}}, {vector, Part{-1, []int{2}}}, {vector, Part{0, []int{-2}}},
		{rows, Part{0, []int{3, 2}}}, {rows, Part{2, []int{2, 2}}}, {rows, Part{0, nil}}, {tensors.FromScalar(float32(1)), Part{0, nil}},
	} {
		if err := Write(new(bytes.Buffer), nil, []Tensor{{"x", c.value, &c.part}}); err == nil {
			t.Errorf("part %v of %s is written", c.part, c.value.Shape())
		}
	}
}
