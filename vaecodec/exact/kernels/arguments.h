/* What functions of the Python module share: arrays by the buffer protocol, checked, and how a function ends. */
#ifndef VAECODEC_ARGUMENTS_H
#define VAECODEC_ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#include <patchlevel.h>
/* The buffer protocol is in the stable ABI from 3.11 on; for 3.10 the extension is built for that version alone. */
#if PY_VERSION_HEX >= 0x030B0000
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <string.h>

#include "kernels.h"

enum { MOST_CELLS = 1 << 28, MOST_SIDE = 16 };

/* --- Buffers --------------------------------------------------------------------------------------------------------- */

enum { MOST_BUFFERS = 8 };

/* The buffers of one call; all are given back together. */
typedef struct {
    Py_buffer views[MOST_BUFFERS];
    int count;
} held;

static inline void let_go(held *all) {
    while (all->count > 0) {
        PyBuffer_Release(&all->views[--all->count]);
    }
}

/* Whether a format of the buffer protocol means native signed integers ('s') of any kind, or unsigned bytes ('u'). */
static inline int is_kind(const char *format, char kind) {
    if (!format) {
        return kind == 'u';
    }
    if (*format == '@' || *format == '=') {
        format++;
    }
    const char *const accepted = kind == 'u' ? "B" : "hil";
    return format[0] && !format[1] && strchr(accepted, format[0]) != NULL;
}

/* A C-contiguous array of integers of `bytes` bytes each with `ndim` axes; NULL with an error set. */
static inline Py_buffer *hold(held *all, PyObject *object, const char *name, char kind, int bytes, int ndim, int writable) {
    Py_buffer *view = &all->views[all->count];
    if (all->count >= MOST_BUFFERS) {
        PyErr_SetString(PyExc_SystemError, "too many buffers");
        return NULL;
    }
    if (PyObject_GetBuffer(object, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0) {
        return NULL;
    }
    all->count++;
    if (!is_kind(view->format, kind) || (bytes && view->itemsize != bytes) || (ndim && view->ndim != ndim)) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of %d axes of %s of %d bits", name, ndim,
                     kind == 'u' ? "unsigned integers" : "integers", bytes ? 8 * bytes : 32);
        return NULL;
    }
    if (!bytes && view->itemsize != 2 && view->itemsize != 4) {
        PyErr_Format(PyExc_TypeError, "%s must be integers of 16 or 32 bits", name);
        return NULL;
    }
    return view;
}

/* int32 [length], or NULL in *values where the object is None and that is allowed. Returns 0 with an error set. */
static inline int hold_row(held *all, PyObject *object, const char *name, Py_ssize_t length, int optional, const int32_t **values) {
    *values = NULL;
    if (optional && object == Py_None) {
        return 1;
    }
    const Py_buffer *view = hold(all, object, name, 's', 4, 0, 0);
    if (!view) {
        return 0;
    }
    if (view->len != 4 * length) {
        PyErr_Format(PyExc_ValueError, "%s must hold %zd numbers, not %zd", name, length, view->len / 4);
        return 0;
    }
    *values = view->buf;
    return 1;
}

static inline int hold_grid(held *all, PyObject *object, const char *name, int border, int channels, int writable, vk_grid *grid) {
    const Py_buffer *view = hold(all, object, name, 's', 2, 3, writable);
    if (!view) {
        return 0;
    }
    const Py_ssize_t rows = view->shape[0] - 2 * border, columns = view->shape[1] - 2 * border, stride = view->shape[2];
    const Py_ssize_t wanted = (channels + VK_ALIGN - 1) / VK_ALIGN * VK_ALIGN;
    if (border < 0 || border > MOST_SIDE || rows < 1 || columns < 1 || rows > MOST_CELLS / columns || stride != wanted) {
        PyErr_Format(PyExc_ValueError, "%s: a grid of %d channels has at least one cell inside its border, and %zd values a cell",
                     name, channels, wanted);
        return 0;
    }
    *grid = (vk_grid){view->buf, (int)rows, (int)columns, border, stride};
    return 1;
}

/* --- Ends of a function ---------------------------------------------------------------------------------------------- */

static inline PyObject *done_or_no_memory(held *all, int done) {
    let_go(all);
    if (!done) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static inline PyObject *failed(held *all) {
    let_go(all);
    return NULL;
}

static inline PyObject *refuse(held *all, const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return failed(all);
}

#endif
