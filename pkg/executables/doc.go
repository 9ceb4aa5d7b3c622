// Package executables keeps what XLA has compiled on disk, so that the next process loads it instead of compiling it again.
//
// A run is a process of its own, and each compiles its training step and its sampler. For the benchmark's network the step
// takes 10.5 s of a core to compile and 0.4 s to load (Xeon, AVX-512) and has 2.3 MB; the sampler takes 1.0 s, then next to
// nothing. A run that loads both held 380 MB at most, one that compiles 710 MB.
//
// # How it gets there
//
// As in package fastconv: a plugin is a table of functions ([pjrt]), and [Load] returns a copy of it with a function of
// ours in the place of the one that compiles. That function looks for the program in a folder, has the plugin load what it
// finds there (PJRT_Executable_DeserializeAndLoad), and otherwise has it compile and keeps the result
// (PJRT_Executable_Serialize). Nobody else knows of it. Package backend layers it below package fastconv, whose kernels a
// program calls by name and finds again when it is loaded: a program with them is kept like any other, and a change of a
// kernel needs no new program. Package backend loads it for the one plugin it pins, and for CUDA's ([LoadDevice]), whose programs
// depend on card and driver too.
//
// # Who compiles
//
// A large program is compiled by another process of the same binary, which loads the plugin, compiles, hands the executable
// over and ends ([Child]). What compilation leaves in memory ends with it, hundreds of megabytes of a heap that keeps its
// pages. Such a process ends with the one that started it, so compilation can be interrupted at any moment. Where there is
// none, because it was killed or found no memory, the program is compiled here. With [Env] "off" all are.
//
// # What is kept
//
// One file an executable. Its name is the SHA-256 of everything its machine code depends on: the program's text and
// format, the options of compilation, the plugin's file, the processor as CPUID describes it, the number of cores this
// process may use, by which XLA divides its work, and what the environment says of threads. The processor must be in it,
// for this plugin loads code for instructions that the processor lacks without a word, and would then crash: a home folder
// shared by several machines keeps an executable for each kind. An executable that was loaded computes the same bits as
// one compiled.
//
// A file that is damaged, cut short or another's is compiled again and replaced. What compiles in less than a twentieth of
// a second is not kept. The folder holds half a gibibyte at most; what was not used for longest goes first. Whatever
// fails, a full disk or a folder that cannot be written, only means that there is nothing to load. Any number of processes
// may use the folder at once; each file is written under another name, then renamed.
//
// Machine code is run as it is found, so a folder must be its user's own, with no rights for others; from any other
// nothing is loaded. Remove it at any time to have all compiled again.
//
// [Env] set to "off" has everything compiled; any other value is the folder. Variables that give XLA flags (XLA_FLAGS and
// the like) switch it off too, since they may ask for traces of the compilation; on a card, which is not used without flags, only those that do ask.
//
// References:
//
//	[pjrt]  OpenXLA. PJRT: Uniform Device API. https://openxla.org/xla/pjrt
package executables

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/pkg/errors"
)

// Env is the environment variable that names the folder executables are kept in, or "off".
const Env = "PALIMPSEST_EXECUTABLES"

// Most is how many bytes a folder holds.
const Most = 512 << 20

// spent is for how many nanoseconds this process has built programs.
var spent atomic.Int64

// Spent is how long this process has built programs so far, or loaded them or waited for them: 0 where [Load] was not called, which
// knows nothing of what others build.
func Spent() time.Duration { return time.Duration(spent.Load()) }

var atWork atomic.Int64

// AtWork says whether this process is building a program now, loading one, or waiting for one.
func AtWork() bool { return atWork.Load() > 0 }

// Dir returns the absolute path of the folder that executables are kept in, which need not exist yet: the one that [Env]
// names, else "executables" in cache. It fails where they are not to be kept.
func Dir(cache string) (string, error) {
	switch dir := os.Getenv(Env); dir {
	case "off":
		return "", errors.Errorf("%s=off", Env)
	case "":
		return filepath.Join(cache, "executables"), nil
	default:
		if !filepath.IsAbs(dir) {
			return "", errors.Errorf("%s is %q; need an absolute path, or \"off\"", Env, dir)
		}
		return filepath.Clean(dir), nil
	}
}
