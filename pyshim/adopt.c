/* adopt.c: a descriptor of another library becomes a Buffer.
 *
 * Ownership moves in the middle of the call. Before the magic is taken nothing
 * is touched, and the descriptor stays the producer's; from then on it is
 * released, by the Buffer or because there can be none. */
#include "shim.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define KNOWN_FLAGS                                                           \
    ((uint32_t)(PYBUF_FLAG_READONLY | PYBUF_FLAG_PROCESS | PYBUF_FLAG_ERROR))

/* What most wrong numbers come from. */
#define RESTYPE                                                               \
    "; ctypes cuts what a function gives to 32 bits unless its restype is "    \
    "set: function.restype = ctypes.c_size_t"

/* ---- before it is taken ---------------------------------------------------- */

/* What was cut to 32 bits, or cut and then widened by its sign. */
static bool
looks_cut(const void *at)
{
    return (uintptr_t)at >> 32 == 0 || (intptr_t)at < 0;
}

/* Full addresses are trusted. These are not: where they can be one at all, it
 * is seldom, and a look is made by the kernel first. */
static bool
is_doubtful(const void *at)
{
    return looks_cut(at) || (uintptr_t)at >> 47 != 0;
}

/* By a pipe, into which the kernel writes what it can read. Any process may do
 * that; it takes two descriptors of files. */
static bool
copy_by_pipe(const void *at, void *out, size_t size)
{
    int ends[2];
    if (pipe(ends) < 0) {
        return false; /* nobody to ask */
    }
    bool copied = write(ends[1], at, size) == (ssize_t)size &&
                  read(ends[0], out, size) == (ssize_t)size;
    close(ends[0]);
    close(ends[1]);
    return copied;
}

/* What lies there, if anything does. */
static bool
copy_by_kernel(const void *at, void *out, size_t size)
{
    struct iovec here = {.iov_base = out, .iov_len = size};
    struct iovec there = {.iov_base = (void *)at, .iov_len = size};
    ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    return n < 0 && errno != EFAULT /* forbidden to some processes */
               ? copy_by_pipe(at, out, size)
               : n == (ssize_t)size;
}

static int
refuse_place(const void *at, const char *why)
{
    PyErr_Format(PyExc_ValueError, "adopt(): no descriptor lies at %p: %s" RESTYPE,
                 at, why);
    return -1;
}

static int
refuse_taken(const pybuf_descriptor *d)
{
    PyErr_Format(PyExc_ValueError,
                 "adopt(): what lies at %p was adopted before, or is no "
                 "descriptor%s",
                 (void *)d, looks_cut(d) ? RESTYPE : "");
    return -1;
}

/* Whether a descriptor that nobody took is there. */
static int
judge_place(const pybuf_descriptor *d)
{
    if (d == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "adopt(): the library gave no descriptor (NULL): it "
                        "had no memory for one, or the function that was "
                        "called gives none");
        return -1;
    }
    if ((uintptr_t)d % _Alignof(pybuf_descriptor) != 0) {
        return refuse_place(d, "descriptors lie at multiples of 8");
    }
    if (is_doubtful(d)) {
        pybuf_descriptor copy;
        if (!copy_by_kernel(d, &copy, sizeof copy)) {
            return refuse_place(d, "there is no memory to read");
        }
        if (copy.magic != PYBUF_DESCRIPTOR_MAGIC) {
            return refuse_taken(d);
        }
    }
    return __atomic_load_n(&d->magic, __ATOMIC_ACQUIRE) ==
                   PYBUF_DESCRIPTOR_MAGIC
               ? 0
               : refuse_taken(d);
}

/* Whether we could do with it what its producer relies on. */
static int
judge_untaken(const pybuf_descriptor *d)
{
    if (judge_place(d) < 0) {
        return -1;
    }
    if (d->version < 1 || d->version > PYBUF_DESCRIPTOR_VERSION) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the descriptor has version %u, and this pybuf "
                     "knows 1 to %d: %s; it was not taken over",
                     d->version, PYBUF_DESCRIPTOR_VERSION,
                     d->version < 1 ? "its producer left it unset"
                                    : "a newer pybuf is needed");
        return -1;
    }
    if ((d->flags & ~KNOWN_FLAGS) != 0) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the descriptor has flags 0x%x, of which this "
                     "pybuf does not know 0x%x; it was not taken over",
                     d->flags, d->flags & ~KNOWN_FLAGS);
        return -1;
    }
    if ((d->flags & PYBUF_FLAG_PROCESS) != 0 && d->pid <= 0) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the descriptor is bound to a process "
                     "(PYBUF_FLAG_PROCESS) and pid, which says to which, is "
                     "%d; it was not taken over",
                     d->pid);
        return -1;
    }
    if (d->release == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "adopt(): the descriptor has no release function "
                        "(NULL), so nobody could give its memory back; it was "
                        "not taken over");
        return -1;
    }
    return 0;
}

/* ---- after that -------------------------------------------------------------- */

/* The error that its producer met. */
static void
raise_error(const pybuf_descriptor *d)
{
    bool said = d->format != NULL && d->format[0] != '\0';
    const char *text =
        said ? d->format : "the library failed and does not say why";
    PyObject *message = PyUnicode_DecodeUTF8(
        text, (Py_ssize_t)strlen(text), "replace");
    if (message == NULL) {
        return;
    }
    bool known = d->ndim >= PYBUF_EVALUE && d->ndim <= PYBUF_ESYSTEM;
    PyObject *type = known ? go_exception(d->ndim) : PyExc_RuntimeError;
    PyObject *error =
        d->ndim == PYBUF_ESYSTEM && d->nbytes > 0 && d->nbytes <= INT_MAX
            ? PyObject_CallFunction(type, "iO", (int)d->nbytes, message)
            : PyObject_CallFunctionObjArgs(type, message, NULL);
    Py_DECREF(message);
    if (error != NULL) { /* OSError gives that of its number */
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static int
refuse_field(const char *sentence)
{
    PyErr_Format(PyExc_ValueError, "adopt(): the descriptor %s", sentence);
    return -1;
}

static Element *
read_element(State *st, const pybuf_descriptor *d)
{
    if (d->format == NULL) {
        refuse_field("has no format (NULL), so its items are unknown");
        return NULL;
    }
    if (d->itemsize <= 0) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the descriptor has items of %lld bytes; an "
                     "item has 1 byte or more",
                     (long long)d->itemsize);
        return NULL;
    }
    return element_from_format(st, d->format, d->itemsize);
}

/* The layout, and the element that items in it have. */
static int
read_layout(const pybuf_descriptor *d, Element **e, Layout *l)
{
    bool strided = d->strides != NULL;
    if (layout_given(l, "adopt", "the descriptor", d->ndim, d->shape,
                     d->strides) < 0) {
        return -1;
    }
    for (int i = 0; d->suboffsets != NULL && i < d->ndim; i++) {
        l->suboffsets[i] = d->suboffsets[i];
        l->indirect |= d->suboffsets[i] >= 0;
    }
    if (l->indirect && !strided) {
        return refuse_field("has suboffsets and no strides (NULL): indirect "
                            "memory needs both");
    }
    if (layout_element(l, e, strided) < 0 ||
        (strided ? layout_strided(l, (*e)->itemsize)
                 : layout_contiguous(l, (*e)->itemsize, 'C')) < 0) {
        return -1;
    }
    if (l->nbytes != d->nbytes) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the descriptor says that there are %lld bytes, "
                     "and its shape has %zd",
                     (long long)d->nbytes, l->nbytes);
        return -1;
    }
    return 0;
}

static int
judge_data(const pybuf_descriptor *d, const Layout *l)
{
    if (d->data == NULL) {
        return l->low == l->high
                   ? 0
                   : refuse_field("has items and no memory (data is NULL)");
    }
    return layout_reaches("adopt", d->data, l->low, l->high);
}

/* How the descriptor goes. That of another process is a copy here, as after a
 * fork: nobody here has what its release would give back. */
static void
bind_release(Memory *mem, pybuf_descriptor *d)
{
    mem->bound = (d->flags & PYBUF_FLAG_PROCESS) != 0;
    mem->descriptor = d;
    mem->adopted_in = rebirth_generation();
    mem->release = mem->bound && d->pid != rebirth_process()
                       ? RELEASE_NOTHING
                       : RELEASE_DESCRIPTOR;
}

static Buffer *
make(State *st, pybuf_descriptor *d, Element *e, const Layout *l)
{
    Buffer *b = buffer_blank(st);
    if (b == NULL) {
        return NULL;
    }
    Memory *mem = &b->mem;
    mem->data = d->data != NULL ? d->data : memory_nowhere();
    mem->block = mem->data;
    mem->block_size = l->high - l->low;
    mem->align = 0;
    mem->source = SOURCE_FOREIGN;
    bind_release(mem, d);
    if (buffer_fill(st, b, e, l, (d->flags & PYBUF_FLAG_READONLY) != 0) < 0) {
        mem->release = RELEASE_GONE; /* the caller sees to it */
        Py_CLEAR(b);
    }
    return b;
}

/* What the descriptor gives; it is taken. */
static Buffer *
buffer_of(State *st, pybuf_descriptor *d)
{
    if ((d->flags & PYBUF_FLAG_ERROR) != 0) {
        raise_error(d);
        return NULL;
    }
    Layout layout;
    Buffer *b = NULL;
    Element *e = read_element(st, d);
    if (e == NULL) {
        return NULL;
    }
    if (read_layout(d, &e, &layout) == 0 && judge_data(d, &layout) == 0) {
        b = make(st, d, e, &layout);
    }
    Py_DECREF(OBJECT(e));
    return b;
}

static Buffer *
adopt_taken(State *st, pybuf_descriptor *d)
{
    Buffer *b = buffer_of(st, d);
    if (b == NULL) {
        Memory mem = {.release = RELEASE_GONE};
        bind_release(&mem, d);
        memory_release(&mem);
    }
    return b;
}

Buffer *
adopt_descriptor(State *st, pybuf_descriptor *d)
{
    if (judge_untaken(d) < 0) {
        return NULL;
    }
    if (!pybuf_descriptor_take(d)) { /* another thread was faster */
        refuse_taken(d);
        return NULL;
    }
    return adopt_taken(st, d);
}

/* ---- adopt() ------------------------------------------------------------------- */

/* The capsule gets its other name with the taking: before, its destructor still
 * has to see to the descriptor; afterwards it must not. */
static Buffer *
adopt_capsule(State *st, PyObject *capsule)
{
    const char *name = PyCapsule_GetName(capsule);
    if (name == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (name != NULL && strcmp(name, PYBUF_CAPSULE_USED) == 0) {
        PyErr_SetString(PyExc_ValueError,
                        "adopt(): the capsule was adopted before; a "
                        "descriptor is taken over once");
        return NULL;
    }
    if (name == NULL || strcmp(name, PYBUF_CAPSULE) != 0) {
        PyErr_Format(PyExc_ValueError,
                     "adopt(): the capsule %s%s%s; one that holds a "
                     "descriptor is named \"" PYBUF_CAPSULE "\"",
                     name == NULL ? "has no name" : "is named \"",
                     name == NULL ? "" : name, name == NULL ? "" : "\"");
        return NULL;
    }
    pybuf_descriptor *d = PyCapsule_GetPointer(capsule, name);
    if (d == NULL || judge_untaken(d) < 0) {
        return NULL;
    }
    if (!pybuf_descriptor_take(d)) {
        refuse_taken(d);
        return NULL;
    }
    if (PyCapsule_SetName(capsule, PYBUF_CAPSULE_USED) < 0) {
        PyErr_Clear(); /* it is a capsule: this cannot fail */
    }
    return adopt_taken(st, d);
}

static int
from_number(PyObject *number, void **out)
{
    size_t value = PyLong_AsSize_t(number);
    if (value != (size_t)-1 || !PyErr_Occurred()) {
        *out = (void *)value;
        return 0;
    }
    PyErr_Clear();
    PyObject *zero = PyLong_FromLong(0);
    int negative =
        zero == NULL ? -1 : PyObject_RichCompareBool(number, zero, Py_LT);
    Py_XDECREF(zero);
    if (negative < 0) {
        return -1;
    }
    return negative ? refuse(PyExc_ValueError, number,
                             "adopt(): the descriptor is {}, and no address "
                             "is negative" RESTYPE)
                    : refuse(PyExc_OverflowError, number,
                             "adopt(): the descriptor is {}; an address is a "
                             "number from 0 to 2**64 - 1");
}

static int
place_of(State *st, PyObject *obj, void **out)
{
    AddressForm form;
    PyObject *number = NULL;
    if (PyLong_CheckExact(obj)) {
        return from_number(obj, out);
    }
    if (obj == Py_None) { /* what ctypes makes of NULL */
        *out = NULL;
        return 0;
    }
    number = PyIndex_Check(obj) ? PyNumber_Index(obj) : address_number(st, obj);
    if (number == NULL && PyErr_Occurred() && PyObject_CheckBuffer(obj) &&
        PyErr_ExceptionMatches(PyExc_TypeError)) {
        /* An ndarray has an __index__ that fails. */
        PyErr_Clear();
        return refuse(PyExc_TypeError, obj,
                      "adopt(): {} is memory of Python's and no descriptor: to "
                      "give it to a library use pybuf.lend()");
    }
    if (number != NULL) {
        int failed = from_number(number, out);
        Py_DECREF(number);
        return failed;
    }
    return PyErr_Occurred()
               ? -1
               : address_of(st, obj, "adopt(): the descriptor", out, &form);
}

PyObject *
module_adopt(PyObject *module, PyObject *descriptor)
{
    State *st = state_of_module(module);
    void *place;
    if (PyCapsule_CheckExact(descriptor)) {
        return (PyObject *)adopt_capsule(st, descriptor);
    }
    return place_of(st, descriptor, &place) < 0
               ? NULL
               : (PyObject *)adopt_descriptor(st, place);
}
