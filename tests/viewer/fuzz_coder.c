/* The page's entropy coder against itself, on strange tables and hostile streams: to be compiled with sanitizers, as test_coder.py does.
 * Prints how many symbols came back; exits with 1 where one did not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coder.h"

enum { ROUNDS = 60, MOST = 1500, TABLES = 63, PRECISION = 24 };

static uint64_t state = 20261126;

static uint32_t number(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Tables of entries that are rare, but for one or, with `even`, of about the same size. */
static coder_tables *strange_tables(int even, int32_t *half_widths) {
    static const int32_t widths[] = {0, 1, 2, 5, 300, 4095};
    size_t length = 0;
    for (int i = 0; i < TABLES; i++) {
        half_widths[i] = widths[number() % 6];
        length += 2 * (size_t)half_widths[i] + 2;
    }
    uint32_t *counts = malloc(length * sizeof *counts), *at = counts;
    for (int i = 0; i < TABLES; i++) {
        const uint32_t entries = 2 * (uint32_t)half_widths[i] + 2;
        const uint32_t each = even ? (1 << PRECISION) / entries : 1;
        for (uint32_t k = 0; k < entries; k++) {
            at[k] = each;
        }
        at[number() % entries] += (1 << PRECISION) - each * entries;
        at += entries;
    }
    coder_tables *all = coder_make_tables(half_widths, counts, length);
    /* None of these are tables. */
    counts[number() % length] ^= 1;
    if (coder_make_tables(half_widths, counts, length) || coder_make_tables(half_widths, counts, length - 1)) {
        puts("tables of a wrong sum are taken");
        exit(1);
    }
    free(counts);
    return all;
}

int main(void) {
    static uint8_t indices[MOST], noise[4 * MOST];
    static int32_t symbols[MOST], back[MOST], half_widths[TABLES];
    size_t came_back = 0;
    for (int round = 0; round < ROUNDS; round++) {
        coder_tables *tables = strange_tables(round % 2, half_widths);
        const size_t count = number() % MOST;
        for (size_t i = 0; i < count; i++) {
            indices[i] = (uint8_t)(number() % (TABLES + 1));
            const int32_t half_width = indices[i] ? half_widths[indices[i] - 1] : 0;
            const int32_t far = number() % 4 ? half_width + 1 : half_width + (1 << (number() % 21));
            symbols[i] = indices[i] ? (int32_t)(number() % (2 * (uint32_t)far + 1)) - far : 0;
        }
        coder_encoder *encoder = coder_begin(1);
        coder_push(encoder, tables, symbols, indices, count);
        const ptrdiff_t length = coder_finish(encoder);
        coder_decoder *decoder = length < 0 ? NULL : coder_open((const uint8_t *)coder_words(encoder), 4 * (size_t)length);
        if (!decoder || coder_pop(decoder, tables, indices, count, back) != 1 || !coder_used_up(decoder) ||
            memcmp(symbols, back, count * sizeof *back)) {
            printf("round %d: %zu symbols do not come back\n", round, count);
            return 1;
        }
        came_back += count;
        /* A symbol that no escape holds is refused, and so are an index that no table has and one that says 0. */
        int32_t wrong = INT32_MIN;
        for (int index = 0; index < 3; index++) {
            const uint8_t with = (uint8_t)(index == 2 ? TABLES + 1 : index);
            coder_encoder *other = coder_begin(1);
            if (coder_push(other, tables, &wrong, &with, 1) || coder_finish(other) != -1) {
                return 1;
            }
        }
        for (int n = 0; n < 20; n++) {
            const size_t bytes = number() % sizeof noise;
            for (size_t i = 0; i < bytes; i++) {
                noise[i] = (uint8_t)(number() % 3 ? number() : 255 * (number() % 2));
            }
            if ((decoder = coder_open(noise, bytes))) {
                coder_pop(decoder, tables, indices, count, back);
            }
        }
    }
    printf("%zu symbols\n", came_back);
    return 0;
}
