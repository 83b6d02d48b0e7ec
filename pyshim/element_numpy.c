/* element_numpy.c: element types that others know, NumPy and ctypes, and
 * NumPy's name for ours.
 *
 * NumPy is imported only when a dtype is its own, or when an array is asked
 * for. The structure of a record is read off the dtype and not off the format
 * that NumPy would export: that one does not hold all of it. */
#include "shim.h"

#include <string.h>

PyObject *
import_once(PyObject **place, const char *module, const char *name)
{
    if (*place == NULL) {
        PyObject *m = PyImport_ImportModule(module);
        PyObject *found = m == NULL ? NULL : PyObject_GetAttrString(m, name);
        Py_XDECREF(m);
        if (*place == NULL) { /* the import may have come here, too */
            *place = found;
        }
        else {
            Py_XDECREF(found);
            PyErr_Clear(); /* what failed here has succeeded there */
        }
    }
    return *place;
}

/* Says what NumPy has just refused, and why. */
static void
refuse_dtype(PyObject *spec)
{
    if (PyUnicode_Check(spec)) { /* of a word NumPy says no more than this */
        PyErr_Clear();
        refuse(PyExc_ValueError, spec,
               "dtype={} is neither a PEP 3118 format such as "
               "\"d\", nor a typestr such as \"<f8\", nor anything "
               "that numpy.dtype() takes");
        return;
    }
    Pending theirs = pending_save();
    PyObject *why = theirs.value == NULL ? NULL : PyObject_Str(theirs.value);
    PyErr_Clear();
    const char *text = why == NULL ? NULL : PyUnicode_AsUTF8AndSize(why, NULL);
    PyErr_Clear();
    refuse(PyExc_TypeError, spec,
           "dtype={} is no element type; numpy.dtype() says: %.200s",
           text == NULL ? "nothing" : text);
    Py_XDECREF(why);
    pending_drop(theirs);
}

/* The dtype that NumPy makes of what the user gave. Owned. */
static PyObject *
dtype_of(State *st, PyObject *spec)
{
    PyObject *type = import_once(&st->dtype_type, "numpy", "dtype");
    if (type == NULL) {
        if (PyErr_ExceptionMatches(PyExc_ImportError)) {
            refuse(PyExc_TypeError, spec,
                   "dtype={} is neither a PEP 3118 format such as "
                   "\"d\" nor a typestr such as \"<f8\", and NumPy, "
                   "which might know it, cannot be imported");
        }
        return NULL;
    }
    PyObject *dtype = PyObject_CallFunctionObjArgs(type, spec, NULL);
    if (dtype == NULL && (PyErr_ExceptionMatches(PyExc_TypeError) ||
                          PyErr_ExceptionMatches(PyExc_ValueError) ||
                          PyErr_ExceptionMatches(PyExc_SyntaxError))) {
        refuse_dtype(spec);
    }
    return dtype;
}

/* A number, bool or character: known by its typestr alone. NULL without an
 * exception if it is none. Owned. */
static Element *
plain_of(State *st, PyObject *dtype)
{
    PyObject *typestr = PyObject_GetAttrString(dtype, "str");
    Element *e = typestr == NULL
                     ? NULL
                     : element_cached(st->readings[PYBUF_TYPESTR], typestr);
    Py_XDECREF(typestr);
    return e;
}

/* The dtype itself is what numpy() gives: with its titles, and not parsed. Of a
 * sub-array what it is made of, for the extents join the shape. Owned. */
static PyObject *
descr_of(const Element *e, PyObject *dtype)
{
    return e->base != NULL ? PyObject_GetAttrString(dtype, "base")
                           : Py_NewRef(dtype);
}

static int
keep_descr(Element *e, PyObject *dtype)
{
    PyObject *descr = descr_of(e, dtype);
    if (descr == NULL) {
        return -1;
    }
    e = e->base != NULL ? e->base : e;
    e->descr = descr;
    e->descr_given = true;
    e->descr_hash = PyObject_Hash(descr);
    return e->descr_hash == -1 ? -1 : 0;
}

/* Whether numpy() gives this very dtype, and not one that equals it: NumPy
 * compares neither metadata nor the class of scalars nor the flag for
 * alignment. 1, 0 or -1. */
static int
keeps_descr(const Element *e, PyObject *dtype)
{
    const Element *kept = e->base != NULL ? e->base : e;
    if (!kept->descr_given) {
        return 1; /* a plain number: typestrs say all of it */
    }
    PyObject *descr = descr_of(e, dtype);
    Py_XDECREF(descr);
    return descr == NULL ? -1 : kept->descr == descr;
}

/* The known element of a dtype that equals this one, with this one to give.
 * Takes the reference to e. Owned. */
static Element *
with_descr(State *st, Element *e, PyObject *dtype)
{
    int same = keeps_descr(e, dtype);
    if (same == 1) {
        return e;
    }
    Element *twin = same < 0 ? NULL : element_twin(st, e);
    Py_DECREF(OBJECT(e));
    if (twin != NULL && (keep_descr(twin, dtype) < 0 ||
                         element_remember(st, st->by_dtype, dtype, twin) < 0)) {
        Py_CLEAR(twin);
    }
    return twin;
}

/* Any other dtype. Owned. */
static Element *
structure_of(State *st, PyObject *dtype)
{
    PyObject *describe =
        import_once(&st->dtype_descr, "pybuf._dtype", "descr");
    PyObject *descr =
        describe == NULL ? NULL
                         : PyObject_CallFunctionObjArgs(describe, dtype, NULL);
    Element *e =
        descr == NULL ? NULL
                      : element_ask(st, NULL, descr, PYBUF_DESCR, 0);
    Py_XDECREF(descr);
    if (e != NULL && keep_descr(e, dtype) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

Element *
element_from_numpy(State *st, PyObject *spec)
{
    PyObject *dtype = dtype_of(st, spec);
    if (dtype == NULL) {
        return NULL;
    }
    Element *e = element_cached(st->by_dtype, dtype);
    if (e != NULL) {
        e = with_descr(st, e, dtype);
    }
    else if (!PyErr_Occurred()) {
        e = plain_of(st, dtype);
        if (e == NULL && !PyErr_Occurred()) {
            e = structure_of(st, dtype);
        }
        if (e != NULL && element_remember(st, st->by_dtype, dtype, e) < 0) {
            Py_CLEAR(e);
        }
    }
    Py_DECREF(dtype);
    return e;
}

/* Anything but what ends the program. */
static void
forget_error(void)
{
    if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
    }
}

/* The dtype of an ndarray. NULL for anything else, mostly without an
 * exception. Owned. */
static PyObject *
dtype_of_array(State *st, PyObject *array)
{
    PyObject *dtype = NULL;
    if (PyDict_GetItemString(PyImport_GetModuleDict(), "numpy") == NULL ||
        import_once(&st->dtype_type, "numpy", "dtype") == NULL ||
        (dtype = PyObject_GetAttrString(array, "dtype")) == NULL) {
        if (PyErr_Occurred() != NULL) {
            forget_error();
        }
    }
    else if (!PyObject_TypeCheck(dtype, (PyTypeObject *)st->dtype_type)) {
        Py_CLEAR(dtype);
    }
    return dtype;
}

/* The element type of an ndarray, by its dtype. NULL as above. */
static Element *
of_array(State *st, PyObject *array, Py_ssize_t itemsize)
{
    PyObject *dtype = dtype_of_array(st, array);
    if (dtype == NULL) {
        return NULL;
    }
    Element *e = element_from_numpy(st, dtype);
    Py_DECREF(dtype);
    if (e == NULL) {
        forget_error(); /* its format is judged, and refused in words */
    }
    else if (e->itemsize != itemsize) {
        Py_CLEAR(e);
    }
    return e;
}

void
element_explain(State *st, PyObject *obj)
{
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
        return;
    }
    Pending theirs = pending_save();
    PyObject *dtype = dtype_of_array(st, obj);
    Element *e = dtype == NULL ? NULL : element_from_numpy(st, dtype);
    Py_XDECREF(dtype);
    Py_XDECREF(OBJECT(e));
    if (PyErr_Occurred() == NULL) {
        pending_restore(theirs); /* the type is not what is wrong */
        return;
    }
    pending_drop(theirs);
}

Element *
element_from_ctypes(State *st, PyObject *type, bool items)
{
    PyObject *describe =
        import_once(&st->ctypes_descr, "pybuf._ctypes", "descr");
    PyObject *descr =
        describe == NULL ? NULL
                         : PyObject_CallFunctionObjArgs(
                               describe, type, items ? Py_True : Py_False,
                               NULL);
    if (descr == NULL) {
        return NULL;
    }
    /* Kept under what is said of the type, which does not keep it alive. */
    Element *e = element_ask(st, descr, descr, PYBUF_DESCR, 0);
    Py_DECREF(descr);
    return e;
}

/* The same for what is known of obj, or NULL. *judged: it is refused, or there
 * is an exception. */
static Element *
of_known(State *st, PyObject *obj, bool record, Py_ssize_t itemsize,
         bool *judged)
{
    PyTypeObject *type = Py_TYPE(obj);
    int ours = address_is_ctypes(st, type);
    Element *e = ours > 0 ? element_from_ctypes(st, (PyObject *)type, true)
                 : ours == 0 && record ? of_array(st, obj, itemsize)
                                       : NULL;
    *judged = e != NULL || ours != 0 || PyErr_Occurred() != NULL;
    return e;
}

/* Of a memoryview, whose items are records or characters: nobody casts to
 * those, so they are what the object behind it has. */
static Element *
of_memoryview(State *st, PyObject *view, Py_ssize_t itemsize, bool *judged)
{
    PyObject *obj = PyObject_GetAttrString(view, "obj");
    Element *e = NULL;
    *judged = obj == NULL;
    if (obj != NULL && obj != Py_None) {
        e = of_known(st, obj, true, itemsize, judged);
    }
    Py_XDECREF(obj);
    return e;
}

Element *
element_of_exporter(State *st, PyObject *obj, const char *format,
                    Py_ssize_t itemsize)
{
    /* ctypes says "B" of what it cannot say, and "<B" of unsigned chars; "<u" of
     * characters, which means UCS-2 elsewhere. */
    bool record = format[0] == 'T', judged = false;
    bool wide = format[0] != '\0' && strcmp(format + 1, "u") == 0;
    Element *e = NULL;
    if ((record || wide) && PyMemoryView_Check(obj)) {
        e = of_memoryview(st, obj, itemsize, &judged);
    }
    else if (record || wide || strcmp(format, "B") == 0) {
        e = of_known(st, obj, record, itemsize, &judged);
    }
    if (e != NULL && e->itemsize != itemsize) {
        Py_CLEAR(e);
        judged = false;
    }
    return judged ? e : element_from_format(st, format, itemsize);
}

PyObject *
numpy_asarray(State *st, PyObject *obj)
{
    PyObject *asarray =
        import_once(&st->numpy_asarray, "numpy", "asarray");
    return asarray == NULL
               ? NULL
               : PyObject_CallFunctionObjArgs(asarray, obj, NULL);
}

/* NumPy's own reading of the format of a record: of no items, so it looks at
 * no memory. Owned. */
static PyObject *
dtype_by_protocol(State *st, Element *e)
{
    Layout none = {.ndim = 1, .shape = {0}};
    Memory nowhere = {.data = memory_nowhere(),
                      .block = memory_nowhere(),
                      .source = SOURCE_FOREIGN,
                      .release = RELEASE_NOTHING};
    if (layout_contiguous(&none, e->itemsize, 'C') < 0) {
        return NULL;
    }
    PyObject *b = (PyObject *)buffer_new(st, e, &none, &nowhere, true);
    PyObject *array = b == NULL ? NULL : numpy_asarray(st, b);
    PyObject *dtype =
        array == NULL ? NULL : PyObject_GetAttrString(array, "dtype");
    Py_XDECREF(array);
    Py_XDECREF(b);
    return dtype;
}

/* a.dtype.names = ... renames the fields of every array of this dtype. */
static bool
is_renamed(const Element *e)
{
    /* Held: a title has a __hash__ of its own, which may lead back here. */
    PyObject *descr = Py_NewRef(e->descr);
    Py_hash_t hash = PyObject_Hash(descr);
    Py_DECREF(descr);
    if (hash == -1) {
        PyErr_Clear();
    }
    return hash != e->descr_hash;
}

PyObject *
element_descr(State *st, Element *e)
{
    if (e->structured && e->descr != NULL && is_renamed(e)) {
        Py_CLEAR(e->descr);
    }
    if (e->descr == NULL) {
        PyObject *dtype;
        if (e->structured) {
            dtype = dtype_by_protocol(st, e);
        }
        else {
            PyObject *type = import_once(&st->dtype_type, "numpy", "dtype");
            dtype = type == NULL
                        ? NULL
                        : PyObject_CallFunction(type, "s", e->typestr);
        }
        if (e->descr == NULL) { /* another thread may have been here */
            e->descr = dtype;
            e->descr_hash = dtype == NULL ? -1 : PyObject_Hash(dtype);
        }
        else {
            Py_XDECREF(dtype);
            PyErr_Clear();
        }
    }
    return Py_XNewRef(e->descr);
}
