/* trace.h: a part of shim.h, and included by it alone: who is told of memory and
 * views, and what is remembered of them. */
#ifndef PYBUF_TRACE_H
#define PYBUF_TRACE_H

/* ---- tracemalloc.c ---------------------------------------------------------- */

/* "pybuf" on a telephone's keys. */
#define TRACEMALLOC_DOMAIN 79283u

#define TRACEMALLOC_OFF (-2) /* what CPython answers then */

/* PyTraceMalloc_Untrack, or a function that always says that it is off. */
extern int (*tracemalloc_untrack)(unsigned domain, uintptr_t address);

/* Asked for each new memory. To forget what was never known is the cheapest
 * question there is: a few instructions if the answer is no. The like to
 * PyTraceMalloc_Track takes the thread's state first in some versions. */
static inline bool
tracemalloc_is_on(void)
{
    return __builtin_expect(
        tracemalloc_untrack(TRACEMALLOC_DOMAIN, 0) != TRACEMALLOC_OFF, 0);
}

/* Once for each process. */
void tracemalloc_prepare(void);
/* Tells of new memory, and marks it. */
void tracemalloc_add(Memory *mem);
/* Tells that marked memory goes. */
void tracemalloc_remove(const Memory *mem);

/* ---- history.c: where Buffers and views were made ------------------------ */

/* A line of Python, as "file.py:12"; shared. NULL is one that is not known. */
typedef struct Site Site;
/* The innermost line of Python that is running. Owned. Keeps no exception and
 * sets none. The collector may run. */
Site *site_here(void);
Site *site_share(Site *site);
void site_drop(Site *site);
/* In UTF-8, "?" for NULL. */
const char *site_text(const Site *site);

/* A view that is alive, of those that b gave while a trace was on. */
struct Record {
    Ring place;       /* among those of its Buffer */
    const char *door; /* static: what gave it */
    Site *site;       /* owned */
};

/* NULL if there is no memory for them, or nobody traces any more. */
History *history_of(Buffer *b);
Record *record_new(Buffer *b, const char *door, Site *site);
/* The view has ended. NULL is nothing. */
void record_drop(Record *record);
/* Where it was made, borrowed. NULL if not known. */
Site *history_made(const Buffer *b);
void history_set_made(Buffer *b, Site *site);
/* Of a Buffer that is a view of another: what that one remembers of it. It
 * changes hands. */
void history_set_view(Buffer *b, Record *record);
Record *history_take_view(Buffer *b);
void history_free(Buffer *b);
#define TOLD_MAX 4096
/* Where its views were made, for the end of a sentence: some of them, and how
 * many more. "" if nothing is known. */
void history_tell(const Buffer *b, Py_ssize_t views, char *out, size_t cap);

/* ---- sink.c: where the lines of a trace go --------------------------------- */

struct Tracer {
    struct Sink *sinks; /* where lines go; NULL while no trace is on */
    uint64_t histories; /* Buffers of which something is remembered */
};

static inline bool
trace_concerns(const Ledger *ledger)
{
    return __builtin_expect(ledger->tracer != NULL, 0);
}

/* Once for each process, before there are Buffers. */
int trace_prepare(void);
/* Sends a line to each trace that is on. May run Python. No exception may be
 * set. */
__attribute__((format(printf, 2, 3))) void trace_tell(const Ledger *ledger,
                                                      const char *format, ...);
/* A trace may have ended, or a Buffer. */
void trace_settle(Ledger *ledger);
/* No line goes to a Python object any more. */
void trace_leave_python(Ledger *ledger);
void trace_end(Ledger *ledger);
PyObject *trace_start(PyObject *module, PyObject *target);
PyObject *trace_stop(PyObject *module, PyObject *number);
PyObject *trace_at_exit(PyObject *module, PyObject *unused);

/* ---- trace.c: a line for each event ---------------------------------------- */

/* All of these keep a pending exception, may run Python, and are to be called
 * only if the above holds. What they are told of has happened, or with
 * trace_free is about to. */
void trace_made(Buffer *b);
void trace_child(Buffer *child, const char *door);
void trace_resized(Buffer *b, const Memory *old);
/* What trace_release wants, or NULL. */
Record *trace_export(Buffer *b, const char *door);
void trace_release(Buffer *b, Record *record);
/* The same for a Py_buffer. Returns 0. */
int trace_view(Buffer *b, Py_buffer *view);
void trace_view_end(Buffer *b, const Py_buffer *view);
/* A memory that was b's. */
void trace_free(Buffer *b, const Memory *mem);
/* A memory that no trace was told of, for it was made before. */
void trace_untold(const Ledger *ledger, const Memory *mem);

/* ---- inspect.c: what is alive --------------------------------------------- */

extern PyStructSequence_Desc live_desc;
PyObject *inspect_stats(PyObject *module, PyObject *unused);
PyObject *inspect_live(PyObject *module, PyObject *unused);
/* What is to be told of a memory. All of it is borrowed. */
typedef struct {
    const void *address; /* of element 0 */
    Py_ssize_t nbytes, exports;
    Element *element;
    int ndim;
    const Py_ssize_t *shape, *strides; /* the latter may lead into this struct */
    Source source;
    bool readonly, closed;
    const Buffer *buffer; /* NULL: there is only a Keep */
    Py_ssize_t packed[KEEP_DIMS];
} Live;

/* The memory at a place of ledger->live; false if its end has begun. */
bool live_look(Ring *ring, Live *out);

/* ---- leaks.c: what is alive when Python is gone ----------------------------- */

PyObject *leaks_report_at_exit(PyObject *module, PyObject *unused);

#endif
