package datasets

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	mmap "github.com/edsrzf/mmap-go"
	"github.com/gofrs/flock"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// preparedVersion changes whenever the layout of prepared files changes, or the way their pixels are made.
const preparedVersion = 2

// preparedEnd closes a prepared file.
const preparedEnd = "palimpsest prepared set 1\n"

// mostChecked is the size up to which the pixels of a prepared file are read and checked when it is opened, in bytes.
const mostChecked = 1 << 30

// preparedHead is what a prepared file says of itself. The file holds, one after the other, the pixels [N,H,W,C], N labels of four
// bytes, little end first, N splits of one, this as JSON, the length of that in eight bytes, its SHA-256, and preparedEnd.
type preparedHead struct {
	Version, N, H, W, C int
	Source              string   // the content hash of the set it is made of
	Prep                Prep     // as normal fills it in
	Skipped             []Broken // pictures that are left out
	PixelSum, LabelSum  uint32   // CRC-32C of the pixels, and of labels and splits
}

// preparedDir is the folder of scans and prepared sets.
func preparedDir() (string, error) {
	dir, err := Dir()
	return filepath.Join(filepath.Dir(dir), "prepared"), err
}

// preparedFile is the name of a set's prepared file. What does not change it is left out of the preparation.
func (s *ownSet) preparedFile(p Prep) (string, error) {
	dir, err := preparedDir()
	if err != nil {
		return "", err
	}
	p = p.normal()
	p.Flip, p.SkipBroken = false, false
	prep, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	key := sha256Hex(fmt.Appendf(nil, "%d %s %s", preparedVersion, s.scan.Hash, prep))
	return filepath.Join(dir, s.scan.Hash[:16]+"-"+key[:16]+".images"), nil
}

// mapped is a prepared file in memory.
type mapped struct {
	head   preparedHead
	pixels []uint8
	labels []int32
	splits []split
	// id differs for any other content. It is made of the sum of the head, which holds the sum of the pixels, and of the file's size and
	// time. Pixels of up to [mostChecked] bytes are checked against their sum whenever the file is opened; a change of a larger file
	// shows in its size or time.
	id string
}

// open prepared files stay mapped until the program ends, since views on them may be anywhere.
var (
	mappedFiles = map[string]*mapped{}
	mappedMutex sync.Mutex
)

// prepared returns the set's images as p has them: from its prepared file, which is made first if it is not there.
func (s *ownSet) prepared(p Prep) (*mapped, error) {
	h, w, c, err := s.shape(p)
	if err != nil {
		return nil, err
	}
	file, err := s.preparedFile(p)
	if err != nil {
		return nil, err
	}
	mappedMutex.Lock()
	defer mappedMutex.Unlock()
	m, err := s.openPrepared(file)
	if err != nil {
		if err := s.prepare(file, p, h, w, c); err != nil {
			return nil, oneline.Error(err)
		}
		if m, err = s.openPrepared(file); err != nil {
			return nil, err
		}
	}
	if len(m.head.Skipped) > 0 && !p.SkipBroken {
		return nil, oneline.Error(brokenError(s.Path, m.head.Skipped))
	}
	return m, nil
}

// openPrepared maps a prepared file. Where it is damaged the error says so, and it is to be made again.
func (s *ownSet) openPrepared(file string) (*mapped, error) {
	if m, ok := mappedFiles[file]; ok {
		return m, nil
	}
	f, err := atomicfile.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, errors.Errorf("%s cannot be mapped into memory (%s)", file, reasonOf(err))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	m, err := parsePrepared(b)
	if err == nil && m.head.Source != s.scan.Hash {
		err = errors.New("it is of another set")
	}
	if err != nil {
		_ = b.Unmap()
		return nil, errors.Errorf("%s is no sound prepared set (%v)", file, err)
	}
	m.id = fmt.Sprintf("%x %d %d", b[len(b)-sha256.Size-len(preparedEnd):len(b)-len(preparedEnd)], info.Size(), info.ModTime().UnixNano())
	mappedFiles[file] = m
	return m, nil
}

// parsePrepared reads a prepared file from its bytes, which the pixels share.
func parsePrepared(b []byte) (*mapped, error) {
	const tail = 8 + sha256.Size + len(preparedEnd)
	if len(b) < tail || string(b[len(b)-len(preparedEnd):]) != preparedEnd {
		return nil, errors.New("it does not end as one")
	}
	rest := b[:len(b)-tail]
	size := binary.LittleEndian.Uint64(b[len(rest):])
	if size > uint64(len(rest)) {
		return nil, errors.New("its head is cut off")
	}
	head := rest[len(rest)-int(size):]
	rest = rest[:len(rest)-int(size)]
	if sum := sha256.Sum256(head); !bytes.Equal(sum[:], b[len(b)-tail+8:len(b)-len(preparedEnd)]) {
		return nil, errors.New("its head is damaged")
	}
	m := new(mapped)
	if err := json.Unmarshal(head, &m.head); err != nil {
		return nil, err
	}
	d := m.head
	if d.Version != preparedVersion || d.N < 1 || d.N > math.MaxInt32 || min(d.H, d.W, d.C) < 1 || max(d.H, d.W) > maxSide || d.C > 3 {
		return nil, errors.Errorf("its head claims version %d and %d images of %d×%d×%d", d.Version, d.N, d.H, d.W, d.C)
	}
	if need := d.N * (d.H*d.W*d.C + 5); need != len(rest) {
		return nil, errors.Errorf("%d bytes before its head; need %d for %d images of %d×%d×%d", len(rest), need, d.N, d.H, d.W, d.C)
	}
	pixels := d.N * d.H * d.W * d.C
	m.pixels = rest[:pixels:pixels]
	if crc32.Checksum(rest[pixels:], castagnoli) != d.LabelSum {
		return nil, errors.New("its labels are damaged")
	}
	if pixels <= mostChecked && crc32.Checksum(m.pixels, castagnoli) != d.PixelSum {
		return nil, errors.New("its pixels are damaged")
	}
	m.labels, m.splits = make([]int32, d.N), make([]split, d.N)
	for i := range m.labels {
		m.labels[i] = int32(binary.LittleEndian.Uint32(rest[pixels+4*i:]))
		m.splits[i] = split(rest[pixels+4*d.N+i])
	}
	return m, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// prepare makes a prepared file. If two processes want it at once, one makes it and the other waits. What a killed process left is removed.
func (s *ownSet) prepare(file string, p Prep, h, w, c int) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return cacheError(err)
	}
	lock := flock.New(file + ".lock")
	ok, err := lock.TryLock()
	if err == nil && !ok {
		if Progress != nil {
			fmt.Fprintf(Progress, "%s: another process is preparing it; waiting\n", s.Name)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		_, err = lock.TryLockContext(ctx, 200*time.Millisecond)
		stop()
	}
	if err != nil {
		return cacheError(err)
	}
	defer func() { _ = lock.Unlock() }()
	left, err := atomicfile.Glob(filepath.Dir(file), "."+filepath.Base(file)+".*.tmp")
	if err != nil {
		return err
	}
	for _, l := range left {
		if err := os.Remove(l); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := s.openPrepared(file); err == nil { // by the process that was waited for
		return nil
	}
	if s.scan.Shared > 0 && Progress != nil {
		fmt.Fprintf(Progress, "%s: %s\n", s.Name, s.scan.shared(s.info().Test))
	}
	var broken error
	err = atomicfile.WriteFrom(file, func(to io.Writer) error {
		head, err := s.writePrepared(to, p.normal(), h, w, c)
		if err == nil && len(head.Skipped) > 0 && !p.SkipBroken {
			broken = brokenError(s.Path, head.Skipped)
			return broken
		}
		return err
	})
	if broken != nil {
		return broken
	}
	return cacheError(err)
}

// writePrepared prepares all pictures and writes the file.
func (s *ownSet) writePrepared(to io.Writer, p Prep, h, w, c int) (*preparedHead, error) {
	type done struct {
		image *[]uint8
		err   error
	}
	free := sync.Pool{New: func() any {
		image := make([]uint8, h*w*c)
		return &image
	}}
	head := &preparedHead{Version: preparedVersion, H: h, W: w, C: c, Source: s.scan.Hash, Prep: p}
	out := bufio.NewWriterSize(to, 1<<20)
	var labels, splits []byte
	err := ordered(s.reader, s.Name+": preparing", func() func(picture) done {
		prepare := newPreparer(p, c)
		return func(in picture) done {
			pixels, info, err := in.decode()
			if err != nil {
				return done{err: err}
			}
			image := free.Get().(*[]uint8)
			clear(*image)
			prepare.prepare(*image, pixels, info.h, info.w, info.c)
			return done{image: image}
		}
	}, func(in picture, d done) error {
		if d.err != nil {
			head.Skipped = append(head.Skipped, Broken{in.name, d.err.Error()})
			return nil
		}
		head.N++
		head.PixelSum = crc32.Update(head.PixelSum, castagnoli, *d.image)
		labels = binary.LittleEndian.AppendUint32(labels, uint32(in.label))
		splits = append(splits, byte(in.split))
		_, err := out.Write(*d.image)
		free.Put(d.image)
		return err
	})
	if err != nil {
		return nil, err
	}
	head.LabelSum = crc32.Checksum(append(labels[:len(labels):len(labels)], splits...), castagnoli)
	b, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{labels, splits, closePrepared(nil, b)} {
		if _, err := out.Write(part); err != nil {
			return nil, err
		}
	}
	return head, out.Flush()
}

// closePrepared writes what follows the images, labels and splits of a prepared file.
func closePrepared(content, head []byte) []byte {
	sum := sha256.Sum256(head)
	content = binary.LittleEndian.AppendUint64(append(content, head...), uint64(len(head)))
	return append(append(content, sum[:]...), preparedEnd...)
}

// decode returns a picture's pixels and their shape.
func (p picture) decode() ([]uint8, pictureInfo, error) {
	if p.data == nil {
		return p.pixels, pictureInfo{h: p.h, w: p.w, c: p.c}, nil
	}
	b, err := p.data()
	if err != nil {
		return nil, pictureInfo{}, err
	}
	return decodeBytes(b)
}

// decodeBytes is decode of the content of a file of a picture.
func decodeBytes(b []byte) ([]uint8, pictureInfo, error) {
	info, err := lookAtPicture(b)
	if err != nil {
		return nil, info, err
	}
	pixels, err := decodePicture(b, info)
	return pixels, info, err
}

// forgetPrepared removes what was prepared of a set.
func forgetPrepared(p place) error {
	dir, err := preparedDir()
	if err != nil {
		return err
	}
	_, files, err := recognise(p.Path)
	if err != nil {
		return nil // its files are gone or changed; nobody can say what was prepared of them
	}
	print, err := fingerprint(p, files)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "scan-"+print+".json")
	b, err := atomicfile.Read(file, 1<<30)
	if err != nil {
		return nil // never read as it is now
	}
	var known scan
	var made []string
	if json.Unmarshal(b, &known) == nil && len(known.Hash) == 64 {
		if made, err = atomicfile.Glob(dir, known.Hash[:16]+"-*"); err != nil {
			return err
		}
	}
	for _, f := range append(made, glimpsesFile(file), file) {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
