/* The entropy coder of docs/format.md, section 4: frozen tables, the range coder, groups with their escapes. */
#ifndef VIEWER_CODER_H
#define VIEWER_CODER_H

#include <stddef.h>
#include <stdint.h>

enum { CODER_TABLES = 63, CODER_PRECISION = 24, CODER_BUCKET = 14, CODER_BUCKETS = 1 << (CODER_PRECISION - CODER_BUCKET) };

/* Sums of counts, and in which entry each 2^14-th place lies. */
typedef struct {
    int half_width;
    uint32_t *sums;                    /* [2·half_width + 3] */
    uint16_t first[CODER_BUCKETS + 1];
} coder_table;

typedef struct {
    coder_table tables[CODER_TABLES];  /* index 1 is at 0 */
} coder_tables;

/* half_widths: [63], 0..4095; counts: one table after the other, `length` numbers in all. NULL: these are no tables. */
coder_tables *coder_make_tables(const int32_t *half_widths, const uint32_t *counts, size_t length);

typedef struct {
    const uint8_t *bytes;
    size_t length, at;
    uint64_t range, difference;        /* difference = point − lower */
    int used, impossible;
} range_decoder;

/* 0: not made of whole words. */
int coder_open(range_decoder *decoder, const uint8_t *bytes, size_t length);
/* The symbols of a group, [count]; order: [count] numbers to work with. 0: no encoder writes such a stream. */
int coder_pop(range_decoder *decoder, const coder_tables *tables, const uint8_t *indices, size_t count, uint32_t *order,
              int32_t *symbols);
/* Whether the stream is used up. */
int coder_used_up(const range_decoder *decoder);

typedef struct {
    uint32_t *words;
    size_t room, count;
    uint64_t lower, range;
    int used, failed;                  /* failed: a symbol that no stream can hold, or no room */
} range_encoder;

/* words: room for `room` of them. */
void coder_begin(range_encoder *encoder, uint32_t *words, size_t room);
/* Appends a group; order as above. 0: failed. */
int coder_push(range_encoder *encoder, const coder_tables *tables, const int32_t *symbols, const uint8_t *indices, size_t count,
               uint32_t *order);
/* Ends the stream: the number of words, or -1. */
ptrdiff_t coder_finish(range_encoder *encoder);

#endif
