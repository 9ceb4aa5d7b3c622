package datasets

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/pkg/errors"
)

// Time limits of a download: a machine without a network gives up soon, a stalled
// transfer is dropped, a slow one is not.
const (
	connectTimeout = 4 * time.Second
	answerTimeout  = 15 * time.Second
	stallTimeout   = 30 * time.Second
)

// archiveExtra is how many bytes more than its content an archive of it may have.
const archiveExtra = 1 << 20

var client = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
	TLSHandshakeTimeout:   connectTimeout,
	ResponseHeaderTimeout: answerTimeout,
}}

// fromURL downloads the set's files from a folder address (ending in "/", each file with
// ".gz" added), or the archive of CIFAR-10 from its own.
func (s *spec) fromURL(ctx context.Context, address, work string, out io.Writer) (map[string][]byte, error) {
	if s.format == formatCIFAR {
		archive := filepath.Join(work, path.Base(address))
		if err := download(ctx, address, archive, s.size()+archiveExtra, out); err != nil {
			return nil, err
		}
		return s.fromArchive(archive)
	}
	content := make(map[string][]byte)
	for _, f := range s.files {
		local := filepath.Join(work, f.name+".gz")
		if err := download(ctx, address+f.name+".gz", local, f.size+archiveExtra, out); err != nil {
			return nil, err
		}
		b, err := readFile(local, f.size)
		if err != nil {
			return nil, err
		}
		content[f.name] = b
	}
	return content, nil
}

// download writes what address holds, at most limit bytes, to the file to. It returns an
// error if fewer bytes came than the server said.
func download(ctx context.Context, address, to string, limit int64, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.Errorf("it answered %s", response.Status)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	stall := time.AfterFunc(stallTimeout, func() {
		cancel(errors.Errorf("it sent nothing for %s", stallTimeout))
	})
	defer stall.Stop()
	bar := newBar(out, response.ContentLength, path.Base(address))
	body := readerFunc(func(p []byte) (int, error) {
		n, err := response.Body.Read(p)
		stall.Reset(stallTimeout)
		return n, err
	})
	// A body shorter than its Content-Length ends in io.ErrUnexpectedEOF.
	n, err := io.Copy(io.MultiWriter(f, bar), io.LimitReader(body, limit+1))
	if err == nil && n > limit {
		err = errors.Errorf("it sent more than %d bytes", limit)
	}
	if err != nil {
		fmt.Fprintln(out) // leave the unfinished bar's line
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return errors.Wrap(err, "the transfer broke off")
	}
	finish(bar)
	return f.Close()
}

// unreachable shortens an error of a connection to what a reader needs of it.
func unreachable(err error) error {
	var dns *net.DNSError
	var address *url.Error
	switch {
	case errors.As(err, &dns):
		return errors.Errorf("no network, or no such host (%s)", dns.Name)
	case errors.As(err, &address):
		return address.Err
	}
	return err
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// fromArchive reads the set's files out of a .tar.gz, whatever folder they are in there.
func (s *spec) fromArchive(archive string) (map[string][]byte, error) {
	return unpack(archive, func(base string) (int64, bool) {
		i := slices.IndexFunc(s.files, func(f file) bool { return f.name == base })
		if i < 0 {
			return 0, false
		}
		return s.files[i].size, true
	})
}

// fromFolder reads the set's files from a folder the user names: NAME.gz or NAME, there or,
// for CIFAR-10, in cifar-10-batches-bin or cifar-10-binary.tar.gz.
func (s *spec) fromFolder(folder string) (map[string][]byte, error) {
	if info, err := os.Stat(folder); err != nil {
		return nil, errors.Errorf("%s: %s", folder, reasonOf(err))
	} else if !info.IsDir() {
		return nil, errors.Errorf("%s is a file; name the folder that holds %s", folder, s.fileNames())
	}
	if s.format == formatCIFAR {
		if sub := filepath.Join(folder, "cifar-10-batches-bin"); isDir(sub) {
			folder = sub
		} else if archive := filepath.Join(folder, "cifar-10-binary.tar.gz"); isFile(archive) {
			return s.fromArchive(archive)
		}
	}
	content := make(map[string][]byte)
	for _, f := range s.files {
		name := filepath.Join(folder, f.name)
		if isFile(name + ".gz") {
			name += ".gz"
		}
		b, err := readFile(name, f.size)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Errorf("it holds no %s", f.name)
		}
		if err != nil {
			return nil, err
		}
		content[f.name] = b
	}
	return content, nil
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

func isFile(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular()
}
