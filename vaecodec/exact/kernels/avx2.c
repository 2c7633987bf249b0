/* AVX2: eight sums of 32 bits in a vector; products of pairs by vpmaddwd, 6 cells × 16 outputs in a tile. */
#include "kernels.h"
#include "target.h"

#if VK_X86

#include <immintrin.h>

#define VK_TARGET VK_FOR("avx2")
enum { NV = 8, ROWS = 6, VECTORS = 2, LANES = 16 };
#include "vectors256.h"

VK_TARGET static inline vk_ints vk_dot(vk_ints sums, vk_weights w, vk_pair x) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(w, x));
}

#include "halves.h"
#include "microkernel.h"

static int supported(void) {
    return vk_cpu_has_avx2();
}

const vk_kernel vk_avx2 = {"avx2", supported, PANEL, LANES, 1, 8, linear, depthwise, add};

#endif
