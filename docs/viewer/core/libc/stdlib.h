/* What kernels and coder need of <stdlib.h>; libc.c has it. */
#ifndef VIEWER_STDLIB_H
#define VIEWER_STDLIB_H

#include <stddef.h>

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void *realloc(void *block, size_t bytes);
void free(void *block);

#endif
