/* WebAssembly SIMD: four sums in a vector, i32x4.dot_i16x8_s, 4 cells × 8 outputs in a tile. */
#include "kernels.h"
#include "target.h"

#if VK_WASM

#include <wasm_simd128.h>

#define VK_TARGET
enum { NV = 4, ROWS = 4, VECTORS = 2, LANES = 8 };

typedef v128_t vk_ints, vk_weights, vk_pair;
typedef struct {
    v128_t low, high;
} vk_two_rows;

static inline vk_ints vk_load(const int32_t *p) {
    return wasm_v128_load(p);
}

static inline void vk_store(int32_t *p, vk_ints t) {
    wasm_v128_store(p, t);
}

static inline vk_ints vk_fill(int32_t value) {
    return wasm_i32x4_splat(value);
}

static inline vk_ints vk_min(vk_ints a, vk_ints b) {
    return wasm_i32x4_min(a, b);
}

static inline vk_ints vk_max(vk_ints a, vk_ints b) {
    return wasm_i32x4_max(a, b);
}

static inline vk_ints vk_shift_right(vk_ints t, vk_ints by) {
    /* Shifts take one count for all lanes here. */
    return wasm_i32x4_make(wasm_i32x4_extract_lane(t, 0) >> wasm_i32x4_extract_lane(by, 0),
                           wasm_i32x4_extract_lane(t, 1) >> wasm_i32x4_extract_lane(by, 1),
                           wasm_i32x4_extract_lane(t, 2) >> wasm_i32x4_extract_lane(by, 2),
                           wasm_i32x4_extract_lane(t, 3) >> wasm_i32x4_extract_lane(by, 3));
}

static inline vk_ints vk_shift_right_by_leak(vk_ints t) {
    return wasm_i32x4_shr(t, VK_LEAK_SHIFT);
}

static inline void vk_store_narrow(int16_t *p, vk_ints a, vk_ints b) {
    wasm_v128_store(p, wasm_i16x8_narrow_i32x4(a, b));
}

static inline void vk_store_sum(int16_t *p, const int16_t *a, const int16_t *b, int16_t limit) {
    const v128_t sum = wasm_i16x8_add_sat(wasm_v128_load(a), wasm_v128_load(b));
    const v128_t high = wasm_i16x8_splat(limit), low = wasm_i16x8_splat((int16_t)-limit);
    wasm_v128_store(p, wasm_i16x8_max(wasm_i16x8_min(sum, high), low));
}

static inline vk_weights vk_load_weights(const int16_t *p, int vector) {
    return wasm_v128_load(p + 2 * NV * vector);
}

static inline vk_pair vk_spread(const int16_t *p) {
    return wasm_v128_load32_splat(p);
}

static inline vk_ints vk_dot(vk_ints sums, vk_weights w, vk_pair x) {
    return wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(w, x));
}

static inline vk_two_rows vk_two_rows_of(const int16_t *above, const int16_t *below) {
    const v128_t a = wasm_v128_load(above), b = wasm_v128_load(below);
    return (vk_two_rows){wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11),
                         wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15)};
}

static inline void vk_store_halves(int16_t *p, vk_ints low, vk_ints high) {
    vk_store_narrow(p, low, high);
}

#include "halves.h"
#include "microkernel.h"

static int supported(void) {
    return 1;
}

const vk_kernel vk_wasm = {"wasm", supported, PANEL, LANES, 1, 8, linear, depthwise, add};

#endif
