// What plugin.c offers to Go.
#pragma once

// wrap_plugin registers this package's handlers with a plugin, given by its table of functions, and returns a copy of the
// table that compiles programs with their convolutions replaced; with NULL, *error says why not, for the caller to free.
void *wrap_plugin(void *table, char **error);

// What the processor has: the floats in a vector of the widest kernels, 0 without any.
int lanes(void);
