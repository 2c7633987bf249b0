/* The few functions of a C library that the core needs, for WebAssembly without one.
 *
 * Memory is a stack that grows: weights lie at its bottom for ever, and what a task takes is given back at its end, all at once, by
 * heap_release. free gives back the block on top and otherwise nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, PAGE = 65536 };

extern unsigned char __heap_base;

static uintptr_t top;

uintptr_t heap_mark(void) {
    if (!top) {
        top = ((uintptr_t)&__heap_base + ALIGN - 1) / ALIGN * ALIGN;
    }
    return top;
}

void heap_release(uintptr_t mark) {
    top = mark;
}

void *malloc(size_t bytes) {
    const uintptr_t start = heap_mark();
    const size_t room = ~(size_t)0 - start;
    if (bytes > room - 2 * ALIGN - PAGE) {
        return NULL;
    }
    const uintptr_t end = start + ALIGN + (bytes + ALIGN - 1) / ALIGN * ALIGN;
    const uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (size_t)-1) {
        return NULL;
    }
    top = end;
    /* Where the block ends, for free. */
    *(uintptr_t *)start = end;
    return (void *)(start + ALIGN);
}

void *calloc(size_t count, size_t bytes) {
    if (bytes && count > ~(size_t)0 / bytes) {
        return NULL;
    }
    void *block = malloc(count * bytes);
    return block ? memset(block, 0, count * bytes) : NULL;
}

void free(void *block) {
    const uintptr_t start = (uintptr_t)block - ALIGN;
    if (block && *(uintptr_t *)start == top) {
        top = start;
    }
}

/* Nothing grows here: streams are given all their room. */
void *realloc(void *block, size_t bytes) {
    (void)block;
    (void)bytes;
    return NULL;
}

/* Both are one instruction of WebAssembly: the compiler puts it in place of the builtins. */
void *memcpy(void *to, const void *from, size_t bytes) {
    return __builtin_memcpy(to, from, bytes);
}

void *memset(void *to, int value, size_t bytes) {
    return __builtin_memset(to, value, bytes);
}

int strcmp(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}
