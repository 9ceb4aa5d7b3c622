//go:build cgo && linux && (amd64 || arm64)

package backend

/*
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

// XLA takes the memory of every operation from malloc and gives it back at once, from several threads. As glibc is set by
// default, it returns pages to the kernel whenever some are free at the end of a heap, and faults zeroed ones in again at the
// next operation: a fifth of a small network's training step. Here it keeps them: one heap (those of threads are unmapped
// whatever the thresholds), blocks below 32 MB (glibc's limit) from that heap, and nothing trimmed from its end. The heap then
// stays as large as it was at its fullest, which compilation decides. Larger blocks are still mapped and unmapped one by one.
// Package fastconv changes that (plugin.c), since the heap must then be trimmed around each compilation, which only it sees.
//
// It must run before the first thread exists, for a thread keeps the heap it began with: so as a constructor, not from Go.
// A user's own settings in GLIBC_TUNABLES are left alone.
__attribute__((constructor)) static void keep_pages(void) {
#ifdef __GLIBC__
	const char *tunables = getenv("GLIBC_TUNABLES");
	if (tunables != NULL && strstr(tunables, "glibc.malloc.") != NULL) return;
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_TOP_PAD, 64 << 20);
#endif
}
*/
import "C"
