/* Functions of the Python module that are not in module.c itself. */
#ifndef VAECODEC_MODULE_H
#define VAECODEC_MODULE_H

PyObject *vk_py_patches(PyObject *module, PyObject *args);
PyObject *vk_py_gain(PyObject *module, PyObject *args);
PyObject *vk_py_seen(PyObject *module, PyObject *args);
PyObject *vk_py_round_step(PyObject *module, PyObject *args);
PyObject *vk_py_put_step(PyObject *module, PyObject *args);
PyObject *vk_py_scale_latents(PyObject *module, PyObject *args);

#endif
