/* Which instruction sets this compiler can make code for, whatever the flags of the build, and what the processor has. */
#ifndef VAECODEC_TARGET_H
#define VAECODEC_TARGET_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)
#define VK_X86 1
#else
#define VK_X86 0
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
#define VK_NEON 1
#else
#define VK_NEON 0
#endif

#if defined(__wasm_simd128__)
#define VK_WASM 1
#else
#define VK_WASM 0
#endif

#if defined(__clang__)
#define VK_FOR(features) __attribute__((target(features)))
#define VK_UNROLL _Pragma("clang loop unroll(full)")
#define VK_HAS_AVXVNNI (__clang_major__ >= 12)
#elif defined(__GNUC__)
#define VK_FOR(features) __attribute__((target(features)))
#define VK_UNROLL _Pragma("GCC unroll 16")
#define VK_HAS_AVXVNNI (__GNUC__ >= 11)
#else
/* MSVC compiles the intrinsics of every instruction set. */
#define VK_FOR(features)
#define VK_UNROLL
#define VK_HAS_AVXVNNI (defined(_MSC_VER) && _MSC_VER >= 1930)
#endif

/* Two neighbours as one number; memcpy, as they need not be aligned to it. */
static inline int32_t vk_two_int16(const int16_t *p) {
    int32_t both;
    memcpy(&both, p, sizeof both);
    return both;
}

int vk_cpu_has_avx2(void);
int vk_cpu_has_avxvnni(void);
int vk_cpu_has_avx512vnni(void);

#endif
