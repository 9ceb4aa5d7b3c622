package likelihood

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/HugoSmits86/nativewebp"
	"github.com/pkg/errors"
)

// Yardstick is what a lossless format makes of images.
type Yardstick struct {
	Name string // "png", "webp" or "gzip"
	// EachBPD is with a file for every image, headers and all, as a reader who stores single images pays.
	EachBPD float64
	// TogetherBPD is with all images in one file, one below the other, so that headers weigh little and the format can
	// learn from image to image. No file is higher than 16,384 pixels, WebP's limit: more images make more files.
	TogetherBPD float64
}

// Yardsticks compresses data, n images of height h and width w in c channels (1 or 3), by PNG and gzip of the standard
// library at their best setting, and by lossless WebP. The WebP encoder is a plain one in Go; the reference encoder
// finds somewhat smaller files. Sizes are whole files in bits, divided by the number of values.
func Yardsticks(pixels []uint8, n, h, w, c int) ([]Yardstick, error) {
	if n < 1 || h < 1 || w < 1 || (c != 1 && c != 3) || len(pixels) != n*h*w*c {
		return nil, errors.Errorf("likelihood: %d levels for %d images of %d×%d×%d; need positive sizes that fit, 1 or 3 channels", len(pixels), n, h, w, c)
	}
	formats := []struct {
		name   string
		encode func(out io.Writer, pixels []uint8, h int) error
	}{
		{"png", func(out io.Writer, pixels []uint8, h int) error {
			return (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, picture(pixels, h, w, c))
		}},
		{"webp", func(out io.Writer, pixels []uint8, h int) error {
			return nativewebp.Encode(out, picture(pixels, h, w, c), nil)
		}},
		{"gzip", func(out io.Writer, pixels []uint8, _ int) error {
			z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
			if err != nil {
				return err
			}
			if _, err := z.Write(pixels); err != nil {
				return err
			}
			return z.Close()
		}},
	}
	var result []Yardstick
	for _, f := range formats {
		var out bytes.Buffer
		for i := range n {
			if err := f.encode(&out, pixels[i*h*w*c:(i+1)*h*w*c], h); err != nil {
				return nil, errors.Wrapf(err, "likelihood: %s of image %d", f.name, i)
			}
		}
		each := out.Len()
		out.Reset()
		files := max(maxSide/h, 1)
		for first := 0; first < n; first += files {
			last := min(first+files, n)
			if err := f.encode(&out, pixels[first*h*w*c:last*h*w*c], (last-first)*h); err != nil {
				return nil, errors.Wrapf(err, "likelihood: %s of images %d to %d", f.name, first, last-1)
			}
		}
		values := float64(len(pixels))
		result = append(result, Yardstick{f.name, 8 * float64(each) / values, 8 * float64(out.Len()) / values})
	}
	return result, nil
}

// maxSide is the most pixels that a side of a WebP file may have.
const maxSide = 16384

// picture shows pixels as an image of the standard library: grey for one channel.
func picture(pixels []uint8, h, w, c int) image.Image {
	bounds := image.Rect(0, 0, w, h)
	if c == 1 {
		return &image.Gray{Pix: pixels, Stride: w, Rect: bounds}
	}
	im := image.NewNRGBA(bounds)
	for i := range h * w {
		im.SetNRGBA(i%w, i/w, color.NRGBA{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255})
	}
	return im
}
