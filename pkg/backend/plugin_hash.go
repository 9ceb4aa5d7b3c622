package backend

import (
	"fmt"
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
	return hashOf(path)
}

// hashOf is the SHA-256 of the plugin at path, read once a process.
func hashOf(path string) (string, error) {
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

// damagedPlugin is the error of an installed plugin that is not the one pinned. Nothing takes its place: numbers of a damaged
// library would be wrong in silence, and pure Go would take some twenty times as long.
type damagedPlugin struct{ text string }

// Error implements error.
func (d damagedPlugin) Error() string { return d.text }

// Verify reports that the library at path, installed for p, is not the one that is pinned: a bit of it has changed since. It
// reads the whole library, once a process where that is sound. A plugin whose library is not pinned passes.
func (p Plugin) Verify(path string) error {
	if p.SHA256 == "" {
		return nil
	}
	sum, err := hashOf(path)
	if err != nil || sum == p.SHA256 {
		return err
	}
	pluginHashes.Delete(path) // a sound one may take its place
	return damagedPlugin{fmt.Sprintf("the %s at %s is damaged: its SHA-256 is %.8s…, pinned is %.8s…; run: %s", p.ShortTitle(), path, sum, p.SHA256, p.Setup)}
}

// verify is [Plugin.Verify] for the library at path, whichever pinned plugin it belongs to, or whether it was given ([GivePlugin]).
func verify(path string) error {
	for _, p := range []Plugin{CPU, CUDA13, CUDA12} {
		if installed, err := p.Path(); err == nil && installed == path {
			return p.Verify(path)
		}
	}
	if given, err := givenPath(system()); err == nil && given == path {
		return verifyGiven(path)
	}
	return nil
}
