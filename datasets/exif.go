package datasets

import (
	"bytes"
	"encoding/binary"
)

// orientation is how a picture is turned, 1 (upright) to 8, as tag 274 of the EXIF block of a JPEG, PNG, WebP or TIFF file says.
// It is 1 where the block cannot be read, which is what viewers assume.
func orientation(b []byte, format string) int {
	switch format {
	case "jpeg":
		return tiffOrientation(jpegExif(b))
	case "png":
		return tiffOrientation(pngExif(b))
	case "webp":
		return tiffOrientation(webpExif(b))
	case "tiff":
		return tiffOrientation(b)
	}
	return 1
}

// jpegExif is the EXIF block of a JPEG file: segments of a marker, ff xx, and a length up to the first scan.
func jpegExif(b []byte) []byte {
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		marker, size := b[i+1], int(binary.BigEndian.Uint16(b[i+2:]))
		switch {
		case marker == 0xff: // a fill byte
			i++
			continue
		case marker == 0xda || size < 2 || i+2+size > len(b): // a scan, or damage
			return nil
		}
		segment := b[i+4 : i+2+size]
		if exif, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); marker == 0xe1 && ok {
			return exif
		}
		i += 2 + size
	}
	return nil
}

// pngExif is the chunk eXIf of a PNG file: chunks of a length, a name, content and a sum.
func pngExif(b []byte) []byte {
	for i := 8; i+8 <= len(b); {
		size := int64(binary.BigEndian.Uint32(b[i:]))
		if int64(i)+12+size > int64(len(b)) {
			return nil
		}
		if string(b[i+4:i+8]) == "eXIf" {
			return b[i+8 : i+8+int(size)]
		}
		i += 12 + int(size)
	}
	return nil
}

// webpExif is the chunk EXIF of a WebP file: after a head of 12 bytes, chunks of a name, a length and content of even size.
func webpExif(b []byte) []byte {
	for i := 12; i+8 <= len(b); {
		size := int64(binary.LittleEndian.Uint32(b[i+4:]))
		if int64(i)+8+size > int64(len(b)) {
			return nil
		}
		if string(b[i:i+4]) == "EXIF" {
			return bytes.TrimPrefix(b[i+8:i+8+int(size)], []byte("Exif\x00\x00"))
		}
		i += 8 + int(size+size%2)
	}
	return nil
}

// tiffOrientation reads tag 274 in the first directory of a TIFF structure.
func tiffOrientation(b []byte) int {
	if v := tiffTag(b, 274); v >= 1 && v <= 8 {
		return v
	}
	return 1
}

// tiffTag is the value, of two bytes, of a tag in the first directory of a TIFF structure, -1 if it is not there.
func tiffTag(b []byte, tag uint16) int {
	if len(b) < 8 {
		return -1
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return -1
	}
	at := int64(order.Uint32(b[4:]))
	if at < 8 || at+2 > int64(len(b)) {
		return -1
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			return -1
		}
		if order.Uint16(entries) == tag {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return -1
}

// turned is the size of an image of h by w pixels once it is upright.
func turned(h, w, orientation int) (int, int) {
	if orientation > 4 {
		return w, h
	}
	return h, w
}

// upright turns and mirrors an image [h,w,c] as its orientation says.
func upright(src []uint8, h, w, c, orientation int) []uint8 {
	if orientation == 1 {
		return src
	}
	height, width := turned(h, w, orientation)
	out := make([]uint8, len(src))
	for y := range height {
		for x := range width {
			var from int // the pixel of src that goes to y, x
			switch orientation {
			case 2:
				from = y*w + w - 1 - x
			case 3:
				from = (h-1-y)*w + w - 1 - x
			case 4:
				from = (h-1-y)*w + x
			case 5:
				from = x*w + y
			case 6:
				from = (h-1-x)*w + y
			case 7:
				from = (h-1-x)*w + w - 1 - y
			case 8:
				from = x*w + w - 1 - y
			}
			copy(out[(y*width+x)*c:(y*width+x+1)*c], src[from*c:])
		}
	}
	return out
}
