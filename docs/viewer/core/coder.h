/* The entropy coder of docs/format.md, section 4, as the package has it (vaecodec/bitstream/range_coding.h), for the page. */
#ifndef VIEWER_CODER_H
#define VIEWER_CODER_H

#include <stddef.h>
#include <stdint.h>

typedef struct coder_tables coder_tables;
typedef struct coder_decoder coder_decoder;
typedef struct coder_encoder coder_encoder;

/* half_widths: [63], 0..4095; counts: one table after the other, `length` numbers in all. NULL: these are no tables. */
coder_tables *coder_make_tables(const int32_t *half_widths, const uint32_t *counts, size_t length);

/* bytes stay where they are. NULL: not made of whole words. */
coder_decoder *coder_open(const uint8_t *bytes, size_t length);
/* The symbols of a group, [count]. 1; 0: no encoder writes such a stream; -1: no memory, or indices beyond 63. */
int coder_pop(coder_decoder *decoder, const coder_tables *tables, const uint8_t *indices, size_t count, int32_t *symbols);
/* Whether the stream is used up. */
int coder_used_up(const coder_decoder *decoder);

/* A stream of at most so many words where memory does not grow, as on the page. NULL: no memory. */
coder_encoder *coder_begin(size_t room);
/* Appends a group. 0: a symbol that no stream can hold, or no room. */
int coder_push(coder_encoder *encoder, const coder_tables *tables, const int32_t *symbols, const uint8_t *indices, size_t count);
/* Ends the stream: the number of words, or -1. */
ptrdiff_t coder_finish(coder_encoder *encoder);
const uint32_t *coder_words(const coder_encoder *encoder);

#endif
