package likelihood

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"palimpsest/pkg/diffusion"
)

func TestStoreRoundTrip(t *testing.T) {
	p := newProcess(t, 12, diffusion.PredictNoise, diffusion.FixedSmall)
	b := bound(t, p, &gaussian{p: p, deviation: deviation}, gaussianData(3, 8, deviation), unclipped())
	b.Labels = []int32{7, 8, 9}
	dir := t.TempDir()
	path := filepath.Join(dir, "terms.safetensors")
	if err := b.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, b) {
		t.Errorf("loaded %+v; saved %+v", again, b)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files; want 1", len(left))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(data) {
		if _, err := parse(data[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes pass", cut, len(data))
		}
	}
	for name, bad := range map[string][]byte{
		"longer":  append(bytes.Clone(data), 0),
		"version": bytes.Replace(data, []byte("likelihood-1"), []byte("likelihood-2"), 1),
		"name":    bytes.Replace(data, []byte("term_bpd"), []byte("term_bqd"), 1),
		"shape":   bytes.Replace(data, []byte("[3,12]"), []byte("[4,12]"), 1),
		"unknown": bytes.Replace(data, []byte(`\"Seed\"`), []byte(`\"Sead\"`), 1),
	} {
		if bytes.Equal(bad, data) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parse(bad); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	b.PriorBPD = b.PriorBPD[:2]
	if err := b.Save(filepath.Join(dir, "bad")); err == nil {
		t.Error("terms that do not fit are saved")
	}
}
