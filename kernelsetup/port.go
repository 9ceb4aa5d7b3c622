package kernelsetup

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// freePort returns an error where a server cannot listen on a port of this machine, and names the process that does.
func freePort(ctx context.Context, port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", port))
	if err == nil {
		return l.Close()
	}
	holder := portHolder(ctx, port)
	if holder == "" {
		return errors.Errorf("--port %d cannot be used (%v); name another, or leave --port out", port, err)
	}
	return errors.Errorf("--port %d is taken by %s; end that, name another port, or leave --port out", port, holder)
}

// portHolder says which process listens on a port, if this user is allowed to know.
func portHolder(ctx context.Context, port int) string {
	if inodes := listeners(port); len(inodes) > 0 {
		fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // fails on a malformed pattern only
		for _, fd := range fds {
			to, err := os.Readlink(fd)
			if inode, socket := strings.CutPrefix(to, "socket:["); err == nil && socket && slices.Contains(inodes, strings.TrimSuffix(inode, "]")) {
				return describeProcess(strings.Split(fd, "/")[2])
			}
		}
		return "a process of another user"
	}
	// Elsewhere than on Linux.
	out, err := command(ctx, "", nil, "lsof", "-nP", "-iTCP:"+strconv.Itoa(port), "-sTCP:LISTEN", "-Fpc")
	if err != nil {
		return ""
	}
	var pid, name string
	for line := range strings.Lines(out) {
		switch line = strings.TrimSpace(line); {
		case pid == "" && strings.HasPrefix(line, "p"):
			pid = line[1:]
		case name == "" && strings.HasPrefix(line, "c"):
			name = line[1:]
		}
	}
	if pid == "" {
		return ""
	}
	return fmt.Sprintf("process %s (%s)", pid, name)
}

// listeners are the inodes of the sockets that listen on a TCP port, on Linux.
func listeners(port int) []string {
	var inodes []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // sl, local address, remote address, state, …, inode
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes = append(inodes, f[9])
			}
		}
	}
	return inodes
}

// describeProcess is a process with the beginning of its command line, on Linux.
func describeProcess(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/cmdline")
	if err != nil || len(text) == 0 {
		return "process " + pid
	}
	line := strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
	if r := []rune(line); len(r) > 120 {
		line = string(r[:120]) + " …"
	}
	return fmt.Sprintf("process %s (%s)", pid, line)
}
