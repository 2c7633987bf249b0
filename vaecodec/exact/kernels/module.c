/* The Python module vaecodec.exact.kernels._kernels: checks every size, then lets go of the interpreter and computes.
 *
 * Arrays come in through the buffer protocol, C-contiguous. Functions raise TypeError for a wrong type, ValueError for a wrong
 * size and MemoryError. vaecodec/exact/kernels/reference.py has the same functions in numpy, and says what each does. */
#include "arguments.h"
#include "module.h"

enum { MOST_BLOCKS = 64 };

static const char LINEAR[] = "vaecodec.linear", DEPTHWISE[] = "vaecodec.depthwise";

/* --- Layers ---------------------------------------------------------------------------------------------------------- */

static void free_linear_capsule(PyObject *capsule) {
    vk_free_linear(PyCapsule_GetPointer(capsule, LINEAR));
}

static void free_depthwise_capsule(PyObject *capsule) {
    vk_free_depthwise(PyCapsule_GetPointer(capsule, DEPTHWISE));
}

static const vk_kernel *kernel_named(const char *name) {
    const vk_kernel *kernel = vk_find_kernel(name);
    if (!kernel) {
        PyErr_Format(PyExc_ValueError, "this processor has no kernels called %s", name);
    }
    return kernel;
}

static int check_limits(int limit, int most, int input_limit) {
    if (limit < 1 || limit > most || input_limit < 1 || input_limit > VK_MAX_LIMIT) {
        PyErr_Format(PyExc_ValueError, "limits are 1 to %d, of inputs 1 to %d", most, VK_MAX_LIMIT);
        return 0;
    }
    return 1;
}

static int check_shifts(const vk_stored *s, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        const int32_t shift = s->shift_bytes == 2 ? ((const int16_t *)s->shift)[i] : ((const int32_t *)s->shift)[i];
        if (shift < 0 || shift > VK_MAX_SHIFT) {
            PyErr_Format(PyExc_ValueError, "a shift is %d, they go from 0 to %d", (int)shift, VK_MAX_SHIFT);
            return 0;
        }
    }
    return 1;
}

static void say_why_not_packed(int64_t worst) {
    if (worst > INT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "a sum can reach %lld, and 32 bits hold less than 2147483648", (long long)worst);
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
}

static PyObject *pack_linear(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *weight, *bias, *shift, *capsule = NULL;
    int limit, input_limit, leaky;
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, "OOOiip|z", &weight, &bias, &shift, &limit, &input_limit, &leaky, &name)) {
        return NULL;
    }
    const vk_kernel *kernel = kernel_named(name);
    if (!kernel || !check_limits(limit, 1 << 20, input_limit)) {
        return NULL;
    }
    held all = {.count = 0};
    const Py_buffer *w = hold(&all, weight, "weight", 's', 0, 3, 0), *b = w ? hold(&all, bias, "bias", 's', 0, 2, 0) : NULL;
    const Py_buffer *s = b ? hold(&all, shift, "shift", 's', 0, 2, 0) : NULL;
    if (!s) {
        return failed(&all);
    }
    const Py_ssize_t groups = w->shape[0], outputs = w->shape[1], inputs = w->shape[2];
    if ((groups != 1 && groups != 4) || outputs < 1 || outputs > VK_MAX_CHANNELS || inputs < 1 || inputs > VK_MAX_CHANNELS ||
        b->shape[0] != groups || b->shape[1] != outputs || s->shape[0] != groups || s->shape[1] != outputs) {
        return refuse(&all, "weight is [1 or 4, outputs, inputs], bias and shift are [1 or 4, outputs]");
    }
    const vk_stored stored = {w->buf, b->buf, s->buf, (int)w->itemsize, (int)b->itemsize, (int)s->itemsize};
    if (!check_shifts(&stored, groups * outputs)) {
        return failed(&all);
    }
    int64_t worst;
    vk_linear *layer;
    Py_BEGIN_ALLOW_THREADS
    layer = vk_pack_linear(kernel, &stored, (int)groups, (int)outputs, (int)inputs, limit, input_limit, leaky, &worst);
    Py_END_ALLOW_THREADS
    if (!layer) {
        say_why_not_packed(worst);
    } else if (!(capsule = PyCapsule_New(layer, LINEAR, free_linear_capsule))) {
        vk_free_linear(layer);
    }
    let_go(&all);
    return capsule;
}

static PyObject *pack_depthwise(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *weight, *bias, *shift, *capsule = NULL;
    int limit, input_limit;
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, "OOOii|z", &weight, &bias, &shift, &limit, &input_limit, &name)) {
        return NULL;
    }
    const vk_kernel *kernel = kernel_named(name);
    if (!kernel || !check_limits(limit, VK_MAX_LIMIT, input_limit)) {
        return NULL;
    }
    held all = {.count = 0};
    const Py_buffer *w = hold(&all, weight, "weight", 's', 0, 3, 0), *b = w ? hold(&all, bias, "bias", 's', 0, 1, 0) : NULL;
    const Py_buffer *s = b ? hold(&all, shift, "shift", 's', 0, 1, 0) : NULL;
    if (!s) {
        return failed(&all);
    }
    const Py_ssize_t channels = w->shape[0], side = w->shape[1];
    if (channels < 1 || channels > VK_MAX_CHANNELS || side < 1 || side > VK_MAX_KERNEL || side % 2 == 0 || w->shape[2] != side ||
        b->shape[0] != channels || s->shape[0] != channels) {
        return refuse(&all, "weight is [channels, k, k] with k odd and up to 9, bias and shift are [channels]");
    }
    const vk_stored stored = {w->buf, b->buf, s->buf, (int)w->itemsize, (int)b->itemsize, (int)s->itemsize};
    if (!check_shifts(&stored, channels)) {
        return failed(&all);
    }
    int64_t worst;
    vk_depthwise *layer;
    Py_BEGIN_ALLOW_THREADS
    layer = vk_pack_depthwise(kernel, &stored, (int)channels, (int)side, limit, input_limit, &worst);
    Py_END_ALLOW_THREADS
    if (!layer) {
        say_why_not_packed(worst);
    } else if (!(capsule = PyCapsule_New(layer, DEPTHWISE, free_depthwise_capsule))) {
        vk_free_depthwise(layer);
    }
    let_go(&all);
    return capsule;
}

static const vk_linear *linear_of(PyObject *capsule, int groups, int most) {
    const vk_linear *layer = PyCapsule_GetPointer(capsule, LINEAR);
    if (layer && (layer->groups != groups || layer->limit > most)) {
        PyErr_SetString(PyExc_ValueError, "the layer has another number of matrices than one takes here, or too large a limit");
        return NULL;
    }
    return layer;
}

/* --- What computes --------------------------------------------------------------------------------------------------- */

/* The layers of a block, a tuple of three capsules. Returns 0 with an error set. */
static int block_of(PyObject *three, int border, vk_residual *block) {
    PyObject *capsules[3];
    if (!PyArg_ParseTuple(three, "OOO", &capsules[0], &capsules[1], &capsules[2])) {
        return 0;
    }
    block->depthwise = PyCapsule_GetPointer(capsules[0], DEPTHWISE);
    block->expand = block->depthwise ? linear_of(capsules[1], 1, VK_MAX_LIMIT) : NULL;
    block->project = block->expand ? linear_of(capsules[2], 1, VK_MAX_LIMIT) : NULL;
    if (!block->project) {
        return 0;
    }
    if (block->expand->inputs != block->depthwise->channels || block->project->inputs != block->expand->outputs ||
        block->project->outputs != block->depthwise->channels || border < block->depthwise->side / 2) {
        PyErr_SetString(PyExc_ValueError, "layers of a block fit each other, and the border is at least k / 2");
        return 0;
    }
    return 1;
}

static PyObject *blocks(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *list, *from, *to;
    int border, threads, done;
    if (!PyArg_ParseTuple(args, "O!OOii", &PyList_Type, &list, &from, &to, &border, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    const Py_ssize_t count = PyList_Size(list);
    vk_residual of[MOST_BLOCKS];
    if (count < 1 || count > MOST_BLOCKS) {
        return refuse(&all, "blocks are a list of 1 to 64");
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!block_of(PyList_GetItem(list, i), border, &of[i])) {
            return failed(&all);
        }
        if (of[i].depthwise->channels != of[0].depthwise->channels) {
            return refuse(&all, "blocks have one number of channels");
        }
    }
    vk_grid x, y;
    if (!hold_grid(&all, from, "x", border, of[0].depthwise->channels, count > 1, &x) ||
        !hold_grid(&all, to, "y", border, of[0].depthwise->channels, 1, &y)) {
        return failed(&all);
    }
    if (x.rows != y.rows || x.columns != y.columns || x.data == y.data) {
        return refuse(&all, "x and y are two grids of one size");
    }
    Py_BEGIN_ALLOW_THREADS
    done = vk_blocks(of, (int)count, &x, &y, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, done);
}

/* Both directions: the layer's inputs are folded or its outputs unfolded by side. */
static PyObject *between_scales(PyObject *args, int unfold) {
    PyObject *capsule, *from, *to, *factor, *offset;
    int x_border, y_border, side, shift, limit, threads, done;
    if (!PyArg_ParseTuple(args, "OOiOiiOiOii", &capsule, &from, &x_border, &to, &y_border, &side, &factor, &shift, &offset, &limit,
                          &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    const vk_linear *layer = linear_of(capsule, 1, VK_MAX_LIMIT);
    if (!layer) {
        return NULL;
    }
    if (side < 1 || side > MOST_SIDE || (unfold ? layer->outputs : layer->inputs) % (side * side) || shift < 1 ||
        shift > VK_MAX_SHIFT || limit < 1 || limit > VK_MAX_LIMIT) {
        return refuse(&all, "side² divides the channels, shift is 1 to 30, limit 1 to 32767");
    }
    const int in = unfold ? layer->inputs : layer->inputs / (side * side);
    const int out = unfold ? layer->outputs / (side * side) : layer->outputs;
    vk_grid x, y;
    vk_after after = {.shift = shift, .limit = limit};
    if (!hold_grid(&all, from, "x", x_border, in, 0, &x) || !hold_grid(&all, to, "y", y_border, out, 1, &y) ||
        !hold_row(&all, factor, "factor", out, 1, &after.factor) || !hold_row(&all, offset, "offset", out, 1, &after.offset)) {
        return failed(&all);
    }
    const vk_grid *small = unfold ? &x : &y, *large = unfold ? &y : &x;
    if (large->rows != side * small->rows || large->columns != side * small->columns || x.data == y.data) {
        return refuse(&all, "one grid has side times the rows and columns of the other");
    }
    Py_BEGIN_ALLOW_THREADS
    done = (unfold ? vk_unfold : vk_fold)(layer, &x, &y, side, &after, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, done);
}

static PyObject *unfold(PyObject *module, PyObject *args) {
    (void)module;
    return between_scales(args, 1);
}

static PyObject *fold(PyObject *module, PyObject *args) {
    (void)module;
    return between_scales(args, 0);
}

static PyObject *samples(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *capsule, *from, *to;
    int border, side, raw, threads, done;
    if (!PyArg_ParseTuple(args, "OOiOipi", &capsule, &from, &border, &to, &side, &raw, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid x;
    const vk_linear *layer = linear_of(capsule, 1, raw ? 1 << 20 : VK_MAX_LIMIT);
    if (!layer || !hold_grid(&all, from, "x", border, layer->inputs, 0, &x)) {
        return failed(&all);
    }
    const Py_buffer *out = hold(&all, to, "samples", raw ? 's' : 'u', raw ? 4 : 1, 3, 1);
    if (!out) {
        return failed(&all);
    }
    if (side < 1 || side > MOST_SIDE || layer->outputs % (side * side) || out->shape[0] != (Py_ssize_t)side * x.rows ||
        out->shape[1] != (Py_ssize_t)side * x.columns || out->shape[2] != layer->outputs / (side * side)) {
        return refuse(&all, "samples are [side · rows, side · columns, outputs / side²]");
    }
    Py_BEGIN_ALLOW_THREADS
    done = vk_samples(layer, &x, raw ? NULL : out->buf, raw ? out->buf : NULL, side, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, done);
}

static int has_even_sides_around(const vk_grid *f, Py_ssize_t height, Py_ssize_t width) {
    return f->rows % 2 == 0 && f->columns % 2 == 0 && height >= 1 && height <= f->rows && width >= 1 && width <= f->columns;
}

static PyObject *enter(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *capsule, *known, *table, *features;
    int border, limit, threads, done;
    if (!PyArg_ParseTuple(args, "OOOOiii", &capsule, &known, &table, &features, &border, &limit, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid f;
    const vk_linear *layer = linear_of(capsule, 4, VK_MAX_LIMIT);
    const Py_buffer *planes = layer ? hold(&all, known, "planes", 's', 4, 3, 0) : NULL;
    const Py_buffer *lookup = planes ? hold(&all, table, "lookup", 's', 2, 1, 0) : NULL;
    if (!lookup || !hold_grid(&all, features, "f", border, layer->outputs, 1, &f)) {
        return failed(&all);
    }
    if (planes->shape[0] != layer->inputs || !has_even_sides_around(&f, planes->shape[1], planes->shape[2]) ||
        lookup->shape[0] % 2 == 0 || lookup->shape[0] > 1 << 24 || limit < 1 || limit > VK_MAX_LIMIT) {
        return refuse(&all, "planes are [inputs, height, width] inside a grid of even sides, the lookup has an odd length");
    }
    Py_BEGIN_ALLOW_THREADS
    done = vk_enter(layer, planes->buf, (int)planes->shape[1], (int)planes->shape[2], lookup->buf,
                    (int)(lookup->shape[0] / 2), &f, limit, threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, done);
}

static PyObject *leave(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *capsule, *features, *factors, *offsets, *means, *indices;
    int border, threads, done;
    if (!PyArg_ParseTuple(args, "OOiOOOOi", &capsule, &features, &border, &factors, &offsets, &means, &indices, &threads)) {
        return NULL;
    }
    held all = {.count = 0};
    vk_grid f;
    const int32_t *mean_factor, *index_offset;
    const vk_linear *layer = linear_of(capsule, 4, VK_MAX_LIMIT);
    if (!layer || !hold_grid(&all, features, "f", border, layer->inputs, 0, &f) ||
        !hold_row(&all, factors, "mean_factor", 2 * (Py_ssize_t)layer->outputs, 0, &mean_factor) ||
        !hold_row(&all, offsets, "index_offset", 2 * (Py_ssize_t)layer->outputs, 0, &index_offset)) {
        return failed(&all);
    }
    const Py_buffer *mean = hold(&all, means, "mean", 's', 4, 3, 1), *index = mean ? hold(&all, indices, "index", 'u', 1, 3, 1) : NULL;
    if (!index) {
        return failed(&all);
    }
    for (int axis = 0; axis < 3; axis++) {
        if (mean->shape[axis] != index->shape[axis]) {
            return refuse(&all, "mean and index have one shape");
        }
    }
    if (layer->outputs % 2 || mean->shape[0] != layer->outputs / 2 ||
        !has_even_sides_around(&f, mean->shape[1], mean->shape[2])) {
        return refuse(&all, "mean and index are [outputs / 2, height, width] inside a grid of even sides");
    }
    Py_BEGIN_ALLOW_THREADS
    done = vk_leave(layer, &f, mean_factor, index_offset, mean->buf, index->buf, (int)mean->shape[1], (int)mean->shape[2], threads);
    Py_END_ALLOW_THREADS
    return done_or_no_memory(&all, done);
}

static PyObject *available(PyObject *module, PyObject *nothing) {
    (void)module;
    (void)nothing;
    PyObject *names = PyList_New(0);
    const vk_kernel *kernel;
    for (int i = 0; names && (kernel = vk_kernel_at(i)); i++) {
        PyObject *name = PyUnicode_FromString(kernel->name);
        if (!name || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    return names;
}

static PyMethodDef methods[] = {
    {"available", available, METH_NOARGS, "Names of the kernels that this processor runs, the fastest first."},
    {"pack_linear", pack_linear, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"pack_depthwise", pack_depthwise, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"blocks", blocks, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"unfold", unfold, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"fold", fold, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"samples", samples, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"enter", enter, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"leave", leave, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"patches", vk_py_patches, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"gain", vk_py_gain, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"seen", vk_py_seen, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"round_step", vk_py_round_step, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"put_step", vk_py_put_step, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {"scale_latents", vk_py_scale_latents, METH_VARARGS, "See vaecodec.exact.kernels.reference."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernels", "Exact layers in C.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) {
    return PyModuleDef_Init(&definition);
}
