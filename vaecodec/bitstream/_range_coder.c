/* The Python module vaecodec.bitstream._range_coder: groups of symbols to words and back, as section 4 of docs/format.md says.
 *
 *   pack_tables ─► tables      encoder ─► push, push, … ─► finish ─► bytes      decoder(bytes) ─► pop, pop, … ─► used_up
 *
 * vaecodec/bitstream/coder.py has the same in Python around constriction's coders, word for word, and takes this where it was
 * built; entries is for FrozenTables.bits. Arrays come in through the buffer protocol, contiguous; sizes are checked here,
 * types there. What a stream says is never trusted: any words decode to entries of their tables, and words past the end are 0. */
#define PY_SSIZE_T_CLEAN
#include <patchlevel.h>
/* The buffer protocol is in the stable ABI from 3.11 on; for 3.10 the extension is built for that version alone. */
#if PY_VERSION_HEX >= 0x030B0000
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <string.h>

#include "range_coding.h"

static const char TABLES_NAME[] = "vaecodec.tables", ENCODER[] = "vaecodec.encoder", DECODER[] = "vaecodec.decoder";

/* --- Python ---------------------------------------------------------------------------------------------------------- */

static void free_tables(PyObject *capsule) {
    tables *all = PyCapsule_GetPointer(capsule, TABLES_NAME);
    if (all) {
        free(all->left);
        free(all->bits);
        free(all);
    }
}

static void free_encoder(PyObject *capsule) {
    encoder *e = PyCapsule_GetPointer(capsule, ENCODER);
    if (e) {
        free(e->words);
        free(e);
    }
}

static void free_decoder(PyObject *capsule) {
    decoder *d = PyCapsule_GetPointer(capsule, DECODER);
    if (d) {
        free((void *)d->data);
        free(d);
    }
}

static PyObject *pack_tables(PyObject *self, PyObject *args) {
    Py_buffer widths, counts, bits;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*", &widths, &counts, &bits)) {
        return NULL;
    }
    PyObject *capsule = NULL;
    tables *all = NULL;
    int wrong;
    const int aligned = (uintptr_t)widths.buf % 4 == 0 && (uintptr_t)counts.buf % 4 == 0;
    const Py_ssize_t entries = aligned && widths.len == TABLES * 4 ? counts_of(widths.buf) : -1;
    if (entries < 0 || counts.len != 4 * entries || bits.len != (Py_ssize_t)sizeof(double) * entries) {
        PyErr_Format(PyExc_ValueError, "%d half-widths L of 0 to %d, and 2 L + 2 counts and bits for each", TABLES, MAX_HALF_WIDTH);
    } else if (!(all = calloc(1, sizeof *all)) || !(all->left = calloc((size_t)entries + TABLES, sizeof *all->left)) ||
               !(all->bits = malloc((size_t)bits.len))) {
        PyErr_NoMemory();
    } else if ((wrong = fill_tables(all, widths.buf, counts.buf))) {
        PyErr_Format(PyExc_ValueError, "the counts of table %d are not all positive with the sum 2^%d", wrong, PRECISION);
    } else {
        memcpy(all->bits, bits.buf, (size_t)bits.len);
        capsule = PyCapsule_New(all, TABLES_NAME, free_tables);
    }
    if (!capsule && all) {
        free(all->left);
        free(all->bits);
        free(all);
    }
    PyBuffer_Release(&widths);
    PyBuffer_Release(&counts);
    PyBuffer_Release(&bits);
    return capsule;
}

static PyObject *new_decoder(PyObject *self, PyObject *args) {
    Py_buffer data;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &data)) {
        return NULL;
    }
    PyObject *capsule = NULL;
    decoder *d = NULL;
    unsigned char *copy = NULL;
    if (data.len % 4) {
        PyErr_SetString(PyExc_ValueError, "a stream is words of 4 bytes");
    } else if (!(d = calloc(1, sizeof *d)) || !(copy = malloc(data.len ? (size_t)data.len : 1))) {
        PyErr_NoMemory();
    } else {
        memcpy(copy, data.buf, (size_t)data.len);
        start_decoding(d, copy, (size_t)data.len / 4);
        capsule = PyCapsule_New(d, DECODER, free_decoder);
    }
    if (!capsule) {
        free(copy);
        free(d);
    }
    PyBuffer_Release(&data);
    return capsule;
}

static PyObject *new_encoder(PyObject *self, PyObject *args) {
    (void)self;
    (void)args;
    encoder *e = calloc(1, sizeof *e);
    if (!e) {
        return PyErr_NoMemory();
    }
    e->range = UINT64_MAX;
    PyObject *capsule = PyCapsule_New(e, ENCODER, free_encoder);
    if (!capsule) {
        free(e);
    }
    return capsule;
}

/* The order of a group; NULL with an error set. */
static uint32_t *order_of(const Py_buffer *indices, const Py_buffer *symbols, ptrdiff_t *ends) {
    if (symbols->len / 4 != indices->len || symbols->len % 4 || (uintptr_t)symbols->buf % 4 ||
        (uint64_t)indices->len > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "symbols are int32 and as many as their table indices, which are bytes");
        return NULL;
    }
    uint32_t *order = malloc(indices->len ? sizeof *order * (size_t)indices->len : 1);
    if (!order) {
        PyErr_NoMemory();
    } else if (coding_order(indices->buf, indices->len, order, ends) < 0) {
        PyErr_Format(PyExc_ValueError, "table indices must be in 0..%d", TABLES);
        free(order);
        order = NULL;
    }
    return order;
}

static PyObject *pop(PyObject *self, PyObject *args) {
    PyObject *from, *with;
    Py_buffer indices, symbols;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOy*w*", &from, &with, &indices, &symbols)) {
        return NULL;
    }
    PyObject *result = NULL;
    uint32_t *order = NULL;
    ptrdiff_t ends[TABLES + 1];
    decoder *d = PyCapsule_GetPointer(from, DECODER);
    const tables *all = d ? PyCapsule_GetPointer(with, TABLES_NAME) : NULL;
    if (all && d->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a decoder is for one thread");
    } else if (all && (order = order_of(&indices, &symbols, ends))) {
        int found;
        d->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        memset(symbols.buf, 0, (size_t)symbols.len);
        found = decode_group(d, all, order, ends, symbols.buf);
        Py_END_ALLOW_THREADS
        d->busy = 0;
        result = PyLong_FromLong(found);
    }
    free(order);
    PyBuffer_Release(&indices);
    PyBuffer_Release(&symbols);
    return result;
}

/* Whether tables have all symbols; an error is set otherwise. */
static int symbols_are_coded(const tables *all, const int32_t *symbols, const uint8_t *indices, Py_ssize_t n) {
    uint32_t largest[TABLES + 1] = {0}, beyond = 0;
    for (int t = 1; t <= TABLES; t++) {
        largest[t] = (uint32_t)largest_of(all, (uint8_t)t);
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        const uint32_t value = (uint32_t)symbols[i];
        beyond |= (symbols[i] < 0 ? 0 - value : value) > largest[indices[i]];
    }
    if (!beyond) {
        return 1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        const int t = indices[i];
        if (!t && symbols[i]) {
            PyErr_SetString(PyExc_ValueError, "a symbol with table index 0 is not 0");
            break;
        }
        if (!has_code(all, symbols[i], indices[i])) {
            PyErr_Format(PyExc_ValueError, "symbol %d is beyond %d, the largest of table %d", symbols[i], largest_of(all, indices[i]), t);
            break;
        }
    }
    return 0;
}

static PyObject *push(PyObject *self, PyObject *args) {
    PyObject *to, *with;
    Py_buffer indices, symbols;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOy*y*", &to, &with, &symbols, &indices)) {
        return NULL;
    }
    PyObject *result = NULL;
    uint32_t *order = NULL;
    ptrdiff_t ends[TABLES + 1];
    encoder *e = PyCapsule_GetPointer(to, ENCODER);
    const tables *all = e ? PyCapsule_GetPointer(with, TABLES_NAME) : NULL;
    if (all && (order = order_of(&indices, &symbols, ends))) {
        if (!symbols_are_coded(all, symbols.buf, indices.buf, indices.len)) {
        } else if (encode_group(e, all, order, ends, symbols.buf)) {
            result = Py_NewRef(Py_None);
        } else {
            PyErr_NoMemory();
        }
    }
    free(order);
    PyBuffer_Release(&indices);
    PyBuffer_Release(&symbols);
    return result;
}

static PyObject *bits(PyObject *self, PyObject *args) {
    PyObject *from;
    (void)self;
    if (!PyArg_ParseTuple(args, "O", &from)) {
        return NULL;
    }
    const encoder *e = PyCapsule_GetPointer(from, ENCODER);
    return e ? PyFloat_FromDouble(e->bits) : NULL;
}

static PyObject *used_up(PyObject *self, PyObject *args) {
    PyObject *from;
    (void)self;
    if (!PyArg_ParseTuple(args, "O", &from)) {
        return NULL;
    }
    const decoder *d = PyCapsule_GetPointer(from, DECODER);
    return d ? PyBool_FromLong(is_used_up(d)) : NULL;
}

static PyObject *finish(PyObject *self, PyObject *args) {
    PyObject *from;
    (void)self;
    if (!PyArg_ParseTuple(args, "O", &from)) {
        return NULL;
    }
    const encoder *e = PyCapsule_GetPointer(from, ENCODER);
    if (!e) {
        return NULL;
    }
    /* Groups may follow: a copy ends here. */
    encoder ended = *e;
    ended.room = e->count + 2;
    ended.words = malloc(ended.room * sizeof *ended.words);
    if (!ended.words) {
        return PyErr_NoMemory();
    }
    if (e->count) {
        memcpy(ended.words, e->words, e->count * sizeof *ended.words);
    }
    PyObject *bytes = NULL;
    if (!end_encoding(&ended)) {
        PyErr_NoMemory();
    } else if ((bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(4 * ended.count)))) {
        unsigned char *at = (unsigned char *)PyBytes_AsString(bytes);
        for (size_t i = 0; i < 4 * ended.count; i++) {
            at[i] = (unsigned char)(ended.words[i / 4] >> 8 * (i % 4));
        }
    }
    free(ended.words);
    return bytes;
}

/* How many symbols are coded and how many are escaped; -1 with an error set. */
static ptrdiff_t find_entries(const int32_t *half_widths, const int32_t *symbols, const uint8_t *indices, ptrdiff_t n,
                              int32_t *entries, int32_t *excess, ptrdiff_t *escaped) {
    ptrdiff_t coded = 0;
    int64_t starts[TABLES + 1] = {0};
    for (int t = 1; t < TABLES; t++) {
        starts[t + 1] = starts[t] + 2 * half_widths[t - 1] + 2;
    }
    *escaped = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const int t = indices[i];
        if (t > TABLES) {
            PyErr_Format(PyExc_ValueError, "a table index is over %d", TABLES);
            return -1;
        }
        if (t) {
            const int64_t half_width = half_widths[t - 1], beyond = magnitude_of(symbols[i]) - half_width - 1;
            if (beyond >= 0) {
                excess[(*escaped)++] = (int32_t)beyond;
            }
            entries[coded++] = (int32_t)(starts[t] + (beyond >= 0 ? 2 * half_width + 1 : symbols[i] + half_width));
        }
    }
    return coded;
}

static PyObject *entries(PyObject *self, PyObject *args) {
    Py_buffer widths, symbols, indices, found, excess;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*w*", &widths, &symbols, &indices, &found, &excess)) {
        return NULL;
    }
    PyObject *result = NULL;
    const ptrdiff_t n = indices.len;
    const int32_t *half_widths = widths.buf;
    int good = widths.len == 4 * TABLES && symbols.len == 4 * n && found.len == 4 * n && excess.len == 4 * n &&
               !((uintptr_t)widths.buf % 4 || (uintptr_t)symbols.buf % 4 || (uintptr_t)found.buf % 4 ||
                 (uintptr_t)excess.buf % 4);
    for (int t = 0; good && t < TABLES; t++) {
        good = half_widths[t] >= 0 && half_widths[t] <= MAX_HALF_WIDTH;
    }
    if (!good) {
        PyErr_Format(PyExc_ValueError, "%d half-widths, and as many symbols, entries and excesses as indices", TABLES);
    } else {
        ptrdiff_t escaped = 0;
        const ptrdiff_t coded = find_entries(half_widths, symbols.buf, indices.buf, n, found.buf, excess.buf, &escaped);
        result = coded < 0 ? NULL : Py_BuildValue("nn", coded, escaped);
    }
    PyBuffer_Release(&widths);
    PyBuffer_Release(&symbols);
    PyBuffer_Release(&indices);
    PyBuffer_Release(&found);
    PyBuffer_Release(&excess);
    return result;
}

static PyMethodDef methods[] = {
    {"pack_tables", pack_tables, METH_VARARGS, "pack_tables(half_widths, counts, bits) -> tables"},
    {"encoder", new_encoder, METH_NOARGS, "encoder() -> encoder"},
    {"push", push, METH_VARARGS, "push(encoder, tables, symbols, indices): appends a group"},
    {"bits", bits, METH_VARARGS, "bits(encoder) -> what the tables say that its symbols take"},
    {"finish", finish, METH_VARARGS, "finish(encoder) -> bytes"},
    {"decoder", new_decoder, METH_VARARGS, "decoder(data) -> decoder"},
    {"pop", pop, METH_VARARGS, "pop(decoder, tables, indices, symbols) -> 0, or what is wrong"},
    {"used_up", used_up, METH_VARARGS, "used_up(decoder) -> bool"},
    {"entries", entries, METH_VARARGS, "entries(half_widths, symbols, indices, entries, excess) -> how many, how many escaped"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_range_coder", "Groups of symbols to words and back.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__range_coder(void) {
    return PyModuleDef_Init(&definition);
}
