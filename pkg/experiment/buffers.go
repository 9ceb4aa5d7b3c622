package experiment

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/memory"
)

// apartFrom is from how many bytes on a strategy's buffer has a file of its own in a checkpoint, which those after it share as long as
// the buffer stays the same. Smaller ones are written into every state anew, so that damage to one checkpoint leaves the other whole.
// A variable for tests.
var apartFrom int64 = 16 << 20

// keepApart makes the strategy leave large buffers out of its state, and returns them. They are read back from a checkpoint's folder.
func (r *run) keepApart(folder string) (large []*memory.Buffer) {
	for _, b := range r.loop.Strategy.Buffers() {
		b.KeepApart(apartFrom, func(name string) ([]byte, error) {
			return atomicfile.Read(filepath.Join(folder, bufferFile(name)), mostState)
		})
		if b.Apart() {
			large = append(large, b)
		}
	}
	return large
}

// bufferFile is the file of a buffer's content in a checkpoint.
func bufferFile(sum string) string { return "buffer-" + sum + ".bin" }

// saveBuffer puts a buffer's content into the folder of a checkpoint that is being written: a link to the file of an earlier
// checkpoint of the run in dir that has it, or else, and where the file system knows no links, a file of its own. The file's sum is
// added to known.
func saveBuffer(b *memory.Buffer, folder, dir string, earlier []string, known map[string]string) error {
	sum, err := b.Sum()
	if err != nil {
		return err
	}
	name := bufferFile(sum)
	known[name] = sum
	for _, checkpoint := range slices.Backward(earlier) {
		if os.Link(filepath.Join(dir, "checkpoints", checkpoint, name), filepath.Join(folder, name)) == nil {
			return nil
		}
	}
	f, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return errors.WithStack(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = b.WriteContent(w)
	for _, next := range []func() error{w.Flush, f.Sync, f.Close} {
		if failed := next(); err == nil {
			err = failed
		}
	}
	return errors.WithStack(err)
}
