package perf

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/backend"
)

// What goes to the device and back is counted: here 12 float32 numbers up, 3 down, in one program.
func TestCountedBackend(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	b, _, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	over := count(b)
	out, err := CallOnce(over, func(x *Node) *Node { return ReduceSum(x, 0) }, tensors.FromFlatDataAndDimensions(make([]float32, 12), 4, 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tensors.CopyFlatData[float32](out); err != nil {
		t.Fatal(err)
	}
	if got := over.traffic.soFar(); got.programs != 1 || got.up != 48 || got.down != 12 || got.running <= 0 {
		t.Errorf("counted %+v; want one program, 48 bytes up, 12 down", got)
	}
}

// A device's measurements go on where they stopped: what failed or is new is measured, by processes that cat plays here.
func TestMeasureDeviceGoesOn(t *testing.T) {
	dir := t.TempDir()
	answer := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := DeviceDefaults()
	o.Compute = []string{"float32"}
	o.Networks, o.Rows, o.File, o.Log = []string{"tiny"}, []int{32}, filepath.Join(dir, "device.json"), io.Discard
	// The processor's product fails at first, and every step hangs.
	o.Command = []string{answer("bad", `read q; case $q in *step*) exec sleep 60;; *bfloat16*) echo no luck >&2; exit 1;; *) echo '{"seconds":2,"operations":4e12}';; esac`)}
	o.Limit = 2 * time.Second
	r, err := MeasureDevice(context.Background(), o)
	if err != nil || len(r.Measured) != 3 || r.Measured[0].Seconds != 2 || r.Measured[1].Failed != "no luck" || !strings.Contains(r.Measured[2].Failed, "2s") {
		t.Fatalf("measured %+v, %v", r, err)
	}
	asked := filepath.Join(dir, "asked")
	o.Command = []string{answer("good", `read q; echo "$q" >> `+asked+`; echo '{"seconds":4,"operations":4e12,"host_seconds":1}'`)}
	if r, err = MeasureDevice(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(asked)
	if got := r.Text(); strings.Count(string(text), "\n") != 2 || strings.Contains(string(text), `"float32","for":2}`+"\n"+`{"what":"product"`) ||
		!strings.Contains(got, "50.0") || !strings.Contains(got, "25.0") || strings.Contains(got, "no luck") {
		// 1 TFLOP/s of the product's 2 is half; a second of four is the host's.
		t.Errorf("asked for\n%sand printed\n%s", text, got)
	}
	o.Rows = []int{31}
	if _, err := MeasureDevice(context.Background(), o); err == nil {
		t.Error("31 rows, half of them replayed, are measured")
	}
}

// Numbers compare by the norm of their difference, and what is further away than its tolerance fails by name.
func TestNumbersAgainst(t *testing.T) {
	if d := distance([]float64{3, 4}, []float64{0, 4}); d != 0.75 {
		t.Errorf("(3, 4) is %g of |(0, 4)| away from it, want 3/4", d)
	}
	if d := distance([]float64{1}, []float64{1, 2}); !math.IsInf(d, 1) {
		t.Errorf("lists of different lengths are %g apart", d)
	}
	n := NetworkNumbers{Network: "tiny", Images: []float32{1}, First: []float32{1}, Loss: []float64{1, 2}, Norms: []float64{3}, Moved1: []float32{1}, Moved: []float32{1, 1}}
	expected := &Numbers{Schema: Schema, Backend: "a", Networks: []NetworkNumbers{n}}
	path := filepath.Join(t.TempDir(), "numbers.json")
	if err := expected.Save(path); err != nil {
		t.Fatal(err)
	}
	expected, err := LoadNumbers(path)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := (&Numbers{Backend: "b", Networks: []NetworkNumbers{n}}).Against(expected, &log); err != nil || strings.Count(log.String(), "ok") != 6 {
		t.Errorf("equal numbers: %v\n%s", err, &log)
	}
	n.Loss = []float64{1, float64(math.NaN())}
	if err := (&Numbers{Backend: "b", Networks: []NetworkNumbers{n}}).Against(expected, &log); err == nil || !strings.Contains(log.String(), "TOO FAR") {
		t.Errorf("a loss that is no number passes: %v", err)
	}
	if err := (&Numbers{Backend: "go:x", Networks: expected.Networks}).Against(expected, io.Discard); err == nil || !strings.Contains(err.Error(), "noise") {
		t.Errorf("pure Go is held to XLA's noise: %v", err)
	}
	if err := (&Numbers{Backend: "b"}).Against(expected, io.Discard); err == nil {
		t.Error("numbers of no network pass")
	}
}
