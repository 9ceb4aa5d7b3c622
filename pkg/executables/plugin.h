// What plugin.c offers to Go, and PJRT's structures that Go reads, as go-xla's pjrt_c_api.h lays them out.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct program { size_t size; void *extensions; char *code; size_t code_size; const char *format; size_t format_size; };
struct compile_args {
	size_t size;
	void *extensions, *client;
	const struct program *program;
	const char *options;
	size_t options_size;
	void *executable; // out
};

// wrap returns a copy of a plugin's table of functions that compiles by Go's palimpsestCompile; with NULL, *error says why not.
void *wrap(const void *table, const char **error);

// The plugin's own compilation.
void *compile(struct compile_args *args);

// serialise gives the bytes of a loaded executable, which live until they are released; 0 where the plugin has none.
struct serialised { const void *data; size_t size; void *owner; void (*release)(void *); };
int serialise(void *loaded, struct serialised *out);
void release(struct serialised *s);

// deserialise loads an executable for a client; NULL where the plugin refuses.
void *deserialise(void *client, const void *data, size_t size);

// processor describes the processor as CPUID does, as far as compilers ask.
struct processor { uint32_t words[64]; };
struct processor processor(void);
