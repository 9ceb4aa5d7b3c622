//go:build cgo && linux && amd64

// PJRT's table of functions, as far as it is used here: go-xla's pjrt_c_api.h lays it out, and promises that fields are only
// added at the end while the major version stays.
#include "plugin.h"
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

enum { PJRT_MAJOR = 0 };

struct version { size_t size; void *extensions; int major, minor; };
struct error_destroy_args { size_t size; void *extensions, *error; };
struct get_executable_args { size_t size; void *extensions, *loaded, *executable; };
struct executable_destroy_args { size_t size; void *extensions, *executable; };
struct serialise_args { size_t size; void *extensions, *executable; const char *data; size_t data_size; void *owner; void (*release)(void *); };
struct deserialise_args {
	size_t size;
	void *extensions, *client;
	const void *data;
	size_t data_size;
	void *loaded; // out
	const char *options;
	size_t options_size;
};

struct pjrt {
	size_t size;
	void *extensions;
	struct version version;
	void (*error_destroy)(struct error_destroy_args *);
	void *others[19];
	void *(*compile)(struct compile_args *);
	void *more[19];
	void *(*executable_destroy)(struct executable_destroy_args *);
	void *and_more[8];
	void *(*serialise)(struct serialise_args *);
	void *loaded_destroy;
	void *(*get_executable)(struct get_executable_args *);
	void *and_yet_more[4];
	void *(*deserialise)(struct deserialise_args *);
	// and more
};

static const struct pjrt *plugin;

// In Go.
void *palimpsestCompile(struct compile_args *args);

// Says whether there was an error, and forgets it: whatever fails here, the plugin compiles instead.
static int failed(void *error) {
	if (!error) return 0;
	struct error_destroy_args d = {sizeof d, NULL, error};
	plugin->error_destroy(&d);
	return 1;
}

void *compile(struct compile_args *args) { return plugin->compile(args); }

int serialise(void *loaded, struct serialised *out) {
	struct get_executable_args g = {sizeof g, NULL, loaded, NULL};
	if (failed(plugin->get_executable(&g))) return 0;
	struct serialise_args s = {sizeof s, NULL, g.executable, NULL, 0, NULL, NULL};
	int done = !failed(plugin->serialise(&s));
	struct executable_destroy_args d = {sizeof d, NULL, g.executable};
	failed(plugin->executable_destroy(&d));
	if (done) *out = (struct serialised){s.data, s.data_size, s.owner, s.release};
	return done;
}

void release(struct serialised *s) { s->release(s->owner); }

void *deserialise(void *client, const void *data, size_t size) {
	struct deserialise_args a = {sizeof a, NULL, client, data, size, NULL, NULL, 0};
	return failed(plugin->deserialise(&a)) ? NULL : a.loaded;
}

void *wrap(const void *table, const char **error) {
	const struct pjrt *api = table;
	if (api->version.major != PJRT_MAJOR || api->size < sizeof *api) return *error = "the plugin has another version of PJRT", NULL;
	if (plugin && plugin != api) return *error = "this is a second plugin", NULL;
	struct pjrt *copy = malloc(api->size);
	if (!copy) return *error = "no memory", NULL;
	memcpy(copy, api, api->size);
	plugin = api;
	copy->compile = palimpsestCompile;
	return copy;
}

// The leaves that LLVM asks for the features of the host and its name (llvm/lib/TargetParser/Host.cpp), without what differs
// from core to core (which one it is, in leaf 1) and from moment to moment.
struct processor processor(void) {
	static const uint32_t leaves[][2] = {{0, 0}, {1, 0}, {7, 0}, {7, 1}, {7, 2}, {0xd, 1}, {0x14, 0}, {0x19, 0}, {0x1e, 1}, {0x24, 0},
		{0x80000001, 0}, {0x80000002, 0}, {0x80000003, 0}, {0x80000004, 0}, {0x80000008, 0}};
	struct processor p = {{0}};
	uint32_t *w = p.words;
	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++, w += 4) {
		__get_cpuid_count(leaves[i][0], leaves[i][1], &w[0], &w[1], &w[2], &w[3]);
		if (leaves[i][0] == 1) w[1] = 0;
		if (leaves[i][0] == 0xd) w[1] = w[2] = w[3] = 0; // the size of what is switched on, and for the kernel
	}
	if (p.words[4 * 1 + 2] & bit_OSXSAVE) __asm__("xgetbv" : "=a"(w[0]), "=d"(w[1]) : "c"(0)); // what the kernel keeps
	return p;
}
