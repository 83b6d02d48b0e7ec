/* threads.h: consumers that know no Python: a function is called on a thread of
 * its own. A part of every.c. */
typedef struct {
    void (*function)(void *);
    void *arg;
} Job;

static void *
run_job(void *job)
{
    ((Job *)job)->function(((Job *)job)->arg);
    return NULL;
}

static void
elsewhere(void (*function)(void *), void *arg)
{
    Job job;
    pthread_t thread;
    job.function = function;
    job.arg = arg;
    Py_BEGIN_ALLOW_THREADS
    if (pthread_create(&thread, NULL, run_job, &job) == 0) {
        pthread_join(thread, NULL);
    }
    Py_END_ALLOW_THREADS
}

static void
release_descriptor(void *d)
{
    ((pybuf_descriptor *)d)->release((pybuf_descriptor *)d);
}

static PyObject *
f_take_and_release(PyObject *self, PyObject *address)
{
    void *d = PyLong_AsVoidPtr(address);
    (void)self;
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!pybuf_descriptor_take((pybuf_descriptor *)d)) {
        PyErr_SetString(PyExc_ValueError, "not taken");
        return NULL;
    }
    elsewhere(release_descriptor, d);
    Py_RETURN_NONE;
}

/* The first fields of a DLManagedTensor are not needed here. */
typedef struct {
    void *data;
    int32_t device[2], ndim;
    uint8_t dtype[4];
    int64_t *shape, *strides;
    uint64_t byte_offset;
    void *manager;
    void (*deleter)(void *);
} Tensor;

static void
delete_tensor(void *tensor)
{
    ((Tensor *)tensor)->deleter(tensor);
}

static PyObject *
f_delete_tensor(PyObject *self, PyObject *capsule)
{
    void *tensor = PyCapsule_GetPointer(capsule, "dltensor");
    (void)self;
    if (tensor == NULL || PyCapsule_SetName(capsule, "used_dltensor") < 0) {
        return NULL;
    }
    elsewhere(delete_tensor, tensor);
    Py_RETURN_NONE;
}

/* ---- after the end of Python ---- */

static void *left_tensor, *left_descriptor;

static void
end_what_is_left(void)
{
    if (left_tensor != NULL) {
        delete_tensor(left_tensor);
    }
    if (left_descriptor != NULL) {
        release_descriptor(left_descriptor);
    }
}

/* As a library that tidies up when the process ends: a DLPack capsule, and the
 * address of a descriptor. */
static PyObject *
f_end_at_exit(PyObject *self, PyObject *args)
{
    PyObject *capsule;
    Py_ssize_t address;
    (void)self;
    if (!PyArg_ParseTuple(args, "On", &capsule, &address)) {
        return NULL;
    }
    left_tensor = PyCapsule_GetPointer(capsule, "dltensor");
    if (left_tensor == NULL ||
        PyCapsule_SetName(capsule, "used_dltensor") < 0) {
        return NULL;
    }
    left_descriptor = (void *)address;
    if (!pybuf_descriptor_take((pybuf_descriptor *)left_descriptor) ||
        atexit(end_what_is_left) != 0) {
        PyErr_SetString(PyExc_RuntimeError, "not taken");
        return NULL;
    }
    Py_RETURN_NONE;
}
