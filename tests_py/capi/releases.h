/* releases.h: releases that tell of themselves. A part of every.c. */
#include <pthread.h>
#include <sched.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef Py_LIMITED_API
int PyGILState_Check(void);
#endif
#ifdef __cplusplus
}
#endif

typedef struct {
    const void *data;
    size_t nbytes;
    void *arg;
    unsigned long thread;
    int gil, error; /* whether it was held, whether one was set */
} Call;

#define CALLS 64
static Call calls[CALLS]; /* the last ones */
static unsigned long called;
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;

static void
note(const void *data, size_t nbytes, void *arg)
{
    int gil = PyGILState_Check();
    int error = gil && PyErr_Occurred() != NULL;
    unsigned long thread = (unsigned long)pthread_self();
    pthread_mutex_lock(&calls_lock);
    Call *c = &calls[called++ % CALLS];
    c->data = data;
    c->nbytes = nbytes;
    c->arg = arg;
    c->thread = thread;
    c->gil = gil;
    c->error = error;
    pthread_mutex_unlock(&calls_lock);
}

static void
note_and_free(const void *data, size_t nbytes, void *arg)
{
    note(data, nbytes, arg);
    free((void *)data);
}

/* As one that takes long and needs no Python. */
static void
note_without_gil(const void *data, size_t nbytes, void *arg)
{
    note(data, nbytes, arg);
    Py_BEGIN_ALLOW_THREADS
    sched_yield();
    if (nbytes > 0) {
        *(volatile char *)data = 1; /* ours still */
    }
    Py_END_ALLOW_THREADS
}

/* arg is called with the address. What it raises is left. */
static void
call_python(const void *data, size_t nbytes, void *arg)
{
    note(data, nbytes, arg);
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *result =
        PyObject_CallFunction((PyObject *)arg, "n", (Py_ssize_t)data);
    Py_XDECREF(result);
    PyGILState_Release(state);
}

static void
end_process(const void *data, size_t nbytes, void *arg)
{
    (void)data;
    (void)nbytes;
    (void)arg;
    _Exit(99); /* it was promised not to be called */
}

/* arg is an object whose reference goes. */
static void
drop_object(const void *data, size_t nbytes, void *arg)
{
    PyGILState_STATE state = PyGILState_Ensure();
    note(data, nbytes, arg);
    Py_DECREF((PyObject *)arg);
    PyGILState_Release(state);
}

static const pybuf_release releases[] = {
    NULL, note, note_and_free, note_without_gil, call_python, end_process,
    pybuf_release_free, drop_object};

/* How many releases there were, and the last ones. */
static PyObject *
f_calls(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    PyObject *last = PyList_New(0);
    unsigned long i = called < CALLS ? 0 : called - CALLS;
    for (; last != NULL && i < called; i++) {
        const Call *c = &calls[i % CALLS];
        PyObject *told = Py_BuildValue(
            "kkkkii", (unsigned long)c->data, (unsigned long)c->nbytes,
            (unsigned long)c->arg, c->thread, c->gil, c->error);
        if (told == NULL || PyList_Append(last, told) < 0) {
            Py_CLEAR(last);
        }
        Py_XDECREF(told);
    }
    return last == NULL ? NULL : Py_BuildValue("kN", called, last);
}
