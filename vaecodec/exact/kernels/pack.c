/* Weights in the order in which a kernel reads them, once, when a model is loaded; and the proof that sums stay in 32 bits. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static int padded(int channels) {
    return (channels + VK_ALIGN - 1) / VK_ALIGN * VK_ALIGN;
}

static int32_t stored(const void *values, int bytes, ptrdiff_t at) {
    return bytes == 2 ? ((const int16_t *)values)[at] : ((const int32_t *)values)[at];
}

static int64_t magnitude(int64_t value) {
    return value < 0 ? -value : value;
}

/* Σ|W|·limit + |b| of one output; its weights lie side by side. */
static int64_t largest_sum(const vk_stored *s, ptrdiff_t output, int inputs, int32_t input_limit) {
    int64_t sum = 0;
    for (int i = 0; i < inputs; i++) {
        sum += magnitude(stored(s->weight, s->weight_bytes, output * inputs + i));
    }
    return sum * input_limit + magnitude(stored(s->bias, s->bias_bytes, output));
}

static int fits_16_bits(const vk_stored *s, ptrdiff_t count) {
    if (s->weight_bytes == 2) {
        return 1;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        const int32_t w = ((const int32_t *)s->weight)[i];
        if (w != (int16_t)w) {
            return 0;
        }
    }
    return 1;
}

/* [outputs][inputs] of one group to [panels][pairs][panel × 2]. With a panel of 4 outputs, a to d, and inputs 0, 1, 2, …:
 *
 *   interleaved   a0 a1 b0 b1 c0 c1 d0 d1 │ a2 a3 b2 b3 …      one multiply-add of pairs gives the sums of a, b, c and d
 *   apart         a0 b0 c0 d0 a1 b1 c1 d1 │ a2 b2 c2 d2 …
 *
 * Outputs and inputs beyond those of the layer have weights of 0. */
static void pack_matrix(vk_linear *layer, const vk_stored *s, int group) {
    const int panel = layer->kernel->panel;
    int16_t *to = layer->weight + (ptrdiff_t)group * layer->padded * layer->pairs * 2;
    for (int o = 0; o < layer->outputs; o++) {
        const ptrdiff_t from = ((ptrdiff_t)group * layer->outputs + o) * layer->inputs;
        int16_t *at = to + (ptrdiff_t)(o / panel) * layer->pairs * 2 * panel;
        const int first = layer->kernel->interleaved ? 2 * (o % panel) : o % panel;
        const int second = layer->kernel->interleaved ? first + 1 : panel + o % panel;
        for (int i = 0; i < layer->inputs; i++) {
            at[i / 2 * 2 * panel + (i % 2 ? second : first)] = (int16_t)stored(s->weight, s->weight_bytes, from + i);
        }
    }
}

void vk_free_linear(vk_linear *layer) {
    if (layer) {
        free(layer->weight);
        free(layer->wide);
        free(layer->bias);
        free(layer->shift);
        free(layer);
    }
}

vk_linear *vk_pack_linear(const vk_kernel *kernel, const vk_stored *s, int groups, int outputs, int inputs,
                          int32_t limit, int32_t input_limit, int leaky, int64_t *worst) {
    *worst = 0;
    for (ptrdiff_t o = 0; o < (ptrdiff_t)groups * outputs; o++) {
        const int64_t sum = largest_sum(s, o, inputs, input_limit);
        *worst = sum > *worst ? sum : *worst;
    }
    if (*worst > INT32_MAX) {
        return NULL;
    }
    vk_linear *layer = calloc(1, sizeof *layer);
    if (!layer) {
        return NULL;
    }
    *layer = (vk_linear){
        .kernel = kernel, .groups = groups, .outputs = outputs, .inputs = inputs, .padded = padded(outputs),
        .pairs = (inputs + 1) / 2, .limit = limit, .input_limit = input_limit, .leaky = leaky,
    };
    const size_t all = (size_t)groups * (size_t)layer->padded;
    layer->bias = calloc(all, sizeof *layer->bias);
    layer->shift = calloc(all, sizeof *layer->shift);
    const int narrow = fits_16_bits(s, (ptrdiff_t)groups * outputs * inputs);
    if (narrow) {
        layer->weight = calloc(all * (size_t)layer->pairs * 2, sizeof *layer->weight);
    } else {
        layer->wide = calloc(all * (size_t)inputs, sizeof *layer->wide);
    }
    if (!layer->bias || !layer->shift || (!layer->weight && !layer->wide)) {
        vk_free_linear(layer);
        return NULL;
    }
    for (int g = 0; g < groups; g++) {
        for (int o = 0; o < outputs; o++) {
            const ptrdiff_t from = (ptrdiff_t)g * outputs + o, to = (ptrdiff_t)g * layer->padded + o;
            layer->bias[to] = stored(s->bias, s->bias_bytes, from);
            layer->shift[to] = stored(s->shift, s->shift_bytes, from);
            for (int i = 0; !narrow && i < inputs; i++) {
                layer->wide[to * inputs + i] = stored(s->weight, s->weight_bytes, from * inputs + i);
            }
        }
        if (narrow) {
            pack_matrix(layer, s, g);
        }
    }
    return layer;
}

/* Which channel of its block the sum at place n belongs to. Interleaving two rows of int16 takes the lower half of every
 * chunk into one vector and the upper half into the other:
 *
 *   channels   0 1 2 3 4 5 6 7 │ 8 … 15       low half   0 1 2 3  8 9 10 11        high half   4 5 6 7  12 13 14 15
 */
static int channel_at(const vk_kernel *kernel, int n) {
    const int half = kernel->lanes / 2, part = kernel->chunk / 2;
    const int inside = n % half;
    return inside / part * kernel->chunk + (n >= half ? part : 0) + inside % part;
}

void vk_free_depthwise(vk_depthwise *layer) {
    if (layer) {
        free(layer->weight);
        free(layer->bias);
        free(layer->shift);
        free(layer);
    }
}

vk_depthwise *vk_pack_depthwise(const vk_kernel *kernel, const vk_stored *s, int channels, int side, int32_t limit,
                                int32_t input_limit, int64_t *worst) {
    *worst = 0;
    for (int c = 0; c < channels; c++) {
        const int64_t sum = largest_sum(s, c, side * side, input_limit);
        *worst = sum > *worst ? sum : *worst;
    }
    if (*worst > INT32_MAX || !fits_16_bits(s, (ptrdiff_t)channels * side * side)) {
        return NULL;
    }
    vk_depthwise *layer = calloc(1, sizeof *layer);
    if (!layer) {
        return NULL;
    }
    *layer = (vk_depthwise){
        .kernel = kernel, .channels = channels, .side = side, .padded = padded(channels), .limit = limit,
        .input_limit = input_limit,
    };
    const int pairs = (side + 1) / 2, lanes = kernel->lanes;
    const size_t all = (size_t)layer->padded;
    layer->weight = calloc(all * (size_t)(pairs * side * 2), sizeof *layer->weight);
    layer->bias = calloc(all, sizeof *layer->bias);
    layer->shift = calloc(all, sizeof *layer->shift);
    if (!layer->weight || !layer->bias || !layer->shift) {
        vk_free_depthwise(layer);
        return NULL;
    }
    for (int to = 0; to < layer->padded; to++) {
        const int n = to % lanes, c = to - n + channel_at(kernel, n);
        if (c >= channels) {
            continue;
        }
        layer->bias[to] = stored(s->bias, s->bias_bytes, c);
        layer->shift[to] = stored(s->shift, s->shift_bytes, c);
        for (int i = 0; i < side; i++) {
            for (int j = 0; j < side; j++) {
                int16_t *pair = layer->weight + ((ptrdiff_t)(to / lanes * pairs + i / 2) * side + j) * 2 * lanes;
                pair[kernel->interleaved ? 2 * n + i % 2 : i % 2 * lanes + n] =
                    (int16_t)stored(s->weight, s->weight_bytes, ((ptrdiff_t)c * side + i) * side + j);
            }
        }
    }
    return layer;
}
