/* What both modules of capi.py share: the memory, its release, and the functions
 * that Python calls. Whoever includes it defines prepare() and the jobs. */
#include <Python.h>
#include <stdlib.h>

enum { ITEMS = 1024, ROWS = 32, COLUMNS = 16 };

typedef void (*release_function)(const void *data, size_t nbytes, void *arg);

/* Of a library, which lends it again and again. */
static double block[ITEMS];
static long released;

static void
block_released(const void *data, size_t nbytes, void *arg)
{
    (void)data;
    (void)nbytes;
    ++*(long *)arg;
}


static int prepare(void);
static PyObject *wrapped(void);
static PyObject *allocated(int zeroed);
static PyObject *made(int zeroed);
static PyObject *exporter(void);
static PyObject *records(void);
static PyObject *strided(void);
static PyObject *owned(PyObject *owner);

#define JOB(name, call)                                                        \
    static PyObject *job_##name(PyObject *module, PyObject *owner)             \
    {                                                                          \
        (void)module;                                                          \
        (void)owner;                                                           \
        return call;                                                           \
    }
JOB(wrap, wrapped())
JOB(malloc, allocated(0))
JOB(calloc, allocated(1))
JOB(empty, made(0))
JOB(zeros, made(1))
JOB(exporter, exporter())
JOB(records, records())
JOB(strided, strided())
JOB(owner, owned(owner))
JOB(released, PyLong_FromLong(released))

static PyMethodDef functions[] = {
    {"wrap", job_wrap, METH_NOARGS, NULL},
    {"malloc", job_malloc, METH_NOARGS, NULL},
    {"calloc", job_calloc, METH_NOARGS, NULL},
    {"empty", job_empty, METH_NOARGS, NULL},
    {"zeros", job_zeros, METH_NOARGS, NULL},
    {"exporter", job_exporter, METH_NOARGS, NULL},
    {"records", job_records, METH_NOARGS, NULL},
    {"strided", job_strided, METH_NOARGS, NULL},
    {"owner", job_owner, METH_O, NULL},
    {"released", job_released, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define MODULE(name)                                                           \
    PyMODINIT_FUNC PyInit_##name(void)                                         \
    {                                                                          \
        static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,         \
                                                .m_name = #name,               \
                                                .m_size = -1,                  \
                                                .m_methods = functions};       \
        return prepare() < 0 ? NULL : PyModule_Create(&definition);            \
    }
