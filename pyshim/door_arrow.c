/* door_arrow.c: the Arrow C data interface as capsules,
 * https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
 *
 * For one axis of items that Arrow has a fixed-size type for. Arrow takes
 * memory as immutable, so writable and read-only Buffers leave alike. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

typedef struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
} ArrowSchema;

typedef struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

/* What an array holds until it is released. */
typedef struct {
    Buffer *buffer; /* owned; one export of it is this array's */
    Record *record; /* of that export, or NULL */
    const void *buffers[2]; /* no validity bitmap, then the items */
} Held;

static void
held_end(void *context)
{
    Held *held = context;
    buffer_unlend(held->buffer);
    if (trace_concerns(held->buffer->ledger)) {
        trace_release(held->buffer, held->record);
    }
    Py_DECREF(OBJECT(held->buffer));
    free(held);
}

/* Releases mark themselves done by a NULL, as the specification asks. */
static void
release_array(ArrowArray *array)
{
    Held *held = array->private_data;
    array->release = NULL;
    gil_call(held_end, held);
}

static void
release_schema(ArrowSchema *schema)
{
    free(schema->private_data); /* the format */
    schema->release = NULL;
}

/* Consumers move the struct away and leave release NULL behind. One that
 * renames the capsule takes all of it. */
static void
array_capsule_end(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, "arrow_array")) {
        return;
    }
    ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array->release != NULL) {
        array->release(array);
    }
    free(array);
}

static void
schema_capsule_end(PyObject *capsule)
{
    if (!PyCapsule_IsValid(capsule, "arrow_schema")) {
        return;
    }
    ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema->release != NULL) {
        schema->release(schema);
    }
    free(schema);
}

static PyObject *
schema_capsule(const Buffer *b)
{
    ArrowSchema *schema = calloc(1, sizeof *schema);
    char *format = strdup(b->element->arrow);
    if (schema == NULL || format == NULL) {
        free(schema);
        free(format);
        return PyErr_NoMemory();
    }
    schema->format = format;
    schema->name = "";
    schema->release = release_schema;
    schema->private_data = format;
    PyObject *capsule =
        PyCapsule_New(schema, "arrow_schema", schema_capsule_end);
    if (capsule == NULL) {
        release_schema(schema);
        free(schema);
    }
    return capsule;
}

static PyObject *
array_capsule(Buffer *b)
{
    ArrowArray *array = calloc(1, sizeof *array);
    Held *held = malloc(sizeof *held);
    if (array == NULL || held == NULL) {
        free(array);
        free(held);
        return PyErr_NoMemory();
    }
    *held = (Held){.buffer = (Buffer *)Py_NewRef(OBJECT(b)),
                   .buffers = {NULL, b->mem.data}};
    buffer_lend(b);
    if (trace_concerns(b->ledger)) {
        held->record = trace_export(b, "arrow");
    }
    array->length = b->shape[0];
    array->n_buffers = 2;
    array->buffers = held->buffers;
    array->release = release_array;
    array->private_data = held;
    PyObject *capsule =
        PyCapsule_New(array, "arrow_array", array_capsule_end);
    if (capsule == NULL) {
        held_end(held);
        free(array);
    }
    return capsule;
}

static int
judge(Buffer *b)
{
    if (buffer_open(b) < 0 || gil_can_return("Arrow") < 0) {
        return -1;
    }
    if (b->element->arrow[0] == '\0') {
        PyErr_Format(PyExc_BufferError,
                     "Arrow has no element type for '%s'",
                     b->element->format);
        return -1;
    }
    if (b->ndim != 1 || !(b->contiguous & PYBUF_C_CONTIGUOUS)) {
        PyErr_Format(PyExc_BufferError,
                     "an Arrow array has one axis without gaps; this Buffer "
                     "has %d%s",
                     b->ndim, b->ndim == 1 ? ", with gaps" : " axes");
        return -1;
    }
    if ((uintptr_t)b->mem.data % (uintptr_t)b->element->align != 0) {
        PyErr_Format(PyExc_BufferError,
                     "Arrow reads aligned items only; '%s' wants %zd bytes "
                     "and the memory starts at %p",
                     b->element->format, b->element->align, b->mem.data);
        return -1;
    }
    return 0;
}

PyObject *
door_arrow(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const Signature sig = {
        .function = "__arrow_c_array__",
        .names = {"requested_schema", NULL},
        .positional = 1,
        .cache = SIG_ARROW,
    };
    Buffer *b = (Buffer *)self;
    /* A request for another type may be left unanswered, the specification
     * says: the consumer casts. */
    PyObject *request[1];
    if (args_bind(state_of(self), &sig, args, nargs, kwnames, request) < 0 ||
        judge(b) < 0) {
        return NULL;
    }
    PyObject *schema = schema_capsule(b);
    PyObject *array = schema == NULL ? NULL : array_capsule(b);
    PyObject *pair = array == NULL ? NULL : PyTuple_Pack(2, schema, array);
    Py_XDECREF(schema);
    Py_XDECREF(array);
    return pair;
}
