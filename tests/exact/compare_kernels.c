/* Compares every kernel that was compiled in with portable C, on random layers and grids; for processors that the tests in Python do
 * not run on:
 *
 *   aarch64-linux-gnu-gcc -std=c11 -O2 -static -pthread -Ivaecodec/exact/kernels tests/exact/compare_kernels.c \
 *       $(ls vaecodec/exact/kernels/[a-z]*.c | grep -v module) -o /tmp/compare && qemu-aarch64 /tmp/compare
 *
 *   clang --target=wasm32-wasi --sysroot=/usr -I/usr/include/wasm32-wasi -L/usr/lib/wasm32-wasi -msimd128 -O2 -std=c11 (the rest as above)
 *
 * and the result under node's WASI. Prints the kernels and exits with 1 where one differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { ROUNDS = 300 };

static uint64_t state = 20261126;

static uint32_t number(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static int between(int low, int high) {
    return low + (int)(number() % (uint32_t)(high - low + 1));
}

static void *filled(size_t count, int bytes, int low, int high) {
    int16_t *narrow = malloc(count * (size_t)bytes + 1);
    int32_t *wide = (int32_t *)narrow;
    for (size_t i = 0; i < count; i++) {
        const int value = number() % 8 ? between(low, high) : number() % 2 ? low : high;
        if (bytes == 2) {
            narrow[i] = (int16_t)value;
        } else {
            wide[i] = value;
        }
    }
    return narrow;
}

static vk_linear *linear_with(const vk_kernel *kernel, int groups, int outputs, int inputs, int limit, int leaky, uint64_t seed) {
    state = seed;
    const size_t all = (size_t)(groups * outputs);
    const vk_stored stored = {filled(all * (size_t)inputs, 4, -30000, 30000), filled(all, 4, -50000000, 50000000), filled(all, 4, 0, 30), 4, 4, 4};
    int64_t worst;
    vk_linear *layer = vk_pack_linear(kernel, &stored, groups, outputs, inputs, limit, 500, leaky, &worst);
    free((void *)stored.weight);
    free((void *)stored.bias);
    free((void *)stored.shift);
    return layer;
}

static vk_depthwise *depthwise_with(const vk_kernel *kernel, int channels, int side, uint64_t seed) {
    state = seed;
    const vk_stored stored = {filled((size_t)(channels * side * side), 4, -9000, 9000), filled((size_t)channels, 4, -9000000, 9000000), filled((size_t)channels, 4, 0, 30), 4, 4, 4};
    int64_t worst;
    vk_depthwise *layer = vk_pack_depthwise(kernel, &stored, channels, side, 500, 500, &worst);
    free((void *)stored.weight);
    free((void *)stored.bias);
    free((void *)stored.shift);
    return layer;
}

static vk_grid grid_of(int rows, int columns, int channels, int border, int limit) {
    vk_grid g = {NULL, rows, columns, border, (channels + VK_ALIGN - 1) / VK_ALIGN * VK_ALIGN};
    g.data = calloc((size_t)(rows + 2 * border) * (size_t)(columns + 2 * border) * (size_t)g.stride, sizeof *g.data);
    for (int r = 0; limit && r < rows; r++) {
        for (int c = 0; c < columns; c++) {
            int16_t *cell = g.data + ((ptrdiff_t)(r + border) * (columns + 2 * border) + c + border) * g.stride;
            for (int n = 0; n < channels; n++) {
                cell[n] = (int16_t)between(-limit, limit);
            }
        }
    }
    return g;
}

static size_t bytes_of(const vk_grid *g) {
    return sizeof(int16_t) * (size_t)(g->rows + 2 * g->border) * (size_t)(g->columns + 2 * g->border) * (size_t)g->stride;
}

/* All results of one round, one after the other. */
static size_t results_of(const vk_kernel *kernel, uint64_t seed, char *results) {
    state = seed;
    const int channels = between(1, 80), hidden = between(1, 90), rows = 2 * between(1, 8), columns = 2 * between(1, 9);
    const int side = 2 * between(0, 4) + 1, threads = between(1, 3), group = between(1, 30);
    const int height = between(1, rows), width = between(1, columns);
    size_t at = 0;

    state = seed + 1;
    vk_grid x = grid_of(rows, columns, channels, 4, 500), y = grid_of(rows, columns, channels, 4, 0);
    vk_depthwise *depthwise = depthwise_with(kernel, channels, side, seed + 2);
    vk_linear *expand = linear_with(kernel, 1, hidden, channels, 500, 1, seed + 3), *project = linear_with(kernel, 1, channels, hidden, 500, 0, seed + 4);
    const vk_residual block = {depthwise, expand, project}, blocks[] = {block, block, block};
    if (!vk_blocks(blocks, 3, &x, &y, threads)) {
        abort();
    }
    memcpy(results + at, y.data, bytes_of(&y));
    at += bytes_of(&y);

    vk_linear *patches = linear_with(kernel, 1, 3 * 16, channels, 500 << 8, 0, seed + 5);
    int32_t *raw = malloc(sizeof *raw * 48 * (size_t)(rows * columns));
    if (!vk_samples(patches, &y, NULL, raw, 4, threads)) {
        abort();
    }
    memcpy(results + at, raw, sizeof *raw * 48 * (size_t)(rows * columns));
    at += sizeof *raw * 48 * (size_t)(rows * columns);

    vk_linear *leave = linear_with(kernel, 4, 2 * group, channels, 1023, 0, seed + 6), *enter = linear_with(kernel, 4, channels, group, 2047, 0, seed + 7);
    state = seed + 8;
    int32_t *factor = filled((size_t)(4 * group), 4, 0, (1 << 20) - 1), *offset = filled((size_t)(4 * group), 4, -4095, 4095);
    int16_t *lookup = filled(2 * 999 + 1, 2, -500, 500);
    const size_t cells = (size_t)(group * height * width);
    int32_t *planes = filled(cells, 4, -3000, 3000), *mean = calloc(cells, sizeof *mean);
    uint8_t *index = calloc(cells, 1);
    if (!vk_enter(enter, planes, height, width, lookup, 999, &y, 2047, threads) ||
        !vk_leave(leave, &y, factor, offset, mean, index, height, width, threads)) {
        abort();
    }
    memcpy(results + at, mean, sizeof *mean * cells);
    at += sizeof *mean * cells;
    memcpy(results + at, index, cells);
    at += cells;

    free(x.data), free(y.data), free(raw), free(factor), free(offset), free(lookup), free(planes), free(mean), free(index);
    vk_free_depthwise(depthwise);
    vk_free_linear(expand), vk_free_linear(project), vk_free_linear(patches), vk_free_linear(leave), vk_free_linear(enter);
    return at;
}

int main(void) {
    const vk_kernel *portable = vk_find_kernel("portable"), *kernel;
    char *expected = malloc(1 << 24), *found = malloc(1 << 24);
    int failed = 0;
    for (int i = 0; (kernel = vk_kernel_at(i)); i++) {
        int different = 0;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            const size_t size = results_of(portable, 1000 * round, expected);
            different += results_of(kernel, 1000 * round, found) != size || memcmp(expected, found, size) != 0;
        }
        printf("%s: %d of %d rounds differ from portable\n", kernel->name, different, ROUNDS);
        failed |= different;
    }
    free(expected), free(found);
    return failed != 0;
}
