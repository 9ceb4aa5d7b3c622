package backend

import (
	"path/filepath"
	"strings"
	"sync"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// pluginHashes keeps what PluginSHA256 has read: a plugin has some 200 MB, and is loaded for as long as the process lives.
var pluginHashes sync.Map

// PluginSHA256 is the SHA-256, in hexadecimal digits, of the library that XLA was opened from, "" where c is none or names
// it without its path. It fails if the library cannot be read.
func (c Choice) PluginSHA256() (string, error) {
	kind, path, _ := strings.Cut(c.Config, ":")
	path, _, _ = strings.Cut(path, ",")
	if kind != "xla" || !filepath.IsAbs(path) {
		return "", nil
	}
	if known, ok := pluginHashes.Load(path); ok {
		return known.(string), nil
	}
	sum, err := atomicfile.SHA256(path)
	if err != nil {
		return "", errors.WithStack(err)
	}
	pluginHashes.Store(path, sum)
	return sum, nil
}
