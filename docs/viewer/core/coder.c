/* Section 4 of docs/format.md, both ways; the encoder gives the words that constriction's gives. */
#include "coder.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BITS = 5, MAX_LENGTH = 20, MAX_HALF_WIDTH = 4095, WORD = 4 };

static const uint32_t TOTAL = (uint32_t)1 << CODER_PRECISION;

coder_tables *coder_make_tables(const int32_t *half_widths, const uint32_t *counts, size_t length) {
    coder_tables *all = calloc(1, sizeof *all);
    size_t at = 0;
    for (int i = 0; all && i < CODER_TABLES; i++) {
        coder_table *table = &all->tables[i];
        const int32_t half_width = half_widths[i];
        if (half_width < 0 || half_width > MAX_HALF_WIDTH) {
            return NULL;
        }
        const size_t entries = 2 * (size_t)half_width + 2;
        if (entries > length - at || !(table->sums = calloc(entries + 1, sizeof *table->sums))) {
            return NULL;
        }
        table->half_width = half_width;
        for (size_t k = 0; k < entries; k++) {
            const uint32_t count = counts[at + k];
            if (count < 1 || count > TOTAL - table->sums[k]) {
                return NULL;
            }
            table->sums[k + 1] = table->sums[k] + count;
        }
        if (table->sums[entries] != TOTAL) {
            return NULL;
        }
        uint32_t k = 0;
        for (uint32_t bucket = 0; bucket < CODER_BUCKETS; bucket++) {
            while (table->sums[k + 1] <= bucket << CODER_BUCKET) {
                k++;
            }
            table->first[bucket] = (uint16_t)k;
        }
        table->first[CODER_BUCKETS] = (uint16_t)(entries - 1);
        at += entries;
    }
    return at == length ? all : NULL;
}

/* The places of the coded symbols, by ascending table index and in their order within one; starts: [CODER_TABLES + 2]. */
static void coded_order(const uint8_t *indices, size_t count, uint32_t *order, size_t *starts) {
    size_t next[CODER_TABLES + 2] = {0};
    for (size_t i = 0; i < count; i++) {
        if (indices[i]) {
            next[indices[i] + 1]++;
        }
    }
    for (int index = 1; index < CODER_TABLES + 2; index++) {
        next[index] += next[index - 1];
    }
    memcpy(starts, next, sizeof next);
    for (size_t i = 0; i < count; i++) {
        if (indices[i]) {
            order[next[indices[i]]++] = (uint32_t)i;
        }
    }
}

static int in_range(const uint8_t *indices, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (indices[i] > CODER_TABLES) {
            return 0;
        }
    }
    return 1;
}

/* --- Decoding -------------------------------------------------------------------------------------------------------- */

static uint32_t next_word(range_decoder *d) {
    uint32_t word = 0;
    if (d->at < d->length) {
        const uint8_t *p = d->bytes + d->at;
        word = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    d->at += WORD;
    return word;
}

int coder_open(range_decoder *d, const uint8_t *bytes, size_t length) {
    *d = (range_decoder){.bytes = bytes, .length = length, .range = UINT64_MAX};
    if (length % WORD) {
        return 0;
    }
    d->difference = (uint64_t)next_word(d) << 32;
    d->difference |= next_word(d);
    return 1;
}

static uint32_t quantile(range_decoder *d) {
    const uint64_t q = d->difference / (d->range >> CODER_PRECISION);
    if (q >= TOTAL) {
        d->impossible = 1;
        return 0;
    }
    return (uint32_t)q;
}

/* Steps 3 and 4 of section 4.2. */
static void take(range_decoder *d, uint32_t left, uint32_t count) {
    const uint64_t scale = d->range >> CODER_PRECISION;
    d->difference -= scale * left;
    d->range = scale * count;
    if (d->range >> 32 == 0) {
        d->range <<= 32;
        d->difference = d->difference << 32 | next_word(d);
    }
    d->used = 1;
}

static uint32_t pop_entry(range_decoder *d, const coder_table *table) {
    const uint32_t q = quantile(d), bucket = q >> CODER_BUCKET;
    uint32_t low = table->first[bucket], high = table->first[bucket + 1];
    while (low < high) {
        const uint32_t middle = (low + high + 1) / 2;
        if (table->sums[middle] <= q) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    take(d, table->sums[low], table->sums[low + 1] - table->sums[low]);
    return low;
}

static uint32_t pop_uniform(range_decoder *d, int bits) {
    const int rest = CODER_PRECISION - bits;
    const uint32_t k = quantile(d) >> rest;
    take(d, k << rest, (uint32_t)1 << rest);
    return k;
}

int coder_pop(range_decoder *d, const coder_tables *tables, const uint8_t *indices, size_t count, uint32_t *order,
              int32_t *symbols) {
    size_t starts[CODER_TABLES + 2];
    if (!in_range(indices, count)) {
        return 0;
    }
    coded_order(indices, count, order, starts);
    memset(symbols, 0, count * sizeof *symbols);
    size_t escapes = 0;
    for (int index = 1; index <= CODER_TABLES; index++) {
        const coder_table *table = &tables->tables[index - 1];
        for (size_t n = starts[index]; n < starts[index + 1]; n++) {
            const uint32_t k = pop_entry(d, table);
            if (k > 2 * (uint32_t)table->half_width) {
                /* Places that were gone by serve as the list of escapes. */
                order[escapes++] = order[n];
            } else {
                symbols[order[n]] = (int32_t)k - table->half_width;
            }
        }
    }
    for (size_t n = 0; n < escapes && !d->impossible; n++) {
        const int length = (int)pop_uniform(d, LENGTH_BITS);
        if (length > MAX_LENGTH) {
            return 0;
        }
        const int32_t rest = length ? (int32_t)pop_uniform(d, length) : 0;
        const int32_t magnitude = tables->tables[indices[order[n]] - 1].half_width + ((int32_t)1 << length) + rest;
        symbols[order[n]] = pop_uniform(d, 1) ? -magnitude : magnitude;
    }
    return !d->impossible;
}

int coder_used_up(const range_decoder *d) {
    return d->used ? d->at >= d->length && d->difference < ((uint64_t)1 << 33) - 1 : d->length == 0;
}

/* --- Encoding -------------------------------------------------------------------------------------------------------- */

void coder_begin(range_encoder *e, uint32_t *words, size_t room) {
    *e = (range_encoder){.words = words, .room = room, .range = UINT64_MAX};
}

static void put_word(range_encoder *e, uint32_t word) {
    if (e->count == e->room) {
        e->failed = 1;
        return;
    }
    e->words[e->count++] = word;
}

/* Adds 1 to the words so far, as one long number. */
static void carry(range_encoder *e) {
    for (size_t n = e->count; n > 0 && ++e->words[n - 1] == 0; n--) {
    }
}

static void put(range_encoder *e, uint32_t left, uint32_t count) {
    const uint64_t scale = e->range >> CODER_PRECISION, lower = e->lower + scale * left;
    if (lower < e->lower) {
        carry(e);
    }
    e->lower = lower;
    e->range = scale * count;
    if (e->range >> 32 == 0) {
        put_word(e, (uint32_t)(e->lower >> 32));
        e->lower <<= 32;
        e->range <<= 32;
    }
    e->used = 1;
}

static void put_uniform(range_encoder *e, uint32_t k, int bits) {
    const int rest = CODER_PRECISION - bits;
    put(e, k << rest, (uint32_t)1 << rest);
}

int coder_push(range_encoder *e, const coder_tables *tables, const int32_t *symbols, const uint8_t *indices, size_t count,
               uint32_t *order) {
    size_t starts[CODER_TABLES + 2];
    if (!in_range(indices, count)) {
        return 0;
    }
    coded_order(indices, count, order, starts);
    size_t escapes = 0;
    for (int index = 1; index <= CODER_TABLES; index++) {
        const coder_table *table = &tables->tables[index - 1];
        const int32_t last = 2 * table->half_width + 1;
        for (size_t n = starts[index]; n < starts[index + 1]; n++) {
            const int64_t at = (int64_t)symbols[order[n]] + table->half_width;
            int32_t k = last;
            if (at < 0 || at >= last) {
                order[escapes++] = order[n];
            } else {
                k = (int32_t)at;
            }
            put(e, table->sums[k], table->sums[k + 1] - table->sums[k]);
        }
    }
    for (size_t n = 0; n < escapes; n++) {
        const int64_t value = symbols[order[n]];
        const int64_t successor = (value < 0 ? -value : value) - tables->tables[indices[order[n]] - 1].half_width;
        int length = 0;
        while (successor >> (length + 1)) {
            length++;
        }
        if (length > MAX_LENGTH) {
            e->failed = 1;
            break;
        }
        put_uniform(e, (uint32_t)length, LENGTH_BITS);
        if (length) {
            put_uniform(e, (uint32_t)(successor - ((int64_t)1 << length)), length);
        }
        put_uniform(e, value < 0, 1);
    }
    return !e->failed;
}

ptrdiff_t coder_finish(range_encoder *e) {
    if (e->used) {
        const uint64_t t = e->lower + UINT32_MAX;
        if (t < e->lower) {
            carry(e);
        }
        put_word(e, (uint32_t)(t >> 32));
        if ((uint32_t)(t >> 32) == (uint32_t)((e->lower + e->range) >> 32)) {
            put_word(e, 0);
        }
    }
    return e->failed ? -1 : (ptrdiff_t)e->count;
}
