package cluster

import (
	"os"
	"path/filepath"
	"strings"
)

// local are file systems that other machines do not see, unless this one serves them.
var local = map[string]bool{"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "zfs": true, "f2fs": true, "jfs": true, "tmpfs": true, "ramfs": true,
	"overlay": true, "vfat": true, "exfat": true}

// LocalFolder names the file system of the folder dir where it is of a kind that other machines do not see; "" where it is not, or
// not known, as on systems other than Linux.
func LocalFolder(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	for { // of a folder that is still to be made, where it will be
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
			break
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
		} else {
			return ""
		}
	}
	kind := kindOf(string(mounts), dir)
	if !local[kind] {
		return ""
	}
	return kind
}

// kindOf is the kind of file system that holds the path dir by the text of mountinfo: "… ROOT MOUNTPOINT OPTIONS … - KIND …".
func kindOf(mounts, dir string) (kind string) {
	longest := -1
	for line := range strings.Lines(mounts) {
		where, what, found := strings.Cut(line, " - ")
		fields := strings.Fields(where)
		if !found || len(fields) < 5 || strings.Fields(what) == nil {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(fields[4])
		if (dir == point || strings.HasPrefix(dir, strings.TrimSuffix(point, "/")+"/")) && len(point) >= longest { // of two at one point the later covers
			longest, kind = len(point), strings.Fields(what)[0]
		}
	}
	return kind
}
