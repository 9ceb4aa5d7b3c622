package models

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// model is one of a few weights, each of which is its place.
func model(t *testing.T) *diffusers.Model {
	t.Helper()
	c, err := unet.Preset("tiny", 4, 4, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	m := &diffusers.Model{Net: c, Process: diffusion.Config{T: 10, Schedule: "cosine", Prediction: "eps", Variance: "fixed-small"}, Weights: map[string][]float32{}}
	for name, dims := range m.Dims() {
		size := 1
		for _, d := range dims {
			size *= d
		}
		m.Weights[name] = make([]float32, size)
		for i := range size {
			m.Weights[name][i] = float32(i)
		}
	}
	return m
}

// A model is there under its name until it is removed, is not replaced unless asked, and has the same identity under another.
func TestModels(t *testing.T) {
	t.Setenv(backend.CacheEnv, t.TempDir())
	m := model(t)
	if _, err := Get("one"); err == nil || !strings.Contains(err.Error(), "go run . import") {
		t.Errorf("a model that is not there: %v", err)
	}
	one, err := Put("one", "/from/here", m, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Put("one", "/from/there", m, false); err == nil || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("a second one of that name: %v", err)
	}
	two, err := Put("two", "/from/there", m, true)
	if err != nil {
		t.Fatal(err)
	}
	if one.SHA256 != two.SHA256 || len(one.SHA256) != 64 {
		t.Errorf("identities %q and %q of one model", one.SHA256, two.SHA256)
	}
	m.Weights["out/biases"][0]++
	if other, err := Put("two", "/from/there", m, true); err != nil || other.SHA256 == one.SHA256 {
		t.Errorf("another model has the identity %q (%v)", other.SHA256, err)
	}
	all, err := List()
	if err != nil || len(all) != 2 || all[0].Name != "one" || all[1].Name != "two" {
		t.Errorf("the list is %+v (%v)", all, err)
	}
	weights, err := all[1].Load()
	if err != nil || !slices.Equal(weights["out/biases"], m.Weights["out/biases"]) || len(weights) != len(m.Weights) {
		t.Errorf("weights %v (%v)", weights["out/biases"], err)
	}
	if err := Remove("two"); err != nil {
		t.Error(err)
	}
	if err := Remove("two"); err == nil || !strings.Contains(err.Error(), "none to remove") {
		t.Errorf("removed twice: %v", err)
	}
	for _, name := range []string{"", ".x", "../x", "a/b", "ä", strings.Repeat("x", 100), "-x"} {
		if _, err := Put(name, "", m, false); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// What is damaged is told and not used.
func TestDamage(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(backend.CacheEnv, cache)
	info, err := Put("one", "", model(t), false)
	if err != nil {
		t.Fatal(err)
	}
	change := func(file, from, to string) {
		t.Helper()
		path := filepath.Join(cache, "models", "one", file)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%s lacks %q (%v)", file, from, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	change(weightsFile, "\x00\x00\x80\x3f", "\x00\x00\x80\x40")
	if _, err := info.Load(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged weights: %v", err)
	}
	change(infoFile, `"eps"`, `"x0"`)
	if _, err := Get("one"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("another process: %v", err)
	}
}
