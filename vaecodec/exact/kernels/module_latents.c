/* The part of the Python module that is about latents, see latents.c; module.c lists its functions. */
#include "arguments.h"
#include "module.h"

static int are_sides(Py_ssize_t height, Py_ssize_t width) {
    return height >= 1 && width >= 1 && height <= MOST_CELLS && width <= MOST_CELLS;
}

static int are_channels(Py_ssize_t channels) {
    return channels >= 1 && channels <= VK_MAX_CHANNELS;
}

static int are_shifts(const int32_t *shift, int channels) {
    for (int c = 0; c < channels; c++) {
        if (shift[c] < 0 || shift[c] > VK_MAX_SHIFT) {
            return 0;
        }
    }
    return 1;
}

static vk_latents latents_in(const Py_buffer *y16) {
    return y16->itemsize == sizeof(int32_t) ? (vk_latents){.wide = y16->buf} : (vk_latents){.clamped = y16->buf};
}

PyObject *vk_py_scale_latents(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *latents, *factors, *shifts, *to;
    int limit, border, threads;
    if (!PyArg_ParseTuple(args, "OOOiOii", &latents, &factors, &shifts, &limit, &to, &border, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid x;
    const int32_t *factor, *shift;
    const Py_buffer *y16 = hold(&all, latents, "y16", 's', 0, 3, 0);
    if (!y16) {
        return failed(&all);
    }
    if (!are_channels(y16->shape[2])) {
        return refuse(&all, "y16 is [rows, columns, channels]");
    }
    const int channels = (int)y16->shape[2];
    if (!hold_row(&all, factors, "factor", channels, 0, &factor) || !hold_row(&all, shifts, "shift", channels, 0, &shift) ||
        !hold_grid(&all, to, "x", border, channels, 1, &x)) {
        return failed(&all);
    }
    if (!are_shifts(shift, channels) || x.rows != y16->shape[0] || x.columns != y16->shape[1] || limit < 1 ||
        limit > VK_MAX_LIMIT) {
        return refuse(&all, "x has the rows and columns of y16, shifts are 0 to 30, limit is 1 to 32767");
    }
    Py_BEGIN_ALLOW_THREADS
    vk_scale_latents(latents_in(y16), factor, shift, limit, &x, channels, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}

PyObject *vk_py_patches(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from, *to;
    int side, border, threads;
    if (!PyArg_ParseTuple(args, "OiOii", &from, &side, &to, &border, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid x;
    const Py_buffer *given = hold(&all, from, "samples", 'u', 1, 3, 0);
    if (!given) {
        return failed(&all);
    }
    if (side < 1 || side > MOST_SIDE || given->shape[2] < 1 || given->shape[2] > 4) {
        return refuse(&all, "samples are [side · rows, side · columns, 1 to 4]");
    }
    if (!hold_grid(&all, to, "x", border, side * side * (int)given->shape[2], 1, &x)) {
        return failed(&all);
    }
    if (given->shape[0] != (Py_ssize_t)side * x.rows || given->shape[1] != (Py_ssize_t)side * x.columns) {
        return refuse(&all, "samples are [side · rows, side · columns, 1 to 4]");
    }
    Py_BEGIN_ALLOW_THREADS
    vk_patches(given->buf, side, (int)given->shape[2], &x, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}

PyObject *vk_py_gain(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from, *factors, *shifts, *to;
    int border, top, left, threads;
    if (!PyArg_ParseTuple(args, "OiiiOOOi", &from, &border, &top, &left, &factors, &shifts, &to, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid x;
    const int32_t *factor, *shift;
    const Py_buffer *v = hold(&all, to, "v", 's', 4, 3, 1);
    if (!v) {
        return failed(&all);
    }
    if (!are_channels(v->shape[2])) {
        return refuse(&all, "v is [height, width, channels]");
    }
    const int channels = (int)v->shape[2];
    if (!hold_grid(&all, from, "x", border, channels, 0, &x) || !hold_row(&all, factors, "factor", channels, 0, &factor) ||
        !hold_row(&all, shifts, "shift", channels, 0, &shift)) {
        return failed(&all);
    }
    if (!are_shifts(shift, channels) || !are_sides(v->shape[0], v->shape[1]) || top < 0 || left < 0 ||
        top > x.rows - v->shape[0] || left > x.columns - v->shape[1]) {
        return refuse(&all, "v lies inside x, shifts are 0 to 30");
    }
    Py_BEGIN_ALLOW_THREADS
    vk_gain(&x, top, left, factor, shift, v->buf, (int)v->shape[0], (int)v->shape[1], channels, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}

PyObject *vk_py_seen(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from, *table, *to;
    int border, threads;
    if (!PyArg_ParseTuple(args, "OOOii", &from, &table, &to, &border, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid x;
    const Py_buffer *v = hold(&all, from, "v", 's', 4, 3, 0), *lookup = v ? hold(&all, table, "lookup", 's', 2, 1, 0) : NULL;
    if (!lookup) {
        return failed(&all);
    }
    if (!are_channels(v->shape[2]) || !are_sides(v->shape[0], v->shape[1]) || lookup->shape[0] < 2 ||
        lookup->shape[0] % 2 || lookup->shape[0] > 1 << 24) {
        return refuse(&all, "v is [height, width, channels], the lookup has an even length");
    }
    if (!hold_grid(&all, to, "x", border, (int)v->shape[2], 1, &x)) {
        return failed(&all);
    }
    Py_BEGIN_ALLOW_THREADS
    vk_seen(v->buf, (int)v->shape[0], (int)v->shape[1], (int)v->shape[2], lookup->buf, (int)(lookup->shape[0] / 2), &x, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}

/* Whether a step of the latents [height, width, channels] is the planes [channels / 4, height, width]. */
static int is_step_of(const Py_buffer *planes, const Py_buffer *latents, int k) {
    return k >= 0 && k < 4 && are_channels(latents->shape[2]) && latents->shape[2] % 4 == 0 &&
           are_sides(latents->shape[0], latents->shape[1]) && planes->shape[0] == latents->shape[2] / 4 &&
           planes->shape[1] == latents->shape[0] && planes->shape[2] == latents->shape[1];
}

static const char STEP[] = "k is 0 to 3, latents are [height, width, channels], and planes of a step [channels / 4, height, width]";

PyObject *vk_py_round_step(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from, *means, *indices, *zones, *to;
    int k, threads;
    if (!PyArg_ParseTuple(args, "OOOOiOi", &from, &means, &indices, &zones, &k, &to, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    const int32_t *zone;
    const Py_buffer *v = hold(&all, from, "v", 's', 4, 3, 0), *mean = v ? hold(&all, means, "mean", 's', 4, 3, 0) : NULL;
    const Py_buffer *index = mean ? hold(&all, indices, "index", 'u', 1, 3, 0) : NULL;
    const Py_buffer *symbols = index ? hold(&all, to, "symbols", 's', 4, 3, 1) : NULL;
    if (!symbols || !hold_row(&all, zones, "zone", 64, 1, &zone)) {
        return failed(&all);
    }
    if (!is_step_of(mean, v, k) || !is_step_of(index, v, k) || !is_step_of(symbols, v, k)) {
        return refuse(&all, STEP);
    }
    uint8_t together = 0;
    for (Py_ssize_t n = 0; n < index->len; n++) {
        together |= ((const uint8_t *)index->buf)[n];
    }
    if (together > 63) {
        return refuse(&all, "indices are 0 to 63");
    }
    Py_BEGIN_ALLOW_THREADS
    vk_round_step(v->buf, mean->buf, index->buf, zone, k, (int)v->shape[0], (int)v->shape[1], (int)v->shape[2], symbols->buf, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}

PyObject *vk_py_put_step(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *from, *means, *to, *all_of_them;
    int k, threads;
    if (!PyArg_ParseTuple(args, "OOiOOi", &from, &means, &k, &to, &all_of_them, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    const Py_buffer *symbols = hold(&all, from, "symbols", 's', 4, 3, 0);
    const Py_buffer *mean = symbols ? hold(&all, means, "mean", 's', 4, 3, 0) : NULL;
    const Py_buffer *planes = mean ? hold(&all, to, "planes", 's', 4, 3, 1) : NULL;
    const Py_buffer *y16 = planes ? hold(&all, all_of_them, "y16", 's', 0, 3, 1) : NULL;
    if (!y16) {
        return failed(&all);
    }
    if (!is_step_of(symbols, y16, k) || !is_step_of(mean, y16, k) || !is_step_of(planes, y16, k)) {
        return refuse(&all, STEP);
    }
    Py_BEGIN_ALLOW_THREADS
    vk_put_step(symbols->buf, mean->buf, k, (int)y16->shape[0], (int)y16->shape[1], (int)y16->shape[2], planes->buf, latents_in(y16), threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, 1);
}
