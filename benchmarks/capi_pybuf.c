/* The jobs of capi.py by the functions of pybuf.h. */
#include "capi_jobs.h"

#include <pybuf.h>

static int
prepare(void)
{
    return pybuf_import();
}

static PyObject *
wrapped(void)
{
    Py_ssize_t shape = ITEMS;
    return pybuf_wrap(block, 1, &shape, NULL, "d", PYBUF_ARRAY, block_released,
                      &released);
}

static PyObject *
allocated(int zeroed)
{
    Py_ssize_t shape = ITEMS;
    double *data = zeroed ? calloc(ITEMS, sizeof *data)
                          : malloc(ITEMS * sizeof *data);
    return data == NULL ? PyErr_NoMemory()
                        : pybuf_wrap(data, 1, &shape, NULL, "d", PYBUF_ARRAY,
                                     pybuf_release_free, NULL);
}

static PyObject *
made(int zeroed)
{
    Py_ssize_t shape = ITEMS;
    int flags = zeroed ? PYBUF_ARRAY : PYBUF_ARRAY | PYBUF_EMPTY;
    return pybuf_new(1, &shape, "d", flags, NULL);
}

static PyObject *
exporter(void)
{
    Py_ssize_t shape = ITEMS;
    return pybuf_wrap(block, 1, &shape, NULL, "d", 0, block_released, &released);
}

static PyObject *
records(void)
{
    Py_ssize_t shape = ITEMS / 2;
    return pybuf_wrap(block, 1, &shape, NULL, "T{q:id:d:price:}", PYBUF_ARRAY,
                      block_released, &released);
}

static PyObject *
strided(void)
{
    const Py_ssize_t step = sizeof(double);
    const Py_ssize_t shape[] = {ROWS, COLUMNS};
    const Py_ssize_t strides[] = {2 * COLUMNS * step, step};
    return pybuf_wrap(block, 2, shape, strides, "d", PYBUF_ARRAY, block_released,
                      &released);
}

static PyObject *
owned(PyObject *owner)
{
    Py_ssize_t shape = ITEMS;
    return pybuf_wrap_owned(block, 1, &shape, NULL, "d", PYBUF_ARRAY, owner);
}

MODULE(capi_pybuf)
