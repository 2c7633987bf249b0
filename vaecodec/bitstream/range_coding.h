/* Range coding of groups of symbols, as section 4 of docs/format.md says; no Python in here. */
#ifndef VAECODEC_RANGE_CODING_H
#define VAECODEC_RANGE_CODING_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    TABLES = 63,
    MAX_HALF_WIDTH = 4095,
    PRECISION = 24, /* counts of a table add up to 2^PRECISION */
    LOOK_BITS = 10, /* of a quantile, to find the entry near to it */
    NEAR = 8,       /* so many entries are gone through one by one */
    OFTEN = 1 << (PRECISION - 1), /* a 0 of this count is looked for first */
    ESCAPE_LENGTH_BITS = 5,
    MAX_ESCAPE_LENGTH = 20,
    IMPOSSIBLE = -1, /* what pop returns for a state that no encoder makes */
};

typedef struct {
    int32_t half_width, escape;         /* L, and the number of the last entry, 2·L + 1 */
    uint32_t *left;                     /* [2·L + 3]: sums of the counts before each entry, and of all */
    const double *bits;                 /* [2·L + 2]: what each entry takes, −log2 p; NULL where nobody asks */
    uint16_t look[(1 << LOOK_BITS) + 1]; /* the entry of the first quantile of each 2^LOOK_BITS-th part, and the last one */
} table;

typedef struct {
    table of[TABLES + 1];
    uint32_t *left; /* of all */
    double *bits;   /* of all, or NULL */
} tables;

/* Fills all->left, which has room for all counts and one more of each table, and what is found by it. half_widths, [TABLES], are 0 to
 * MAX_HALF_WIDTH; counts are one table after the other. Returns 0, or the number of a table whose counts are not all positive with
 * the sum 2^PRECISION. */
static int fill_tables(tables *all, const int32_t *half_widths, const uint32_t *counts) {
    uint32_t *left = all->left;
    const uint32_t *first = counts;
    for (int t = 1; t <= TABLES; t++) {
        table *of = &all->of[t];
        *of = (table){.half_width = half_widths[t - 1], .escape = 2 * half_widths[t - 1] + 1, .left = left};
        of->bits = all->bits ? all->bits + (counts - first) : NULL;
        uint64_t sum = 0;
        for (int k = 0; k <= of->escape; k++) {
            left[k] = (uint32_t)sum;
            sum += counts[k];
            if (!counts[k] || sum > (uint64_t)1 << PRECISION) {
                return t;
            }
        }
        if (sum != (uint64_t)1 << PRECISION) {
            return t;
        }
        left[of->escape + 1] = (uint32_t)sum;
        int entry = 0;
        for (int part = 0; part < 1 << LOOK_BITS; part++) {
            while (left[entry + 1] <= (uint32_t)part << (PRECISION - LOOK_BITS)) {
                entry++;
            }
            of->look[part] = (uint16_t)entry;
        }
        of->look[1 << LOOK_BITS] = (uint16_t)of->escape;
        left += of->escape + 2;
        counts += of->escape + 1;
    }
    return 0;
}

/* How many counts tables of these half-widths have, −1 where one is out of range. half_widths: [TABLES]. */
static ptrdiff_t counts_of(const int32_t *half_widths) {
    ptrdiff_t counts = 0;
    for (int t = 0; t < TABLES; t++) {
        if (half_widths[t] < 0 || half_widths[t] > MAX_HALF_WIDTH) {
            return -1;
        }
        counts += 2 * (ptrdiff_t)half_widths[t] + 2;
    }
    return counts;
}

/* --- Range coding -------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t offset, range; /* what the words say, from where the range begins */
    const unsigned char *data;
    size_t words, next; /* next may pass words: those are 0 */
    int busy;
} decoder;

typedef struct {
    uint64_t lower, range;
    uint32_t *words;
    size_t count, room;
    double bits; /* what the tables say that all symbols take, if they know */
} encoder;

static uint64_t next_word(decoder *d) {
    uint64_t word = 0;
    if (d->next < d->words) {
        const unsigned char *at = d->data + 4 * d->next;
        word = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
    }
    d->next++;
    return word;
}

/* data: words of 4 bytes, which stay where they are. */
static void start_decoding(decoder *d, const unsigned char *data, size_t words) {
    *d = (decoder){.range = UINT64_MAX, .data = data, .words = words};
    d->offset = next_word(d) << 32;
    d->offset |= next_word(d);
}

/* Whether nothing is left, and nothing was needed beyond the end. */
static int is_used_up(const decoder *d) {
    const int untouched = d->range == UINT64_MAX;
    return untouched ? d->words == 0 : d->next >= d->words && d->offset < ((uint64_t)1 << 33) - 1;
}

/* Range after an entry: its share, and more bits where it gets small. */
static inline void narrow(decoder *d, uint64_t scale, uint32_t left, uint32_t count) {
    d->offset -= scale * left;
    d->range = scale * count;
    if (d->range < (uint64_t)1 << 32) {
        d->range <<= 32;
        d->offset = d->offset << 32 | next_word(d);
    }
}

static inline int entry_at(const table *t, uint32_t quantile) {
    const uint32_t part = quantile >> (PRECISION - LOOK_BITS);
    int low = t->look[part], high = t->look[part + 1];
    while (high - low > NEAR) {
        const int middle = (low + high + 1) / 2;
        if (t->left[middle] <= quantile) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    while (t->left[low + 1] <= quantile) {
        low++;
    }
    return low;
}

/* The number of an entry, or IMPOSSIBLE. */
static inline int decode(decoder *d, const table *t) {
    const uint64_t scale = d->range >> PRECISION, quantile = d->offset / scale;
    if (quantile >> PRECISION) {
        return IMPOSSIBLE;
    }
    const int entry = entry_at(t, (uint32_t)quantile);
    narrow(d, scale, t->left[entry], t->left[entry + 1] - t->left[entry]);
    return entry;
}

/* One of 2^bits entries of equal counts, bits up to MAX_ESCAPE_LENGTH; or IMPOSSIBLE. */
static int32_t decode_uniform(decoder *d, int bits) {
    const uint64_t scale = d->range >> PRECISION, quantile = d->offset / scale;
    if (quantile >> PRECISION) {
        return IMPOSSIBLE;
    }
    const uint32_t entry = (uint32_t)quantile >> (PRECISION - bits), count = (uint32_t)1 << (PRECISION - bits);
    narrow(d, scale, entry * count, count);
    return (int32_t)entry;
}

/* Returns 0 without memory. */
static int append_word(encoder *e, uint32_t word) {
    if (e->count == e->room) {
        const size_t room = e->room ? 2 * e->room : 1024;
        uint32_t *words = realloc(e->words, room * sizeof *words);
        if (!words) {
            return 0;
        }
        e->words = words;
        e->room = room;
    }
    e->words[e->count++] = word;
    return 1;
}

/* Adds 1 to the words so far, as one long number. */
static void carry(encoder *e) {
    for (size_t i = e->count; i-- > 0 && ++e->words[i] == 0;) {
    }
}

/* Returns 0 without memory. */
static int encode(encoder *e, uint32_t left, uint32_t count) {
    const uint64_t scale = e->range >> PRECISION, before = e->lower;
    e->lower += scale * left;
    e->range = scale * count;
    if (e->lower < before) {
        carry(e);
    }
    if (e->range < (uint64_t)1 << 32) {
        if (!append_word(e, (uint32_t)(e->lower >> 32))) {
            return 0;
        }
        e->lower <<= 32;
        e->range <<= 32;
    }
    return 1;
}

/* Ends a stream; nothing can follow. Returns 0 without memory. */
static int end_encoding(encoder *e) {
    if (e->range == UINT64_MAX) {
        return 1;
    }
    const uint64_t end = e->lower + UINT32_MAX, limit = e->lower + e->range;
    if (end < e->lower) {
        carry(e);
    }
    return append_word(e, (uint32_t)(end >> 32)) && (end >> 32 != limit >> 32 || append_word(e, 0));
}

static int encode_uniform(encoder *e, int bits, uint32_t entry) {
    const uint32_t count = (uint32_t)1 << (PRECISION - bits);
    return encode(e, entry * count, count);
}

/* --- Groups ---------------------------------------------------------------------------------------------------------- */

/* Places of the coded symbols in coding order: by table index, and as they come within one. Returns how many there are, −1 for an
 * index that is too large. order: [n]; ends: where each table's symbols end in it, [TABLES + 1]. */
static ptrdiff_t coding_order(const uint8_t *indices, ptrdiff_t n, uint32_t *order, ptrdiff_t *ends) {
    /* By parts, which take turns: neighbours often have one table, and each would wait for the count before it. */
    enum { PARTS = 4 };
    uint32_t at[PARTS][256] = {{0}};
    const ptrdiff_t part = n / PARTS;
    const uint8_t *from[PARTS];
    for (int p = 0; p < PARTS; p++) {
        from[p] = indices + p * part;
    }
    for (ptrdiff_t i = 0; i < part; i++) {
        for (int p = 0; p < PARTS; p++) {
            at[p][from[p][i]]++;
        }
    }
    for (ptrdiff_t i = PARTS * part; i < n; i++) {
        at[PARTS - 1][indices[i]]++;
    }
    uint32_t sum = 0, sum_of_certain = 0;
    ptrdiff_t within = 0;
    for (int t = 0; t <= TABLES; t++) {
        for (int p = 0; p < PARTS; p++) {
            uint32_t *before = t ? &sum : &sum_of_certain;
            const uint32_t count = at[p][t];
            at[p][t] = *before;
            *before += count;
            within += count;
        }
        ends[t] = sum;
    }
    if (within != n) {
        return -1;
    }
    for (int p = 0; p < PARTS; p++) {
        at[p][0] += sum; /* Those that are not coded come last: one place for each, and no branch. */
    }
    for (ptrdiff_t i = 0; i < part; i++) {
        for (int p = 0; p < PARTS; p++) {
            order[at[p][from[p][i]]++] = (uint32_t)(p * part + i);
        }
    }
    for (ptrdiff_t i = PARTS * part; i < n; i++) {
        order[at[PARTS - 1][indices[i]]++] = (uint32_t)i;
    }
    return sum;
}

/* Symbols of one table, at the places of order. Returns how many are escaped, or IMPOSSIBLE. */
static ptrdiff_t decode_run(decoder *d, const table *t, const uint32_t *order, ptrdiff_t n, int32_t *symbols) {
    const uint32_t before = t->left[t->half_width], zeros = t->left[t->half_width + 1] - before;
    ptrdiff_t escapes = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (zeros >= OFTEN) {
            /* No division where the most frequent entries are guessed right: 0, then 1 or -1. */
            const uint64_t scale = d->range >> PRECISION, from = d->offset - scale * before;
            if (from < scale * zeros) {
                narrow(d, scale, before, zeros);
                symbols[order[i]] = 0;
                continue;
            }
            const int next = d->offset < scale * before ? -1 : 1;
            const uint32_t *left = t->left + t->half_width + next;
            if (t->half_width && d->offset - scale * left[0] < scale * (left[1] - left[0])) {
                narrow(d, scale, left[0], left[1] - left[0]);
                symbols[order[i]] = next;
                continue;
            }
        }
        const int entry = decode(d, t);
        if (entry == IMPOSSIBLE) {
            return IMPOSSIBLE;
        }
        escapes += entry == t->escape;
        symbols[order[i]] = entry - t->half_width;
    }
    return escapes;
}

/* 0, IMPOSSIBLE, or the length of an escape that is too long. symbols: zeros where the index is 0, see pop. */
static int decode_group(decoder *d, const tables *all, const uint32_t *order, const ptrdiff_t *ends, int32_t *symbols) {
    ptrdiff_t escapes = 0, i = 0;
    for (int t = 1; t <= TABLES; t++) {
        const ptrdiff_t more = decode_run(d, &all->of[t], order + i, ends[t] - i, symbols);
        if (more == IMPOSSIBLE) {
            return IMPOSSIBLE;
        }
        escapes += more;
        i = ends[t];
    }
    i = 0;
    for (int t = 1; t <= TABLES && escapes; t++) {
        const int32_t half_width = all->of[t].half_width;
        for (; i < ends[t]; i++) {
            if (symbols[order[i]] != half_width + 1) {
                continue;
            }
            const int length = decode_uniform(d, ESCAPE_LENGTH_BITS);
            if (length > MAX_ESCAPE_LENGTH || length == IMPOSSIBLE) {
                return length;
            }
            const int32_t low = length ? decode_uniform(d, length) : 0;
            const int negative = low == IMPOSSIBLE ? IMPOSSIBLE : decode_uniform(d, 1);
            if (negative == IMPOSSIBLE) {
                return IMPOSSIBLE;
            }
            const int32_t magnitude = half_width + ((int32_t)1 << length) + low;
            symbols[order[i]] = negative ? -magnitude : magnitude;
        }
    }
    return 0;
}

static int64_t magnitude_of(int32_t value) {
    return value < 0 ? -(int64_t)value : value;
}

static int32_t largest_of(const tables *all, uint8_t index) {
    return all->of[index].half_width + ((int32_t)2 << MAX_ESCAPE_LENGTH) - 1;
}

/* Whether a symbol can be coded with a table index of 0 to TABLES. */
static int has_code(const tables *all, int32_t symbol, uint8_t index) {
    return index ? magnitude_of(symbol) <= largest_of(all, index) : symbol == 0;
}

/* Returns 0 without memory. Symbols have codes. */
static int encode_group(encoder *e, const tables *all, const uint32_t *order, const ptrdiff_t *ends,
                        const int32_t *symbols) {
    ptrdiff_t i = 0, escapes = 0;
    for (int t = 1; t <= TABLES; t++) {
        const table *of = &all->of[t];
        for (; i < ends[t]; i++) {
            const int64_t entry = (int64_t)symbols[order[i]] + of->half_width;
            const int64_t k = entry >= 0 && entry < of->escape ? entry : of->escape;
            escapes += k == of->escape;
            e->bits += of->bits ? of->bits[k] : 0;
            if (!encode(e, of->left[k], of->left[k + 1] - of->left[k])) {
                return 0;
            }
        }
    }
    i = 0;
    for (int t = 1; t <= TABLES && escapes; t++) {
        const int64_t half_width = all->of[t].half_width;
        for (; i < ends[t]; i++) {
            const int64_t excess = magnitude_of(symbols[order[i]]) - half_width;
            if (excess <= 0) {
                continue;
            }
            const uint32_t successor = (uint32_t)excess;
            int length = 0;
            while (successor >> (length + 1)) {
                length++;
            }
            e->bits += ESCAPE_LENGTH_BITS + length + 1;
            if (!encode_uniform(e, ESCAPE_LENGTH_BITS, (uint32_t)length) ||
                (length && !encode_uniform(e, length, successor - ((uint32_t)1 << length))) ||
                !encode_uniform(e, 1, symbols[order[i]] < 0)) {
                return 0;
            }
        }
    }
    return 1;
}

#endif
