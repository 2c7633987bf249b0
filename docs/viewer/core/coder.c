/* See coder.h. */
#include "coder.h"

#include <stdlib.h>
#include <string.h>

#include "range_coding.h"

struct coder_tables {
    tables all;
};

struct coder_decoder {
    decoder state;
};

struct coder_encoder {
    encoder state;
    int failed;
};

coder_tables *coder_make_tables(const int32_t *half_widths, const uint32_t *counts, size_t length) {
    const ptrdiff_t entries = counts_of(half_widths);
    coder_tables *made = entries >= 0 && (size_t)entries == length ? calloc(1, sizeof *made) : NULL;
    if (!made || !(made->all.left = calloc(length + TABLES, sizeof *made->all.left))) {
        return NULL;
    }
    return fill_tables(&made->all, half_widths, counts) ? NULL : made;
}

/* The order in which a group is coded; NULL: no memory, or indices that no group has. ends: [TABLES + 1]. */
static uint32_t *order_of(const uint8_t *indices, size_t count, ptrdiff_t *ends) {
    uint32_t *order = malloc((count + 1) * sizeof *order);
    if (order && coding_order(indices, (ptrdiff_t)count, order, ends) < 0) {
        free(order);
        return NULL;
    }
    return order;
}

coder_decoder *coder_open(const uint8_t *bytes, size_t length) {
    coder_decoder *opened = length % 4 ? NULL : malloc(sizeof *opened);
    if (opened) {
        start_decoding(&opened->state, bytes, length / 4);
    }
    return opened;
}

int coder_pop(coder_decoder *from, const coder_tables *with, const uint8_t *indices, size_t count, int32_t *symbols) {
    ptrdiff_t ends[TABLES + 1];
    uint32_t *order = order_of(indices, count, ends);
    if (!order) {
        return -1;
    }
    memset(symbols, 0, count * sizeof *symbols);
    const int wrong = decode_group(&from->state, &with->all, order, ends, symbols);
    free(order);
    return !wrong;
}

int coder_used_up(const coder_decoder *from) {
    return is_used_up(&from->state);
}

coder_encoder *coder_begin(size_t room) {
    coder_encoder *begun = calloc(1, sizeof *begun);
    if (!begun || !(begun->state.words = malloc((room + 1) * sizeof *begun->state.words))) {
        return NULL;
    }
    begun->state.room = room;
    begun->state.range = UINT64_MAX;
    return begun;
}

int coder_push(coder_encoder *to, const coder_tables *with, const int32_t *symbols, const uint8_t *indices, size_t count) {
    ptrdiff_t ends[TABLES + 1];
    uint32_t *order = order_of(indices, count, ends);
    int good = order != NULL;
    for (size_t i = 0; good && i < count; i++) {
        good = has_code(&with->all, symbols[i], indices[i]);
    }
    good = good && encode_group(&to->state, &with->all, order, ends, symbols);
    free(order);
    to->failed |= !good;
    return good;
}

ptrdiff_t coder_finish(coder_encoder *to) {
    return !to->failed && end_encoding(&to->state) ? (ptrdiff_t)to->state.count : -1;
}

const uint32_t *coder_words(const coder_encoder *to) {
    return to->state.words;
}
