package tensorboard

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// The checksums are those of "123456789" in RFC 3720's polynomial, masked as TensorFlow does it, and of TensorFlow's own tests.
func TestChecksum(t *testing.T) {
	const crc = 0xe3069283 // of the nine digits
	want := uint32(crc>>15|crc<<17&0xffffffff) + 0xa282ead8
	if got := masked([]byte("123456789")); got != want {
		t.Errorf("%x, want %x", got, want)
	}
	if got, want := hex.EncodeToString(frame(nil)), "0000000000000000"+"29039807"+"d8ea82a2"; got != want {
		t.Errorf("an empty record is %s, want %s", got, want)
	}
}

// Wherever a file is cut, what was whole before stays so, and no more.
func TestWhole(t *testing.T) {
	at := time.Unix(1_700_000_000, 250_000_000)
	records := [][]byte{Header(at), Record(at, 10, Scalar("train/loss", 0.5)), Restart(at, 10), Record(at, 20, Text("config", "# x"), PNG("samples", 1, 1, []byte("png")))}
	file := bytes.Join(records, nil)
	for n := range len(file) + 1 {
		want, end := 0, 0
		for _, r := range records {
			if end += len(r); end <= n {
				want = end
			}
		}
		if got, err := Whole(bytes.NewReader(file[:n])); err != nil || got != int64(want) {
			t.Fatalf("of %d bytes %d are whole (%v), want %d", n, got, err, want)
		}
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 1
		if got, _ := Whole(bytes.NewReader(damaged)); got > int64(i) {
			t.Fatalf("byte %d is damaged, but %d are whole", i, got)
		}
	}
}
