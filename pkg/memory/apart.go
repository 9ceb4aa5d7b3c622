package memory

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/pkg/errors"
)

// apartMagic begins the bytes of a buffer whose content is elsewhere, under the name that follows.
const apartMagic = "palimpsest memory apart 1\n"

// apart says how a buffer's content is kept where its bytes only name it.
type apart struct {
	least int64
	read  func(name string) ([]byte, error)
}

// KeepApart makes [Buffer.MarshalBinary], once the buffer takes at least so many bytes, name its content instead of returning it:
// the name is [Buffer.Sum], and whoever stores the bytes stores [Buffer.WriteContent] under it, once for as long as the name stays
// the same. [Buffer.UnmarshalBinary] reads the content back by read. A large buffer changes at the end of a task alone, but is
// saved many times within one.
func (b *Buffer) KeepApart(least int64, read func(name string) ([]byte, error)) {
	b.apart = apart{least, read}
}

// Apart says whether MarshalBinary names the content instead of returning it.
func (b *Buffer) Apart() bool { return b.apart.read != nil && b.Bytes() >= b.apart.least }

// Sum is the SHA-256 of what [Buffer.WriteContent] writes, in hexadecimal. It is computed once after each change.
func (b *Buffer) Sum() (string, error) {
	if b.sum == "" {
		sum := sha256.New()
		if err := b.WriteContent(sum); err != nil {
			return "", err
		}
		b.sum = hex.EncodeToString(sum.Sum(nil))
	}
	return b.sum, nil
}

// readApart reads the content of a name.
func (b *Buffer) readApart(name string) ([]byte, error) {
	if raw, err := hex.DecodeString(name); err != nil || len(raw) != sha256.Size {
		return nil, errors.Errorf("memory: the stored buffer names its content %.80q; need a SHA-256", name)
	}
	if b.apart.read == nil {
		return nil, errors.New("memory: the stored buffer only names its content, and there is no place to read that from")
	}
	content, err := b.apart.read(name)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != name {
		return nil, errors.Errorf("memory: the content of the stored buffer is not what it was: its SHA-256 is %.12x…, need %.12s…", sum, name)
	}
	return content, nil
}
