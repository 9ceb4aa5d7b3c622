//go:build cgo && linux && amd64

package executables

// #include "plugin.h"
import "C"

import (
	"bytes"
	"encoding/gob"
	"io"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"github.com/pkg/errors"
)

// ChildEnv is the environment variable that makes a program compile for the process that started it: the configuration of
// its backend, see [Child].
const ChildEnv = "PALIMPSEST_COMPILE_FOR"

// large is from how many bytes of its text on a program is compiled by a child. A child takes 0.3 s to start; a program of this
// size takes some 2 s to compile.
var large = 256 << 10

// childName is what a list of processes shows.
const childName = "palimpsest-compile"

// resultFile is the child's file descriptor for what it has compiled.
const resultFile = 3

// job is what a child reads from its standard input.
type job struct{ Format, Code, Options []byte }

// byChild has another process of this program compile j and returns the executable. That process ends with the calling thread,
// whatever that one dies of, and is no part of its group, so that Ctrl-C in a terminal leaves it to its parent.
func byChild(config string, j job) ([]byte, error) {
	var in bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(j); err != nil {
		return nil, errors.WithStack(err)
	}
	result, write, err := os.Pipe()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	defer result.Close()
	// The file itself, which may have been replaced or removed since: `go run` and tests do.
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{childName}, Env: append(os.Environ(), ChildEnv+"="+config),
		Stdin: &in, ExtraFiles: []*os.File{write}, SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return nil, errors.WithStack(err)
	}
	data, readErr := io.ReadAll(result)
	if err := cmd.Wait(); err != nil {
		return nil, errors.WithStack(err)
	}
	return data, errors.WithStack(readErr)
}

// child, once set, is what the process has to compile for another.
var child *job

// Child has the next program that this process compiles replaced by the one on its standard input: the executable is written
// for the parent, and the process ends. It is called before the backend is loaded, which then compiles anything.
func Child() error {
	child = new(job)
	return errors.Wrap(gob.NewDecoder(os.Stdin).Decode(child), "what is to be compiled")
}

// compileForParent compiles what the parent gave with the client and the layout of args, and ends the process.
func compileForParent(args *C.struct_compile_args) {
	program := *args.program
	program.format, program.format_size = (*C.char)(C.CBytes(child.Format)), C.size_t(len(child.Format))
	program.code, program.code_size = (*C.char)(C.CBytes(child.Code)), C.size_t(len(child.Code))
	theirs := (*C.struct_program)(C.CBytes(unsafe.Slice((*byte)(unsafe.Pointer(&program)), unsafe.Sizeof(program))))
	args.program = theirs
	args.options, args.options_size = (*C.char)(C.CBytes(child.Options)), C.size_t(len(child.Options))
	var s C.struct_serialised
	if C.compile(args) != nil || C.serialise(args.executable, &s) == 0 {
		os.Exit(1)
	}
	out := os.NewFile(resultFile, "result")
	if _, err := out.Write(view(s.data, s.size)); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
