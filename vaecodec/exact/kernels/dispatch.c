/* The kernels that were compiled in, the fastest first, and which of them this processor runs. */
#include "kernels.h"
#include "target.h"

#if VK_X86 && defined(_MSC_VER) && !defined(__clang__)

#include <immintrin.h>
#include <intrin.h>

/* Whether leaf.register has all bits, and the system keeps the registers of `state` (XCR0) over task switches. */
static int has(int leaf, int subleaf, int which, int bits, unsigned long long state) {
    int info[4];
    __cpuidex(info, 1, 0);
    if (!(info[2] & 1 << 27) || (_xgetbv(0) & state) != state) {
        return 0;
    }
    __cpuidex(info, leaf, subleaf);
    return (info[which] & bits) == bits;
}

int vk_cpu_has_avx2(void) {
    return has(7, 0, 1, 1 << 5, 0x6);
}

int vk_cpu_has_avxvnni(void) {
    return vk_cpu_has_avx2() && has(7, 1, 0, 1 << 4, 0x6);
}

int vk_cpu_has_avx512vnni(void) {
    return has(7, 0, 1, 1 << 16 | 1 << 30, 0xE6) && has(7, 0, 2, 1 << 11, 0xE6);
}

#elif VK_X86

#include <cpuid.h>

int vk_cpu_has_avx2(void) {
    return __builtin_cpu_supports("avx2") != 0;
}

int vk_cpu_has_avxvnni(void) {
    /* Not every compiler knows the name for __builtin_cpu_supports. */
    unsigned a, b, c, d;
    return vk_cpu_has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

int vk_cpu_has_avx512vnni(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
}

#endif

extern const vk_kernel vk_portable, vk_avx2, vk_avxvnni, vk_avx512vnni, vk_neon, vk_wasm;

static const vk_kernel *const kernels[] = {
#if VK_X86
    &vk_avx512vnni,
#if VK_HAS_AVXVNNI
    &vk_avxvnni,
#endif
    &vk_avx2,
#endif
#if VK_NEON
    &vk_neon,
#endif
#if VK_WASM
    &vk_wasm,
#endif
    &vk_portable,
};

const vk_kernel *vk_kernel_at(int number) {
    int seen = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (kernels[i]->supported() && seen++ == number) {
            return kernels[i];
        }
    }
    return NULL;
}

const vk_kernel *vk_find_kernel(const char *name) {
    const vk_kernel *kernel = NULL;
    for (int i = 0; (kernel = vk_kernel_at(i)); i++) {
        if (!name || strcmp(name, kernel->name) == 0) {
            break;
        }
    }
    return kernel;
}
