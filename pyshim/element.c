/* element.c: element records, which Go writes once and the shim keeps.
 *
 * A spelling of a dtype is looked up in a dict; only one never seen before
 * enters Go. What a letter means is decided there and nowhere here. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_CAP 256 /* bytes; longer texts get room of their own */
#define ERROR_CAP REASON_CAP

static void
element_dealloc(PyObject *self)
{
    Element *e = (Element *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    free(e->texts);
    free(e->extents);
    Py_XDECREF(e->descr);
    Py_XDECREF(OBJECT(e->base));
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
    Py_VISIT(OBJECT(((Element *)self)->base));
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

/* Room for a record while Go writes it. */
typedef struct {
    pybuf_element record;
    int64_t extents[PYBUF_MAX_NDIM];
    char format[TEXT_CAP];
    char typestr[TEXT_CAP];
    char arrow[TEXT_CAP];
    char *long_format; /* malloc'd, or NULL */
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
    d->record.extents = d->extents;
    d->long_format = NULL;
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

/* An element whose memory is not yet had: what its dealloc takes is there. */
static Element *
element_blank(State *st)
{
    Element *e = PyObject_GC_New(Element, st->element_type);
    if (e != NULL) {
        e->descr = NULL;
        e->descr_given = false;
        e->base = NULL;
        e->ndim = 0;
        e->extents = NULL;
        e->texts = NULL;
    }
    return e;
}

static Element *
element_plain(State *st, const pybuf_element *r)
{
    Element *e = element_blank(st);
    if (e == NULL) {
        return NULL;
    }
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
    e->structured = r->structured != 0;
    PyObject_GC_Track(e);
    return e;
}

/* A sub-array of `base`, which is consumed, as Go says its extents. */
static Element *
element_sub_array(State *st, Element *base, const pybuf_element *r)
{
    Element *e = element_blank(st);
    if (e == NULL) {
        Py_DECREF(OBJECT(base));
        return NULL;
    }
    e->base = base;
    e->ndim = (int)r->ndim;
    e->extents = malloc((size_t)e->ndim * sizeof *e->extents);
    if (e->extents == NULL) {
        Py_DECREF(OBJECT(e));
        PyErr_NoMemory();
        return NULL;
    }
    e->itemsize = base->itemsize;
    for (int i = 0; i < e->ndim; i++) {
        e->extents[i] = r->extents[i];
        e->itemsize *= r->extents[i]; /* Go has counted it: it fits */
    }
    e->align = base->align;
    e->structured = base->structured;
    e->format = base->format;
    e->typestr = base->typestr;
    e->arrow = base->arrow;
    e->dl_code = base->dl_code;
    e->dl_bits = base->dl_bits;
    PyObject_GC_Track(e);
    return e;
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
    Element *e = element_plain(st, r);
    return e == NULL || r->ndim == 0 ? e : element_sub_array(st, e, r);
}

static pybuf_text
whole(char *text)
{
    int64_t len = (int64_t)strlen(text);
    return (pybuf_text){.data = text, .cap = len + 1, .len = len};
}

Element *
element_twin(State *st, const Element *e)
{
    pybuf_element r = {
        .itemsize = e->base != NULL ? e->base->itemsize : e->itemsize,
        .align = e->align,
        .dl_code = e->dl_code,
        .dl_bits = e->dl_bits,
        .format = whole(e->format),
        .typestr = whole(e->typestr),
        .arrow = whole(e->arrow),
        .structured = e->structured,
        .ndim = e->ndim,
        .extents = e->extents,
    };
    return element_new(st, &r);
}

/* Asks Go, a second time if the format is longer than there is room. */
static int32_t
ask_with_room(Draft *d, const char *text, Py_ssize_t len, int how,
              Py_ssize_t itemsize, pybuf_text *err)
{
    draft_init(d);
    int32_t kind = go_element(text, len, how, itemsize, &d->record, err);
    if (kind != PYBUF_OK || d->record.format.len < d->record.format.cap) {
        return kind;
    }
    int64_t cap = d->record.format.len + 1;
    d->long_format = malloc((size_t)cap);
    if (d->long_format == NULL) {
        err->len = 0;
        return PYBUF_EMEMORY;
    }
    d->record.format = (pybuf_text){.data = d->long_format, .cap = cap};
    return go_element(text, len, how, itemsize, &d->record, err);
}

/* Asks Go. Returns NULL without an exception, and *unknown set, if the
 * spelling is none of ours. */
static Element *
ask(State *st, const char *text, Py_ssize_t len, int how, Py_ssize_t itemsize,
    bool *unknown)
{
    Draft draft;
    char message[ERROR_CAP];
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    Element *e = NULL;
    int32_t kind = ask_with_room(&draft, text, len, how, itemsize, &err);
    if (kind == PYBUF_OK) {
        e = element_new(st, &draft.record);
    }
    else if (kind == PYBUF_EUNKNOWN && unknown != NULL) {
        *unknown = true;
    }
    else {
        go_raise(kind, &err);
    }
    free(draft.long_format);
    return e;
}

/* A plain type of which there may be a record already, by a name that says all
 * of it: the format. */
static Element *
plain_element(State *st, const pybuf_element *r)
{
    PyObject *known =
        PyDict_GetItemString(st->readings[PYBUF_FORMAT], r->format.data);
    return known != NULL ? (Element *)Py_NewRef(known) : element_new(st, r);
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
        Element *e = plain_element(st, &draft.record);
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

Element *
element_cached(PyObject *dict, PyObject *key)
{
    return (Element *)Py_XNewRef(PyDict_GetItemWithError(dict, key));
}

/* Spellings come from users; a program that makes them up must not fill the
 * memory with records. When there are so many, a cache begins anew: what is in
 * use comes back at once. */
#define CACHE_MAX 4096
#define CACHED_FORMAT_MAX 4096 /* bytes */

static int
begin_anew(State *st, PyObject *dict)
{
    PyDict_Clear(dict);
    for (int how = 0; how < PYBUF_READINGS; how++) {
        if (dict == st->readings[how]) {
            return fill_cache(st, how, dict);
        }
    }
    return 0;
}

int
element_remember(State *st, PyObject *dict, PyObject *key, Element *e)
{
    if (strlen(e->format) > CACHED_FORMAT_MAX) {
        return 0;
    }
    if (PyDict_Size(dict) >= CACHE_MAX && begin_anew(st, dict) < 0) {
        return -1;
    }
    return PyDict_SetItem(dict, key, (PyObject *)e);
}

Element *
element_ask(State *st, PyObject *key, PyObject *spelling, int how,
            Py_ssize_t itemsize)
{
    PyObject *cache = st->readings[how];
    Element *e = key == NULL ? NULL : element_cached(cache, key);
    if (e != NULL || PyErr_Occurred()) {
        return e;
    }
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(spelling, &len);
    e = text == NULL ? NULL : ask(st, text, len, how, itemsize, NULL);
    if (e != NULL && key != NULL &&
        element_remember(st, cache, key, e) < 0) {
        Py_CLEAR(e);
    }
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
    Element *e = element_cached(cache, spelling);
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
    e = ask(st, text, len, PYBUF_DTYPE, 0, &unknown);
    if (unknown) {
        e = element_from_numpy(st, spelling);
    }
    if (e != NULL && PyUnicode_CheckExact(spelling) &&
        element_remember(st, cache, spelling, e) < 0) {
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
    int ctypes = PyType_Check(dtype)
                     ? address_is_ctypes(st, (PyTypeObject *)dtype)
                     : 0;
    if (ctypes < 0) {
        return NULL;
    }
    return ctypes ? element_from_ctypes(st, dtype, false)
                  : element_from_numpy(st, dtype);
}

/* What an exporter's format of other items than plain ones means is kept with
 * the itemsize, which has a part in it. */
static Element *
from_exporter(State *st, PyObject *format, Py_ssize_t itemsize)
{
    PyObject *key = Py_BuildValue("(On)", format, itemsize);
    Element *e = key == NULL ? NULL
                             : element_ask(st, key, format, PYBUF_FORMAT,
                                           itemsize);
    Py_XDECREF(key);
    return e;
}

Element *
element_from_format(State *st, const char *format, Py_ssize_t itemsize)
{
    if (itemsize <= 0) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter says that its items have %zd bytes; an "
                     "item of a Buffer has 1 byte or more",
                     itemsize);
        return NULL;
    }
    PyObject *text =
        PyUnicode_DecodeUTF8(format, (Py_ssize_t)strlen(format), "strict");
    if (text == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            PyErr_Clear();
            PyErr_SetString(PyExc_ValueError,
                            "the exporter gives a format that is no UTF-8");
        }
        return NULL;
    }
    Element *e = element_cached(st->readings[PYBUF_FORMAT], text);
    if (e == NULL ? !PyErr_Occurred() : e->itemsize != itemsize) {
        Py_XDECREF(OBJECT(e));
        e = from_exporter(st, text, itemsize);
    }
    Py_DECREF(text);
    return e;
}

Element *
element_from_ctype(State *st, const char *name)
{
    PyObject *known = PyDict_GetItemString(st->readings[PYBUF_CTYPE], name);
    return known != NULL ? (Element *)Py_NewRef(known)
                         : ask(st, name, (Py_ssize_t)strlen(name), PYBUF_CTYPE,
                               0, NULL);
}

bool
element_is_same(const Element *a, const Element *b)
{
    return a == b || (a->itemsize == b->itemsize &&
                      a->structured == b->structured &&
                      strcmp(a->structured ? a->format : a->typestr,
                             b->structured ? b->format : b->typestr) == 0);
}

const char *
element_spelling(const Element *e)
{
    return e->structured ? e->format : e->typestr;
}

Element *
element_default(State *st)
{
    return (Element *)Py_XNewRef(
        PyDict_GetItemString(st->readings[PYBUF_DTYPE], "B"));
}
