package experiment

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/results"
)

// All that a stretch says of its means tells features apart, also what is added to it one day; when it began and from which
// step on do not.
func TestFeaturesAreThoseOfTheSameMeans(t *testing.T) {
	now := results.Stretch{Backend: "xla:cpu", Cores: 2, CPU: "x"}
	want, err := featuresBy("program", now)
	if err != nil {
		t.Fatal(err)
	}
	if other, _ := featuresBy("another", now); other == want {
		t.Error("another program has the same features")
	}
	for i := range reflect.TypeFor[results.Stretch]().NumField() {
		other, name := now, reflect.TypeFor[results.Stretch]().Field(i).Name
		switch field := reflect.ValueOf(&other).Elem().Field(i); value := field.Addr().Interface().(type) {
		case *string:
			*value += "other"
		case *int:
			*value += 3
		case *bool:
			*value = !*value
		case *time.Time:
			*value = time.Now()
		case *map[string]string:
			*value = map[string]string{"XLA_FLAGS": "other"}
		default:
			t.Fatalf("%s is %T; say here how one differs from another", name, value)
		}
		by, err := featuresBy("program", other)
		if err != nil {
			t.Fatal(err)
		}
		same := name == "FromStep" || name == "Started" || name == "Commit" || name == "Dirty"
		if (by == want) != same {
			t.Errorf("with another %s features are the same: %v, want %v", name, by == want, same)
		}
	}
}

func TestFeatureStoreNeedsAKnownBackend(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(backend.CacheEnv, dir)
	if featureStore(results.Stretch{}) != nil {
		t.Error("a backend of which nothing is known has a store")
	}
	if featureStore(results.Stretch{Backend: "xla:cpu"}) == nil {
		t.Error("no store")
	}
	if info, err := os.Stat(filepath.Join(dir, "features")); err != nil || !info.IsDir() {
		t.Errorf("no folder: %v", err)
	}
}
