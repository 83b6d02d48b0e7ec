/* door_dlpack.c: DLPack, https://dmlc.github.io/dlpack/latest/c_api.html
 *
 * Versioned capsules (1.0) carry the read-only flag; unversioned ones cannot,
 * so read-only memory is refused to consumers that ask for no version. The
 * consumer may call the deleter on any thread, without the GIL, and after
 * the interpreter is gone. */
#include "shim.h"

#include <stdlib.h>

#define VERSIONED "dltensor_versioned"
#define UNVERSIONED "dltensor"

enum { DL_CPU = 1 };
enum { DL_FLAG_READ_ONLY = 1, DL_FLAG_IS_COPIED = 2 };

typedef struct {
    uint32_t major, minor;
} DLVersion;

typedef struct {
    int32_t type, id;
} DLDevice;

typedef struct {
    uint8_t code, bits;
    uint16_t lanes;
} DLType;

typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLType dtype;
    int64_t *shape;
    int64_t *strides; /* in items */
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManaged {
    DLTensor tensor;
    void *context;
    void (*deleter)(struct DLManaged *);
} DLManaged;

typedef struct DLManagedVersioned {
    DLVersion version;
    void *context;
    void (*deleter)(struct DLManagedVersioned *);
    uint64_t flags;
    DLTensor tensor;
} DLManagedVersioned;

/* One malloc'd block: what the consumer gets, and the dims behind it. */
typedef struct {
    union {
        DLManaged plain;
        DLManagedVersioned versioned;
    } managed;
    Buffer *buffer; /* owned; one export of it is this tensor's */
    Record *record; /* of that export, or NULL */
    int64_t dims[];
} Tensor;

/* ---- the end of a tensor ------------------------------------------------------- */

static void
tensor_end(void *context)
{
    Tensor *t = context;
    buffer_unlend(t->buffer);
    if (trace_concerns(t->buffer->ledger)) {
        trace_release(t->buffer, t->record);
    }
    Py_DECREF(OBJECT(t->buffer));
    free(t);
}

static void
delete_plain(DLManaged *managed)
{
    gil_call(tensor_end, managed->context);
}

static void
delete_versioned(DLManagedVersioned *managed)
{
    gil_call(tensor_end, managed->context);
}

/* A capsule that nobody consumed: a consumer would have renamed it. */
static void
capsule_end(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, VERSIONED)) {
        DLManagedVersioned *m = PyCapsule_GetPointer(capsule, VERSIONED);
        tensor_end(m->context);
    }
    else if (PyCapsule_IsValid(capsule, UNVERSIONED)) {
        DLManaged *m = PyCapsule_GetPointer(capsule, UNVERSIONED);
        tensor_end(m->context);
    }
}

/* ---- making one ------------------------------------------------------------------ */

static int
deny(const char *reason)
{
    PyErr_SetString(PyExc_BufferError, reason);
    return -1;
}

static int
judge(Buffer *b, bool versioned)
{
    if (b->suboffsets != NULL) {
        return deny("the memory is indirect (it has suboffsets), which "
                      "DLPack cannot say");
    }
    if (b->element->dl_code == PYBUF_DL_NONE) {
        PyErr_Format(PyExc_BufferError, "DLPack has no element type for '%s'",
                     b->element->format);
        return -1;
    }
    if (b->readonly && !versioned) {
        return deny("the Buffer is read-only, which only versioned DLPack "
                      "can say: the consumer must ask with max_version=(1, "
                      "0) or later");
    }
    for (int i = 0; i < b->ndim; i++) {
        if (b->strides[i] % b->element->itemsize != 0) {
            return deny("a stride is no whole number of items, and DLPack "
                          "counts strides in items");
        }
    }
    return 0;
}

static void
fill_tensor(DLTensor *out, const Tensor *t)
{
    const Buffer *b = t->buffer;
    out->data = b->mem.data;
    out->device = (DLDevice){.type = DL_CPU, .id = 0};
    out->ndim = b->ndim;
    out->dtype = (DLType){.code = (uint8_t)b->element->dl_code,
                          .bits = (uint8_t)b->element->dl_bits,
                          .lanes = 1};
    out->shape = (int64_t *)t->dims;
    out->strides = (int64_t *)t->dims + b->ndim;
    out->byte_offset = 0;
}

static PyObject *
tensor_capsule(Buffer *b, bool versioned, uint64_t flags)
{
    Tensor *t = calloc(1, sizeof *t + 2 * (size_t)b->ndim * sizeof *t->dims);
    if (t == NULL) {
        return PyErr_NoMemory();
    }
    t->buffer = (Buffer *)Py_NewRef((PyObject *)b);
    for (int i = 0; i < b->ndim; i++) {
        t->dims[i] = b->shape[i];
        t->dims[b->ndim + i] = b->strides[i] / b->element->itemsize;
    }
    if (versioned) {
        DLManagedVersioned *m = &t->managed.versioned;
        m->version = (DLVersion){.major = 1, .minor = 0};
        m->context = t;
        m->deleter = delete_versioned;
        m->flags = flags | (b->readonly ? DL_FLAG_READ_ONLY : 0);
        fill_tensor(&m->tensor, t);
    }
    else {
        DLManaged *m = &t->managed.plain;
        m->context = t;
        m->deleter = delete_plain;
        fill_tensor(&m->tensor, t);
    }
    buffer_lend(b);
    if (trace_concerns(b->ledger)) {
        t->record = trace_export(b, "dlpack");
    }
    PyObject *capsule = PyCapsule_New(
        &t->managed, versioned ? VERSIONED : UNVERSIONED, capsule_end);
    if (capsule == NULL) {
        tensor_end(t);
    }
    return capsule;
}

/* ---- __dlpack__ ------------------------------------------------------------------- */

/* Whether the consumer takes versioned capsules, by max_version=(major, ..) */
static int
takes_version(PyObject *arg, bool *versioned)
{
    *versioned = false;
    if (arg == NULL || arg == Py_None) {
        return 0;
    }
    Py_ssize_t major;
    PyObject *first = PyTuple_Check(arg) && PyTuple_Size(arg) > 0
                          ? PyTuple_GetItem(arg, 0)
                          : NULL;
    if (first == NULL) {
        return refuse(PyExc_TypeError, arg,
                      "max_version is {}; it must be a tuple (major, minor)");
    }
    int failed = args_ssize(first, "max_version[0]", &major) < 0;
    if (!failed) {
        *versioned = major >= 1;
    }
    return failed ? -1 : 0;
}

static int
check_device(PyObject *stream, PyObject *device)
{
    if (stream != NULL && stream != Py_None) {
        return deny("a stream was given; the memory is the CPU's, which "
                      "has none: pass stream=None");
    }
    if (device == NULL || device == Py_None) {
        return 0;
    }
    PyObject *ours = Py_BuildValue("(ii)", DL_CPU, 0);
    int same = ours == NULL
                   ? -1
                   : PyObject_RichCompareBool(device, ours, Py_EQ);
    Py_XDECREF(ours);
    if (same == 0) {
        refuse(PyExc_BufferError, device,
               "dl_device is {}; the memory is the CPU's, (1, 0), and "
               "cannot be given on another device");
    }
    return same == 1 ? 0 : -1;
}

PyObject *
door_dlpack(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {
        .function = "__dlpack__",
        .names = {"stream", "max_version", "dl_device", "copy", NULL},
        .cache = SIG_DLPACK,
    };
    State *st = state_of(self);
    Buffer *b = (Buffer *)self;
    PyObject *arg[4];
    bool versioned, copy = false;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        takes_version(arg[1], &versioned) < 0 ||
        check_device(arg[0], arg[2]) < 0 || args_bool(arg[3], &copy) < 0 ||
        buffer_open(b) < 0 || gil_can_return("DLPack") < 0) {
        return NULL;
    }
    if (!copy) {
        return judge(b, versioned) < 0 ? NULL
                                       : tensor_capsule(b, versioned, 0);
    }
    Wish plain = {.source = SOURCE_C, .align = b->element->align};
    Buffer *fresh = copy_of(st, self, 'C', plain);
    PyObject *capsule = NULL;
    if (fresh != NULL && judge(fresh, versioned) == 0) {
        capsule = tensor_capsule(fresh, versioned, DL_FLAG_IS_COPIED);
    }
    Py_XDECREF(OBJECT(fresh));
    return capsule;
}

PyObject *
door_dlpack_device(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return buffer_open((Buffer *)self) < 0
               ? NULL
               : Py_BuildValue("(ii)", DL_CPU, 0);
}
