//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: this system has no owners as Unix has.
func keepOwner(*os.File, fs.FileInfo) {}
