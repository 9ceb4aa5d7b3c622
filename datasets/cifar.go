package datasets

import (
	"fmt"
)

// A CIFAR-10 image is 32×32 pixels of 3 colours; a record of the binary version is a
// label byte and the red, green and blue planes, each row by row [cifar].
const (
	cifarSide   = 32
	cifarPlane  = cifarSide * cifarSide
	cifarRecord = 1 + 3*cifarPlane
)

// ParseCIFAR10 reads a file of the binary version of CIFAR-10 from its bytes: records of
// 3,073 bytes and nothing after them. records is how many the file must hold, 0 for any number.
// Labels must be 0 to 9. The colour planes become [N,32,32,3]. The error is a
// *FormatError with file as its name.
func ParseCIFAR10(file string, b []byte, records int) (*Images, error) {
	n := len(b) / cifarRecord
	if len(b) == 0 || len(b)%cifarRecord != 0 {
		return nil, &FormatError{file, int64(n * cifarRecord), fmt.Sprintf("%d bytes to the end of the file", len(b)%cifarRecord),
			fmt.Sprintf("a whole record of %d bytes (label, 1024 red, 1024 green, 1024 blue)", cifarRecord)}
	}
	if records > 0 && n < records {
		return nil, &FormatError{file, int64(len(b)), "the end of the file", fmt.Sprintf("%d records, not %d", records, n)}
	}
	if records > 0 && n > records {
		return nil, &FormatError{file, int64(records) * cifarRecord, fmt.Sprintf("%d more records", n-records),
			fmt.Sprintf("the end of the file after %d records", records)}
	}
	for i := range n {
		if label := b[i*cifarRecord]; label > 9 {
			return nil, &FormatError{file, int64(i * cifarRecord), fmt.Sprintf("label %d", label), "0 to 9"}
		}
	}
	im := &Images{N: n, H: cifarSide, W: cifarSide, C: 3, Pixels: make([]uint8, n*3*cifarPlane), Labels: make([]int32, n)}
	for i := range n {
		rec, px := b[i*cifarRecord:(i+1)*cifarRecord], im.Image(i)
		im.Labels[i] = int32(rec[0])
		for p := range cifarPlane {
			px[3*p], px[3*p+1], px[3*p+2] = rec[1+p], rec[1+cifarPlane+p], rec[1+2*cifarPlane+p]
		}
	}
	return im, nil
}

// cifarBytes is the inverse of ParseCIFAR10: pixels [N,32,32,3] and labels as records.
func cifarBytes(pixels, labels []uint8) []byte {
	out := make([]byte, 0, len(labels)*cifarRecord)
	for i, label := range labels {
		px := pixels[i*3*cifarPlane : (i+1)*3*cifarPlane]
		out = append(out, label)
		for c := range 3 {
			for p := range cifarPlane {
				out = append(out, px[3*p+c])
			}
		}
	}
	return out
}
