// Package fuzztest is what every fuzz target of a reader checks, besides that it does not panic: memory and time in proportion to
// the input, whatever sizes the input declares, and errors of one line.
package fuzztest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	freeBytes    = 16 << 20 // what any input may take, for tables and decoders
	bytesPerByte = 2048     // what each byte of an input may take besides: a YAML node of two bytes is some hundreds, several times over
	longest      = 4000     // bytes of an error's message
	patience     = time.Minute
)

// Read calls read, which reads an input of size bytes, and returns its error. It fails the test where read takes more memory
// or time than such an input is worth, or returns an error that is not one line.
func Read(t testing.TB, size int, read func() error) error {
	t.Helper()
	// A reader that never ends would otherwise look like a slow fuzzer: the panic names the input.
	watch := time.AfterFunc(patience, func() { panic(fmt.Sprintf("the reader is at work on %d bytes for %s", size, patience)) })
	defer watch.Stop()
	before := allocated()
	err := read()
	if taken, most := allocated()-before, uint64(freeBytes+bytesPerByte*size); taken > most {
		t.Fatalf("the reader takes %d bytes of memory for an input of %d; need at most %d", taken, size, most)
	}
	if err == nil {
		return nil
	}
	if text := err.Error(); text == "" || len(text) > longest || strings.ContainsAny(text, "\r\n") {
		t.Fatalf("the error is not one line of at most %d bytes: %.5000q", longest, text)
	}
	return err
}

// Same fails the test where what was read from the input is written as other bytes than want.
func Same(t testing.TB, written, want []byte) {
	t.Helper()
	if bytes.Equal(written, want) {
		return
	}
	at := 0
	for at < len(written) && at < len(want) && written[at] == want[at] {
		at++
	}
	around := func(b []byte) []byte { return b[max(0, min(at-20, len(b))):min(len(b), at+40)] }
	t.Fatalf("written again it is %d bytes, not %d, and differs from byte %d on: %q, not %q", len(written), len(want), at, around(written), around(want))
}

// Rereads fails the test where v, which was read from the input, is written as something that does not read back, or reads back
// as what is written as other bytes. It returns what read back.
func Rereads[V any](t testing.TB, v V, write func(V) ([]byte, error), read func([]byte) (V, error)) V {
	t.Helper()
	written, err := write(v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := read(written)
	if err != nil {
		t.Fatalf("%v\n%s", err, written)
	}
	rewritten, err := write(again)
	if err != nil {
		t.Fatal(err)
	}
	Same(t, rewritten, written)
	return again
}

// JSON and YAML write a value for [Rereads].
func JSON[V any](v V) ([]byte, error) { return json.Marshal(v) }
func YAML[V any](v V) ([]byte, error) { return yaml.Marshal(v) }

// allocated is how many bytes the process has ever taken from the heap, large ones counted at once.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
