package datasets

import (
	"archive/zip"
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// One byte of an archive changed, within pixels or labels, is told by its checksum, in either order; so is an array longer than its shape.
func TestDamagedArrays(t *testing.T) {
	pixels := make([]byte, 4*6*6)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	labels := []byte{0, 0, 1, 1}
	for _, fortran := range []string{"False", "True"} {
		for _, tc := range []struct{ images, labels, damage, want string }{
			{"", "", "", ""},
			{"", "", string(pixels[70:74]), "array images: is damaged (zip: checksum error); replace the file"},
			{"", "", string(pixels[len(pixels)-4:]), "array images: is damaged (zip: checksum error); replace the file"},
			{"", "", string(labels), "array labels: is damaged (zip: checksum error); replace the file"},
			{"\x00", "", "", "array images: goes on after the elements that its shape tells of"},
			{"", "\x00", "", "array labels: goes on after the elements that its shape tells of"},
		} {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for name, array := range map[string][]byte{
				"images.npy": npyOrdered("|u1", fortran, "(4, 6, 6)", append(bytes.Clone(pixels), tc.images...)),
				"labels.npy": npyOrdered("|u1", "False", "(4,)", append(bytes.Clone(labels), tc.labels...)),
			} {
				w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(array); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			ownCache(t)
			whole, file := b.Bytes(), filepath.Join(t.TempDir(), "set.npz")
			if tc.damage != "" {
				whole[bytes.Index(whole, []byte(tc.damage))] ^= 1
			}
			put(t, file, whole)
			_, err := Add("set", file)
			if oneLine(t, err); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Fortran order %s, %q changed: %v, want %q", fortran, tc.damage, err, tc.want)
			}
		}
	}
}
