/* Plain C: for processors without a kernel of their own, and what the other kernels are compared with.
 *
 * Sums are unsigned, so that they wrap around where the bound is broken, as vectors do. */
#include "kernels.h"

enum { PANEL = 16, LANES = 32 };

static int32_t finish(uint32_t sum, int32_t shift, int leaky, int32_t limit) {
    int32_t t = (int32_t)sum >> shift;
    if (leaky && t < t >> VK_LEAK_SHIFT) {
        t >>= VK_LEAK_SHIFT;
    }
    return t > limit ? limit : t < -limit ? -limit : t;
}

static uint32_t product(int16_t a, int16_t b) {
    return (uint32_t)((int32_t)a * b);
}

static void linear(const vk_linear *layer, int group, int rows, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                   int32_t *y32, ptrdiff_t ldy) {
    const int16_t *panel = layer->weight + (ptrdiff_t)group * layer->padded * layer->pairs * 2;
    for (int o = 0; o < layer->padded; o += PANEL, panel += (ptrdiff_t)layer->pairs * 2 * PANEL) {
        const int32_t *bias = layer->bias + (ptrdiff_t)group * layer->padded + o;
        const int32_t *shift = layer->shift + (ptrdiff_t)group * layer->padded + o;
        for (int r = 0; r < rows; r++) {
            uint32_t sums[PANEL];
            for (int i = 0; i < PANEL; i++) {
                sums[i] = (uint32_t)bias[i];
            }
            const int16_t *from = x + r * ldx, *w = panel;
            for (int p = 0; p < layer->pairs; p++, from += 2, w += 2 * PANEL) {
                for (int i = 0; i < PANEL; i++) {
                    sums[i] += product(w[i], from[0]) + product(w[PANEL + i], from[1]);
                }
            }
            for (int i = 0; i < PANEL; i++) {
                const int32_t t = finish(sums[i], shift[i], layer->leaky, layer->limit);
                if (y16) {
                    y16[r * ldy + o + i] = (int16_t)t;
                } else {
                    y32[r * ldy + o + i] = t;
                }
            }
        }
    }
}

void vk_wide_linear(const vk_linear *layer, int group, int rows, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                    int32_t *y32, ptrdiff_t ldy) {
    for (int o = 0; o < layer->padded; o++) {
        const ptrdiff_t at = (ptrdiff_t)group * layer->padded + o;
        const int32_t *w = layer->wide + at * layer->inputs;
        for (int r = 0; r < rows; r++) {
            uint32_t sum = (uint32_t)layer->bias[at];
            for (int i = 0; i < layer->inputs; i++) {
                sum += (uint32_t)w[i] * (uint32_t)(int32_t)x[r * ldx + i];
            }
            const int32_t t = finish(sum, layer->shift[at], layer->leaky, layer->limit);
            if (y16) {
                y16[r * ldy + o] = (int16_t)t;
            } else {
                y32[r * ldy + o] = t;
            }
        }
    }
}

static void depthwise(const vk_depthwise *layer, int count, const int16_t *x, ptrdiff_t ldx, ptrdiff_t row, int16_t *y,
                      ptrdiff_t ldy) {
    const int side = layer->side;
    const int16_t *weight = layer->weight;
    for (int c = 0; c < layer->padded; c += LANES, weight += (ptrdiff_t)(side + 1) / 2 * side * 2 * LANES) {
        for (int i = 0; i < count; i++) {
            uint32_t sums[LANES];
            for (int n = 0; n < LANES; n++) {
                sums[n] = (uint32_t)layer->bias[c + n];
            }
            for (int r = 0; r < side; r++) {
                for (int j = 0; j < side; j++) {
                    const int16_t *w = weight + ((r / 2 * side + j) * 2 + r % 2) * LANES;
                    const int16_t *from = x + r * row + (i + j) * ldx + c;
                    for (int n = 0; n < LANES; n++) {
                        sums[n] += product(w[n], from[n]);
                    }
                }
            }
            for (int n = 0; n < LANES; n++) {
                y[i * ldy + c + n] = (int16_t)finish(sums[n], layer->shift[c + n], 0, layer->limit);
            }
        }
    }
}

static void add(const int16_t *x, const int16_t *change, int32_t limit, int16_t *y, ptrdiff_t count) {
    for (ptrdiff_t n = 0; n < count; n++) {
        const int32_t t = (int32_t)x[n] + change[n];
        y[n] = (int16_t)(t > limit ? limit : t < -limit ? -limit : t);
    }
}

static int supported(void) {
    return 1;
}

const vk_kernel vk_portable = {"portable", supported, PANEL, LANES, 0, LANES, linear, depthwise, add};
