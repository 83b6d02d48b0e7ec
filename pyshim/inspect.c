/* inspect.c: stats() and live(): what is alive.
 *
 * Nothing is counted for them on the way: they walk along the ledger. A memory
 * whose Buffer's end has begun is not told of, for there is no way back. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

static bool
look_at_buffer(Place *place, Live *out)
{
    Buffer *b = (Buffer *)((char *)place - offsetof(Buffer, place));
    if (Py_REFCNT(OBJECT(b)) == 0) {
        return false;
    }
    out->address = b->mem.data;
    out->nbytes = b->mem.block_size;
    out->exports = b->views;
    out->element = b->element;
    out->ndim = b->ndim;
    out->shape = b->shape;
    out->strides = b->strides;
    out->source = b->mem.source;
    out->readonly = b->readonly;
    out->closed = b->closed;
    out->buffer = b;
    return true;
}

bool
live_look(Ring *ring, Live *out)
{
    Place *place = (Place *)ring;
    return place->is_keep ? keep_look(place, out) : look_at_buffer(place, out);
}

/* ---- stats() ---------------------------------------------------------------- */

typedef struct {
    Py_ssize_t blocks, bytes, exports;
} Sums;

PyObject *
inspect_stats(PyObject *module, PyObject *Py_UNUSED(unused))
{
    const Ledger *ledger = state_of_module(module)->ledger;
    const Ring *head = &ledger->live;
    Sums of[SOURCE_COUNT] = {{0}}, all = {0};
    for (Ring *p = head->next; p != head; p = p->next) {
        Live live;
        if (live_look(p, &live)) {
            Sums *sums = &of[live.source];
            sums->blocks++;
            sums->bytes += live.nbytes;
            sums->exports += live.exports;
        }
    }
    PyObject *sources = PyDict_New();
    for (int i = 0; i < SOURCE_COUNT && sources != NULL; i++) {
        PyObject *sums =
            Py_BuildValue("{s:n,s:n,s:n}", "blocks", of[i].blocks, "bytes",
                          of[i].bytes, "exports", of[i].exports);
        if (sums == NULL ||
            PyDict_SetItemString(sources, memory_source_name((Source)i),
                                 sums) < 0) {
            Py_CLEAR(sources);
        }
        Py_XDECREF(sums);
        all.blocks += of[i].blocks;
        all.bytes += of[i].bytes;
        all.exports += of[i].exports;
    }
    if (sources == NULL) {
        return NULL;
    }
    return Py_BuildValue("{s:n,s:n,s:n,s:K,s:K,s:N}", "blocks", all.blocks,
                         "bytes", all.bytes, "exports", all.exports, "lent",
                         (unsigned long long)ledger->lent, "go_calls", (unsigned long long)go_calls(),
                         "sources", sources);
}

/* ---- live() ------------------------------------------------------------------ */

/* One memory as it was when live() was called. To make Python objects of it may
 * run the collector, and with it whatever makes and ends Buffers. */
typedef struct {
    const void *address;
    Py_ssize_t nbytes, exports;
    Element *element; /* owned */
    Site *made;       /* owned */
    Py_ssize_t *shape, *strides; /* into the same block */
    int ndim;
    Source source;
    bool readonly, closed;
} Seen;

/* All that is alive, in one malloc'd block; NULL with no exception if there is
 * no memory for it. */
static Seen *
look(Ring *head, Py_ssize_t *count)
{
    size_t n = 0, dims = 0;
    for (Ring *p = head->next; p != head; p = p->next) {
        Live live;
        if (live_look(p, &live)) {
            n++;
            dims += (size_t)live.ndim;
        }
    }
    Seen *all = malloc(n * sizeof *all + 2 * dims * sizeof(Py_ssize_t) + 1);
    *count = (Py_ssize_t)n;
    if (all == NULL) {
        return NULL;
    }
    Seen *seen = all;
    Py_ssize_t *next = (Py_ssize_t *)(all + n);
    for (Ring *p = head->next; p != head; p = p->next) {
        Live live;
        if (!live_look(p, &live)) {
            continue;
        }
        *seen++ = (Seen){
            .address = live.address,
            .nbytes = live.nbytes,
            .exports = live.exports,
            .element = (Element *)Py_NewRef(OBJECT(live.element)),
            .made = live.buffer == NULL
                        ? NULL
                        : site_share(history_made(live.buffer)),
            .shape = next,
            .strides = next + live.ndim,
            .ndim = live.ndim,
            .source = live.source,
            .readonly = live.readonly,
            .closed = live.closed,
        };
        size_t size = (size_t)live.ndim * sizeof *next;
        memcpy(next, live.shape, size);
        memcpy(next + live.ndim, live.strides, size);
        next += 2 * live.ndim;
    }
    return all;
}

static PyStructSequence_Field live_fields[] = {
    {"address", "address of the item with all indices 0, an int"},
    {"nbytes", "bytes of the memory"},
    {"shape", "items along each axis, a tuple"},
    {"strides", "bytes from one item to the next along each axis, a tuple"},
    {"format", "PEP 3118 format of one item"},
    {"source", "where the memory comes from: \"c\", \"go\" or \"foreign\""},
    {"exports", "views that are alive, of casts too, and will report their end"},
    {"readonly", "whether every door refuses to write"},
    {"closed", "whether close() was called, and what was lent keeps it"},
    {"where", "\"file.py:12\" that made it, or None if no trace was on"},
    {NULL, NULL},
};

PyStructSequence_Desc live_desc = {
    .name = "pybuf.LiveMemory",
    .doc = "A memory that was alive when pybuf.live() was called.",
    .fields = live_fields,
    .n_in_sequence = sizeof live_fields / sizeof live_fields[0] - 1,
};

static PyObject *
text_of(const Site *site)
{
    return site == NULL ? Py_NewRef(Py_None)
                        : PyUnicode_FromString(site_text(site));
}

static PyObject *
record_of(PyTypeObject *type, const Seen *seen)
{
    PyObject *record = PyStructSequence_New(type);
    if (record == NULL) {
        return NULL;
    }
    PyObject *values[] = {
        PyLong_FromVoidPtr((void *)seen->address),
        PyLong_FromSsize_t(seen->nbytes),
        tuple_of_dims(seen->shape, seen->ndim),
        tuple_of_dims(seen->strides, seen->ndim),
        PyUnicode_FromString(seen->element->format),
        PyUnicode_FromString(memory_source_name(seen->source)),
        PyLong_FromSsize_t(seen->exports),
        PyBool_FromLong(seen->readonly),
        PyBool_FromLong(seen->closed),
        text_of(seen->made),
    };
    _Static_assert(sizeof values / sizeof values[0] ==
                       sizeof live_fields / sizeof live_fields[0] - 1,
                   "a value for each field");
    bool complete = true;
    for (int i = 0; i < live_desc.n_in_sequence; i++) {
        complete = complete && values[i] != NULL;
        PyStructSequence_SetItem(record, i, values[i]); /* takes it over */
    }
    if (!complete) {
        Py_CLEAR(record);
    }
    return record;
}

PyObject *
inspect_live(PyObject *module, PyObject *Py_UNUSED(unused))
{
    State *st = state_of_module(module);
    Py_ssize_t count;
    Seen *all = look(&st->ledger->live, &count);
    if (all == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *record =
            list == NULL ? NULL : record_of(st->live_type, &all[i]);
        if (record == NULL || PyList_Append(list, record) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(record);
        Py_DECREF(OBJECT(all[i].element));
        site_drop(all[i].made);
    }
    free(all);
    return list;
}
