package kept

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is not what was written, or was written under another key, is nothing, and can be written anew.
func TestStoreTakesNothingDamaged(t *testing.T) {
	s := Store{t.TempDir(), 1 << 20}
	key, other, data := Digest([]byte("a")), Digest([]byte("b")), bytes.Repeat([]byte("code"), 1000)
	if s.Get(key) != nil {
		t.Error("an empty store has something")
	}
	s.Put(key, data)
	whole, err := os.ReadFile(s.Path(key))
	if err != nil || !bytes.Equal(s.Get(key), data) {
		t.Fatalf("what was put is not there: %v", err)
	}
	for name, file := range map[string][]byte{
		"empty": {}, "a sum": whole[:32], "cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 0), "no sum": data,
		"first bit": append([]byte{whole[0] ^ 1}, whole[1:]...), "last bit": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"zeros": make([]byte, len(whole)),
	} {
		if err := os.WriteFile(s.Path(key), file, 0o600); err != nil {
			t.Fatal(err)
		}
		if s.Get(key) != nil {
			t.Errorf("%s: it was taken", name)
		}
		s.Put(key, data)
		if !bytes.Equal(s.Get(key), data) {
			t.Errorf("%s: it was not replaced", name)
		}
	}
	if err := os.Rename(s.Path(key), s.Path(other)); err != nil {
		t.Fatal(err)
	}
	if s.Get(other) != nil {
		t.Error("another key's file was taken")
	}
	if err := os.Mkdir(s.Path(key), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Put(key, data) // cannot
	if s.Get(key) != nil {
		t.Error("a folder was taken for a file")
	}
}

// The store keeps below its bound what was used last, and forgets the half-written file of a process that was killed.
func TestStoreForgetsTheOldest(t *testing.T) {
	s := Store{t.TempDir(), 1000}
	keys := [][]byte{Digest([]byte("0")), Digest([]byte("1")), Digest([]byte("2")), Digest([]byte("3"))}
	half := filepath.Join(s.Dir, ".half.1.tmp")
	if err := os.WriteFile(half, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(half, past, past); err != nil {
		t.Fatal(err)
	}
	for i, key := range keys[:3] {
		s.Put(key, make([]byte, 300-32)) // with the sum 300 bytes
		past = past.Add(time.Minute)
		if err := os.Chtimes(s.Path(key), past, past); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	s.Get(keys[0]) // so that the second was not used for longest
	s.Put(keys[3], make([]byte, 300-32))
	for i, want := range []bool{true, false, true, true} {
		if got := s.Get(keys[i]) != nil; got != want {
			t.Errorf("result %d is there: %v, want %v", i, got, want)
		}
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("the half-written file is there")
	}
	s.Put(keys[1], make([]byte, 1000)) // more than all
	if s.Get(keys[1]) != nil || s.Get(keys[3]) == nil {
		t.Error("what is larger than the bound was kept, or took the place of others")
	}
}

// Parts are told apart by their lengths: one that runs into the next is another key.
func TestDigestTellsPartsApart(t *testing.T) {
	if bytes.Equal(Digest([]byte("ab"), []byte("c")), Digest([]byte("a"), []byte("bc"))) || bytes.Equal(Digest(), Digest(nil)) {
		t.Error("other parts have one digest")
	}
}

// A folder that is not there keeps nothing, without a word.
func TestNoFolder(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "none"), 1 << 20}
	s.Put(Digest(), []byte("data"))
	if s.Get(Digest()) != nil {
		t.Error("a folder that is not there has something")
	}
}
