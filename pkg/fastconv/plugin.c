//go:build cgo && linux && (amd64 || arm64)

// The two interfaces through which XLA calls this package: PJRT's table of functions and its extension for custom calls, and
// XLA's foreign-function interface. Declared here is what is used of them, as go-xla's pjrt_c_api.h and XLA's
// xla/ffi/api/c_api.h lay it out. PJRT promises that fields are only added at the end while the major version stays; the
// versions of all are checked before anything is registered.
#define _GNU_SOURCE
#include "plugin.h"
#include "conv.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PJRT_MAJOR = 0, PJRT_EXTENSION_FFI = 5, FFI_MAJOR = 0, FFI_MINOR = 3 };

struct extension { size_t size; int type; struct extension *next; };
struct version { size_t size; struct extension *extensions; int major, minor; };

struct program { size_t size; struct extension *extensions; char *code; size_t code_size; const char *format; size_t format_size; };
struct compile_args { size_t size; struct extension *extensions; void *client; const struct program *program; }; // and more
struct error_message_args { size_t size; struct extension *extensions; void *error; const char *message; size_t message_size; };
struct error_destroy_args { size_t size; struct extension *extensions; void *error; };

struct pjrt {
	size_t size;
	struct extension *extensions;
	struct version version;
	void (*error_destroy)(struct error_destroy_args *);
	void (*error_message)(struct error_message_args *);
	void *others[18];
	void *(*compile)(struct compile_args *);
	// and more
};

struct register_args {
	size_t size;
	const char *name;
	size_t name_size;
	void *handler;
	const char *platform;
	size_t platform_size;
	int traits;
};
struct ffi_extension { struct extension base; void *type_register, *user_data_add; void *(*register_handler)(struct register_args *); };

struct error_create_args { size_t size; struct extension *extensions; const char *message; int code; };
struct schedule_args { size_t size; struct extension *extensions; void *context; void (*task)(void *); void *data; };
struct threads_args { size_t size; struct extension *extensions; void *context; int64_t *threads; };
struct ffi_error_destroy_args { size_t size; struct extension *extensions; void *error; };

struct ffi {
	size_t size;
	struct extension *extensions;
	struct version version;
	void *internal;
	void *(*error_create)(struct error_create_args *);
	void *error_message;
	void (*error_destroy)(struct ffi_error_destroy_args *);
	void *others[8];
	void *(*schedule)(struct schedule_args *);
	void *(*threads)(struct threads_args *);
	// and more
};

struct buffer { size_t size; struct extension *extensions; int type; void *data; int64_t rank, *sides; };
struct values { size_t size; struct extension *extensions; int64_t count; int *types; void **values; };
struct frame {
	size_t size;
	struct extension *extensions;
	const struct ffi *api;
	void *context;
	int stage;
	struct values arguments, results;
	// and more
};
struct metadata { size_t size; struct version version; uint32_t traits; };
struct metadata_extension { struct extension base; struct metadata *metadata; };
enum { EXTENSION_METADATA = 1, STAGE_EXECUTE = 3, TYPE_U32 = 8, TYPE_U64 = 9, TYPE_F32 = 11, CODE_INVALID_ARGUMENT = 3, CODE_RESOURCE_EXHAUSTED = 8 };

static void *fail(const struct frame *f, int code, const char *message) {
	struct error_create_args a = {sizeof a, NULL, message, code};
	return f->api->error_create(&a);
}

static int run(void *context, void (*task)(void *), void *data) {
	const struct frame *f = context;
	struct schedule_args a = {sizeof a, NULL, f->context, task, data};
	void *error = f->api->schedule(&a);
	if (!error) return 1;
	struct ffi_error_destroy_args d = {sizeof d, NULL, error};
	f->api->error_destroy(&d);
	return 0;
}

// The i-th of some values; NULL where it is no array of this type.
static const struct buffer *buffer(const struct values *v, int i, int type) {
	if (i >= v->count || v->types[i] != 1) return NULL;
	const struct buffer *b = v->values[i];
	return b->type == type ? b : NULL;
}

// Where a float32 array of so many axes begins, and how long they are; NULL where a value is none.
static float *array(const struct values *v, int i, int rank, const int64_t **sides) {
	static const int64_t none[4];
	*sides = none;
	const struct buffer *b = buffer(v, i, TYPE_F32);
	if (!b || b->rank != rank) return NULL;
	*sides = b->sides;
	return b->data;
}

// XLA asks what was compiled in, once, when a handler is registered; and calls before and after execution.
static int execution(const struct frame *f) {
	for (struct extension *e = f->extensions; e; e = e->next)
		if (e->type == EXTENSION_METADATA) {
			struct metadata *m = ((struct metadata_extension *)e)->metadata;
			m->version.major = FFI_MAJOR;
			m->version.minor = FFI_MINOR;
			m->traits = 0;
			return 0;
		}
	return f->stage == STAGE_EXECUTE;
}

// How many cores this process may run on now; more than XLA has threads where the system does not say.
static int cores(void) {
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) ? INT_MAX : CPU_COUNT(&set);
}

// XLA's threads, but no more than there are cores. XLA starts four at least, and on one core those that help would only take
// turns, each in memory of its own, and wait in loops for the next call.
static void *ask_threads(struct frame *f, struct helpers *h) {
	int64_t threads = 1;
	struct threads_args t = {sizeof t, NULL, f->context, &threads};
	void *error = f->api->threads(&t);
	int most = cores();
	if (most > 256) most = 256;
	*h = (struct helpers){threads < 1 ? 1 : threads > most ? most : (int)threads, run, f};
	return error;
}

static void *result(const struct frame *f, int code) {
	switch (code) {
	case 0: return NULL;
	case 1: return fail(f, CODE_RESOURCE_EXHAUSTED, "palimpsest: no memory for a kernel; use fewer rows a step");
	default: return fail(f, CODE_INVALID_ARGUMENT, "palimpsest: a kernel was called with arrays it does not take");
	}
}

static void *handle(struct frame *f, enum kind kind) {
	if (!execution(f)) return NULL;
	const int64_t *x, *w, *y;
	float *a = array(&f->arguments, 0, 4, &x), *b = array(&f->arguments, 1, 4, &w), *out = array(&f->results, 0, 4, &y);
	if (!a || !b || !out) return result(f, 2);
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	return error ? error : result(f, convolve(kind, x[0], x[1], x[2], x[3], y[3], a, b, NULL, out, &helpers, 0));
}

static void *handle_forward(struct frame *f) { return handle(f, FORWARD); }

// x, w, and what is added, each but the first where it is: bias [K], image [B, K], other [B, H, W, K], other_bias [K].
static void *handle_any_sum(struct frame *f, enum kind kind) {
	if (!execution(f)) return NULL;
	const struct values *in = &f->arguments;
	const int64_t *x, *w, *y, *s;
	float *a = array(in, 0, 4, &x), *b = array(in, 1, 4, &w), *out = array(&f->results, 0, 4, &y);
	int at = 2;
	struct terms terms = {0};
	if ((terms.bias = array(in, at, 1, &s))) at++;
	if ((terms.image = array(in, at, 2, &s))) at++;
	if ((terms.other = array(in, at, 4, &s))) at++;
	if (terms.other && (terms.other_bias = array(in, at, 1, &s))) at++;
	if (!a || !b || !out || at != in->count) return result(f, 2);
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	return error ? error : result(f, convolve(kind, x[0], x[1], x[2], x[3], y[3], a, b, &terms, out, &helpers, 0));
}

static void *handle_sum(struct frame *f) { return handle_any_sum(f, FORWARD); }
static void *handle_doubled(struct frame *f) { return handle_any_sum(f, DOUBLED); }

static void *handle_half(struct frame *f) { return handle(f, HALF); }
static void *handle_one(struct frame *f) { return handle(f, ONE); }
static void *handle_input_gradient(struct frame *f) { return handle(f, INPUT_GRADIENT); }
static void *handle_filter_gradient(struct frame *f) { return handle(f, FILTER_GRADIENT); }

// x [B, P, C], gamma [G, C/G], beta [G, C/G], for the gradients dy [B, P, C] and, where they are known, the statistics;
// gives one like x and the statistics [B, 2, C], for the gradients one like each.
static void *handle_any_norm(struct frame *f, int backward) {
	if (!execution(f)) return NULL;
	const int64_t *x, *g, *s;
	float *in = array(&f->arguments, 0, 3, &x), *gamma = array(&f->arguments, 1, 2, &g), *beta = array(&f->arguments, 2, 2, &s);
	float *dy = backward ? array(&f->arguments, 3, 3, &s) : NULL, *out = array(&f->results, 0, 3, &s);
	float *statistics = backward ? array(&f->arguments, 4, 3, &s) : array(&f->results, 1, 3, &s);
	float *dgamma = backward ? array(&f->results, 1, 2, &s) : NULL, *dbeta = backward ? array(&f->results, 2, 2, &s) : NULL;
	if (!in || !gamma || !beta || !out || (backward && (!dy || !dgamma || !dbeta)) || g[0] * g[1] != x[2]) return result(f, 2);
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	return error ? error : result(f, normalise(x[0], x[1], x[2], g[0], in, gamma, beta, dy, out, dgamma, dbeta, statistics, &helpers, 0));
}

static void *handle_norm(struct frame *f) { return handle_any_norm(f, 0); }
static void *handle_norm_gradient(struct frame *f) { return handle_any_norm(f, 1); }

// x, joined where it is, and of each half gamma, beta, w, bias; after the first bias image, after the second other or skip and, where it
// is, other_bias ([struct residual]).
static void *handle_residual(struct frame *f) {
	if (!execution(f)) return NULL;
	const struct values *in = &f->arguments;
	const int64_t *x, *w, *g, *y, *s;
	struct residual r = {0};
	r.x = array(in, 0, 4, &x);
	int at = 1, there = r.x != NULL;
	if ((r.joined = array(in, at, 4, &s))) at++, r.J = s[3];
	for (int i = 0; i < 2; i++) {
		there &= (r.gamma[i] = array(in, at++, 2, &g)) != NULL;
		there &= (r.beta[i] = array(in, at++, 2, &s)) != NULL;
		there &= (r.w[i] = array(in, at++, 4, &w)) != NULL;
		there &= (r.bias[i] = array(in, at++, 1, &s)) != NULL;
		if (i == 0) there &= (r.image = array(in, at++, 2, &s)) != NULL;
	}
	if (!(r.other = array(in, at, 4, &s))) there &= (r.skip = array(in, at, 2, &s)) != NULL;
	at++;
	if ((r.other_bias = array(in, at, 1, &s))) at++;
	r.out = array(&f->results, 0, 4, &y);
	if (!there || !r.out || at != in->count) return result(f, 2);
	r.B = x[0], r.H = x[1], r.W = x[2], r.C = x[3] + r.J, r.K = y[3], r.G = g[0];
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	return error ? error : result(f, residual(&r, &helpers, 0));
}

// A state [3]; gives the state that follows, and words of any shape.
static void *handle_bits(struct frame *f) {
	if (!execution(f)) return NULL;
	const struct buffer *state = buffer(&f->arguments, 0, TYPE_U64), *next = buffer(&f->results, 0, TYPE_U64), *out = buffer(&f->results, 1, TYPE_U32);
	if (!state || !next || !out || state->rank != 1 || state->sides[0] != 3) return result(f, 2);
	size_t words = 1;
	for (int i = 0; i < out->rank; i++) words *= out->sides[i];
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	return error ? error : result(f, random_bits(state->data, next->data, words, out->data, &helpers, 0));
}

// Images [B, H, W, channels], twice; gives one with the channels of both.
static void *handle_join(struct frame *f) {
	if (!execution(f)) return NULL;
	const int64_t *x, *y, *z;
	float *a = array(&f->arguments, 0, 4, &x), *b = array(&f->arguments, 1, 4, &y), *out = array(&f->results, 0, 4, &z);
	if (!a || !b || !out || x[3] + y[3] != z[3] || memcmp(x, y, sizeof *x * 3) || memcmp(x, z, sizeof *x * 3)) return result(f, 2);
	struct helpers helpers;
	void *error = ask_threads(f, &helpers);
	if (error) return error;
	join(x[0], x[1] * x[2], x[3], y[3], a, b, out, &helpers);
	return NULL;
}

// In Go: the program with its convolutions replaced, for the caller to free, or NULL where none is.
char *palimpsestReplace(char *program, size_t size, size_t *new_size);

static void *(*compile_as_before)(struct compile_args *);

#ifdef __GLIBC__
static char *heap; // its beginning
__attribute__((constructor)) static void heap_begins(void) { heap = sbrk(0); }

static int users_own_settings(void) {
	const char *tunables = getenv("GLIBC_TUNABLES");
	return tunables && strstr(tunables, "glibc.malloc.");
}
#endif

// Package backend has the allocator keep its pages (malloc.go), which must be said before the first thread. These two settings, for
// blocks of 32 MB and more, may come at any time, and are here because they need trim: without it the holes that compilation leaves
// make the heap of a larger network half as large again.
static void keep_large_blocks(void) {
#ifdef __GLIBC__
	if (users_own_settings()) return;
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1); // no bound: a large network's step would give back and fault in what is beyond 2 GB
#endif
}

// A step goes through hundreds of MB, and a page of 4 KB at a time it waits for the processor's tables of pages: an eighth of a
// larger network's step. Linux gives pages of 2 MB to whoever asks. The allocator does not ask, so the heap is grown here, ahead
// of use, to a size that a step will hardly exceed, and is asked for as a whole. What is never used takes no memory.
static void ask_for_large_pages(void) {
#ifdef __GLIBC__
	if (users_own_settings()) return;
	const size_t large = 2 << 20;
	size_t size = (size_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 4;
	if (size > (size_t)8 << 30) size = (size_t)8 << 30;
	void *ahead = malloc(size);
	if (!ahead) return;
	__asm__ volatile("" : : "r"(ahead) : "memory"); // so that the compiler keeps what is never used
	char *from = (char *)(((uintptr_t)heap + large - 1) & ~(large - 1)), *to = (char *)((uintptr_t)sbrk(0) & ~(large - 1));
	if (from < to) madvise(from, to - from, MADV_HUGEPAGE);
	free(ahead);
#endif
}

static void trim(void) {
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

// Compilation leaves thousands of holes of as many sizes. The allocator keeps those of a range of sizes in one sorted list, and goes
// through it for every block of some tens of KB that XLA's matrix products take by the thousand: a tenth of a small network's step,
// and what it finds lies scattered over small pages. So the holes are taken up, each linked to the one before, until the next
// compilation; trim has given back what they held but the page that the link is in. What a step takes then comes from the large pages.
static struct hole { struct hole *before; } *holes;
static pthread_mutex_t holes_lock = PTHREAD_MUTEX_INITIALIZER;

enum { SMALLEST_HOLE = 4 << 10, LARGEST_HOLE = 1 << 30 };

static void open_holes(void) {
	pthread_mutex_lock(&holes_lock);
	struct hole *all = holes;
	holes = NULL;
	pthread_mutex_unlock(&holes_lock);
	while (all) {
		struct hole *h = all;
		all = h->before;
		free(h);
	}
}

#ifdef __GLIBC__ // apart, for other libraries lack the macro
#if __GLIBC_PREREQ(2, 33)
#define HAVE_MALLINFO2
#endif
#endif

static void close_holes(void) {
#ifdef HAVE_MALLINFO2
	if (users_own_settings()) return;
	struct mallinfo2 m = mallinfo2();
	char *end = (char *)sbrk(0) - m.keepcost; // of the holes: there the heap's unused end begins
	size_t left = m.fordblks - m.keepcost;
	pthread_mutex_lock(&holes_lock);
	for (size_t size = LARGEST_HOLE; size >= SMALLEST_HOLE; size -= size / 8) {
		while (size <= left) {
			struct hole *h = malloc(size);
			if (!h) break;
			if ((char *)h >= end) { // no hole of this size is left
				free(h);
				break;
			}
			left -= size;
			h->before = holes;
			holes = h;
		}
	}
	pthread_mutex_unlock(&holes_lock);
#endif
}

static void *compile(struct compile_args *args) {
	const struct program *before = args->program;
	open_holes();
	trim();
	size_t size = 0;
	char *code = before->format_size == 4 && !memcmp(before->format, "mlir", 4) ? palimpsestReplace(before->code, before->code_size, &size) : NULL;
	struct program after = *before;
	if (code) {
		after.code = code;
		after.code_size = size;
		args->program = &after;
	}
	void *error = compile_as_before(args);
	args->program = before;
	free(code);
	trim();
	ask_for_large_pages();
	close_holes();
	return error;
}

static char *say(const char *format, const char *detail) {
	char *text = NULL;
	return asprintf(&text, format, detail) < 0 ? NULL : text;
}

static int reg(const struct pjrt *api, const struct ffi_extension *ffi, const char *name, void *handler, char **error) {
	struct register_args a = {sizeof a, name, strlen(name), handler, "Host", 4, 0};
	void *e = ffi->register_handler(&a);
	if (!e) return 1;
	struct error_message_args m = {sizeof m, NULL, e, NULL, 0};
	api->error_message(&m);
	char *text = strndup(m.message, m.message_size);
	*error = say("the plugin refuses our handlers: %s", text ? text : "");
	free(text);
	struct error_destroy_args d = {sizeof d, NULL, e};
	api->error_destroy(&d);
	return 0;
}

void *wrap_plugin(void *table, char **error) {
	static const struct pjrt *from; // the caller's lock guards these two
	static struct pjrt *copy;
	const struct pjrt *api = table;
	if (copy && api == from) return copy;
	if (copy) return *error = say("%s", "this is a second plugin"), NULL;
	if (api->version.major != PJRT_MAJOR || api->size < sizeof *api) return *error = say("%s", "the plugin has another version of PJRT"), NULL;
	const struct ffi_extension *ffi = NULL;
	for (struct extension *e = api->extensions; e; e = e->next)
		if (e->type == PJRT_EXTENSION_FFI) ffi = (const struct ffi_extension *)e;
	if (!ffi || ffi->base.size < sizeof *ffi) return *error = say("%s", "the plugin lacks PJRT's extension for custom calls"), NULL;
	if (!reg(api, ffi, "palimpsest.conv.forward", handle_forward, error) ||
	    !reg(api, ffi, "palimpsest.conv.sum", handle_sum, error) ||
	    !reg(api, ffi, "palimpsest.conv.doubled", handle_doubled, error) ||
	    !reg(api, ffi, "palimpsest.residual", handle_residual, error) ||
	    !reg(api, ffi, "palimpsest.conv.half", handle_half, error) ||
	    !reg(api, ffi, "palimpsest.conv.one", handle_one, error) ||
	    !reg(api, ffi, "palimpsest.conv.input_gradient", handle_input_gradient, error) ||
	    !reg(api, ffi, "palimpsest.conv.filter_gradient", handle_filter_gradient, error) ||
	    !reg(api, ffi, "palimpsest.random_bits", handle_bits, error) ||
	    !reg(api, ffi, "palimpsest.join", handle_join, error) ||
	    !reg(api, ffi, "palimpsest.norm_silu", handle_norm, error) ||
	    !reg(api, ffi, "palimpsest.norm_silu.gradient", handle_norm_gradient, error))
		return NULL;
	copy = malloc(api->size);
	if (!copy) return *error = say("%s", "no memory"), NULL;
	memcpy(copy, api, api->size);
	from = api;
	compile_as_before = api->compile;
	copy->compile = compile;
	keep_large_blocks();
	ask_for_large_pages();
	return copy;
}

int lanes(void) {
	const struct kernels *k = kernels_for(MAX_CHANNELS, 0);
	return k ? k->lanes : 0;
}
