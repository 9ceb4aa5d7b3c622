package datasets

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	_ "image/jpeg" // for image.Decode
	_ "image/png"

	"github.com/pkg/errors"
	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

const (
	// maxPicturePixels is how many pixels a picture may have before it is prepared.
	maxPicturePixels = 50_000_000
	// maxPictureBytes is how large a file, or an entry of one, may be to be read as a picture.
	maxPictureBytes = 256 << 20
	// largePicture is the number of pixels from which pictures are decoded one at a time, so that all processors at once
	// do not fill the memory.
	largePicture = 4_000_000
)

// pictureInfo is what the head of a picture says: its size after it was turned as its EXIF orientation asks, and its channels,
// 1 or 3.
type pictureInfo struct {
	h, w, c     int
	orientation int // of EXIF, 1 to 8; 1: upright
}

// lookAtPicture reads the head of a picture. The first bytes tell its format; its name does not matter. No memory is allocated for
// the number of pixels that the head claims.
func lookAtPicture(b []byte) (info pictureInfo, err error) {
	if len(b) == 0 {
		return info, errors.New("is empty (0 bytes); replace it")
	}
	const flags = 20 // of WebP's extended head, after RIFF, WEBP and VP8X; 2 is animation
	if len(b) > flags && string(b[:4]) == "RIFF" && string(b[8:16]) == "WEBPVP8X" && b[flags]&2 != 0 {
		return info, errors.New("is an animated WebP picture, which is not read; save its first frame as PNG")
	}
	defer recovered(&err)
	config, format, err := image.DecodeConfig(bytes.NewReader(b))
	switch {
	case errors.Is(err, image.ErrFormat):
		return info, noPicture{errors.Errorf("is no picture but %s; need PNG, JPEG, GIF, WebP, BMP or TIFF", contentKind(b))}
	case err != nil:
		return info, undecoded(err)
	case config.Width < 1 || config.Height < 1:
		return info, errors.Errorf("is a picture of %d×%d pixels; replace it", config.Width, config.Height)
	case config.Width > maxPicturePixels/config.Height:
		return info, errors.Errorf("has %d×%d pixels; make it smaller: at most %d million are read", config.Width, config.Height, maxPicturePixels/1_000_000)
	}
	info = pictureInfo{h: config.Height, w: config.Width, c: 3, orientation: orientation(b, format)}
	if isGrey(b, format, config.ColorModel) {
		info.c = 1
	}
	if info.orientation > 4 {
		info.h, info.w = info.w, info.h
	}
	return info, nil
}

// noPicture is the error of a file whose first bytes are those of no picture.
type noPicture struct{ error }

// contentKind says what a file is by its first bytes.
func contentKind(b []byte) string {
	kind, _, _ := strings.Cut(http.DetectContentType(b), ";")
	if kind == "application/octet-stream" {
		return fmt.Sprintf("something that begins with % x", b[:min(len(b), 4)])
	}
	return kind
}

// isGrey says whether a picture's format has one value a pixel that is a level of grey, not counting its transparency.
func isGrey(b []byte, format string, model color.Model) bool {
	switch model {
	case color.GrayModel, color.Gray16Model:
		return true
	}
	if palette, ok := model.(color.Palette); ok && len(palette) > 0 {
		for _, c := range palette {
			if r, g, b, _ := c.RGBA(); r != g || g != b {
				return false
			}
		}
		return true
	}
	const colourType = 8 + 8 + 9 // of PNG: signature, head of the chunk IHDR, its tenth byte; 4 is grey with transparency
	return format == "png" && len(b) > colourType && b[colourType] == 4
}

// large lets one large picture be decoded at a time.
var large sync.Mutex

// decodePicture returns the pixels [h,w,c] of a picture, upright, and with its transparent parts laid over white. info is what its
// head says.
func decodePicture(b []byte, info pictureInfo) (pixels []uint8, err error) {
	if info.h*info.w >= largePicture {
		large.Lock()
		defer large.Unlock()
	}
	defer recovered(&err)
	var img image.Image
	switch _, format, _ := image.DecodeConfig(bytes.NewReader(b)); format {
	case "gif":
		img, err = firstFrame(b)
	case "webp":
		if img, _, err = image.Decode(bytes.NewReader(b)); err == nil {
			img = webpColours(img)
		}
	case "tiff":
		if img, _, err = image.Decode(bytes.NewReader(b)); err == nil {
			tiffLevels(b, img)
		}
	default:
		img, _, err = image.Decode(bytes.NewReader(b))
	}
	if err != nil {
		return nil, undecoded(err)
	}
	size := img.Bounds().Size()
	if h, w := turned(size.Y, size.X, info.orientation); h != info.h || w != info.w {
		return nil, errors.Errorf("is a damaged picture (%d×%d pixels where its head says %d×%d); replace it", w, h, info.w, info.h)
	}
	return upright(flatten(img, info.c), size.Y, size.X, info.c, info.orientation), nil
}

// firstFrame is the first picture of a GIF file at the size of the canvas; the part that it does not cover is transparent.
func firstFrame(b []byte) (image.Image, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(b))
	if err != nil || frame.Bounds() == image.Rect(0, 0, config.Width, config.Height) {
		return frame, err
	}
	canvas := image.NewNRGBA(image.Rect(0, 0, config.Width, config.Height))
	area := frame.Bounds().Intersect(canvas.Bounds())
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			canvas.Set(x, y, frame.At(x, y))
		}
	}
	return canvas, nil
}

// webpColours are the colours of a lossy WebP picture. Its brightness goes from 16 to 235 (ITU-R BT.601), but the decoder's type treats
// it as JPEG's, which goes from 0 to 255. The numbers are those of libwebp.
func webpColours(img image.Image) image.Image {
	var planes *image.YCbCr
	var alpha *image.NYCbCrA
	switch m := img.(type) {
	case *image.YCbCr:
		planes = m
	case *image.NYCbCrA:
		planes, alpha = &m.YCbCr, m
	default: // lossless
		return img
	}
	planes = fullChroma(planes, webpChroma)
	level := func(v int) uint8 { return uint8(max(0, min(255, v>>6))) }
	b := planes.Bounds()
	out := image.NewNRGBA(b)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			i, j := planes.YOffset(x, y), planes.COffset(x, y)
			bright, u, v := int(planes.Y[i])*19077>>8, int(planes.Cb[j]), int(planes.Cr[j])
			c := color.NRGBA{level(bright + v*26149>>8 - 14234), level(bright - u*6419>>8 - v*13320>>8 + 8708), level(bright + u*33050>>8 - 17685), 255}
			if alpha != nil {
				c.A = alpha.A[alpha.AOffset(x, y)]
			}
			out.SetNRGBA(x, y, c)
		}
	}
	return out
}

// tiffLevels corrects two results of the TIFF decoder to those of libtiff. In the codes of fax machines (compressions 3 and 4) white is
// the bit 0; if the file says that 0 is black (tag 262 is 1), libtiff takes this to mean that what is coded as white is black. And the
// colours of a palette have 16 bits, of which some programs fill only the upper eight and others all: the upper eight are right for both.
func tiffLevels(b []byte, img image.Image) {
	const compression, photometric, blackIsZero = 259, 262, 1
	fax := tiffTag(b, compression) == 3 || tiffTag(b, compression) == 4
	switch m := img.(type) {
	case *image.Gray:
		if fax && tiffTag(b, photometric) == blackIsZero {
			for i := range m.Pix {
				m.Pix[i] ^= 0xff
			}
		}
	case *image.Paletted:
		for i, c := range m.Palette {
			if wide, ok := c.(color.RGBA64); ok {
				m.Palette[i] = color.RGBA{uint8(wide.R >> 8), uint8(wide.G >> 8), uint8(wide.B >> 8), uint8(wide.A >> 8)}
			}
		}
	}
}

// undecoded says why a picture could not be decoded, and what to do.
func undecoded(err error) error {
	if reason := reasonOf(err); strings.Contains(reason, "unsupported") {
		return errors.Errorf("is a picture of a kind that is not read (%s); save it as PNG", reason)
	}
	return errors.Errorf("is a damaged picture (%s); replace it", reasonOf(err))
}

// reasonOf is a decoder's or the system's error in one line, without the name of the file. Of a long one the end is kept, where the cause
// stands: errors of nested data name every level.
func reasonOf(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "it ends too early"
	}
	if at := (*fs.PathError)(nil); errors.As(err, &at) { // whoever says it names the file
		err = at.Err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if r := []rune(line); len(r) > 300 {
		return "… " + string(r[len(r)-300:])
	}
	return line
}

// recovered turns a panic of a decoder into an error: no file may end the program, whoever made it.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = errors.Errorf("is a damaged picture (%v); replace it", p)
	}
}

// flatten returns the pixels [h,w,c] of an image in 8 bits, over white.
func flatten(img image.Image, c int) []uint8 {
	b := img.Bounds()
	out := make([]uint8, 0, b.Dx()*b.Dy()*c)
	put := func(r, g, bl, a uint32) { // premultiplied, 16 bits
		if a < 0xffff {
			r, g, bl = r+0xffff-a, g+0xffff-a, bl+0xffff-a
		}
		if c == 3 {
			out = append(out, eightBits(r), eightBits(g), eightBits(bl))
		} else if r == g && g == bl {
			out = append(out, eightBits(r))
		} else {
			out = append(out, uint8((299*int(eightBits(r))+587*int(eightBits(g))+114*int(eightBits(bl))+500)/1000))
		}
	}
	switch m := img.(type) { // the common ones, many times faster than At
	case *image.Gray:
		for y := range b.Dy() {
			line := m.Pix[y*m.Stride : y*m.Stride+b.Dx()]
			if c == 1 {
				out = append(out, line...)
				continue
			}
			for _, v := range line {
				out = append(out, v, v, v)
			}
		}
	case *image.YCbCr:
		m = fullChroma(m, jpegChroma)
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				i, j := m.YOffset(x, y), m.COffset(x, y)
				r, g, bl := color.YCbCrToRGB(m.Y[i], m.Cb[j], m.Cr[j])
				put(uint32(r)*0x101, uint32(g)*0x101, uint32(bl)*0x101, 0xffff)
			}
		}
	case *image.RGBA: // of an opaque PNG or BMP, so not premultiplied by less than one
		for y := range b.Dy() {
			for px := m.Pix[y*m.Stride : y*m.Stride+4*b.Dx()]; len(px) > 0; px = px[4:] {
				put(uint32(px[0])*0x101, uint32(px[1])*0x101, uint32(px[2])*0x101, uint32(px[3])*0x101)
			}
		}
	case *image.NRGBA:
		for y := range b.Dy() {
			for px := m.Pix[y*m.Stride : y*m.Stride+4*b.Dx()]; len(px) > 0; px = px[4:] {
				put(color.NRGBA{px[0], px[1], px[2], px[3]}.RGBA())
			}
		}
	case *image.Paletted:
		palette := make([][4]uint32, 256) // an index beyond the palette is black
		for i := range palette {
			palette[i][3] = 0xffff
			if i < len(m.Palette) {
				palette[i][0], palette[i][1], palette[i][2], palette[i][3] = m.Palette[i].RGBA()
			}
		}
		for y := range b.Dy() {
			for _, i := range m.Pix[y*m.Stride : y*m.Stride+b.Dx()] {
				put(palette[i][0], palette[i][1], palette[i][2], palette[i][3])
			}
		}
	default:
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				put(img.At(x, y).RGBA())
			}
		}
	}
	return out
}

// eightBits rounds a level of 16 bits to 8. A level of 8 bits that was widened to 16 comes back unchanged.
func eightBits(v uint32) uint8 { return uint8((min(v, 0xffff) + 128) / 257) }
