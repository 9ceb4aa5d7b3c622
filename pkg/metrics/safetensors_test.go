package metrics

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestSafetensorsFormat(t *testing.T) {
	content, err := encodeSafetensors(map[string]*tensors.Tensor{"b": tensors.FromFlatDataAndDimensions([]float32{2, 3}, 1, 2),
		"a": tensors.FromFlatDataAndDimensions([]float32{1}, 1)})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	want = append(want, header...)
	for _, v := range []float32{1, 2, 3} {
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(v))
	}
	if !bytes.Equal(content, want) {
		t.Errorf("content %q, want %q", content, want)
	}
}

func TestSafetensorsRefusals(t *testing.T) {
	shapes := map[string][]int{"a": {1}, "b": {1, 2}}
	good, err := encodeSafetensors(map[string]*tensors.Tensor{"b": tensors.FromFlatDataAndDimensions([]float32{2, 3}, 1, 2),
		"a": tensors.FromFlatDataAndDimensions([]float32{1}, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeSafetensors("good", good, shapes); err != nil || got["b"].Value().([][]float32)[0][1] != 3 {
		t.Fatalf("a good file: %v, error %v", got, err)
	}
	replace := func(old, new string) []byte { return bytes.Replace(bytes.Clone(good), []byte(old), []byte(new), 1) }
	nan := bytes.Clone(good)
	binary.LittleEndian.PutUint32(nan[len(nan)-4:], math.Float32bits(float32(math.NaN())))
	for name, content := range map[string][]byte{
		"empty": nil, "7 bytes": good[:7], "cut in the header": good[:40], "cut in the data": good[:len(good)-4],
		"longer": append(bytes.Clone(good), 0), "other type": replace("F32", "F16"), "other shape": replace("[1,2]", "[2,1]"),
		"other name": replace(`"a"`, `"c"`), "no JSON": replace("{", "["), "offsets outside": replace("[4,12]", "[8,16]"),
		"negative offset": replace("[0,4]", "[-4,0]"), "not a number": nan,
		"huge header": append([]byte{255, 255, 255, 255, 255, 255, 255, 255}, good[8:]...),
	} {
		if _, err := decodeSafetensors("weights", content, shapes); err == nil || !strings.HasPrefix(err.Error(), "weights: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := decodeSafetensors("weights", good, map[string][]int{"a": {1}}); err == nil {
		t.Error("a tensor too many gave no error")
	}
}
