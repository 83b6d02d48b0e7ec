/* shim.h: what the files of the shim share; see each .c file for its concern.
 *
 * Conventions: a function that returns int gives 0, or -1 with a Python
 * exception set; one that returns a pointer gives NULL with an exception set,
 * unless it says otherwise. All of it runs under the GIL of the interpreter
 * whose objects it touches, exceptions are noted. "borrowed" and "owned" are
 * CPython's words. */
#ifndef PYBUF_SHIM_H
#define PYBUF_SHIM_H

#include "py.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pybuf_abi.h"
#include "runtime.h"

_Static_assert(sizeof(Py_ssize_t) == sizeof(int64_t),
               "pybuf supports 64-bit platforms only");

/* ---- counters --------------------------------------------------------- */

/* A place in a ring of neighbours, or the ring's head. Alone it is its own
 * neighbour. */
typedef struct Ring {
    struct Ring *prev, *next;
} Ring;

static inline void
ring_init(Ring *place)
{
    place->prev = place->next = place;
}

/* At the end of the ring: before its head. */
static inline void
ring_add(Ring *head, Ring *place)
{
    place->prev = head->prev;
    place->next = head;
    head->prev->next = place;
    head->prev = place;
}

static inline void
ring_remove(Ring *place)
{
    place->prev->next = place->next;
    place->next->prev = place->prev;
}

/* Where a memory is in the ledger. */
typedef struct Place {
    Ring ring;    /* first: neighbours lead here */
    bool is_keep; /* a Keep's, else a Buffer's */
    struct Place *next_dead; /* see nest.c */
} Place;

typedef struct Tracer Tracer;

/* A power of two. */
#define SPENT_LOANS 64

/* Counts of one interpreter, guarded by its GIL. Malloc'd, so that a Buffer
 * that outlives its module still finds it. */
typedef struct {
    uint64_t made;      /* memories made or taken over */
    uint64_t freed;     /* memories freed or given back */
    int64_t live_bytes; /* bytes of those made and not yet freed */
    uint64_t holders;   /* the module, and each Buffer: the last frees this */
    uint64_t ending;    /* Keeps that are giving their memory back just now */
    struct State *st;   /* of the module; NULL when it is gone */
    Ring live;      /* the Buffers and Keeps that own a memory, by `place`,
                     * oldest first: borrowed, each leaves when its memory goes */
    uint64_t lent;  /* descriptors by lend() that have not come back */
    void *spent[SPENT_LOANS]; /* malloc'd: see lend.c */
    unsigned next_spent;
    uint64_t traces; /* begun so far */
    Tracer *tracer; /* NULL unless a trace is on, or something that was seen
                     * while one was on is still remembered */
} Ledger;

typedef struct Element Element;

/* ---- module ----------------------------------------------------------- */

/* Functions whose keywords are cached, see args.c. */
enum {
    SIG_EMPTY,
    SIG_ZEROS,
    SIG_COPY,
    SIG_COPYTO,
    SIG_COPY_2D,
    SIG_WRAP,
    SIG_LEND,
    SIG_CLOSE,
    SIG_CAST,
    SIG_TOBYTES,
    SIG_NUMPY,
    SIG_DLPACK,
    SIG_ARROW,
    SIG_LAYOUT_EMPTY,
    SIG_LAYOUT_ZEROS,
    SIG_LAYOUT_WRAP,
    SIG_POINTERS,
    SIG_INDIRECT_ZEROS,
    SIG_ROWS,
    SIG_COUNT
};

#define ARGS_MAX 12

typedef struct {
    PyObject *kwnames; /* owned: the tuple of the last call with keywords */
    signed char index[ARGS_MAX];
} KeywordCache;

typedef struct {
    PyObject *ctypes_data;    /* _ctypes._CData */
    PyObject *ctypes_pointer; /* _ctypes._Pointer */
    PyObject *ctypes_simple;  /* _ctypes._SimpleCData */
    PyObject *ctypes_array;   /* _ctypes.Array */
    PyObject *ctypes_func;    /* _ctypes.CFuncPtr */
    PyObject *cffi;           /* module _cffi_backend */
    PyObject *cffi_data;      /* _cffi_backend._CDataBase */
    PyObject *cffi_uintptr;   /* its ctype uintptr_t */
} ForeignTypes;

/* The bases of ndarrays, of which a loop makes one and ends it, again and again.
 * The last one that ended serves as the next: it has its type still, and the
 * reference to it. */
enum { SPARE_LEASE, SPARE_KEEP, SPARES };

/* A power of two. */
#define SPELLED 16

typedef struct {
    uint64_t key;     /* see spelled_key; 0: nothing is here */
    char *text;       /* owned, malloc'd; NULL: the key says it all */
    Element *element; /* owned */
} Spelled;

/* The dimensions of an array without a Buffer: see keep.c. */
#define KEEP_DIMS 4

/* A layout, and the verdict. */
typedef struct {
    Py_ssize_t itemsize; /* 0: there is none */
    int ndim;
    unsigned flags;
    Py_ssize_t shape[KEEP_DIMS], strides[KEEP_DIMS];
    Py_ssize_t nbytes, low, high;
} Judged;

typedef struct State {
    PyTypeObject *buffer_type;
    PyTypeObject *element_type;
    PyTypeObject *lease_type;
    PyTypeObject *keep_type;
    PyObject *spares[SPARES]; /* see spare_take */
    Judged judged;            /* see given.c */
    PyTypeObject *keeper_type;
    PyTypeObject *layout_type;
    PyTypeObject *lent_type;
    PyTypeObject *live_type; /* of the records of live() */
    PyTypeObject *gopy_library_type;
    PyTypeObject *gopy_loan_type;
    PyTypeObject *gopy_value_type;
    PyTypeObject *holder_type;
    PyTypeObject *indirect_type;
    /* For each way of reading (PYBUF_FORMAT...) a dict: str -> Element. They
     * differ: "f8" is a typestr, and to an exporter no format. */
    PyObject *readings[PYBUF_READINGS];
    PyObject *last_spelling; /* the dtype= looked up last, and what it means */
    Element *last_element;
    Spelled spelled[SPELLED]; /* formats that C code gave last, see spelled.c */
    PyObject *memory2d; /* pybuf.indirect.IndirectMemory2D, NULL until needed */
    PyObject *by_dtype;   /* dict: numpy.dtype -> Element */
    PyObject *dtype_type; /* numpy.dtype, NULL until NumPy was needed */
    PyObject *numpy_asarray; /* numpy.asarray, likewise */
    PyObject *dtype_descr;   /* pybuf._dtype.descr, likewise */
    PyObject *ctypes_descr;  /* pybuf._ctypes.descr, likewise */
    PyObject *parameter;     /* pybuf._parameter.parameter, likewise */
    void **numpy_api;     /* NumPy's C function table, NULL until needed */
    bool numpy_unknown;   /* NumPy is there, its table is of no known kind */
    Ledger *ledger;
    ForeignTypes foreign;
    KeywordCache keywords[SIG_COUNT];
} State;

/* The spare one, which is new again. Owned; NULL if there is none. */
static inline PyObject *
spare_take(State *st, int which)
{
    PyObject *spare = st->spares[which];
    if (spare != NULL) {
        st->spares[which] = NULL;
        Py_INCREF(spare); /* from 0, as whoever is resurrected */
    }
    return spare;
}

void spare_free(PyObject *spare);

/* The end of a dealloc: of an object that has given back all but its type. The
 * module may be gone (NULL), or on its way. */
static inline void
spare_give(State *st, int which, PyObject *self)
{
    if (st != NULL && st->spares[which] == NULL && st->buffer_type != NULL) {
        st->spares[which] = self;
    }
    else {
        spare_free(self);
    }
}

State *state_of_module(PyObject *module);
/* The state behind an object of one of our types. */
State *state_of(PyObject *self);

/* ---- gocall.c: every call into Go ------------------------------------- */

/* Calls into Go made by this process so far. Any thread. */
uint64_t go_calls(void);
/* Waits for the runtime. ImportError if it cannot be used here. */
int go_start(void);
/* As in pybuf_abi.h. In a forked child the first of them starts another
 * runtime; where that fails it is PYBUF_ERUNTIME, with the reason in err. */
int32_t go_element(const char *spelling, Py_ssize_t len, int how,
                   Py_ssize_t itemsize, pybuf_element *out, pybuf_text *err);
int32_t go_plain(int how, int64_t i, pybuf_text *spelling, pybuf_element *out,
                 pybuf_text *err);
int32_t go_layout(pybuf_layout *layout, pybuf_text *err);
int32_t go_alloc(int64_t nbytes, int64_t align, pybuf_block *out,
                 pybuf_text *err);
int32_t go_free(int64_t slot, pybuf_text *err);
int32_t go_runtime(int collect, pybuf_runtime *out, pybuf_text *err);
int32_t go_version(pybuf_text *out, pybuf_text *err);
/* The exception that a kind of error is. Borrowed. */
PyObject *go_exception(int32_t kind);
/* Sets the exception for an error of Go's. Returns NULL. */
PyObject *go_raise(int32_t kind, const pybuf_text *err);

/* ---- thread_key.c ------------------------------------------------------- */

/* A key of pthread_setspecific(), in zeroed memory before it is made. */
typedef struct {
    pthread_key_t key;
    bool made;
} ThreadKey;

/* Makes the key, once for each process; `end` gets what a thread leaves.
 * ImportError if the C library has none left. */
int thread_key_make(ThreadKey *key, void (*end)(void *));

/* ---- refuse.c ----------------------------------------------------------- */

/* Sets an exception about `obj`, which stands in the sentence where its format
 * has {}: a short form of its repr. Returns -1. */
int refuse(PyObject *type, PyObject *obj, const char *format, ...);
/* Adds a note to the exception that somebody else has set. */
void refuse_note(const char *format, ...);

/* ---- args.c ------------------------------------------------------------ */

typedef struct {
    const char *function;
    const char *names[ARGS_MAX + 1]; /* all parameters, NULL at the end */
    int positional;                  /* how many may be given by position */
    int required;                    /* how many must be given */
    int cache;                       /* SIG_... */
} Signature;

/* Binds a vectorcall's arguments: out[i] is borrowed, or NULL if left out. */
int args_bind(State *st, const Signature *sig, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames, PyObject **out);
int args_order(PyObject *arg, const char *function, char *out);
/* A flag: anything with a truth value; NULL leaves *out alone. */
int args_bool(PyObject *arg, bool *out);
/* An integer by __index__; `what` names it in errors. */
int args_ssize(PyObject *arg, const char *what, Py_ssize_t *out);
/* An int or a sequence of ints into out[PYBUF_MAX_NDIM]. Returns how many, or
 * -1. `what` names the argument, `item` one of its numbers. */
int args_dims(PyObject *arg, const char *what, const char *item,
              Py_ssize_t *out);
PyObject *tuple_of_dims(const Py_ssize_t *dims, int n);

/* ---- element.c: what an element is (Go's answers, cached) -------------- */

/* One element type with its code at each door. Immutable but for `descr`. */
struct Element {
    PyObject_HEAD
    Py_ssize_t itemsize; /* bytes, > 0 */
    Py_ssize_t align;    /* bytes, a power of two */
    int dl_code;         /* DLDataTypeCode or PYBUF_DL_NONE */
    int dl_bits;
    bool structured; /* a record, of which typestr says the size only */
    char *format;  /* into `texts` */
    char *typestr; /* into `texts` */
    char *arrow;   /* into `texts`; "" where Arrow has no such type */
    char *texts;   /* owned, malloc'd */
    PyObject *descr; /* owned: NumPy's dtype, NULL until asked for */
    bool descr_given; /* that one came from the user, with what no format says */
    Py_hash_t descr_hash; /* of descr when it came: its fields can be renamed */
    /* Of a sub-array: what it is made of (owned), and the extents that each
     * shape gets at its end (malloc'd). No Buffer has such an element, see
     * layout_element. Else NULL, 0, NULL. */
    Element *base;
    int ndim;
    Py_ssize_t *extents;
};

extern PyType_Spec element_spec;
int element_fill_caches(State *st);
/* From what a user gives as dtype=. Owned. */
Element *element_from_dtype(State *st, PyObject *dtype);
/* From the format that an exporter gives with its itemsize. Owned. */
Element *element_from_format(State *st, const char *format,
                             Py_ssize_t itemsize);
/* From the name of a C type. Owned. */
Element *element_from_ctype(State *st, const char *name);
/* The element that dtype= means when it is left out: "B". Owned. */
Element *element_default(State *st);
/* Look-ups and entries of a cache of elements. Owned, NULL without an exception
 * where there is none; what is too long is not kept. */
Element *element_cached(PyObject *dict, PyObject *key);
int element_remember(State *st, PyObject *dict, PyObject *key, Element *e);
/* A spelling that is read in the manner `how`, and kept under `key`, where it is
 * looked for first; NULL: not kept. itemsize as Go takes it. Owned. */
Element *element_ask(State *st, PyObject *key, PyObject *spelling, int how,
                     Py_ssize_t itemsize);
/* The same type once more, to be given a descr of its own. Owned. */
Element *element_twin(State *st, const Element *e);
/* Whether items of one are items of the other, whatever they are called: of the
 * plain types some have two letters. */
bool element_is_same(const Element *a, const Element *b);
/* How a pickle spells the element: dtype= reads it back. Borrowed. */
const char *element_spelling(const Element *e);

/* ---- spelled.c: formats that C code gives -------------------------------- */

/* As from a str that a user gives, NULL being "B". Owned. */
Element *element_spelled(State *st, const char *format);
/* Forgets them all. */
void spelled_clear(State *st);

#define SPELLED_LONG (UINT64_C(1) << 63)

/* A text as a number: itself, if it has less than 8 bytes, else a sum of it. 0 for
 * none. */
static inline uint64_t
spelled_key(const char *text)
{
    uint64_t key = 0;
    int i = 0;
    for (; i < 7 && text[i] != '\0'; i++) {
        key = key << 8 | (unsigned char)text[i];
    }
    if (__builtin_expect(text[i] == '\0', 1)) {
        return key;
    }
    for (; text[i] != '\0'; i++) {
        key = (key ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3); /* FNV's */
    }
    return key | SPELLED_LONG;
}

static inline unsigned
spelled_place(uint64_t key)
{
    return (unsigned)(key ^ key >> 8 ^ key >> 32) % SPELLED;
}

/* What that found lately, without any object of Python's. Borrowed, or NULL
 * without an exception. */
static inline Element *
element_spelled_lately(const State *st, const char *format)
{
    uint64_t key = format == NULL ? 'B' : spelled_key(format);
    const Spelled *place = &st->spelled[spelled_place(key)];
    return place->key == key &&
                   (place->text == NULL || strcmp(place->text, format) == 0)
               ? place->element
               : NULL;
}

/* ---- element_numpy.c: element types that NumPy knows --------------------- */

/* From anything that numpy.dtype() takes. Owned. */
Element *element_from_numpy(State *st, PyObject *spec);
/* Something that is imported once for each interpreter, and kept at the place.
 * Borrowed. */
PyObject *import_once(PyObject **place, const char *module, const char *name);
/* NumPy exports no dates and no strings of its own, and does not say which
 * field is one: sets the error that does in place of the one that is set. */
void element_explain(State *st, PyObject *obj);
/* From a ctypes type; items: of an array those of its items. Owned. */
Element *element_from_ctypes(State *st, PyObject *type, bool items);
/* The element type of an exporter with its format and itemsize. An ndarray is
 * asked for its dtype: the format of a record that NumPy exports leaves open
 * where some records in it end. A ctypes object for its type: the formats of
 * ctypes leave out pads, the fields of a base, bit fields and unions. Owned. */
Element *element_of_exporter(State *st, PyObject *obj, const char *format,
                             Py_ssize_t itemsize);
/* numpy.asarray(obj); imports NumPy. Owned. */
PyObject *numpy_asarray(State *st, PyObject *obj);
/* NumPy's dtype of an element; imports NumPy. Owned: the element may get
 * another one, see is_renamed. */
PyObject *element_descr(State *st, Element *e);

/* ---- numpy_api.c --------------------------------------------------------- */

/* Finds NumPy's table, for which it imports NumPy: st->numpy_api. One of an
 * unknown major version is not touched (st->numpy_unknown): the protocol serves
 * then, only slower. */
int numpy_find(State *st);

/* Places in the table `_ARRAY_API`, the same since NumPy 1.7. */
enum {
    NPY_GET_C_VERSION = 0,
    NPY_ARRAY_TYPE = 2,
    NPY_NEW_FROM_DESCR = 94,
    NPY_SET_BASE_OBJECT = 282,
};

#define NPY_WRITEABLE 0x0400

typedef PyObject *(*NewFromDescr)(PyTypeObject *type, PyObject *descr, int nd,
                                  const Py_ssize_t *dims,
                                  const Py_ssize_t *strides, void *data,
                                  int flags, PyObject *obj);
typedef int (*SetBaseObject)(PyObject *array, PyObject *base);

/* An ndarray by that table. Takes the references to descr and base, also if it
 * fails. strides may be NULL where NumPy would find the same. */
static inline PyObject *
numpy_array(State *st, PyObject *descr, int ndim, const Py_ssize_t *shape,
            const Py_ssize_t *strides, void *data, bool readonly,
            PyObject *base)
{
    void **api = st->numpy_api;
    /* Steals the reference to descr, also when it fails. */
    PyObject *array = ((NewFromDescr)api[NPY_NEW_FROM_DESCR])(
        (PyTypeObject *)api[NPY_ARRAY_TYPE], descr, ndim, shape, strides, data,
        readonly ? 0 : NPY_WRITEABLE, NULL);
    if (array == NULL) {
        Py_DECREF(base);
        return NULL;
    }
    /* Steals the reference to base, also when it fails. */
    if (((SetBaseObject)api[NPY_SET_BASE_OBJECT])(array, base) < 0) {
        Py_DECREF(array);
        return NULL;
    }
    return array;
}

/* ---- layout.c ----------------------------------------------------------- */

typedef struct {
    int ndim;
    unsigned flags; /* PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS */
    bool indirect;
    Py_ssize_t nbytes; /* bytes of all elements */
    Py_ssize_t low;    /* bytes in use are [low, high) from element 0 */
    Py_ssize_t high;
    Py_ssize_t shape[PYBUF_MAX_NDIM];
    Py_ssize_t strides[PYBUF_MAX_NDIM];
    Py_ssize_t suboffsets[PYBUF_MAX_NDIM]; /* only where indirect */
} Layout;

static inline bool
layout_reads_pointers(const Layout *l, int axis)
{
    return l->indirect && l->suboffsets[axis] >= 0;
}

/* The element of a Buffer whose items are *e: a sub-array gives its extents to
 * the shape, and what it is made of takes its place. strided: l->strides (and
 * l->suboffsets where l->indirect) are filled as well. */
int layout_element(Layout *l, Element **e, bool strided);
/* ndim, shape and where they are not NULL strides, as C code gives them. ValueError
 * for what no buffer has; `what` has it in the sentence. */
int layout_given(Layout *l, const char *function, const char *what, int ndim,
                 const Py_ssize_t *shape, const Py_ssize_t *strides);
/* ndim and shape of a view that another exporter filled. ValueError if it has
 * more axes than a buffer may have. */
int layout_of_view(Layout *l, const Py_buffer *view);
/* Fills all but ndim and shape, which the caller has set, for a layout without
 * gaps in order 'C' or 'F'. Enters Go only for a shape that is refused. */
int layout_contiguous(Layout *l, Py_ssize_t itemsize, char order);
/* The same as Go judges it. strided: with strides (and suboffsets where
 * l->indirect) that the caller has set; else without gaps in `order`. */
int layout_judge(Layout *l, Py_ssize_t itemsize, bool strided, char order);

/* Strides that the caller has set. Enters Go only for those that leave gaps, or
 * are refused. */
int layout_strided(Layout *l, Py_ssize_t itemsize);
/* A part of a layout that was judged: what follows from ndim, shape, strides,
 * indirect and suboffsets, without its bounds. Does not enter Go. */
void layout_of_part(Layout *l, Py_ssize_t itemsize);
/* Whether [start + first, start + last) is inside of the address space. */
static inline bool
layout_is_reachable(const void *start, Py_ssize_t first, Py_ssize_t last)
{
    uintptr_t base = (uintptr_t)start;
    uintptr_t below = first < 0 ? (uintptr_t)0 - (uintptr_t)first : 0;
    uintptr_t above = last > 0 ? (uintptr_t)last : 0;
    return below <= base && above <= UINTPTR_MAX - base;
}

/* ValueError: there are bytes, and `what` is NULL. Returns -1. */
int layout_refuse_null(const char *function, const char *what,
                       Py_ssize_t bytes);
/* ValueError if that is not reachable. */
int layout_reaches(const char *function, const void *start, Py_ssize_t first,
                   Py_ssize_t last);

/* ---- buffer.c: the object ----------------------------------------------- */

typedef void (*NativeRelease)(void *data, size_t nbytes, void *arg);

/* How a memory is given back. */
typedef enum {
    RELEASE_GONE,    /* it is given back already */
    RELEASE_LEFT,    /* another Buffer has it, of which this one was a view */
    RELEASE_NOTHING, /* somebody else sees to it; an owner may be dropped */
    RELEASE_FREE,    /* C's free(block) */
    RELEASE_GO,      /* Go's collector has it, by `slot` */
    RELEASE_NATIVE,  /* native(block, block_size, arg) */
    RELEASE_CALL,    /* callback(int(block)) */
    RELEASE_DESCRIPTOR, /* descriptor->release(descriptor) */
    RELEASE_PARENT,  /* `owner` is the Buffer that this one is a view of */
} ReleaseKind;

typedef enum { SOURCE_C, SOURCE_GO, SOURCE_FOREIGN, SOURCE_COUNT } Source;

/* A memory and how to give it back: moves into a Buffer. */
typedef struct {
    char *data; /* element 0 */
    void *block;
    Py_ssize_t block_size; /* bytes */
    Py_ssize_t align;      /* bytes that were asked for; of new memory only */
    Source source : 8; /* small, to leave room for the next */
    bool tracked;      /* tracemalloc knows of it */
    ReleaseKind release;
    union { /* small, for it is copied whole */
        struct { /* RELEASE_NATIVE */
            NativeRelease native;
            void *arg;
        };
        struct { /* RELEASE_GO */
            int64_t slot;
            uint32_t generation; /* whose runtime has the slot */
        };
        struct { /* RELEASE_DESCRIPTOR */
            pybuf_descriptor *descriptor;
            uint32_t adopted_in; /* this generation */
            bool bound;          /* to the process: PYBUF_FLAG_PROCESS */
        };
    };
    PyObject *callback; /* owned or NULL: RELEASE_CALL's callable, or what
                         * keeps a native function and its arg alive */
    PyObject *owner;    /* owned or NULL */
} Memory;

typedef struct History History;
typedef struct Record Record;

#define INLINE_DIMS 6

typedef struct Buffer {
    PyObject_HEAD
    Memory mem;
    struct Buffer *root; /* borrowed: whose memory it is; itself, or with
                          * RELEASE_PARENT the end of the chain of owners */
    Element *element;  /* owned */
    Py_ssize_t nbytes; /* bytes of all elements */
    Py_ssize_t *shape; /* into inline_dims, or malloc'd: see buffer_set_dims */
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets; /* NULL unless indirect */
    int ndim;
    unsigned char contiguous; /* PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS */
    bool readonly;
    bool closed;
    bool tracked;        /* by the collector */
    bool finalized;      /* the collector came, which it does once */
    bool finalize_spent; /* it came too early, and no keeper can be had:
                          * nobody will ask again */
    PyObject *keeper;    /* owned or NULL: see keeper.c */
    Py_ssize_t exports;  /* what reports its end and has not yet ended */
    Py_ssize_t views;    /* exports to others than Buffers; at a root those of
                          * the Buffers that are views of it, too */
    uint64_t lends;      /* exports and pointers ever handed out, likewise */
    uint64_t lends_traversed; /* lends when the collector last came by */
    Ledger *ledger;     /* of the interpreter; outlives this */
    Place place;        /* in ledger->live; alone if a view of another Buffer */
    History *history;   /* owned or NULL: what was seen of it, see history.c */
    PyObject *weakrefs;
    Py_ssize_t inline_dims[INLINE_DIMS];
} Buffer;

extern PyType_Spec buffer_spec;

/* A Buffer in the making: `mem` is to be written in place, which in loops is
 * faster than copying it, and then the Buffer filled. One that is dropped
 * before gives nothing back: `mem` then belongs to the caller still. */
Buffer *buffer_blank(State *st);
int buffer_fill(State *st, Buffer *b, Element *e, const Layout *l,
                bool readonly);
/* A Buffer over `mem`. On success the memory and its references belong to the
 * Buffer; on failure they still belong to the caller. `e` is not consumed. */
Buffer *buffer_new(State *st, Element *e, const Layout *l, const Memory *mem,
                   bool readonly);
int buffer_set_dims(Buffer *b, const Layout *l);
void buffer_get_layout(const Buffer *b, Layout *l);
/* ValueError if closed. */
int buffer_open(Buffer *b);

/* The next few are in every view that is taken and ended. Views and pointers
 * count where they were taken and where the memory is owned; what lies between
 * is kept by its own children. */

/* Whether there is no memory any more: a parent's close() leaves its views
 * alone, its release by the collector does not. */
static inline bool
buffer_is_gone(const Buffer *b)
{
    return b->root->mem.release == RELEASE_GONE ||
           b->mem.release == RELEASE_LEFT;
}

static inline bool
buffer_is_closed(const Buffer *b)
{
    return b->closed || buffer_is_gone(b);
}

/* A pointer was handed out, which nobody gives back. */
static inline void
buffer_lend_pointer(Buffer *b)
{
    b->lends++;
    if (b->root != b) {
        b->root->lends++;
    }
}

/* Takes back that it was ever lent: a view was our own, or nobody has it. */
static inline void
buffer_unlend_pointer(Buffer *b)
{
    b->lends--;
    if (b->root != b) {
        b->root->lends--;
    }
}

/* Counts one more view (a consumer that will report its end). */
static inline void
buffer_lend(Buffer *b)
{
    b->exports++;
    b->root->views++;
    buffer_lend_pointer(b);
}

/* One view has ended. */
static inline void
buffer_unlend(Buffer *b)
{
    b->exports--;
    b->root->views--;
}

/* Another Buffer becomes, or ends as, a view of this one. */
void buffer_lend_child(Buffer *parent);
void buffer_unlend_child(Buffer *parent);
/* "int(address) of element 0", counted as a pointer that was lent. */
PyObject *buffer_address(Buffer *b);

void buffer_dealloc(PyObject *self);
/* The end of a Buffer, by its place. */
void buffer_end(Place *place);
int buffer_traverse(PyObject *self, visitproc visit, void *arg);
void buffer_finalize(PyObject *self);
/* The Buffer is garbage of the collector: its release runs, if it may. */
void buffer_collected(Buffer *b);
PyObject *buffer_close(PyObject *self, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames);
PyObject *buffer_enter(PyObject *self, PyObject *unused);
PyObject *buffer_exit(PyObject *self, PyObject *args);

/* ---- keeper.c --------------------------------------------------------------- */

extern PyType_Spec keeper_spec;
/* A keeper of b's callback. NULL without an exception if none can be had. */
PyObject *keeper_new(State *st, Buffer *b);
/* The Buffer needs it no more. NULL is nobody. */
void keeper_drop(PyObject *keeper);

/* ---- buffer_attributes.c ------------------------------------------------- */

extern PyGetSetDef buffer_getset[];
PyObject *buffer_repr(PyObject *self);
PyObject *buffer_sizeof(PyObject *self, PyObject *unused);

/* ---- buffer_items.c: what memoryview would answer ------------------------ */

Py_ssize_t buffer_len(PyObject *self);
PyObject *buffer_item(PyObject *self, Py_ssize_t i);
PyObject *buffer_subscript(PyObject *self, PyObject *key);
int buffer_ass_subscript(PyObject *self, PyObject *key, PyObject *value);
PyObject *buffer_iter(PyObject *self);
PyObject *buffer_richcompare(PyObject *self, PyObject *other, int op);
Py_hash_t buffer_hash(PyObject *self);
PyObject *buffer_tobytes(PyObject *self, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames);
PyObject *buffer_tolist(PyObject *self, PyObject *unused);

/* ---- buffer_change.c: the same memory in another guise ------------------- */

PyObject *buffer_cast(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *buffer_toreadonly(PyObject *self, PyObject *unused);
PyObject *buffer_resize(PyObject *self, PyObject *shape);
PyObject *buffer_row(PyObject *self, PyObject *index);

/* ---- memory.c: where memory comes from, and goes ------------------------ */

/* Held by the caller. */
Ledger *ledger_new(State *st);
void ledger_end(Ledger *ledger);
/* One holder less. */
static inline void
ledger_drop(Ledger *ledger)
{
    if (--ledger->holders == 0) {
        ledger_end(ledger);
    }
}
/* How new memory is wished for. */
typedef struct {
    Source source;    /* SOURCE_C or SOURCE_GO */
    Py_ssize_t align; /* bytes, a power of two: where element 0 lies */
    bool zeroed;
} Wish;

#define ALIGN_DEFAULT 64

/* Reads align= and source= of function(); NULL is what is left out. */
int memory_wish(PyObject *align, PyObject *source, const char *function,
                Wish *out);
/* nbytes of new memory. */
int memory_new(Memory *mem, Py_ssize_t nbytes, Wish wish);
/* As a Buffer's `source` says it. */
const char *memory_source_name(Source source);
/* A non-NULL pointer for zero bytes. */
char *memory_nowhere(void);
/* What threads remember of releases. ImportError if that cannot be had. */
int memory_prepare(void);
/* Gives the memory back, once; runs callbacks. Keeps a pending exception. */
void memory_release(Memory *mem);
/* The same for memory that never was in a Memory. */
void memory_call_native(NativeRelease native, void *block, Py_ssize_t size,
                        void *arg);

/* ---- keep.c: the memory of an ndarray, without a Buffer ------------------- */

extern PyType_Spec keep_spec;
/* The end of a Keep, by its place. */
void keep_end(Place *place);

#include "copies.h"
#include "trace.h"

bool keep_look(Place *place, Live *out);

/* ---- nest.c: memories that end one another ------------------------------- */

/* So many ends may be under way, each in the one before. */
#define NESTING_MAX 32

/* Once for each process, before there are memories. */
int nest_prepare(void);
/* Ends what is at the place, now or before the outermost call of this that the
 * thread is in returns. */
void nest_end(const Ledger *ledger, Place *place);

/* ---- source_c.c, source_go.c: one source of memory each ------------------ */

/* A block of malloc, and where in it aligned memory begins: NULL if it cannot be
 * had. */
char *source_c_block(Py_ssize_t nbytes, Wish wish, void **block);
int source_c_make(Memory *mem, Py_ssize_t nbytes, Wish wish);
int source_go_make(Memory *mem, Py_ssize_t nbytes, Wish wish);
/* Gives a block of Go's back, if the runtime that made it lives. */
void source_go_free(int64_t slot, uint32_t generation);

/* ---- address.c: pointers in the forms that Python has ------------------- */

/* What kind of thing a pointer came from. */
typedef enum { FROM_INT, FROM_CAPSULE, FROM_CTYPES, FROM_CFFI } AddressForm;

/* The address that obj means. `what` names the argument in errors. */
int address_of(State *st, PyObject *obj, const char *what, void **out,
               AddressForm *form);
/* The bytes of a ctypes array, which is the block itself. -1 for any other
 * object: a structure may be the beginning of something longer. */
int address_block(State *st, PyObject *obj, AddressForm form,
                  Py_ssize_t *size);
/* Whether a type is one of ctypes; -1 with an exception. */
int address_is_ctypes(State *st, PyTypeObject *type);
/* Shape and item size of a ctypes or cffi array, and its element type where e
 * is not NULL. Returns 1 with l->ndim, l->shape, *itemsize and *e (owned) set,
 * 0 if obj is no such array, or -1. */
int address_array(State *st, PyObject *obj, Layout *l, Py_ssize_t *itemsize,
                  Element **e);
/* The value of a ctypes object that holds an integer, such as a c_size_t. Owned;
 * NULL without an exception for any other object. */
PyObject *address_number(State *st, PyObject *obj);
/* Reads release= into mem (release, native, arg, callback). */
int address_release(State *st, PyObject *obj, Memory *mem);

/* ---- gil.c: consumers that come back without the GIL --------------------- */

/* Runs work(context) under the GIL, on any thread; not at all if Python is
 * gone. */
void gil_call(void (*work)(void *), void *context);
/* BufferError in an interpreter that gil_call cannot come back to. */
int gil_can_return(const char *protocol);

/* ---- doors --------------------------------------------------------------- */

/* Fills a view of a Buffer that need not be open. On failure view->obj is
 * NULL. */
int door_lend_view(Buffer *b, Py_buffer *view, int flags);
int door_getbuffer(PyObject *self, Py_buffer *view, int flags);
void door_releasebuffer(PyObject *self, Py_buffer *view);

/* How numpy() may copy. */
typedef enum { COPY_NEVER, COPY_IF_NEEDED, COPY_ALWAYS } CopyRule;

extern PyType_Spec lease_spec;
/* An ndarray on the memory of an open Buffer. Imports NumPy. Owned. */
PyObject *numpy_of(State *st, Buffer *b, CopyRule rule);
PyObject *door_numpy(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames);
PyObject *door_interface(PyObject *self, void *unused);
PyObject *door_dlpack(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames);
PyObject *door_dlpack_device(PyObject *self, PyObject *unused);
PyObject *door_arrow(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames);
PyObject *door_reduce_ex(PyObject *self, PyObject *protocol);
PyObject *door_rebuild(PyObject *module, PyObject *const *args,
                       Py_ssize_t nargs);

/* ---- make.c, wrap.c: the functions that make Buffers ---------------------- */

PyObject *module_empty(PyObject *module, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames);
PyObject *module_zeros(PyObject *module, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames);
PyObject *module_wrap(PyObject *module, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames);

/* One stride for each axis of wrap() or Layout(), which `function` names. */
int wrap_dims(PyObject *arg, const char *function, const char *what,
              const char *item, int ndim, Py_ssize_t *out);
/* New memory for a layout, and a writable Buffer over it. */
Buffer *make_buffer(State *st, Element *e, const Layout *l, Wish wish);
/* What a caller says of memory that somebody else made: places of arguments,
 * which are read where args_bind() put them, from `owner` on. NULL is left
 * out. */
typedef enum {
    WRAP_OWNER,
    WRAP_RELEASE,
    WRAP_UNOWNED,
    WRAP_NBYTES,
    WRAP_OFFSET,
    WRAP_ARGS
} WrapArg;
#define WRAP_NAMES "owner", "release", "unowned", "nbytes", "offset"

/* Memory that somebody else made, on its way into a Buffer. */
typedef struct {
    const char *function;  /* static: whose errors they are */
    PyObject *const *arg;  /* WRAP_ARGS of them, borrowed */
    Py_ssize_t known;      /* bytes that are there; -1: nobody says */
    bool readonly;
    bool tables; /* no pointer of the layout may be NULL; else they are trusted */
} Wrapping;

/* A Buffer over the memory of a layout at `start`. If it fails the memory is
 * still the caller's. */
Buffer *wrap_buffer(State *st, const Wrapping *w, Element *e, const Layout *l,
                    void *start);

/* ---- adopt.c: a descriptor becomes a Buffer ------------------------------- */

/* Takes the descriptor over, and makes a Buffer of it. From the taking on it is
 * released whatever happens; a descriptor of an error is raised. What cannot be
 * taken raises ValueError, and stays as it is. */
Buffer *adopt_descriptor(State *st, pybuf_descriptor *d);
PyObject *module_adopt(PyObject *module, PyObject *descriptor);

/* ---- gopy.c: Go values of gopy modules ------------------------------------ */

extern PyType_Spec gopy_library_spec;
extern PyType_Spec gopy_loan_spec;
extern PyType_Spec gopy_value_spec;

/* ---- lend.c: an exporter as a descriptor ------------------------------------ */

extern PyType_Spec lent_spec;
/* The same without a Lent: whoever has it takes it, or there is nobody to. */
pybuf_descriptor *lend_descriptor(State *st, PyObject *obj, bool writable);
PyObject *module_lend(PyObject *module, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames);

/* ---- layout_type.c: the type Layout ---------------------------------------- */

extern PyType_Spec layout_spec;
PyObject *layout_rebuild(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs);

/* ---- functions.c ---------------------------------------------------------- */

extern PyMethodDef module_functions[];

/* An entry of a method table: with keywords, and without. */
#define FAST(f) ((PyCFunction)(void (*)(void))(f)), METH_FASTCALL | METH_KEYWORDS
#define POSITIONAL(f) ((PyCFunction)(void (*)(void))(f)), METH_FASTCALL

#endif
