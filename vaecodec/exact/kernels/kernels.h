/* The exact layers in C: int16 activations and weights, int32 sums; what every part of the core shares.
 *
 *   module*.c ─ checks sizes ──► network.c ── bands of cells ──► portable.c, avx2.c, avx512vnni.c, neon.c, wasm.c
 *      │                   └──► latents.c │                        (one microkernel, microkernel.h)
 *      └── weights ──► pack.c       └──────┴──► threads.c
 *
 * A layer computes clamp(act(floor((W·x + b) · 2^-s))), as vaecodec/exact/layers.py says. pack.c proves that no sum of a
 * layer reaches 2^31 as long as its inputs keep to the limit that the layer names. Should they not, sums wrap around: the
 * same in every kernel, and never undefined.
 *
 * Right shifts of negative numbers are taken to be arithmetic, conversions to int32_t to wrap around, as every compiler
 * that this is built with has it.
 */
#ifndef VAECODEC_KERNELS_H
#define VAECODEC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    VK_BAND = 96,         /* cells that go through a layer together: their features stay in the second-level cache */
    VK_ALIGN = 32,        /* channels are padded to a multiple of this: whole vectors of the widest kernel */
    VK_LEAK_SHIFT = 3,    /* the leaky ReLU is max(t, floor(t / 2^3)) */
    VK_MAX_SHIFT = 30,
    VK_MAX_LIMIT = 32767, /* of what int16 holds */
    VK_MAX_KERNEL = 9,    /* side of depthwise kernels */
    VK_MAX_CHANNELS = 1 << 16,
};

typedef struct vk_kernel vk_kernel;

/* A linear layer, one matrix or one for each position of a 2×2 cell. */
typedef struct {
    const vk_kernel *kernel;
    int groups, outputs, inputs;
    int padded;      /* outputs, to a multiple of VK_ALIGN */
    int pairs;       /* of inputs, rounded up */
    int32_t limit, input_limit;
    int leaky;
    int16_t *weight; /* [groups][padded / panel][pairs][panel × 2], see pack.c; NULL where 16 bits do not hold the weights */
    int32_t *wide;   /* [groups][padded][inputs], then */
    int32_t *bias;   /* [groups][padded] */
    int32_t *shift;  /* [groups][padded] */
} vk_linear;

/* A depthwise convolution. */
typedef struct {
    const vk_kernel *kernel;
    int channels, side;
    int padded;      /* channels, to a multiple of VK_ALIGN */
    int32_t limit, input_limit;
    int16_t *weight; /* [padded / lanes][(side + 1) / 2][side][lanes × 2], see pack.c */
    int32_t *bias;   /* [padded], in the order of the kernel's sums */
    int32_t *shift;  /* [padded], likewise */
} vk_depthwise;

/* What one instruction set computes. Pointers need no alignment. */
struct vk_kernel {
    const char *name;
    int (*supported)(void);
    int panel;       /* outputs of a linear layer that are computed together */
    int lanes;       /* channels of a depthwise layer that are computed together */
    int interleaved; /* whether the two inputs of a pair lie side by side, as multiply-add of pairs takes them */
    int chunk;       /* channels after which the order of a depthwise layer's sums repeats, see pack.c */

    /* rows × [inputs] at x, rows apart by ldx, to rows × [padded] at y. rows: a multiple of VK_ROWS. x holds an even
     * number of inputs. One of y16 and y32 is NULL. */
    void (*linear)(const vk_linear *layer, int group, int rows, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                   int32_t *y32, ptrdiff_t ldy);

    /* count cells side by side. x: the upper left corner of the first one's window; cells of x are apart by ldx, its rows
     * by row; cells of y by ldy. */
    void (*depthwise)(const vk_depthwise *layer, int count, const int16_t *x, ptrdiff_t ldx, ptrdiff_t row, int16_t *y,
                      ptrdiff_t ldy);

    /* y = clamp(x + change, limit), count values, a multiple of VK_ALIGN; limit: 1 to VK_MAX_LIMIT. */
    void (*add)(const int16_t *x, const int16_t *change, int32_t limit, int16_t *y, ptrdiff_t count);
};

enum { VK_ROWS = 12 }; /* every kernel's tile of rows divides it, and it divides VK_BAND */

/* portable.c: also what computes layers whose weights need more than 16 bits. */
void vk_wide_linear(const vk_linear *layer, int group, int rows, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                    int32_t *y32, ptrdiff_t ldy);

/* dispatch.c */
const vk_kernel *vk_find_kernel(const char *name); /* NULL: none of this name here; name NULL: the fastest */
const vk_kernel *vk_kernel_at(int number);         /* NULL after the last */

/* pack.c. They return NULL without memory, or where a sum can reach 2^31, which *worst then says. */
typedef struct {
    const void *weight, *bias, *shift; /* integers as wide as the next line says */
    int weight_bytes, bias_bytes, shift_bytes;
} vk_stored;

vk_linear *vk_pack_linear(const vk_kernel *kernel, const vk_stored *stored, int groups, int outputs, int inputs,
                          int32_t limit, int32_t input_limit, int leaky, int64_t *worst);
vk_depthwise *vk_pack_depthwise(const vk_kernel *kernel, const vk_stored *stored, int channels, int side, int32_t limit,
                                int32_t input_limit, int64_t *worst);
void vk_free_linear(vk_linear *layer);
void vk_free_depthwise(vk_depthwise *layer);

/* threads.c: calls work(job, worker, item) for every item in 0..items-1; worker is in 0..threads-1, and no two calls with
 * the same worker run at the same time. */
void vk_parallel(int threads, int items, void (*work)(void *job, int worker, int item), void *job);

/* The same for stages one after the other, of as many items each: item = stage · items + number. An item needs those of earlier stages
 * whose number is at most `apart` away for each stage between, and no others: workers need not wait for each other at every stage. */
void vk_parallel_stages(int threads, int stages, int items, int apart, void (*work)(void *job, int worker, int item), void *job);

/* network.c. A grid is [rows + 2·border][columns + 2·border][stride] with zeros in the border; stride is the number of
 * channels, to a multiple of VK_ALIGN, and what is beyond the channels is 0 as well. Functions return 0 without memory. */
typedef struct {
    int16_t *data;
    int rows, columns, border;
    ptrdiff_t stride;
} vk_grid;

/* A residual block. */
typedef struct {
    const vk_depthwise *depthwise;
    const vk_linear *expand, *project;
} vk_residual;

/* Blocks one after the other, from x to y, to x and so on: the last one writes y where their count is odd, else x. */
int vk_blocks(const vk_residual *blocks, int count, vk_grid *x, vk_grid *y, int threads);

/* What follows a linear layer whose outputs go to a grid: clamp(((t·factor + 2^(shift-1)) >> shift) + offset). */
typedef struct {
    const int32_t *factor; /* [channels] or NULL */
    int shift;             /* 1..30 */
    const int32_t *offset; /* [channels] or NULL */
    int32_t limit;
} vk_after;

int vk_unfold(const vk_linear *layer, const vk_grid *x, vk_grid *y, int side, const vk_after *after, int threads);
int vk_fold(const vk_linear *layer, const vk_grid *x, vk_grid *y, int side, const vk_after *after, int threads);
int vk_samples(const vk_linear *layer, const vk_grid *x, uint8_t *samples, int32_t *raw, int side, int threads);

int vk_enter(const vk_linear *layer, const int32_t *planes, int height, int width, const int16_t *lookup, int reach,
             vk_grid *f, int32_t limit, int threads);
int vk_leave(const vk_linear *layer, const vk_grid *f, const int32_t *mean_factor, const int32_t *index_offset,
             int32_t *mean, uint8_t *index, int height, int width, int threads);

/* Latents in sixteenths of a step, int32, or int16 clamped to ±32767; the other pointer is NULL. */
typedef struct {
    int32_t *wide;
    int16_t *clamped;
} vk_latents;

/* latents.c, which says what each does. */
void vk_patches(const uint8_t *samples, int side, int channels, vk_grid *x, int threads);
void vk_gain(const vk_grid *x, int top, int left, const int32_t *factor, const int32_t *shift, int32_t *v, int height,
             int width, int channels, int threads);
void vk_seen(const int32_t *v, int height, int width, int channels, const int16_t *lookup, int reach, vk_grid *x,
             int threads);
void vk_round_step(const int32_t *v, const int32_t *mean, const uint8_t *index, const int32_t *zone, int k, int height,
                   int width, int channels, int32_t *symbols, int threads);
void vk_put_step(const int32_t *symbols, const int32_t *mean, int k, int height, int width, int channels, int32_t *planes,
                 vk_latents y16, int threads);
void vk_scale_latents(vk_latents y16, const int32_t *factor, const int32_t *shift, int32_t limit, vk_grid *x,
                      int channels, int threads);

#endif
