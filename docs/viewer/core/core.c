/* What the page calls: the layers of vaecodec/exact/kernels over grids, what lies between them, and the coder.
 *
 *   pixels ──patches──► grid ──layers──► gain ──► v ──symbols──► push ──► words
 *   bytes ──pop──► symbols ──latents──► y16 ──scale──► grid ──layers──► samples
 *
 * The order of the layers is in src/codec.js. Sizes are the caller's care: a wrong one ends inside the memory of this module.
 * Numbers and names as in vaecodec/models/encoder_data.py and vaecodec/backends/native_encoder.py. */
#include <stdlib.h>
#include <string.h>

#include "coder.h"
#include "kernels.h"

#if defined(__wasm__)
#define PUBLIC(name) __attribute__((export_name(#name))) name
#else
#define PUBLIC(name) name
#endif

enum {
    PATCH = 8,
    CHANNELS = 3,
    MIDDLE = 128,
    V_PER_MEAN = 16,
    HYPER_LIMIT = 255,
    DEEP_SHIFT = 8,
};

uintptr_t heap_mark(void);
void heap_release(uintptr_t mark);

static int32_t clamp(int32_t value, int32_t limit) {
    return value > limit ? limit : value < -limit ? -limit : value;
}

static ptrdiff_t padded(int channels) {
    return (channels + VK_ALIGN - 1) / VK_ALIGN * VK_ALIGN;
}

/* --- Memory and weights ---------------------------------------------------------------------------------------------- */

void *PUBLIC(take)(size_t bytes) {
    return malloc(bytes);
}

void *PUBLIC(take_zeros)(size_t bytes) {
    return calloc(1, bytes);
}

uintptr_t PUBLIC(mark)(void) {
    return heap_mark();
}

void PUBLIC(give_back)(uintptr_t to) {
    heap_release(to);
}

/* Weights, biases and shifts: of int16 or int32, as *_bytes say. NULL: a sum may pass 2^31, or memory is out. */
vk_linear *PUBLIC(linear)(const void *weight, int weight_bytes, const void *bias, int bias_bytes, const void *shift,
                          int shift_bytes, int groups, int outputs, int inputs, int limit, int input_limit, int leaky) {
    const vk_stored stored = {weight, bias, shift, weight_bytes, bias_bytes, shift_bytes};
    int64_t worst;
    return vk_pack_linear(vk_find_kernel(NULL), &stored, groups, outputs, inputs, limit, input_limit, leaky, &worst);
}

vk_depthwise *PUBLIC(depthwise)(const void *weight, int weight_bytes, const void *bias, int bias_bytes, const void *shift,
                                int shift_bytes, int channels, int side, int limit, int input_limit) {
    const vk_stored stored = {weight, bias, shift, weight_bytes, bias_bytes, shift_bytes};
    int64_t worst;
    return vk_pack_depthwise(vk_find_kernel(NULL), &stored, channels, side, limit, input_limit, &worst);
}

coder_tables *PUBLIC(tables)(const int32_t *half_widths, const uint32_t *counts, int length) {
    return coder_make_tables(half_widths, counts, (size_t)length);
}

/* --- Grids ----------------------------------------------------------------------------------------------------------- */

vk_grid *PUBLIC(grid)(int rows, int columns, int channels, int border) {
    vk_grid *g = malloc(sizeof *g);
    if (!g) {
        return NULL;
    }
    *g = (vk_grid){NULL, rows, columns, border, padded(channels)};
    g->data = calloc((size_t)(rows + 2 * border) * (size_t)(columns + 2 * border), sizeof(int16_t) * (size_t)g->stride);
    return g->data ? g : NULL;
}

static int16_t *cell(const vk_grid *g, int row, int column) {
    return g->data + ((ptrdiff_t)(row + g->border) * (g->columns + 2 * g->border) + column + g->border) * g->stride;
}

int PUBLIC(block)(const vk_depthwise *depthwise, const vk_linear *expand, const vk_linear *project, vk_grid *x, vk_grid *y) {
    return vk_blocks(&(vk_residual){depthwise, expand, project}, 1, x, y, 1);
}

int PUBLIC(unfold)(const vk_linear *layer, const vk_grid *x, vk_grid *y, int side, const int32_t *factor, int shift,
                   const int32_t *offset, int limit) {
    const vk_after after = {factor, shift, offset, limit};
    return vk_unfold(layer, x, y, side, &after, 1);
}

int PUBLIC(fold)(const vk_linear *layer, const vk_grid *x, vk_grid *y, int limit) {
    const vk_after after = {NULL, 1, NULL, limit};
    return vk_fold(layer, x, y, 2, &after, 1);
}

/* --- Prior ----------------------------------------------------------------------------------------------------------- */

/* Symbols of z, [channels][rows][columns], to a grid of rows × columns. */
void PUBLIC(put_hyper)(const int32_t *z, int channels, vk_grid *g) {
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < g->rows; i++) {
            for (int j = 0; j < g->columns; j++, z++) {
                cell(g, i, j)[c] = (int16_t)clamp(*z, HYPER_LIMIT);
            }
        }
    }
}

/* The inverse; a symbol whose index is 0 is 0. */
void PUBLIC(hyper_symbols)(const vk_grid *g, int channels, const uint8_t *indices, int32_t *z) {
    for (int c = 0; c < channels; c++) {
        for (int i = 0; i < g->rows; i++) {
            for (int j = 0; j < g->columns; j++, z++, indices++) {
                *z = *indices ? cell(g, i, j)[c] : 0;
            }
        }
    }
}

int PUBLIC(enter)(const vk_linear *layer, const int32_t *planes, int height, int width, const int16_t *lookup, int reach,
                  vk_grid *f, int limit) {
    return vk_enter(layer, planes, height, width, lookup, reach, f, limit, 1);
}

int PUBLIC(leave)(const vk_linear *layer, const vk_grid *f, const int32_t *mean_factor, const int32_t *index_offset,
                  int32_t *mean, uint8_t *index, int height, int width) {
    return vk_leave(layer, f, mean_factor, index_offset, mean, index, height, width, 1);
}

/* Symbols of step k, [channels / 4][height][width], and their means to latents in sixteenths of a step: in place, for the next step,
 * and into y16, [height][width][channels]. */
void PUBLIC(latents)(int32_t *symbols, const int32_t *mean, int k, int height, int width, int channels, int32_t *y16) {
    vk_put_step(symbols, mean, k, height, width, channels, symbols, (vk_latents){.wide = y16}, 1);
}

/* --- Synthesis ------------------------------------------------------------------------------------------------------- */

void PUBLIC(scale)(int32_t *y16, const int32_t *factor, const int32_t *shift, int limit, vk_grid *x, int channels) {
    vk_scale_latents((vk_latents){.wide = y16}, factor, shift, limit, x, channels, 1);
}

/* A cell of x is a square of side × side samples. */
int PUBLIC(samples)(const vk_linear *layer, const vk_grid *x, int side, uint8_t *to) {
    return vk_samples(layer, x, to, NULL, side, 1);
}

/* Samples of 16 bits, 0..65535. */
int PUBLIC(deep_samples)(const vk_linear *layer, const vk_grid *x, int side, int32_t *to) {
    if (!vk_samples(layer, x, NULL, to, side, 1)) {
        return 0;
    }
    const ptrdiff_t count = (ptrdiff_t)side * side * CHANNELS * x->rows * x->columns;
    for (ptrdiff_t n = 0; n < count; n++) {
        int32_t t = to[n] + (MIDDLE << DEEP_SHIFT);
        t = t < 0 ? 0 : t > 255 << DEEP_SHIFT ? 255 << DEEP_SHIFT : t;
        to[n] = (t * 257 + (1 << (DEEP_SHIFT - 1))) >> DEEP_SHIFT;
    }
    return 1;
}

/* --- Analysis -------------------------------------------------------------------------------------------------------- */

/* Samples [8·rows][8·columns][3] to 32·(x − 128), a patch of 8 × 8 pixels in a cell. */
void PUBLIC(patches)(const uint8_t *rgb, vk_grid *g) {
    vk_patches(rgb, PATCH, CHANNELS, g, 1);
}

/* The cells top.., left.. of a grid to v, [height][width][channels], in 256ths of a step. */
void PUBLIC(gain)(const vk_grid *g, const int32_t *factor, const int32_t *shift, int top, int left, int height, int width,
                  int channels, int32_t *v) {
    vk_gain(g, top, left, factor, shift, v, height, width, channels, 1);
}

/* The table over sixteenths of a step, [2·reach + 1], as one over 256ths: [2·16·reach]. */
void PUBLIC(finer_lookup)(const int16_t *lookup, int reach, int16_t *finer) {
    for (int n = 0; n < 2 * reach; n++) {
        for (int rest = 0; rest < V_PER_MEAN; rest++) {
            *finer++ = (int16_t)(lookup[n] * (V_PER_MEAN - rest) + lookup[n + 1] * rest);
        }
    }
}

/* What the hyper analysis sees of v, edges repeated to the whole grid. */
void PUBLIC(seen)(const int32_t *v, int height, int width, int channels, const int16_t *finer, int reach, vk_grid *g) {
    vk_seen(v, height, width, channels, finer, reach * V_PER_MEAN, g, 1);
}

/* What step k codes, rounded: [channels / 4][height][width]. zone: [64] by table index, or NULL for plain rounding. */
void PUBLIC(round_step)(const int32_t *v, const int32_t *mean, const uint8_t *index, const int32_t *zone, int k, int height,
                        int width, int channels, int32_t *symbols) {
    vk_round_step(v, mean, index, zone, k, height, width, channels, symbols, 1);
}

/* --- Coder ----------------------------------------------------------------------------------------------------------- */

coder_decoder *PUBLIC(open_stream)(const uint8_t *bytes, int length) {
    return coder_open(bytes, (size_t)length);
}

/* 0: damaged; -1: no memory. */
int PUBLIC(pop)(coder_decoder *decoder, const coder_tables *all, const uint8_t *indices, int count, int32_t *symbols) {
    return coder_pop(decoder, all, indices, (size_t)count, symbols);
}

int PUBLIC(used_up)(const coder_decoder *decoder) {
    return coder_used_up(decoder);
}

/* A stream of at most so many words. */
coder_encoder *PUBLIC(begin_stream)(int room) {
    return coder_begin((size_t)room);
}

int PUBLIC(push)(coder_encoder *encoder, const coder_tables *all, const int32_t *symbols, const uint8_t *indices, int count) {
    return coder_push(encoder, all, symbols, indices, (size_t)count);
}

/* Ends the stream: how many words it has, or -1; they lie where stream_words says. */
int PUBLIC(finish_stream)(coder_encoder *encoder) {
    return (int)coder_finish(encoder);
}

const uint32_t *PUBLIC(stream_words)(const coder_encoder *encoder) {
    return coder_words(encoder);
}
