package datasets

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// pickleOf is a compressed stream with the blocks of arrays as a pickle has them, and other bytes around them.
func pickleOf(t testing.TB, counts [3]int, level func(k int) float32, label int64) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	at := 0
	for _, n := range counts {
		b := []byte("ignoredTT")
		b = binary.LittleEndian.AppendUint32(b, uint32(4*n*784))
		for range n * 784 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(level(at)))
			at++
		}
		b = binary.LittleEndian.AppendUint32(append(b, "tbT"...), uint32(8*n))
		for range n {
			b = binary.LittleEndian.AppendUint64(b, uint64(label))
		}
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPickledMNIST: arrays are found in a pickle without unpickling it; what is cut off or out of range is refused.
func TestPickledMNIST(t *testing.T) {
	counts := [3]int{3, 1, 2}
	levels := func(k int) float32 { return float32(k%256) / 256 }
	good := pickleOf(t, counts, levels, 7)
	content, err := pickledMNIST(bytes.NewReader(good), counts)
	if err != nil {
		t.Fatal(err)
	}
	train, err := ImagesFromIDX("images", content["train-images-idx3-ubyte"], "labels", content["train-labels-idx1-ubyte"], 10)
	if err != nil || train.N != 4 || train.Labels[3] != 7 || train.Image(3)[5] != uint8((3*784+5)%256) {
		t.Errorf("%d training images, %v", train.N, err)
	}
	test, err := ImagesFromIDX("images", content["t10k-images-idx3-ubyte"], "labels", content["t10k-labels-idx1-ubyte"], 10)
	if err != nil || test.N != 2 || test.Image(0)[0] != uint8(4*784%256) {
		t.Errorf("%d test images, %v", test.N, err)
	}
	for name, tc := range map[string]struct {
		b    []byte
		want string
	}{
		"cut off":      {good[:len(good)/2], "within value"},
		"another size": {pickleOf(t, [3]int{3, 2, 2}, levels, 7), "no block of 784 values"},
		"a label":      {pickleOf(t, counts, levels, 10), "label 0 is 10"},
		"a level":      {pickleOf(t, counts, func(int) float32 { return 1 }, 7), "below 1"},
		"no gzip":      {[]byte("hello, I am no archive"), "gzip"},
	} {
		if _, err := pickledMNIST(bytes.NewReader(tc.b), counts); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q", name, err, tc.want)
		}
	}
}
