/* The microkernel, written once: a file for an instruction set defines its vectors and includes this.
 *
 * Linear. A tile of ROWS cells × PANEL outputs stays in registers while the inputs go by, two at a time:
 *
 *                 PANEL outputs of one pair of inputs, PANEL·2 weights, from memory in order
 *                 ┌──────────┬──────────┐
 *                 │ vector 0 │ vector 1 │ …
 *                 └──────────┴──────────┘
 *   cell 0  x x ──► sums       sums         vk_dot: sums[o] += W[o][2p]·x[2p] + W[o][2p+1]·x[2p+1]
 *   cell 1  x x ──► sums       sums         (one instruction with VNNI, a multiply-add and an add with AVX2)
 *     ⋮      │
 *            └ a pair of inputs of one cell, spread over a whole vector
 *
 * Per pair: VECTORS loads of weights, ROWS loads that spread, ROWS·VECTORS products of pairs. Sums start at the bias, so that
 * shift, leaky ReLU and clamp are all that is left to do before a tile is stored.
 *
 * Depthwise. Rows of a window are taken two by two. The same channel of two rows side by side makes a pair, so the same vk_dot
 * serves, and a pair once made serves all cells of a strip that see it, each with the weights of another column:
 *
 *   row 2p    ▢ ▢ ▢ ▢ ▢ ▢ ▢ ▢      a strip of STRIP = 4 cells and a 5×5 kernel: 8 columns, 3 pairs of rows
 *   row 2p+1  ▢ ▢ ▢ ▢ ▢ ▢ ▢ ▢      (the last row of an odd side is paired with weights of 0)
 *
 * Adding. The sum of two int16 saturates where it does not fit, which the clamp that follows does anyway.
 *
 * To define: vk_ints (NV sums), vk_weights, vk_pair, ROWS, VECTORS, LANES, VK_TARGET, and the functions used below.
 */

#define PANEL (VECTORS * NV)

VK_TARGET static inline vk_ints vk_finish(vk_ints t, const int32_t *shift, int leaky, vk_ints low, vk_ints high) {
    t = vk_shift_right(t, vk_load(shift));
    if (leaky) {
        t = vk_max(t, vk_shift_right_by_leak(t));
    }
    return vk_max(vk_min(t, high), low);
}

VK_TARGET static void linear_tile(const int16_t *x, ptrdiff_t ldx, const int16_t *weight, const vk_linear *layer,
                                  ptrdiff_t at, int16_t *y16, int32_t *y32, ptrdiff_t ldy) {
    vk_ints sums[ROWS][VECTORS];
    VK_UNROLL for (int r = 0; r < ROWS; r++) {
        VK_UNROLL for (int v = 0; v < VECTORS; v++) {
            sums[r][v] = vk_load(layer->bias + at + v * NV);
        }
    }
    /* Three rows from one pointer: few enough pointers to stay in registers. */
    const int16_t *from[(ROWS + 2) / 3];
    VK_UNROLL for (int r = 0; r < (ROWS + 2) / 3; r++) {
        from[r] = x + 3 * r * ldx;
    }
    for (int p = 0; p < layer->pairs; p++) {
        vk_weights w[VECTORS];
        VK_UNROLL for (int v = 0; v < VECTORS; v++) {
            w[v] = vk_load_weights(weight, v);
        }
        VK_UNROLL for (int r = 0; r < ROWS; r++) {
            vk_pair pair = vk_spread(from[r / 3] + (r % 3) * ldx);
            VK_UNROLL for (int v = 0; v < VECTORS; v++) {
                sums[r][v] = vk_dot(sums[r][v], w[v], pair);
            }
        }
        weight += 2 * PANEL;
        VK_UNROLL for (int r = 0; r < (ROWS + 2) / 3; r++) {
            from[r] += 2;
        }
    }
    /* A copy in memory, for a loop of its own: indexed by it, the sums would not stay in registers above. */
    vk_ints done[ROWS][VECTORS];
    VK_UNROLL for (int r = 0; r < ROWS; r++) {
        VK_UNROLL for (int v = 0; v < VECTORS; v++) {
            done[r][v] = sums[r][v];
        }
    }
    const vk_ints high = vk_fill(layer->limit), low = vk_fill(-layer->limit);
    for (int r = 0; r < ROWS; r++) {
        for (int v = 0; v < VECTORS; v += 2) {
            vk_ints a = vk_finish(done[r][v], layer->shift + at + v * NV, layer->leaky, low, high);
            vk_ints b = vk_finish(done[r][v + 1], layer->shift + at + (v + 1) * NV, layer->leaky, low, high);
            if (y16) {
                vk_store_narrow(y16 + r * ldy + v * NV, a, b);
            } else {
                vk_store(y32 + r * ldy + v * NV, a);
                vk_store(y32 + r * ldy + (v + 1) * NV, b);
            }
        }
    }
}

VK_TARGET static void linear(const vk_linear *layer, int group, int rows, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                             int32_t *y32, ptrdiff_t ldy) {
    const ptrdiff_t panel = (ptrdiff_t)layer->pairs * 2 * PANEL;
    const int16_t *weight = layer->weight + group * (layer->padded / PANEL) * panel;
    for (int o = 0; o < layer->padded; o += PANEL, weight += panel) {
        for (int r = 0; r < rows; r += ROWS) {
            linear_tile(x + r * ldx, ldx, weight, layer, (ptrdiff_t)group * layer->padded + o,
                        y16 ? y16 + r * ldy + o : NULL, y32 ? y32 + r * ldy + o : NULL, ldy);
        }
    }
}

enum { STRIP = 4 };

/* count and side are constants wherever this is called with them, and the loops over them unroll. */
VK_TARGET static inline void depthwise_strip(const int count, const int side, const int16_t *x, ptrdiff_t ldx,
                                             ptrdiff_t row, const int16_t *weight, const vk_depthwise *layer, int channel,
                                             int16_t *y, ptrdiff_t ldy) {
    vk_ints low_half[STRIP], high_half[STRIP];
    const int32_t *bias = layer->bias + channel, *shift = layer->shift + channel;
    VK_UNROLL for (int i = 0; i < count; i++) {
        low_half[i] = vk_load(bias);
        high_half[i] = vk_load(bias + NV);
    }
    for (int p = 0; p < (side + 1) / 2; p++) {
        const int16_t *above = x + 2 * p * row, *below = 2 * p + 1 < side ? above + row : above;
        VK_UNROLL for (int j = 0; j < side + count - 1; j++) {
            const vk_two_rows two = vk_two_rows_of(above + j * ldx, below + j * ldx);
            VK_UNROLL for (int i = 0; i < count; i++) {
                if (j - i >= 0 && j - i < side) {
                    const int16_t *w = weight + (j - i) * 2 * LANES;
                    low_half[i] = vk_dot_low(low_half[i], two, w);
                    high_half[i] = vk_dot_high(high_half[i], two, w);
                }
            }
        }
        weight += side * 2 * LANES;
    }
    const vk_ints high = vk_fill(layer->limit), low = vk_fill(-layer->limit);
    VK_UNROLL for (int i = 0; i < count; i++) {
        vk_store_halves(y + i * ldy, vk_finish(low_half[i], shift, 0, low, high),
                        vk_finish(high_half[i], shift + NV, 0, low, high));
    }
}

VK_TARGET static void depthwise_lanes(const int side, int count, const int16_t *x, ptrdiff_t ldx, ptrdiff_t row,
                                      const int16_t *weight, const vk_depthwise *layer, int channel, int16_t *y,
                                      ptrdiff_t ldy) {
    int i = 0;
    if (side == 5) {
        for (; i + STRIP <= count; i += STRIP) {
            depthwise_strip(STRIP, 5, x + i * ldx, ldx, row, weight, layer, channel, y + i * ldy, ldy);
        }
    } else if (side == 3) {
        for (; i + STRIP <= count; i += STRIP) {
            depthwise_strip(STRIP, 3, x + i * ldx, ldx, row, weight, layer, channel, y + i * ldy, ldy);
        }
    }
    for (; i < count; i++) {
        depthwise_strip(1, side, x + i * ldx, ldx, row, weight, layer, channel, y + i * ldy, ldy);
    }
}

VK_TARGET static void depthwise(const vk_depthwise *layer, int count, const int16_t *x, ptrdiff_t ldx, ptrdiff_t row,
                                int16_t *y, ptrdiff_t ldy) {
    const int16_t *weight = layer->weight;
    for (int c = 0; c < layer->padded; c += LANES) {
        depthwise_lanes(layer->side, count, x + c, ldx, row, weight, layer, c, y + c, ldy);
        weight += (layer->side + 1) / 2 * layer->side * 2 * LANES;
    }
}

VK_TARGET static void add(const int16_t *x, const int16_t *change, int32_t limit, int16_t *y, ptrdiff_t count) {
    for (ptrdiff_t n = 0; n < count; n += 2 * NV) {
        vk_store_sum(y + n, x + n, change + n, (int16_t)limit);
    }
}
