/* What the kernels need of <string.h>; libc.c has it. */
#ifndef VIEWER_STRING_H
#define VIEWER_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int strcmp(const char *a, const char *b);

#endif
