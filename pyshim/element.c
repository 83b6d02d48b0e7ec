/* element.c: element records, which Go writes once and the shim keeps.
 *
 * A spelling of a dtype is looked up in a dict; only one never seen before
 * enters Go. What a letter means is decided there and nowhere here. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_CAP 256
#define ERROR_CAP REASON_CAP

static void
element_dealloc(PyObject *self)
{
    Element *e = (Element *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    free(e->texts);
    Py_XDECREF(e->descr);
    PyObject_GC_Del(self);
    Py_DECREF(OBJECT(type));
}

/* Records are in caches of the module that their type refers to: a cycle, by
 * which every re-import and sub-interpreter would leak. */
static int
element_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Element *)self)->descr);
    return 0;
}

static PyType_Slot element_slots[] = {
    {Py_tp_dealloc, element_dealloc},
    {Py_tp_traverse, element_traverse},
    {0, NULL},
};

PyType_Spec element_spec = {
    .name = "pybuf._core._Element",
    .basicsize = sizeof(Element),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = element_slots,
};

/* Room for the texts of a record while Go writes it. */
typedef struct {
    pybuf_element record;
    char format[TEXT_CAP];
    char typestr[TEXT_CAP];
    char arrow[TEXT_CAP];
} Draft;

static pybuf_text
room(char *data)
{
    return (pybuf_text){.data = data, .cap = TEXT_CAP, .len = 0};
}

static void
draft_init(Draft *d)
{
    memset(&d->record, 0, sizeof d->record);
    d->record.format = room(d->format);
    d->record.typestr = room(d->typestr);
    d->record.arrow = room(d->arrow);
}

static char *
append(char **at, const pybuf_text *text)
{
    char *start = *at;
    memcpy(start, text->data, text->len);
    start[text->len] = '\0';
    *at += text->len + 1;
    return start;
}

static Element *
element_new(State *st, const pybuf_element *r)
{
    if (r->format.len >= r->format.cap || r->typestr.len >= r->typestr.cap ||
        r->arrow.len >= r->arrow.cap) {
        PyErr_SetString(PyExc_SystemError,
                        "the description of an element type is too long");
        return NULL;
    }
    Element *e = PyObject_GC_New(Element, st->element_type);
    if (e == NULL) {
        return NULL;
    }
    e->descr = NULL;
    e->texts =
        malloc(r->format.len + r->typestr.len + r->arrow.len + 3);
    if (e->texts == NULL) {
        Py_DECREF(OBJECT(e));
        PyErr_NoMemory();
        return NULL;
    }
    char *at = e->texts;
    e->format = append(&at, &r->format);
    e->typestr = append(&at, &r->typestr);
    e->arrow = append(&at, &r->arrow);
    e->itemsize = r->itemsize;
    e->align = r->align;
    e->dl_code = (int)r->dl_code;
    e->dl_bits = (int)r->dl_bits;
    PyObject_GC_Track(e);
    return e;
}

/* Asks Go. Returns NULL without an exception, and *unknown set, if the
 * spelling is none of ours. */
static Element *
ask(State *st, const char *text, Py_ssize_t len, int how, bool *unknown)
{
    Draft draft;
    char message[ERROR_CAP];
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    draft_init(&draft);
    int32_t kind = go_element(text, len, how, &draft.record, &err);
    if (kind == PYBUF_EUNKNOWN && unknown != NULL) {
        *unknown = true;
        return NULL;
    }
    if (kind != PYBUF_OK) {
        go_raise(kind, &err);
        return NULL;
    }
    return element_new(st, &draft.record);
}

static int
fill_cache(State *st, int how, PyObject *cache)
{
    for (int64_t i = 0;; i++) {
        Draft draft;
        char name[TEXT_CAP], message[ERROR_CAP];
        pybuf_text spelling = room(name);
        pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
        draft_init(&draft);
        int32_t kind = go_plain(how, i, &spelling, &draft.record, &err);
        if (kind == PYBUF_EUNKNOWN) {
            return 0;
        }
        if (kind != PYBUF_OK) {
            go_raise(kind, &err);
            return -1;
        }
        Element *e = element_new(st, &draft.record);
        if (e == NULL) {
            return -1;
        }
        int failed = PyDict_SetItemString(cache, name, OBJECT(e));
        Py_DECREF(OBJECT(e));
        if (failed) {
            return -1;
        }
    }
}

int
element_fill_caches(State *st)
{
    for (int how = 0; how < PYBUF_READINGS; how++) {
        st->readings[how] = PyDict_New();
        if (st->readings[how] == NULL ||
            fill_cache(st, how, st->readings[how]) < 0) {
            return -1;
        }
    }
    return 0;
}

static Element *
cached(PyObject *dict, PyObject *key)
{
    return (Element *)Py_XNewRef(PyDict_GetItemWithError(dict, key));
}

/* Spellings come from users; a program that makes them up must not fill the
 * memory with records. */
#define CACHE_MAX 4096

static int
remember(PyObject *dict, PyObject *key, Element *e)
{
    if (PyDict_Size(dict) >= CACHE_MAX) {
        return 0;
    }
    return PyDict_SetItem(dict, key, (PyObject *)e);
}

/* A spelling that Go knows in this manner, or nobody does. Owned. */
static Element *
read_text(State *st, PyObject *spelling, int how)
{
    PyObject *cache = st->readings[how];
    Element *e = cached(cache, spelling);
    if (e == NULL && !PyErr_Occurred()) {
        Py_ssize_t len;
        const char *text = PyUnicode_AsUTF8AndSize(spelling, &len);
        e = text == NULL ? NULL : ask(st, text, len, how, NULL);
        if (e != NULL && remember(cache, spelling, e) < 0) {
            Py_CLEAR(e);
        }
    }
    return e;
}

/* The class numpy.dtype; imports NumPy. Borrowed from the state. */
static PyObject *
numpy_dtype_type(State *st)
{
    if (st->dtype_type == NULL) {
        PyObject *numpy = PyImport_ImportModule("numpy");
        if (numpy == NULL) {
            return NULL;
        }
        st->dtype_type = PyObject_GetAttrString(numpy, "dtype");
        Py_DECREF(numpy);
    }
    return st->dtype_type;
}

/* Through NumPy: whatever numpy.dtype() takes. */
static Element *
from_numpy(State *st, PyObject *spec)
{
    PyObject *type = numpy_dtype_type(st);
    if (type == NULL) {
        if (PyErr_ExceptionMatches(PyExc_ImportError)) {
            refuse(PyExc_TypeError, spec,
                   "dtype={} is neither a PEP 3118 format such as "
                   "\"d\" nor a typestr such as \"<f8\", and NumPy, "
                   "which might know it, cannot be imported");
        }
        return NULL;
    }
    PyObject *dtype = Py_IS_TYPE(spec, (PyTypeObject *)type)
                          ? Py_NewRef(spec)
                          : PyObject_CallFunctionObjArgs(type, spec, NULL);
    if (dtype == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) ||
            PyErr_ExceptionMatches(PyExc_ValueError) ||
            PyErr_ExceptionMatches(PyExc_SyntaxError)) {
            PyErr_Clear();
            refuse(PyUnicode_Check(spec) ? PyExc_ValueError
                                               : PyExc_TypeError, spec,
                   "dtype={} is neither a PEP 3118 format such as "
                   "\"d\", nor a typestr such as \"<f8\", nor anything "
                   "that numpy.dtype() takes");
        }
        return NULL;
    }
    Element *e = cached(st->by_dtype, dtype);
    if (e == NULL && !PyErr_Occurred()) {
        PyObject *typestr = PyObject_GetAttrString(dtype, "str");
        e = typestr == NULL ? NULL : read_text(st, typestr, PYBUF_TYPESTR);
        Py_XDECREF(typestr);
        /* Types that users and NumPy's newer parts define put any text there:
         * not malformed, for the user wrote none of it. */
        if (e == NULL && PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            refuse(PyExc_TypeError, spec,
                   "dtype={} is a type of NumPy's alone, which the buffer "
                   "protocol cannot say");
        }
        if (e != NULL && remember(st->by_dtype, dtype, e) < 0) {
            Py_CLEAR(e);
        }
    }
    Py_DECREF(dtype);
    return e;
}

/* The spelling that was asked for last, which in a loop is the next one too:
 * the same object, mostly. */
static Element *
keep_last(State *st, PyObject *spelling, Element *e)
{
    PyObject *old_spelling = st->last_spelling;
    PyObject *old_element = OBJECT(st->last_element);
    st->last_spelling = Py_NewRef(spelling);
    st->last_element = (Element *)Py_NewRef(OBJECT(e));
    Py_XDECREF(old_spelling);
    Py_XDECREF(old_element);
    return e;
}

static Element *
from_str(State *st, PyObject *spelling)
{
    if (spelling == st->last_spelling) {
        return (Element *)Py_NewRef(OBJECT(st->last_element));
    }
    PyObject *cache = st->readings[PYBUF_DTYPE];
    Element *e = cached(cache, spelling);
    if (e != NULL) {
        return PyUnicode_CheckExact(spelling) ? keep_last(st, spelling, e) : e;
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(spelling, &len);
    if (text == NULL) { /* a lone surrogate: no format has one */
        PyErr_Clear();
        refuse(PyExc_ValueError, spelling,
               "dtype={} is no element type");
        return NULL;
    }
    bool unknown = false;
    e = ask(st, text, len, PYBUF_DTYPE, &unknown);
    if (unknown) {
        e = from_numpy(st, spelling);
    }
    if (e != NULL && PyUnicode_CheckExact(spelling) &&
        remember(cache, spelling, e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

Element *
element_from_dtype(State *st, PyObject *dtype)
{
    if (PyUnicode_Check(dtype)) {
        return from_str(st, dtype);
    }
    if (dtype == Py_None) {
        PyErr_SetString(PyExc_TypeError,
                        "dtype is None, which is no element type (NumPy "
                        "would read it as float64): leave it out, or name "
                        "one such as \"d\"");
        return NULL;
    }
    return from_numpy(st, dtype);
}

Element *
element_from_text(State *st, const char *text, int how)
{
    /* Exporters may write any bytes: those that are no UTF-8 are refused with
     * the rest of what is malformed. */
    PyObject *spelling =
        PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    Element *e = spelling == NULL ? NULL : read_text(st, spelling, how);
    Py_XDECREF(spelling);
    return e;
}

Element *
element_default(State *st)
{
    return (Element *)Py_XNewRef(
        PyDict_GetItemString(st->readings[PYBUF_DTYPE], "B"));
}

PyObject *
element_descr(State *st, Element *e)
{
    if (e->descr == NULL) {
        PyObject *type = numpy_dtype_type(st);
        if (type != NULL) {
            e->descr = PyObject_CallFunction(type, "s", e->typestr);
        }
    }
    return e->descr;
}
