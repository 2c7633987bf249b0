/* AVX-VNNI: as AVX2, with multiply-add of pairs and the sum in one instruction. */
#include "kernels.h"
#include "target.h"

#if VK_X86 && VK_HAS_AVXVNNI

#include <immintrin.h>

#define VK_TARGET VK_FOR("avx2,avxvnni")
enum { NV = 8, ROWS = 6, VECTORS = 2, LANES = 16 };
#include "vectors256.h"

VK_TARGET static inline vk_ints vk_dot(vk_ints sums, vk_weights w, vk_pair x) {
    return _mm256_dpwssd_avx_epi32(sums, w, x);
}

#include "halves.h"
#include "microkernel.h"

static int supported(void) {
    return vk_cpu_has_avxvnni();
}

const vk_kernel vk_avxvnni = {"avxvnni", supported, PANEL, LANES, 1, 8, linear, depthwise, add};

#endif
