/* Products of two rows of a depthwise window, for kernels that interleave pairs. */

VK_TARGET static inline vk_ints vk_dot_low(vk_ints sums, vk_two_rows x, const int16_t *w) {
    return vk_dot(sums, vk_load_weights(w, 0), x.low);
}

VK_TARGET static inline vk_ints vk_dot_high(vk_ints sums, vk_two_rows x, const int16_t *w) {
    return vk_dot(sums, vk_load_weights(w, 1), x.high);
}
