package likelihood

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
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

// TestStoreLayout: the file of one image at one timestep, put together by hand.
func TestStoreLayout(t *testing.T) {
	b := &Terms{Info: Info{N: 1, Dim: 4, T: 8, Schedule: "linear", Prediction: "noise", Variance: "fixed-large", Clip: true, CDF: "tanh", Seed: 5},
		Timesteps: []int32{3}, LogSNR: []float32{-1.5}, TermBPD: []float32{0.25}, MSEImage: []float32{2}, PriorBPD: []float32{0.125}, Labels: []int32{-1}}
	header := `{"__metadata__":{"format":"palimpsest-likelihood-1","info":"{\"N\":1,\"Dim\":4,\"T\":8,\"Schedule\":\"linear\",` +
		`\"Prediction\":\"noise\",\"Variance\":\"fixed-large\",\"Clip\":true,\"CDF\":\"tanh\",\"Seed\":5}"},` +
		`"labels":{"dtype":"I32","shape":[1],"data_offsets":[20,24]},"log_snr":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},` +
		`"mse_image":{"dtype":"F32","shape":[1,1],"data_offsets":[12,16]},"prior_bpd":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},` +
		`"term_bpd":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},"timesteps":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for _, v := range []any{int32(3), []float32{-1.5, 0.25, 2, 0.125}, int32(-1)} {
		want, _ = binary.Append(want, binary.LittleEndian, v)
	}
	if got, err := b.encode(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file is\n%q, want\n%q (%v)", got, want, err)
	}
}
