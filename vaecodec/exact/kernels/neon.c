/* NEON (AArch64): four sums in a vector, widening multiply-adds, 4 cells × 16 outputs in a tile.
 *
 * There is no multiply-add of pairs of int16; so the two inputs of a pair lie apart, [2][outputs], and take one smlal each. */
#include "kernels.h"
#include "target.h"

#if VK_NEON

#include <arm_neon.h>

#define VK_TARGET
enum { NV = 4, ROWS = 4, VECTORS = 4, LANES = 8 };

typedef int32x4_t vk_ints;
typedef struct {
    int16x4_t first, second;
} vk_weights;
typedef int16x4_t vk_pair;
typedef struct {
    int16x8_t above, below;
} vk_two_rows;

static inline vk_ints vk_load(const int32_t *p) {
    return vld1q_s32(p);
}

static inline void vk_store(int32_t *p, vk_ints t) {
    vst1q_s32(p, t);
}

static inline vk_ints vk_fill(int32_t value) {
    return vdupq_n_s32(value);
}

static inline vk_ints vk_min(vk_ints a, vk_ints b) {
    return vminq_s32(a, b);
}

static inline vk_ints vk_max(vk_ints a, vk_ints b) {
    return vmaxq_s32(a, b);
}

static inline vk_ints vk_shift_right(vk_ints t, vk_ints by) {
    return vshlq_s32(t, vnegq_s32(by));
}

static inline vk_ints vk_shift_right_by_leak(vk_ints t) {
    return vshrq_n_s32(t, VK_LEAK_SHIFT);
}

static inline void vk_store_narrow(int16_t *p, vk_ints a, vk_ints b) {
    vst1q_s16(p, vcombine_s16(vmovn_s32(a), vmovn_s32(b)));
}

static inline void vk_store_sum(int16_t *p, const int16_t *a, const int16_t *b, int16_t limit) {
    const int16x8_t sum = vqaddq_s16(vld1q_s16(a), vld1q_s16(b));
    vst1q_s16(p, vmaxq_s16(vminq_s16(sum, vdupq_n_s16(limit)), vdupq_n_s16((int16_t)-limit)));
}

static inline vk_weights vk_load_weights(const int16_t *p, int vector) {
    return (vk_weights){vld1_s16(p + NV * vector), vld1_s16(p + NV * (VECTORS + vector))};
}

static inline vk_pair vk_spread(const int16_t *p) {
    return vreinterpret_s16_s32(vdup_n_s32(vk_two_int16(p)));
}

static inline vk_ints vk_dot(vk_ints sums, vk_weights w, vk_pair x) {
    return vmlal_lane_s16(vmlal_lane_s16(sums, w.first, x, 0), w.second, x, 1);
}

static inline vk_two_rows vk_two_rows_of(const int16_t *above, const int16_t *below) {
    return (vk_two_rows){vld1q_s16(above), vld1q_s16(below)};
}

static inline vk_ints vk_dot_low(vk_ints sums, vk_two_rows x, const int16_t *w) {
    sums = vmlal_s16(sums, vget_low_s16(x.above), vld1_s16(w));
    return vmlal_s16(sums, vget_low_s16(x.below), vld1_s16(w + LANES));
}

static inline vk_ints vk_dot_high(vk_ints sums, vk_two_rows x, const int16_t *w) {
    sums = vmlal_high_s16(sums, x.above, vld1q_s16(w));
    return vmlal_high_s16(sums, x.below, vld1q_s16(w + LANES));
}

static inline void vk_store_halves(int16_t *p, vk_ints low, vk_ints high) {
    vk_store_narrow(p, low, high);
}

#include "microkernel.h"

static int supported(void) {
    return 1;
}

const vk_kernel vk_neon = {"neon", supported, PANEL, LANES, 0, 8, linear, depthwise, add};

#endif
