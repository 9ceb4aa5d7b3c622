package diffusion

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/network/networktest"
)

// The device puts rows together, of images it holds or their mirror images, as the host would, bit by bit; a row that is none of
// them has all of them sent.
func TestHeldRows(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	u := networktest.Least{H: 2, W: 4, Channels: 3, OutChannels: 3, Hidden: 8}
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-3}, 1)
	defer n.Close()
	var levels [256]float32
	for v := range levels {
		levels[v] = float32(float64(v)/127.5 - 1)
	}
	const images, size = 11, 2 * 4 * 3 // 264 values: all levels
	pixels := make([]uint8, images*size)
	for i := range pixels {
		pixels[i] = uint8(i)
	}
	if err := n.Hold(pixels, levels); err != nil {
		t.Fatal(err)
	}
	var b Batch
	for at := range int32(2 * images) { // all images, then all mirror images
		for i := range size {
			y, x, c := i/12, i/3%4, i%3
			if at >= images {
				x = 3 - x
			}
			b.X = append(b.X, levels[pixels[int(at)%images*size+y*12+x*3+c]])
		}
		b.Held, b.Y, b.T, b.W = append(b.Held, at), append(b.Y, 0), append(b.T, 3), append(b.W, 1)
	}
	if x, err := n.held.rows(b); err != nil || !slices.Equal(tensors.MustCopyFlatData[float32](x), b.X) {
		t.Errorf("the rows put together on the device are not those of the host (%v)", err)
	}
	b.Held[5] = -1
	if x, err := n.held.rows(b); x != nil || err != nil {
		t.Errorf("a row that is not held is put together on the device (%v)", err)
	}
	for want, change := range map[string]func(Batch) Batch{
		"need -1, or 0 to 21": func(b Batch) Batch { b.Held = slices.Repeat([]int32{2 * images}, len(b.T)); return b },
		"or none":             func(b Batch) Batch { b.Held = b.Held[1:]; return b },
	} {
		if _, err := n.Prepare(change(b), 0, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("refused with %v, want %q", err, want)
		}
	}
	if err := n.Hold(pixels[1:], levels); err == nil {
		t.Error("images and a part of one are held")
	}
	n.held.drop()
	n.held = nil
	if _, err := n.Prepare(b, 0, 1); err == nil || !strings.Contains(err.Error(), "Network.Hold") {
		t.Errorf("places of images that are not held are refused with %v", err)
	}
}
