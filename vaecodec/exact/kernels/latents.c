/* What lies between samples, networks and symbols, a few operations for each number:
 *
 *   samples ──patches──► grid      grid ──gain──► v ──seen──► grid of the hyper analysis
 *   v, means, indices ──round_step──► symbols ──put_step──► planes, y16 ──scale_latents──► grid of the synthesis
 *
 * Latents are [height][width][channels], what a step codes is planes, [channels / 4][height][width]. Rows are shared out to threads.
 * Where 32 bits do not hold a number it wraps around, as in numpy; no latent of a model comes near that. */
#include <string.h>

#include "kernels.h"

enum {
    MIDDLE = 128,
    SAMPLE_UNIT = 32,
    V_UNIT = 256,
    MEAN_UNIT = 16,
    SYMBOL_LIMIT = (1 << 20) - 1,
    LATENT_CLAMP = 32767,
}; /* as vaecodec/models/encoder_data.py and decoder_data.py */

enum {
    ROWS = 4,      /* that a thread takes together: planes of neighbouring rows share lines of the cache */
    COLUMNS = 32,  /* of a row, and */
    CHANNELS = 96, /* of a step, that are turned together: 13 KB, in the first-level cache */
};

static int32_t clamp(int32_t value, int32_t limit) {
    return value > limit ? limit : value < -limit ? -limit : value;
}

static int16_t *cell(const vk_grid *g, int row, int column) {
    return g->data + ((ptrdiff_t)(row + g->border) * (g->columns + 2 * g->border) + column + g->border) * g->stride;
}

static void share_rows(int threads, int rows, void (*work)(void *job, int worker, int item), void *job) {
    vk_parallel(threads, (rows + ROWS - 1) / ROWS, work, job);
}

static int end_of(int item, int rows) {
    return (item + 1) * ROWS < rows ? (item + 1) * ROWS : rows;
}

/* --- Samples ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *samples;
    int side, channels;
    const vk_grid *x;
} patches_job;

static void patches_rows(void *data, int worker, int item) {
    (void)worker;
    const patches_job *job = data;
    const int line = job->side * job->channels, end = end_of(item, job->x->rows);
    for (int i = item * ROWS; i < end; i++) {
        for (int j = 0; j < job->x->columns; j++) {
            int16_t *to = cell(job->x, i, j);
            for (int row = 0; row < job->side; row++, to += line) {
                const uint8_t *from = job->samples + (((ptrdiff_t)i * job->side + row) * job->x->columns + j) * line;
                for (int n = 0; n < line; n++) {
                    to[n] = (int16_t)((from[n] - MIDDLE) * SAMPLE_UNIT);
                }
            }
        }
    }
}

/* [side · rows][side · columns][channels] to 32·(sample − 128), a square of side × side samples in a cell. */
void vk_patches(const uint8_t *samples, int side, int channels, vk_grid *x, int threads) {
    patches_job job = {samples, side, channels, x};
    share_rows(threads, x->rows, patches_rows, &job);
}

/* --- Latents before rounding, v: in 256ths of a step ----------------------------------------------------------------- */

typedef struct {
    const vk_grid *x;
    int top, left, height, width, channels;
    const int32_t *factor, *shift;
    int32_t *v;
} gain_job;

static void gain_rows(void *data, int worker, int item) {
    (void)worker;
    const gain_job *job = data;
    const int end = end_of(item, job->height);
    for (int i = item * ROWS; i < end; i++) {
        for (int j = 0; j < job->width; j++) {
            const int16_t *from = cell(job->x, job->top + i, job->left + j);
            int32_t *to = job->v + ((ptrdiff_t)i * job->width + j) * job->channels;
            for (int c = 0; c < job->channels; c++) {
                const uint32_t product = (uint32_t)from[c] * (uint32_t)job->factor[c];
                to[c] = (int32_t)(product + (((uint32_t)1 << job->shift[c]) >> 1)) >> job->shift[c];
            }
        }
    }
}

/* height × width cells of a grid, from top and left on, to latents: (x·factor + floor(2^shift / 2)) >> shift. */
void vk_gain(const vk_grid *x, int top, int left, const int32_t *factor, const int32_t *shift, int32_t *v, int height,
             int width, int channels, int threads) {
    gain_job job = {x, top, left, height, width, channels, factor, shift, v};
    share_rows(threads, height, gain_rows, &job);
}

typedef struct {
    const int32_t *v;
    int height, width, channels, reach;
    const int16_t *lookup;
    const vk_grid *x;
} seen_job;

static void seen_rows(void *data, int worker, int item) {
    (void)worker;
    const seen_job *job = data;
    const int end = end_of(item, job->x->rows), last_row = job->height - 1, last_column = job->width - 1;
    for (int i = item * ROWS; i < end; i++) {
        for (int j = 0; j < job->x->columns; j++) {
            const ptrdiff_t at = (ptrdiff_t)(i < last_row ? i : last_row) * job->width + (j < last_column ? j : last_column);
            const int32_t *from = job->v + at * job->channels;
            int16_t *to = cell(job->x, i, j);
            for (int c = 0; c < job->channels; c++) {
                const int32_t n = from[c] < -job->reach ? -job->reach : from[c] >= job->reach ? job->reach - 1 : from[c];
                to[c] = job->lookup[n + job->reach];
            }
        }
    }
}

/* What the hyper analysis sees of latents: lookup has 2·reach entries, from −reach on. Edges are repeated to the whole grid. */
void vk_seen(const int32_t *v, int height, int width, int channels, const int16_t *lookup, int reach, vk_grid *x,
             int threads) {
    seen_job job = {v, height, width, channels, reach, lookup, x};
    share_rows(threads, x->rows, seen_rows, &job);
}

/* --- A step -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const int32_t *v, *mean, *zone, *coded;
    const uint8_t *index;
    int32_t *symbols, *planes;
    vk_latents y16;
    int k, height, width, channels;
} step_job;

/* The first channel of what step k codes at a position of a 2×2 cell. */
static int first_channel(const step_job *job, int row, int column) {
    static const int order[] = {0, 3, 1, 2};
    return ((2 * (row & 1) + (column & 1)) ^ order[job->k]) * (job->channels / 4);
}

/* Some columns of a row and some channels of a step: latents lie channel by channel, planes column by column. */
typedef struct {
    int row, left, count, first, channels;
    int32_t values[CHANNELS][COLUMNS + 1]; /* by channel of the step, as planes are; one more, lest all of a column share a set of the cache */
} square;

static ptrdiff_t place_in_latents(const step_job *job, const square *q, int column) {
    const ptrdiff_t at = ((ptrdiff_t)q->row * job->width + q->left + column) * job->channels;
    return at + first_channel(job, q->row, q->left + column) + q->first;
}

static ptrdiff_t place_in_planes(const step_job *job, const square *q, int m) {
    return ((ptrdiff_t)(q->first + m) * job->height + q->row) * job->width + q->left;
}

static void walk_step(const step_job *job, int item, void (*one)(const step_job *, square *)) {
    const int end = end_of(item, job->height), group = job->channels / 4;
    square q;
    for (q.row = item * ROWS; q.row < end; q.row++) {
        for (q.left = 0; q.left < job->width; q.left += COLUMNS) {
            q.count = job->width - q.left < COLUMNS ? job->width - q.left : COLUMNS;
            for (q.first = 0; q.first < group; q.first += CHANNELS) {
                q.channels = group - q.first < CHANNELS ? group - q.first : CHANNELS;
                one(job, &q);
            }
        }
    }
}

static void round_square(const step_job *job, square *q) {
    for (int j = 0; j < q->count; j++) {
        const int32_t *from = job->v + place_in_latents(job, q, j);
        for (int m = 0; m < q->channels; m++) {
            q->values[m][j] = from[m];
        }
    }
    const int count = q->count;
    for (int m = 0; m < q->channels; m++) {
        const ptrdiff_t at = place_in_planes(job, q, m);
        const int32_t *const v = q->values[m], *const mean = job->mean + at, *const zone = job->zone;
        const uint8_t *const index = job->index + at;
        uint32_t coded_from[COLUMNS]; /* magnitudes below it become 0 */
        int32_t symbols[COLUMNS];
        for (int j = 0; j < count; j++) {
            coded_from[j] = index[j] == 0 ? UINT32_MAX : zone && zone[index[j]] >= 0 ? (uint32_t)zone[index[j]] + 1 : 0;
        }
        for (int j = 0; j < count; j++) {
            const uint32_t residual = (uint32_t)v[j] - (uint32_t)mean[j] * (V_UNIT / MEAN_UNIT);
            const uint32_t magnitude = (int32_t)residual < 0 ? 0 - residual : residual;
            const int32_t symbol = clamp((int32_t)(residual + V_UNIT / 2) >> 8, SYMBOL_LIMIT);
            symbols[j] = magnitude < coded_from[j] ? 0 : symbol;
        }
        memcpy(job->symbols + at, symbols, sizeof(int32_t) * (size_t)count);
    }
}

static void round_rows(void *data, int worker, int item) {
    (void)worker;
    walk_step(data, item, round_square);
}

/* What step k codes of latents, rounded: v − mean in whole steps; 0 where the index is 0, and with a zone, [64], where the magnitude in
 * 256ths of a step is at most zone[index]. Indices are 0..63. */
void vk_round_step(const int32_t *v, const int32_t *mean, const uint8_t *index, const int32_t *zone, int k, int height,
                   int width, int channels, int32_t *symbols, int threads) {
    step_job job = {.v = v, .mean = mean, .index = index, .zone = zone, .k = k, .height = height, .width = width,
                    .channels = channels, .symbols = symbols};
    share_rows(threads, height, round_rows, &job);
}

static void put_square(const step_job *job, square *q) {
    const int count = q->count;
    for (int m = 0; m < q->channels; m++) {
        const ptrdiff_t at = place_in_planes(job, q, m);
        const int32_t *const symbols = job->coded + at, *const mean = job->mean + at;
        int32_t *const y16 = q->values[m];
        for (int j = 0; j < count; j++) {
            y16[j] = (int32_t)((uint32_t)symbols[j] * MEAN_UNIT + (uint32_t)mean[j]);
        }
        memcpy(job->planes + at, y16, sizeof(int32_t) * (size_t)count);
        for (int j = 0; job->y16.clamped && j < count; j++) {
            y16[j] = clamp(y16[j], LATENT_CLAMP);
        }
    }
    for (int j = 0; j < q->count; j++) {
        const ptrdiff_t at = place_in_latents(job, q, j);
        if (job->y16.wide) {
            for (int m = 0; m < q->channels; m++) {
                job->y16.wide[at + m] = q->values[m][j];
            }
        } else {
            for (int m = 0; m < q->channels; m++) {
                job->y16.clamped[at + m] = (int16_t)q->values[m][j];
            }
        }
    }
}

static void put_rows(void *data, int worker, int item) {
    (void)worker;
    walk_step(data, item, put_square);
}

/* Symbols of step k and their means to latents in sixteenths of a step: planes, for the next step, and in their places in y16. The
 * symbols may lie where the planes go. */
void vk_put_step(const int32_t *symbols, const int32_t *mean, int k, int height, int width, int channels, int32_t *planes,
                 vk_latents y16, int threads) {
    step_job job = {.coded = symbols, .mean = mean, .k = k, .height = height, .width = width, .channels = channels,
                    .planes = planes, .y16 = y16};
    share_rows(threads, height, put_rows, &job);
}

/* --- Synthesis ----------------------------------------------------------------------------------------------------- */

typedef struct {
    vk_latents y16;
    const int32_t *factor, *shift;
    int32_t limit;
    const vk_grid *x;
    int channels;
} scale_job;

static void scale_rows(void *data, int worker, int item) {
    (void)worker;
    const scale_job *job = data;
    const int end = end_of(item, job->x->rows);
    for (int r = item * ROWS; r < end; r++) {
        for (int c = 0; c < job->x->columns; c++) {
            const ptrdiff_t at = ((ptrdiff_t)r * job->x->columns + c) * job->channels;
            int16_t *to = cell(job->x, r, c);
            for (int n = 0; n < job->channels; n++) {
                const int32_t y16 = job->y16.wide ? clamp(job->y16.wide[at + n], LATENT_CLAMP) : job->y16.clamped[at + n];
                const int64_t t = (int64_t)y16 * job->factor[n] + ((int64_t)1 << job->shift[n] >> 1);
                const int64_t scaled = t >> job->shift[n];
                to[n] = (int16_t)(scaled > job->limit ? job->limit : scaled < -job->limit ? -job->limit : scaled);
            }
        }
    }
}

/* [rows][columns][channels] in sixteenths of a step to what the synthesis starts with:
 * clamp((clamp(y, 32767)·factor + floor(2^shift / 2)) >> shift, limit). */
void vk_scale_latents(vk_latents y16, const int32_t *factor, const int32_t *shift, int32_t limit, vk_grid *x,
                      int channels, int threads) {
    scale_job job = {y16, factor, shift, limit, x, channels};
    share_rows(threads, x->rows, scale_rows, &job);
}
