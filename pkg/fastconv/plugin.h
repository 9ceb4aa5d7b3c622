// What plugin.c offers to Go.
#pragma once

// load opens the plugin at path, registers this package's handlers with it and returns a copy of its table of functions
// that compiles programs with their convolutions replaced; with NULL, *error says why not, for the caller to free.
void *load(const char *path, char **error);

// What the processor has: the floats in a vector of the widest kernels, 0 without any.
int lanes(void);
