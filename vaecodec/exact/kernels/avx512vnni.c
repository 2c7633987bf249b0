/* AVX-512 VNNI: sixteen sums in a vector, products of pairs and the sum in one instruction, 12 cells × 32 outputs in a tile. */
#include "kernels.h"
#include "target.h"

#if VK_X86

#include <immintrin.h>

#define VK_TARGET VK_FOR("avx512f,avx512bw,avx512vnni")
enum { NV = 16, ROWS = 12, VECTORS = 2, LANES = 32 };

typedef __m512i vk_ints, vk_weights, vk_pair;
typedef struct {
    __m512i low, high;
} vk_two_rows;

VK_TARGET static inline vk_ints vk_load(const int32_t *p) {
    return _mm512_loadu_si512(p);
}

VK_TARGET static inline void vk_store(int32_t *p, vk_ints t) {
    _mm512_storeu_si512(p, t);
}

VK_TARGET static inline vk_ints vk_fill(int32_t value) {
    return _mm512_set1_epi32(value);
}

VK_TARGET static inline vk_ints vk_min(vk_ints a, vk_ints b) {
    return _mm512_min_epi32(a, b);
}

VK_TARGET static inline vk_ints vk_max(vk_ints a, vk_ints b) {
    return _mm512_max_epi32(a, b);
}

VK_TARGET static inline vk_ints vk_shift_right(vk_ints t, vk_ints by) {
    return _mm512_srav_epi32(t, by);
}

VK_TARGET static inline vk_ints vk_shift_right_by_leak(vk_ints t) {
    return _mm512_srai_epi32(t, VK_LEAK_SHIFT);
}

VK_TARGET static inline void vk_store_narrow(int16_t *p, vk_ints a, vk_ints b) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a));
    _mm256_storeu_si256((__m256i *)(p + NV), _mm512_cvtepi32_epi16(b));
}

VK_TARGET static inline vk_weights vk_load_weights(const int16_t *p, int vector) {
    return _mm512_loadu_si512(p + 2 * NV * vector);
}

VK_TARGET static inline vk_pair vk_spread(const int16_t *p) {
    return _mm512_set1_epi32(vk_two_int16(p));
}

VK_TARGET static inline vk_ints vk_dot(vk_ints sums, vk_weights w, vk_pair x) {
    return _mm512_dpwssd_epi32(sums, w, x);
}

VK_TARGET static inline vk_two_rows vk_two_rows_of(const int16_t *above, const int16_t *below) {
    const __m512i a = _mm512_loadu_si512(above), b = _mm512_loadu_si512(below);
    return (vk_two_rows){_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)};
}

VK_TARGET static inline void vk_store_sum(int16_t *p, const int16_t *a, const int16_t *b, int16_t limit) {
    const __m512i sum = _mm512_adds_epi16(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
    const __m512i high = _mm512_set1_epi16(limit), low = _mm512_set1_epi16((int16_t)-limit);
    _mm512_storeu_si512(p, _mm512_max_epi16(_mm512_min_epi16(sum, high), low));
}

VK_TARGET static inline void vk_store_halves(int16_t *p, vk_ints low, vk_ints high) {
    /* packs undoes what unpack did to the order of channels. */
    _mm512_storeu_si512(p, _mm512_packs_epi32(low, high));
}

#include "halves.h"
#include "microkernel.h"

static int supported(void) {
    return vk_cpu_has_avx512vnni();
}

const vk_kernel vk_avx512vnni = {"avx512vnni", supported, PANEL, LANES, 1, 8, linear, depthwise, add};

#endif
