/* sink.c: where the lines of a trace go.
 *
 * One may go to a Python object, whose write() does what it likes, in the midst
 * of a dealloc: so a thread that writes a line begins no other meanwhile, and
 * an error is told and stays here. A descriptor is written to without Python,
 * which works up to the end of the process. */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a sink ------------------------------------------------------------------------ */

typedef struct Sink {
    struct Sink *next;
    unsigned refs;   /* the list, and each thread that writes to it */
    bool on;         /* its trace is on, and it took every line so far */
    bool patient;    /* a write to the descriptor may have to wait */
    int fd;          /* owned unless it is stderr; -1 if there is none */
    PyObject *file;  /* owned or NULL: lines go to its write() */
    uint64_t number; /* by which it is ended */
} Sink;

#define SINKS_MAX 32

static void
sink_drop(Sink *sink)
{
    if (--sink->refs > 0) {
        return;
    }
    if (sink->fd > STDERR_FILENO) {
        close(sink->fd);
    }
    PyObject *file = sink->file;
    free(sink);
    Py_XDECREF(file);
}

/* Takes sinks out of the list: all, those with a Python object, or one. */
static void
remove_sinks(Ledger *ledger, bool all, bool objects, uint64_t number)
{
    Sink *removed = NULL;
    Sink **link = ledger->tracer == NULL ? NULL : &ledger->tracer->sinks;
    while (link != NULL && *link != NULL) {
        Sink *sink = *link;
        if (all || (objects && sink->file != NULL) || sink->number == number) {
            *link = sink->next;
            sink->next = removed;
            removed = sink;
            sink->on = false;
        }
        else {
            link = &sink->next;
        }
    }
    trace_settle(ledger);
    /* Last: the end of a file may run Python. */
    while (removed != NULL) {
        Sink *next = removed->next;
        sink_drop(removed);
        removed = next;
    }
}

void
trace_settle(Ledger *ledger)
{
    Tracer *tracer = ledger->tracer;
    if (tracer != NULL && tracer->sinks == NULL && tracer->histories == 0) {
        ledger->tracer = NULL;
        free(tracer);
    }
}

void
trace_leave_python(Ledger *ledger)
{
    remove_sinks(ledger, false, true, 0);
}

void
trace_end(Ledger *ledger)
{
    remove_sinks(ledger, true, true, 0);
}

/* ---- writing a line ------------------------------------------------------------- */

static int
write_all(int fd, const char *line, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, line, size);
        if (n >= 0) {
            line += n;
            size -= (size_t)n;
        }
        else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        }
        else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static int
write_to_fd(const Sink *sink, const char *line, size_t size)
{
    int failed, error;
    if (sink->patient) {
        Py_BEGIN_ALLOW_THREADS
        failed = write_all(sink->fd, line, size);
        error = errno;
        Py_END_ALLOW_THREADS
    }
    else {
        failed = write_all(sink->fd, line, size);
        error = errno;
    }
    if (failed) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return failed;
}

static int
write_to_file(const Sink *sink, const char *line, size_t size)
{
    if (!Py_IsInitialized()) {
        return 0; /* modules are being emptied: its write() may be, too */
    }
    PyObject *text = PyUnicode_DecodeUTF8(line, (Py_ssize_t)size, "replace");
    PyObject *done =
        text == NULL ? NULL
                     : PyObject_CallMethod(sink->file, "write", "O", text);
    Py_XDECREF(text);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* An error of a sink cannot be raised: nobody there asked for a write. */
static void
told_error(Sink *sink)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        /* Not the file's, only raised there: again, as soon as can be. */
        PyErr_Clear();
        PyThreadState_SetAsyncExc(PyThread_get_thread_ident(),
                                  PyExc_KeyboardInterrupt);
        return;
    }
    sink->on = false; /* once is enough */
    if (sink->fd == STDERR_FILENO) {
        /* It would be told on stderr, which is what cannot be written to; and
         * text for it that Python is left with makes its exit a failure. */
        PyErr_Clear();
        return;
    }
    PyErr_WriteUnraisable(sink->file);
}

/* Sends a line to each sink there is. */
static void
send(const Ledger *ledger, const char *line, size_t size)
{
    Sink *sinks[SINKS_MAX];
    int count = 0;
    /* Of a copy: a write() may end this trace or another. */
    for (Sink *s = ledger->tracer == NULL ? NULL : ledger->tracer->sinks;
         s != NULL; s = s->next) {
        s->refs++;
        sinks[count++] = s;
    }
    for (int i = 0; i < count; i++) {
        Sink *s = sinks[i];
        if (s->on && ((s->fd >= 0 && write_to_fd(s, line, size) < 0) ||
                      (s->file != NULL && write_to_file(s, line, size) < 0))) {
            told_error(s);
        }
    }
    for (int i = 0; i < count; i++) {
        sink_drop(sinks[i]);
    }
}

/* ---- one line at a time --------------------------------------------------------- */

/* What happens on a thread while it writes a line, because the collector came
 * or because the file itself has Buffers, is written after it. What happens
 * while that is written is not, or there would be no end. */
typedef struct Later {
    struct Later *next;
    size_t size;
    char line[];
} Later;

typedef struct {
    const Ledger *ledger;
    Later *first, **last; /* last is NULL while these are written */
} Writing;

/* This thread's, or NULL. */
static ThreadKey writings;

int
trace_prepare(void)
{
    return thread_key_make(&writings, NULL);
}

static void
write_later(Writing *writing, const char *line, size_t size)
{
    Later *later = malloc(sizeof *later + size);
    if (later != NULL) {
        later->next = NULL;
        later->size = size;
        memcpy(later->line, line, size);
        *writing->last = later;
        writing->last = &later->next;
    }
}

void
trace_tell(const Ledger *ledger, const char *format, ...)
{
    char line[2 * TOLD_MAX + 256];
    va_list args;
    va_start(args, format);
    size_t size = (size_t)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size >= sizeof line) {
        size = sizeof line - 1;
        line[size - 1] = '\n';
    }
    Writing *outer = pthread_getspecific(writings.key);
    if (outer != NULL) {
        /* A write() may enter another interpreter, whose files are not for
         * this one to call. */
        if (outer->last != NULL && outer->ledger == ledger) {
            write_later(outer, line, size);
        }
        return;
    }
    /* Not on the stack: a write() may switch to another greenlet, which has its
     * stack in the same place. */
    Writing *writing = malloc(sizeof *writing);
    if (writing == NULL || pthread_setspecific(writings.key, writing) != 0) {
        free(writing);
        return;
    }
    *writing = (Writing){.ledger = ledger};
    writing->last = &writing->first;
    send(ledger, line, size);
    writing->last = NULL;
    while (writing->first != NULL) {
        Later *later = writing->first;
        writing->first = later->next;
        send(ledger, later->line, later->size);
        free(later);
    }
    pthread_setspecific(writings.key, NULL);
    free(writing);
}

/* ---- beginning and ending a trace -------------------------------------------------- */

static bool
may_wait(int fd)
{
    struct stat st;
    return fstat(fd, &st) != 0 || !S_ISREG(st.st_mode);
}

/* The trace that lines are sent to from now on. */
static int
add_sink(Ledger *ledger, Sink *sink)
{
    int count = 0;
    if (ledger->tracer == NULL) {
        ledger->tracer = calloc(1, sizeof *ledger->tracer);
        if (ledger->tracer == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    Sink **link = &ledger->tracer->sinks;
    while (*link != NULL) {
        link = &(*link)->next;
        count++;
    }
    if (count == SINKS_MAX) {
        PyErr_Format(PyExc_RuntimeError,
                     "%d traces are on, and no more can be: end one first",
                     count);
        return -1;
    }
    *link = sink;
    sink->number = ++ledger->traces;
    return 0;
}

PyObject *
trace_start(PyObject *module, PyObject *target)
{
    Ledger *ledger = state_of_module(module)->ledger;
    int fd = PyLong_Check(target) ? (int)PyLong_AsLong(target) : -1;
    if (fd == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) {
        return PyErr_NoMemory();
    }
    *sink = (Sink){.refs = 1, .on = true, .fd = -1};
    if (add_sink(ledger, sink) < 0) {
        sink_drop(sink);
        return NULL;
    }
    if (fd >= 0) {
        sink->fd = fd;
        sink->patient = may_wait(fd);
    }
    else if (target != Py_None) {
        sink->file = Py_NewRef(target);
    }
    return PyLong_FromUnsignedLongLong(sink->number);
}

PyObject *
trace_stop(PyObject *module, PyObject *number)
{
    unsigned long long n = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    remove_sinks(state_of_module(module)->ledger, false, false, n);
    Py_RETURN_NONE;
}

PyObject *
trace_at_exit(PyObject *module, PyObject *Py_UNUSED(unused))
{
    trace_leave_python(state_of_module(module)->ledger);
    Py_RETURN_NONE;
}
