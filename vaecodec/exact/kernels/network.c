/* Layers over grids of cells, a band of cells at a time:
 *
 *   grid ──gather──► [VK_BAND][channels] ──linear, depthwise──► [VK_BAND][channels] ──scatter──► grid
 *
 * What is between gathering and scattering stays in the second-level cache. Bands are shared out to threads; the last one may
 * have cells that do not exist, of whatever values are in the buffer, which are computed and not stored. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static ptrdiff_t padded(int channels) {
    return (channels + VK_ALIGN - 1) / VK_ALIGN * VK_ALIGN;
}

static int32_t clamp(int32_t value, int32_t limit) {
    return value > limit ? limit : value < -limit ? -limit : value;
}

static int whole_tiles(int cells) {
    return (cells + VK_ROWS - 1) / VK_ROWS * VK_ROWS;
}

static int16_t *cell(const vk_grid *g, int row, int column) {
    return g->data + ((ptrdiff_t)(row + g->border) * (g->columns + 2 * g->border) + column + g->border) * g->stride;
}

/* The cells first..first+count-1 of a grid in raster order, at most VK_BAND of them. */
typedef struct {
    int first, count;
} band;

/* How cells are cut into bands. */
typedef struct {
    int cells, size, count; /* size: cells of a band, but for the last one */
} bands;

enum { FEWEST = 2 * VK_ROWS, BANDS_OF_A_THREAD = 8 };

/* Bands are smaller where threads share few cells, lest all but one wait for the last of them. */
static bands cut(int cells, int threads) {
    const int share = threads < 2 ? VK_BAND : whole_tiles(cells / threads / BANDS_OF_A_THREAD);
    const int size = share < FEWEST ? FEWEST : share > VK_BAND ? VK_BAND : share;
    return (bands){cells, size, (cells + size - 1) / size};
}

static band band_at(const bands *all, int number) {
    const int first = number * all->size, left = all->cells - first;
    return (band){first, left < all->size ? left : all->size};
}

static void linear(const vk_linear *layer, int group, int cells, const int16_t *x, ptrdiff_t ldx, int16_t *y16,
                   int32_t *y32, ptrdiff_t ldy) {
    if (layer->weight) {
        layer->kernel->linear(layer, group, whole_tiles(cells), x, ldx, y16, y32, ldy);
    } else {
        vk_wide_linear(layer, group, whole_tiles(cells), x, ldx, y16, y32, ldy);
    }
}

/* Buffers for every worker. To fill them with zeros would take as long as a small layer: what is read is written before. */
static void *buffers(int threads, size_t bytes) {
    return malloc((size_t)(threads > 0 ? threads : 1) * bytes);
}

/* The inputs that a layer reads beyond those that are there: of a last one to make a pair, and of cells to make a tile. */
static void zero_rest(int16_t *in, ptrdiff_t channels, int inputs, int cells) {
    for (int i = 0; inputs % 2 && i < cells; i++) {
        in[i * channels + inputs] = 0;
    }
    memset(in + cells * channels, 0, sizeof(int16_t) * (size_t)(channels * (whole_tiles(cells) - cells)));
}

/* --- Residual blocks ----------------------------------------------------------------------------------------------- */

typedef struct {
    const vk_residual *blocks;
    vk_grid *grids[2]; /* block i goes from grids[i % 2] to the other one */
    bands bands;
    int16_t *buffers;
    ptrdiff_t between, hidden; /* channels of both buffers of a band, of the widest block */
} blocks_job;

static void block_band(void *data, int worker, int item) {
    const blocks_job *job = data;
    const int number = item / job->bands.count;
    const vk_residual *block = &job->blocks[number];
    const vk_depthwise *depthwise = block->depthwise;
    const vk_grid *x = job->grids[number % 2], *y = job->grids[1 - number % 2];
    const int reach = depthwise->side / 2;
    const ptrdiff_t row = (ptrdiff_t)(x->columns + 2 * x->border) * x->stride;
    const band b = band_at(&job->bands, item % job->bands.count);
    int16_t *between = job->buffers + worker * (job->between + job->hidden) * VK_BAND;
    int16_t *hidden = between + job->between * VK_BAND;
    for (int i = 0; i < b.count;) {
        const int r = (b.first + i) / x->columns, c = (b.first + i) % x->columns;
        const int run = x->columns - c < b.count - i ? x->columns - c : b.count - i;
        depthwise->kernel->depthwise(depthwise, run, cell(x, r - reach, c - reach), x->stride, row,
                                     between + i * job->between, job->between);
        i += run;
    }
    zero_rest(between, job->between, 0, b.count);
    linear(block->expand, 0, b.count, between, job->between, hidden, NULL, job->hidden);
    linear(block->project, 0, b.count, hidden, job->hidden, between, NULL, job->between);
    for (int i = 0; i < b.count; i++) {
        const int r = (b.first + i) / x->columns, c = (b.first + i) % x->columns;
        depthwise->kernel->add(cell(x, r, c), between + i * job->between, depthwise->input_limit, cell(y, r, c), x->stride);
    }
}

/* How many bands on, at most, lies what the window of a cell touches. */
static int bands_apart(const bands *all, int reach, int columns) {
    return (reach * (columns + 1) + all->size - 1) / all->size;
}

int vk_blocks(const vk_residual *blocks, int count, vk_grid *x, vk_grid *y, int threads) {
    blocks_job job = {.blocks = blocks, .grids = {x, y}, .bands = cut(x->rows * x->columns, threads)};
    int reach = 0;
    for (int i = 0; i < count; i++) {
        const ptrdiff_t between = padded(blocks[i].depthwise->channels), hidden = padded(blocks[i].expand->outputs);
        job.between = between > job.between ? between : job.between;
        job.hidden = hidden > job.hidden ? hidden : job.hidden;
        reach = blocks[i].depthwise->side / 2 > reach ? blocks[i].depthwise->side / 2 : reach;
    }
    job.buffers = buffers(threads, sizeof(int16_t) * VK_BAND * (size_t)(job.between + job.hidden));
    if (!job.buffers) {
        return 0;
    }
    vk_parallel_stages(threads, count, job.bands.count, bands_apart(&job.bands, reach, x->columns), block_band, &job);
    free(job.buffers);
    return 1;
}

/* --- Linear layers between grids of different scales ----------------------------------------------------------------- */

typedef struct {
    const vk_linear *layer;
    const vk_grid *x;
    vk_grid *y;
    int side;
    const vk_after *after;
    bands bands;
    int16_t *buffers;
    ptrdiff_t in, out; /* channels of both buffers of a band */
} linear_job;

static void store_after(const int16_t *from, int16_t *to, int channels, const vk_after *after) {
    if (!after->factor && !after->offset) {
        for (int c = 0; c < channels; c++) {
            to[c] = (int16_t)clamp(from[c], after->limit);
        }
        return;
    }
    const int32_t half = (int32_t)1 << (after->shift - 1);
    for (int c = 0; c < channels; c++) {
        int64_t t = from[c];
        if (after->factor) {
            t = (t * after->factor[c] + half) >> after->shift;
        }
        if (after->offset) {
            t += after->offset[c];
        }
        to[c] = (int16_t)(t > after->limit ? after->limit : t < -after->limit ? -after->limit : t);
    }
}

static void unfold_band(void *data, int worker, int item) {
    const linear_job *job = data;
    const vk_grid *x = job->x;
    const band b = band_at(&job->bands, item);
    int16_t *in = job->buffers + worker * (job->in + job->out) * VK_BAND, *out = in + job->in * VK_BAND;
    for (int i = 0; i < b.count; i++) {
        memcpy(in + i * job->in, cell(x, (b.first + i) / x->columns, (b.first + i) % x->columns),
               sizeof(int16_t) * (size_t)job->in);
    }
    zero_rest(in, job->in, 0, b.count);
    linear(job->layer, 0, b.count, in, job->in, out, NULL, job->out);
    const int side = job->side, channels = job->layer->outputs / (side * side);
    for (int i = 0; i < b.count; i++) {
        const int r = (b.first + i) / x->columns * side, c = (b.first + i) % x->columns * side;
        for (int part = 0; part < side * side; part++) {
            store_after(out + i * job->out + part * channels, cell(job->y, r + part / side, c + part % side), channels,
                        job->after);
        }
    }
}

/* y: a grid of side times the rows and columns of x; output (side·i + j)·C + c goes to row i, column j, channel c. */
int vk_unfold(const vk_linear *layer, const vk_grid *x, vk_grid *y, int side, const vk_after *after, int threads) {
    const bands all = cut(x->rows * x->columns, threads);
    linear_job job = {layer, x, y, side, after, all, NULL, x->stride, padded(layer->outputs)};
    job.buffers = buffers(threads, sizeof(int16_t) * VK_BAND * (size_t)(job.in + job.out));
    if (!job.buffers) {
        return 0;
    }
    vk_parallel(threads, job.bands.count, unfold_band, &job);
    free(job.buffers);
    return 1;
}

static void fold_band(void *data, int worker, int item) {
    const linear_job *job = data;
    const vk_grid *x = job->x, *y = job->y;
    const band b = band_at(&job->bands, item);
    int16_t *in = job->buffers + worker * (job->in + job->out) * VK_BAND, *out = in + job->in * VK_BAND;
    const int side = job->side, channels = job->layer->inputs / (side * side);
    for (int i = 0; i < b.count; i++) {
        const int r = (b.first + i) / y->columns * side, c = (b.first + i) % y->columns * side;
        for (int part = 0; part < side * side; part++) {
            memcpy(in + i * job->in + part * channels, cell(x, r + part / side, c + part % side),
                   sizeof(int16_t) * (size_t)channels);
        }
    }
    zero_rest(in, job->in, job->layer->inputs, b.count);
    linear(job->layer, 0, b.count, in, job->in, out, NULL, job->out);
    for (int i = 0; i < b.count; i++) {
        store_after(out + i * job->out, cell(y, (b.first + i) / y->columns, (b.first + i) % y->columns),
                    job->layer->outputs, job->after);
    }
}

/* The inverse order: x has side times the rows and columns of y, and input (side·i + j)·C + c is row i, column j, channel c. */
int vk_fold(const vk_linear *layer, const vk_grid *x, vk_grid *y, int side, const vk_after *after, int threads) {
    const bands all = cut(y->rows * y->columns, threads);
    linear_job job = {layer, x, y, side, after, all, NULL, padded(layer->inputs), padded(layer->outputs)};
    job.buffers = buffers(threads, sizeof(int16_t) * VK_BAND * (size_t)(job.in + job.out));
    if (!job.buffers) {
        return 0;
    }
    vk_parallel(threads, job.bands.count, fold_band, &job);
    free(job.buffers);
    return 1;
}

/* --- Samples ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const vk_linear *layer;
    const vk_grid *x;
    uint8_t *samples;
    int32_t *raw;
    int side;
    bands bands;
    char *buffers;
    ptrdiff_t in, out;
    size_t bytes;
} samples_job;

static void to_bytes(const int16_t *restrict from, uint8_t *restrict to, int count) {
    for (int n = 0; n < count; n++) {
        const int16_t t = from[n] > 127 ? 127 : from[n] < -128 ? -128 : from[n];
        to[n] = (uint8_t)(t + 128);
    }
}

static void samples_band(void *data, int worker, int item) {
    const samples_job *job = data;
    const vk_grid *x = job->x;
    const band b = band_at(&job->bands, item);
    int32_t *out32 = (int32_t *)(job->buffers + (size_t)worker * job->bytes);
    int16_t *out16 = (int16_t *)out32, *in = (int16_t *)(out32 + job->out * VK_BAND);
    for (int i = 0; i < b.count; i++) {
        memcpy(in + i * job->in, cell(x, (b.first + i) / x->columns, (b.first + i) % x->columns),
               sizeof(int16_t) * (size_t)job->in);
    }
    zero_rest(in, job->in, 0, b.count);
    linear(job->layer, 0, b.count, in, job->in, job->raw ? NULL : out16, job->raw ? out32 : NULL, job->out);
    const int side = job->side, channels = job->layer->outputs / (side * side), line = side * channels;
    for (int i = 0; i < b.count; i++) {
        const ptrdiff_t r = (b.first + i) / x->columns, c = (b.first + i) % x->columns;
        for (int part = 0; part < side; part++) {
            const ptrdiff_t to = ((r * side + part) * x->columns + c) * line, from = i * job->out + part * line;
            if (job->raw) {
                memcpy(job->raw + to, out32 + from, sizeof(int32_t) * (size_t)line);
            } else {
                to_bytes(out16 + from, job->samples + to, line);
            }
        }
    }
}

/* The last layer of a synthesis, unfolded by side: samples 0..255, or with raw the integers as they are. */
int vk_samples(const vk_linear *layer, const vk_grid *x, uint8_t *samples, int32_t *raw, int side, int threads) {
    const bands all = cut(x->rows * x->columns, threads);
    samples_job job = {layer, x, samples, raw, side, all, NULL, x->stride, padded(layer->outputs), 0};
    job.bytes = VK_BAND * (sizeof(int16_t) * (size_t)job.in + sizeof(int32_t) * (size_t)job.out);
    job.buffers = buffers(threads, job.bytes);
    if (!job.buffers) {
        return 0;
    }
    vk_parallel(threads, job.bands.count, samples_band, &job);
    free(job.buffers);
    return 1;
}

/* --- The steps of the prior ------------------------------------------------------------------------------------------ */

/* Cells of one position p (row p / 2, column p % 2) of all 2×2 cells of a grid, in raster order. */
static void place(const vk_grid *f, int position, int n, int *row, int *column) {
    *row = 2 * (n / (f->columns / 2)) + position / 2;
    *column = 2 * (n % (f->columns / 2)) + position % 2;
}

typedef struct {
    const vk_linear *layer;
    const int32_t *planes;
    int height, width, reach;
    const int16_t *lookup;
    vk_grid *f;
    int32_t limit;
    const int32_t *mean_factor, *index_offset;
    int32_t *mean;
    uint8_t *index;
    bands bands; /* of a position */
    int16_t *buffers;
    ptrdiff_t in, out;
} step_job;

static bands cut_positions(const vk_grid *f, int threads) {
    return cut(f->rows / 2 * (f->columns / 2), threads);
}

/* Bands lie in one position each: item = position · bands + band. */
static band positional_band(const step_job *job, int item, int *position) {
    *position = item / job->bands.count;
    return band_at(&job->bands, item % job->bands.count);
}

/* Where the cells of a band lie in planes [height][width]; those beyond them are at −1. */
static void places_in_planes(const step_job *job, int position, band b, ptrdiff_t *at) {
    for (int i = 0; i < b.count; i++) {
        int r, c;
        place(job->f, position, b.first + i, &r, &c);
        at[i] = r < job->height && c < job->width ? (ptrdiff_t)r * job->width + c : -1;
    }
}

static void enter_band(void *data, int worker, int item) {
    const step_job *job = data;
    int position, r, c;
    const band b = positional_band(job, item, &position);
    ptrdiff_t at[VK_BAND];
    places_in_planes(job, position, b, at);
    int16_t *in = job->buffers + worker * (job->in + job->out) * VK_BAND, *out = in + job->in * VK_BAND;
    for (int m = 0; m < job->layer->inputs; m++) {
        const int32_t *plane = job->planes + (ptrdiff_t)m * job->height * job->width;
        for (int i = 0; i < b.count; i++) {
            const int32_t y16 = at[i] >= 0 ? plane[at[i]] : 0;
            in[i * job->in + m] = job->lookup[clamp(y16, job->reach) + job->reach];
        }
    }
    zero_rest(in, job->in, job->layer->inputs, b.count);
    linear(job->layer, position, b.count, in, job->in, out, NULL, job->out);
    for (int i = 0; i < b.count; i++) {
        place(job->f, position, b.first + i, &r, &c);
        int16_t *to = cell(job->f, r, c);
        job->layer->kernel->add(to, out + i * job->out, job->limit, to, job->out);
    }
}

/* Both positions in a row of cells go to one worker: in planes their numbers lie in the same lines of the cache, and those
 * that two processors write go to and fro between them. */
static void both_columns(void (*one)(void *, int, int), void *data, int worker, int item) {
    const step_job *job = data;
    const int row = item % 2, number = item / 2, count = job->bands.count;
    for (int column = 0; column < 2; column++) {
        one(data, worker, (2 * row + column) * count + number);
    }
}

static void enter_bands(void *data, int worker, int item) {
    both_columns(enter_band, data, worker, item);
}

/* Adds to the features what the latents of the last step say. planes: int32 [inputs][height][width], in sixteenths of a step;
 * lookup: what the network sees of -reach..reach. The grid has even sides; cells outside height × width count as 0. */
int vk_enter(const vk_linear *layer, const int32_t *planes, int height, int width, const int16_t *lookup, int reach,
             vk_grid *f, int32_t limit, int threads) {
    step_job job = {.layer = layer, .planes = planes, .height = height, .width = width, .reach = reach, .lookup = lookup,
                    .f = f, .limit = limit, .bands = cut_positions(f, threads), .in = padded(layer->inputs), .out = padded(layer->outputs)};
    job.buffers = buffers(threads, sizeof(int16_t) * VK_BAND * (size_t)(job.in + job.out));
    if (!job.buffers) {
        return 0;
    }
    vk_parallel(threads, 2 * job.bands.count, enter_bands, &job);
    free(job.buffers);
    return 1;
}

enum { MEAN_SHIFT = 12, INDEX_SHIFT = 5, INDEX_LEVELS = 64, CERTAIN_BELOW = 3 }; /* as vaecodec/models/decoder_data.py */

static void leave_band(void *data, int worker, int item) {
    const step_job *job = data;
    int position, r, c;
    const band b = positional_band(job, item, &position);
    int16_t *in = job->buffers + worker * (job->in + job->out) * VK_BAND, *out = in + job->in * VK_BAND;
    for (int i = 0; i < b.count; i++) {
        place(job->f, position, b.first + i, &r, &c);
        const int16_t *from = cell(job->f, r, c);
        int16_t *to = in + i * job->in;
        for (ptrdiff_t n = 0; n < job->in; n++) {
            const int16_t leaked = (int16_t)(from[n] >> VK_LEAK_SHIFT);
            to[n] = from[n] > leaked ? from[n] : leaked;
        }
    }
    zero_rest(in, job->in, 0, b.count);
    linear(job->layer, position, b.count, in, job->in, out, NULL, job->out);
    const int group = job->layer->outputs / 2;
    ptrdiff_t at[VK_BAND];
    places_in_planes(job, position, b, at);
    for (int m = 0; m < group; m++) {
        const int64_t factor = job->mean_factor[position * group + m], offset = job->index_offset[position * group + m];
        const ptrdiff_t plane = (ptrdiff_t)m * job->height * job->width;
        for (int i = 0; i < b.count; i++) {
            if (at[i] < 0) {
                continue;
            }
            const int64_t level = (out[i * job->out + group + m] + offset + (1 << (INDEX_SHIFT - 1))) >> INDEX_SHIFT;
            job->mean[plane + at[i]] = (int32_t)((out[i * job->out + m] * factor + (1 << (MEAN_SHIFT - 1))) >> MEAN_SHIFT);
            job->index[plane + at[i]] = (uint8_t)(level < CERTAIN_BELOW ? 0 : level >= INDEX_LEVELS ? INDEX_LEVELS - 1 : level);
        }
    }
}

static void leave_bands(void *data, int worker, int item) {
    both_columns(leave_band, data, worker, item);
}

/* What a step says of the latents that it codes: means in sixteenths of a step, and table indices, [outputs / 2][height][width].
 * mean_factor and index_offset: [4][outputs / 2], by position. */
int vk_leave(const vk_linear *layer, const vk_grid *f, const int32_t *mean_factor, const int32_t *index_offset,
             int32_t *mean, uint8_t *index, int height, int width, int threads) {
    step_job job = {.layer = layer, .height = height, .width = width, .f = (vk_grid *)f, .mean_factor = mean_factor,
                    .index_offset = index_offset, .mean = mean, .index = index, .bands = cut_positions(f, threads), .in = f->stride,
                    .out = padded(layer->outputs)};
    job.buffers = buffers(threads, sizeof(int16_t) * VK_BAND * (size_t)(job.in + job.out));
    if (!job.buffers) {
        return 0;
    }
    vk_parallel(threads, 2 * job.bands.count, leave_bands, &job);
    free(job.buffers);
    return 1;
}
