package metrics

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
)

// A set without a shipped classifier gets one once: it knows the classes, is found again without training, by the set's content
// and the preparation, and looks at large images as small ones.
func TestOwnClassifier(t *testing.T) {
	back, dir := backendtest.Open(t), t.TempDir()
	prep := datasets.Prep{Method: "area", Size: 40} // no multiple of 16, larger than what is seen
	data, err := datasets.Load("fashion-mnist-sample")
	if err != nil {
		t.Fatal(err)
	}
	// A thirtieth of it, so that the test is quick.
	var rows []int
	for i := range data.Train.N / 30 {
		rows = append(rows, 30*i)
	}
	data.Train, data.Test = data.Train.Select(rows), data.Test.Select(rows[:data.Test.N/30])
	var out bytes.Buffer
	first, err := ownClassifier(t.Context(), back, data, prep, dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if lines := strings.Count(out.String(), "\n"); lines < 4 || lines > progressLines+3 || !strings.Contains(out.String(), "left\n") || !strings.Contains(out.String(), "seen at 32×32") {
		t.Errorf("progress in %d lines:\n%s", lines, out.String())
	}
	p := first.Protocol()
	if p.TestAccuracy == nil || *p.TestAccuracy < 0.5 || p.Classes != 10 || p.Test == 0 {
		t.Errorf("the classifier is %+v", p)
	}
	if h, w, c := first.ImageShape(); h != 40 || w != 40 || c != 1 || !strings.Contains(first.Name(), "sees images of 40×40 at 32×32") {
		t.Errorf("%s takes %d×%d×%d", first.Name(), h, w, c)
	}
	some, err := prep.Apply(data.Test.Select([]int{0, 1, 2, 3, 4, 5}))
	if err != nil {
		t.Fatal(err)
	}
	features, labels, err := first.Judge(some.Scaled(), some.N)
	if err != nil {
		t.Fatal(err)
	}
	// What it sees is the mean of areas.
	small, err := datasets.Prep{Method: "area", Size: 32}.Apply(some)
	if err != nil {
		t.Fatal(err)
	}
	direct, seen, err := first.Classifier.Judge(small.Scaled(), small.N)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(labels) != fmt.Sprint(seen) || fmt.Sprint(features.RawMatrix().Data) != fmt.Sprint(direct.RawMatrix().Data) {
		t.Errorf("it names %v, of the small images %v", labels, seen)
	}

	out.Reset()
	again, err := ownClassifier(t.Context(), back, data, prep, dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Identity() != first.Identity() || out.Len() != 0 || again.Protocol().Test != p.Test {
		t.Errorf("another classifier the second time (%s, %s):\n%s", first.Identity(), again.Identity(), out.String())
	}
	// A damaged file is as good as none.
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept: %v, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cut": content[:len(content)/2], "short": content[:3], "empty": nil} {
		if c := readKept(back, content); c != nil {
			t.Errorf("%s: a classifier", name)
		}
	}

	// A classifier that was saved is read by the path of its weights.
	name, err := first.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name+".safetensors")
	if !IsClassifierFile(path) || IsClassifierFile(files[0]) {
		t.Errorf("%s is a classifier: %t", path, IsClassifierFile(path))
	}
	file, err := LoadClassifierFile(back, path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Identity() != first.Identity() {
		t.Error("the saved classifier is another one")
	}
}
