/* Vectors of 256 bits, for avx2.c and avxvnni.c. */

typedef __m256i vk_ints, vk_weights, vk_pair;
typedef struct {
    __m256i low, high;
} vk_two_rows;

VK_TARGET static inline vk_ints vk_load(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

VK_TARGET static inline void vk_store(int32_t *p, vk_ints t) {
    _mm256_storeu_si256((__m256i *)p, t);
}

VK_TARGET static inline vk_ints vk_fill(int32_t value) {
    return _mm256_set1_epi32(value);
}

VK_TARGET static inline vk_ints vk_min(vk_ints a, vk_ints b) {
    return _mm256_min_epi32(a, b);
}

VK_TARGET static inline vk_ints vk_max(vk_ints a, vk_ints b) {
    return _mm256_max_epi32(a, b);
}

VK_TARGET static inline vk_ints vk_shift_right(vk_ints t, vk_ints by) {
    return _mm256_srav_epi32(t, by);
}

VK_TARGET static inline vk_ints vk_shift_right_by_leak(vk_ints t) {
    return _mm256_srai_epi32(t, VK_LEAK_SHIFT);
}

VK_TARGET static inline void vk_store_narrow(int16_t *p, vk_ints a, vk_ints b) {
    /* packs works on halves of 128 bits: its quarters come out as a0 b0 a1 b1. */
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8));
}

VK_TARGET static inline vk_weights vk_load_weights(const int16_t *p, int vector) {
    return _mm256_loadu_si256((const __m256i *)(p + 2 * NV * vector));
}

VK_TARGET static inline vk_pair vk_spread(const int16_t *p) {
    return _mm256_set1_epi32(vk_two_int16(p));
}

VK_TARGET static inline vk_two_rows vk_two_rows_of(const int16_t *above, const int16_t *below) {
    const __m256i a = _mm256_loadu_si256((const __m256i *)above), b = _mm256_loadu_si256((const __m256i *)below);
    return (vk_two_rows){_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)};
}

VK_TARGET static inline void vk_store_sum(int16_t *p, const int16_t *a, const int16_t *b, int16_t limit) {
    const __m256i sum = _mm256_adds_epi16(_mm256_loadu_si256((const __m256i *)a), _mm256_loadu_si256((const __m256i *)b));
    const __m256i high = _mm256_set1_epi16(limit), low = _mm256_set1_epi16((int16_t)-limit);
    _mm256_storeu_si256((__m256i *)p, _mm256_max_epi16(_mm256_min_epi16(sum, high), low));
}

VK_TARGET static inline void vk_store_halves(int16_t *p, vk_ints low, vk_ints high) {
    /* packs undoes what unpack did to the order of channels. */
    _mm256_storeu_si256((__m256i *)p, _mm256_packs_epi32(low, high));
}
