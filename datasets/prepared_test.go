package datasets

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// watched is a reader that leaves a mark each time it is read, takes its time, and may end the program in the middle.
type watched struct {
	reader
	marks string
	kill  bool
}

func (w watched) each(yield func(picture) error) error {
	f, err := os.CreateTemp(w.marks, "read-")
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	n := 0
	return w.reader.each(func(p picture) error {
		if n++; n > w.total()/2 && w.kill {
			self, err := os.FindProcess(os.Getpid())
			if err != nil {
				return err
			}
			return self.Kill()
		}
		time.Sleep(10 * time.Millisecond)
		return yield(p)
	})
}

// TestPrepareByProcesses: of processes that prepare one set at once one does it and the others wait for it; one that is killed in the
// middle leaves nothing that the next would take for the set.
func TestPrepareByProcesses(t *testing.T) {
	prep := Prep{Size: 8, Method: "stretch"}
	if root := os.Getenv("DATASETS_TEST_OWN"); root != "" { // we are one of them
		d, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		d.own.reader = watched{d.own.reader, os.Getenv("DATASETS_TEST_MARKS"), os.Getenv("DATASETS_TEST_KILL") != ""}
		if _, err := d.Prepared(prep); err != nil {
			t.Fatal(err)
		}
		return
	}
	cache, root, marks := ownCache(t), t.TempDir(), t.TempDir()
	flowers(t, root, 20, "a", "b")
	d, err := Open(root) // the scan
	if err != nil {
		t.Fatal(err)
	}
	start := func(env ...string) *exec.Cmd {
		c := exec.Command(os.Args[0], "-test.run=^TestPrepareByProcesses$")
		c.Env = append(append(os.Environ(), "DATASETS_TEST_OWN="+root, "DATASETS_TEST_MARKS="+marks), env...)
		c.Stdout, c.Stderr = t.Output(), t.Output()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := start("DATASETS_TEST_KILL=1").Wait(); err == nil {
		t.Error("the process was not killed")
	}
	in := func(pattern string) []string {
		found, err := filepath.Glob(filepath.Join(cache, "prepared", pattern))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(in("*.images")) != 0 || len(in(".*.tmp")) != 1 {
		t.Fatalf("the killed process left %v and %v; want a temporary file alone", in("*.images"), in(".*.tmp"))
	}
	for _, c := range []*exec.Cmd{start(), start(), start()} {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if read, err := filepath.Glob(filepath.Join(marks, "read-*")); err != nil || len(read) != 2 {
		t.Errorf("the set was read %d times, want once by the killed process and once after (%v)", len(read), err)
	}
	if len(in("*.images")) != 1 || len(in(".*.tmp")) != 0 {
		t.Errorf("left %v and %v; want one prepared set", in("*.images"), in(".*.tmp"))
	}
	got := mustPrepared(t, d, prep)
	if err := os.RemoveAll(filepath.Join(cache, "prepared")); err != nil {
		t.Fatal(err)
	}
	mappedFiles = map[string]*mapped{}
	if want := mustPrepared(t, d, prep); !bytes.Equal(got.Train.Flat(), want.Train.Flat()) || got.Train.N != 32 {
		t.Error("the set of several processes differs from that of one")
	}
}

// BenchmarkPrepare prepares folders of PNGs of 64×64 pixels: 10,000 take less than 30 seconds on two cores, and the memory that the
// program has taken from the system, MB, does not grow with their number. (Its peak over a process is what counts: run one size alone
// to compare.)
func BenchmarkPrepare(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cache, root := ownCache(b), b.TempDir()
			manyPictures(b, root, n)
			for b.Loop() {
				if err := os.RemoveAll(filepath.Join(cache, "prepared")); err != nil {
					b.Fatal(err)
				}
				mappedFiles = map[string]*mapped{}
				openAndPrepare(b, root)
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/(1<<20), "MB")
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

// BenchmarkOpenPrepared opens 10,000 images that are prepared, as a second start does: less than a second.
func BenchmarkOpenPrepared(b *testing.B) {
	ownCache(b)
	root := b.TempDir()
	manyPictures(b, root, 10_000)
	openAndPrepare(b, root)
	for b.Loop() {
		mappedFiles = map[string]*mapped{}
		openAndPrepare(b, root)
	}
}

// manyPictures writes pictures of 64×64 pixels of two classes.
func manyPictures(b *testing.B, root string, n int) {
	var files [50][]byte
	for k := range files {
		im := noise(1, 8, 8, 3)
		big := apply(b, Prep{Size: 64, Method: "stretch"}, im)
		big.Pixels[0] = uint8(k)
		files[k] = encodePNG(b, big.Pixels, 64, 64)
	}
	for i := range n {
		put(b, filepath.Join(root, fmt.Sprint(i%2), fmt.Sprintf("%05d.png", i)), files[i%len(files)])
	}
}

func openAndPrepare(b *testing.B, root string) {
	d, err := Open(root)
	if err != nil {
		b.Fatal(err)
	}
	mustPrepared(b, d, Prep{Size: 32, Method: "crop"})
}
