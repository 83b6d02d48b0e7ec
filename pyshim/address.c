/* address.c: pointers in the forms that Python has for them.
 *
 * ctypes and cffi are looked at only when the program has them loaded: what
 * was never imported cannot have made the object at hand. */
#include "shim.h"

#include <string.h>

/* A module that is loaded already, borrowed; NULL without an exception if it
 * is not. */
static PyObject *
loaded(const char *name)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *module =
        modules == NULL ? NULL : PyDict_GetItemString(modules, name);
    return module == Py_None ? NULL : module; /* None forbids the import */
}

static int
attribute(PyObject *module, const char *name, PyObject **out)
{
    *out = PyObject_GetAttrString(module, name);
    return *out == NULL ? -1 : 0;
}

/* Returns 1 if ctypes is loaded and known, 0 if not loaded, -1. */
static int
know_ctypes(ForeignTypes *f)
{
    if (f->ctypes_data != NULL) {
        return 1;
    }
    PyObject *ctypes = loaded("_ctypes");
    if (ctypes == NULL) {
        return 0;
    }
    if (attribute(ctypes, "_Pointer", &f->ctypes_pointer) < 0 ||
        attribute(ctypes, "_SimpleCData", &f->ctypes_simple) < 0 ||
        attribute(ctypes, "Array", &f->ctypes_array) < 0 ||
        attribute(ctypes, "CFuncPtr", &f->ctypes_func) < 0) {
        return -1;
    }
    /* The common base has no name of its own in the module. */
    return attribute(f->ctypes_simple, "__base__", &f->ctypes_data) < 0 ? -1
                                                                        : 1;
}

static int
know_cffi(ForeignTypes *f)
{
    if (f->cffi_uintptr != NULL) {
        return 1;
    }
    PyObject *cffi = loaded("_cffi_backend");
    if (cffi == NULL) {
        return 0;
    }
    if (attribute(cffi, "_CDataBase", &f->cffi_data) < 0) {
        return -1;
    }
    f->cffi = Py_NewRef(cffi);
    f->cffi_uintptr = PyObject_CallMethod(cffi, "new_primitive_type", "s",
                                          "uintptr_t");
    return f->cffi_uintptr == NULL ? -1 : 1;
}

static bool
is_a(PyObject *obj, PyObject *type)
{
    return PyObject_TypeCheck(obj, (PyTypeObject *)type);
}

static int
from_number(PyObject *number, const char *what, void **out)
{
    /* As an unsigned number: PyLong_AsVoidPtr would take -1 too, and
     * PyLong_AsUnsignedLongLong goes through bytes, at 20 ns a number. */
    size_t value = PyLong_AsSize_t(number);
    if (value == (size_t)-1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError) ||
            PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            refuse(PyExc_OverflowError, number,
                   "%s is {}; an address is a number from 0 to 2**64 - "
                   "1",
                   what);
        }
        return -1;
    }
    *out = (void *)value;
    return 0;
}

static int
from_int(PyObject *obj, const char *what, void **out)
{
    if (PyLong_CheckExact(obj)) {
        return from_number(obj, what, out);
    }
    PyObject *number = PyNumber_Index(obj);
    if (number == NULL && PyErr_ExceptionMatches(PyExc_TypeError) &&
        PySequence_Check(obj)) {
        /* An ndarray of several numbers has an __index__ that fails. */
        PyErr_Clear();
        return refuse(PyExc_TypeError, obj,
                      "%s is {}, which has several items and is no address: "
                      "give that of its memory, such as array.ctypes.data",
                      what);
    }
    int failed = number == NULL ? -1 : from_number(number, what, out);
    Py_XDECREF(number);
    return failed;
}

/* Where a ctypes object keeps its value. */
static int
ctypes_storage(PyObject *obj, void **out)
{
    Py_buffer view;
    if (PyObject_GetBuffer(obj, &view, PyBUF_FORMAT | PyBUF_ND) < 0) {
        return -1;
    }
    *out = view.buf;
    PyBuffer_Release(&view);
    return 0;
}

/* c_void_p, c_char_p and c_wchar_p hold a pointer; c_int and the like hold a
 * number, of which nobody knows whether it is an address. */
static int
holds_pointer(PyObject *obj)
{
    PyObject *code = PyObject_GetAttrString(obj, "_type_");
    if (code == NULL) {
        return -1;
    }
    const char *text = PyUnicode_Check(code)
                           ? PyUnicode_AsUTF8AndSize(code, NULL)
                           : "";
    int yes = text == NULL ? -1 : strchr("PzZ", text[0]) != NULL && text[0];
    Py_DECREF(code);
    return yes;
}

static int
from_ctypes(const ForeignTypes *f, PyObject *obj, const char *what, void **out)
{
    void *storage;
    if (is_a(obj, f->ctypes_simple)) {
        int pointer = holds_pointer(obj);
        if (pointer < 0) {
            return -1;
        }
        if (!pointer) {
            return refuse(PyExc_TypeError, obj,
                          "%s is {}, which holds a number and no pointer: "
                          "give its .value if that is an address, or "
                          "ctypes.pointer() of it",
                          what);
        }
    }
    if (ctypes_storage(obj, &storage) < 0) {
        return -1;
    }
    bool points = is_a(obj, f->ctypes_simple) ||
                  is_a(obj, f->ctypes_pointer) || is_a(obj, f->ctypes_func);
    if (points) {
        memcpy(out, storage, sizeof *out);
    }
    else {
        *out = storage; /* an array, structure or union: it is the block */
    }
    return 0;
}

static PyObject *
cffi_type(const ForeignTypes *f, PyObject *obj)
{
    return PyObject_CallMethod(f->cffi, "typeof", "O", obj);
}

/* "pointer", "array", "function", "primitive"...: *is says whether the kind
 * of a cffi type is `kind`. */
static int
cffi_kind_is(PyObject *ctype, const char *kind, bool *is)
{
    PyObject *have = PyObject_GetAttrString(ctype, "kind");
    if (have == NULL) {
        return -1;
    }
    *is = PyUnicode_CompareWithASCIIString(have, kind) == 0;
    Py_DECREF(have);
    return 0;
}

static int
from_cffi(const ForeignTypes *f, PyObject *obj, const char *what, void **out)
{
    PyObject *ctype = cffi_type(f, obj);
    if (ctype == NULL) {
        return -1;
    }
    bool pointer = false, array = false, function = false;
    int failed = cffi_kind_is(ctype, "pointer", &pointer) < 0 ||
                 cffi_kind_is(ctype, "array", &array) < 0 ||
                 cffi_kind_is(ctype, "function", &function) < 0;
    Py_DECREF(ctype);
    if (failed) {
        return -1;
    }
    if (!pointer && !array && !function) {
        return refuse(PyExc_TypeError, obj,
                      "%s is {}, which is no pointer: give ffi.addressof() of "
                      "it, or int() of it if it is an address",
                      what);
    }
    PyObject *number = PyObject_CallMethod(f->cffi, "cast", "OO",
                                           f->cffi_uintptr, obj);
    PyObject *plain = number == NULL ? NULL : PyNumber_Long(number);
    Py_XDECREF(number);
    if (plain == NULL) {
        return -1;
    }
    failed = from_int(plain, what, out);
    Py_DECREF(plain);
    return failed;
}

static int
from_capsule(PyObject *obj, void **out)
{
    const char *name = PyCapsule_GetName(obj);
    if (name == NULL && PyErr_Occurred()) {
        return -1;
    }
    *out = PyCapsule_GetPointer(obj, name);
    return *out == NULL ? -1 : 0;
}

int
address_of(State *st, PyObject *obj, const char *what, void **out,
           AddressForm *form)
{
    *form = FROM_INT;
    if (PyLong_CheckExact(obj) || PyIndex_Check(obj)) {
        return from_int(obj, what, out);
    }
    if (PyCapsule_CheckExact(obj)) {
        *form = FROM_CAPSULE;
        return from_capsule(obj, out);
    }
    ForeignTypes *f = &st->foreign;
    int known = know_ctypes(f);
    if (known < 0) {
        return -1;
    }
    if (known && is_a(obj, f->ctypes_data)) {
        *form = FROM_CTYPES;
        return from_ctypes(f, obj, what, out);
    }
    known = know_cffi(f);
    if (known < 0) {
        return -1;
    }
    if (known && is_a(obj, f->cffi_data)) {
        *form = FROM_CFFI;
        return from_cffi(f, obj, what, out);
    }
    return refuse(PyExc_TypeError, obj,
                  "%s is {}; it must be an integer, a ctypes pointer or "
                  "array, a cffi pointer or array, or a capsule",
                  what);
}

PyObject *
address_number(State *st, PyObject *obj)
{
    ForeignTypes *f = &st->foreign;
    if (know_ctypes(f) != 1 || !is_a(obj, f->ctypes_simple)) {
        return NULL;
    }
    PyObject *code = PyObject_GetAttrString(obj, "_type_");
    const char *text = code != NULL && PyUnicode_Check(code)
                           ? PyUnicode_AsUTF8AndSize(code, NULL)
                           : NULL;
    bool integer = text != NULL && text[0] != '\0' &&
                   strchr("bBhHiIlLqQ", text[0]) != NULL;
    Py_XDECREF(code);
    return integer ? PyObject_GetAttrString(obj, "value") : NULL;
}

int
address_block(State *st, PyObject *obj, AddressForm form, Py_ssize_t *size)
{
    *size = -1;
    if (form != FROM_CTYPES || !is_a(obj, st->foreign.ctypes_array)) {
        return 0;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(obj, &view, PyBUF_FORMAT | PyBUF_ND) < 0) {
        return -1;
    }
    *size = view.len;
    PyBuffer_Release(&view);
    return 0;
}

/* ---- arrays that know their shape ---------------------------------------- */

int
address_is_ctypes(State *st, PyTypeObject *type)
{
    int known = know_ctypes(&st->foreign);
    return known <= 0 ? known
                      : PyType_IsSubtype(
                            type, (PyTypeObject *)st->foreign.ctypes_data);
}

static int
ctypes_array(State *st, PyObject *obj, Layout *l, Py_ssize_t *itemsize,
             Element **e)
{
    Py_buffer view;
    if (PyObject_GetBuffer(obj, &view, PyBUF_FORMAT | PyBUF_ND) < 0) {
        return -1;
    }
    int found = layout_of_view(l, &view) < 0 ? -1 : 1;
    *itemsize = view.itemsize;
    if (found == 1 && e != NULL) {
        *e = element_of_exporter(st, obj, view.format, view.itemsize);
        found = *e == NULL ? -1 : 1;
    }
    PyBuffer_Release(&view);
    return found;
}

/* The outermost length of a cffi array is the object's own (`int[]` has none
 * in its type); the inner ones are the type's. */
static int
cffi_shape(PyObject *obj, PyObject *ctype, Layout *l, PyObject **item)
{
    *item = Py_NewRef(ctype);
    for (l->ndim = 0;; l->ndim++) {
        bool array;
        if (cffi_kind_is(*item, "array", &array) < 0) {
            return -1;
        }
        if (!array) {
            return 0;
        }
        if (l->ndim == PYBUF_MAX_NDIM) {
            PyErr_Format(PyExc_ValueError,
                         "the cffi array has more than %d dimensions",
                         PYBUF_MAX_NDIM);
            return -1;
        }
        if (l->ndim == 0) {
            l->shape[0] = PyObject_Size(obj);
            if (l->shape[0] < 0) {
                return -1;
            }
        }
        else {
            PyObject *length = PyObject_GetAttrString(*item, "length");
            int failed =
                length == NULL ||
                args_ssize(length, "cffi array length", &l->shape[l->ndim]);
            Py_XDECREF(length);
            if (failed) {
                return -1;
            }
        }
        PyObject *inner = PyObject_GetAttrString(*item, "item");
        if (inner == NULL) {
            return -1;
        }
        Py_DECREF(*item);
        *item = inner;
    }
}

static int
cffi_item(State *st, PyObject *item, Py_ssize_t *itemsize, Element **e)
{
    PyObject *size =
        PyObject_CallMethod(st->foreign.cffi, "sizeof", "O", item);
    int failed =
        size == NULL || args_ssize(size, "sizeof(item)", itemsize) < 0;
    Py_XDECREF(size);
    if (failed || e == NULL) {
        return failed ? -1 : 0;
    }
    PyObject *name = PyObject_GetAttrString(item, "cname");
    const char *text =
        name == NULL ? NULL : PyUnicode_AsUTF8AndSize(name, NULL);
    *e = text == NULL ? NULL : element_from_ctype(st, text);
    Py_XDECREF(name);
    return *e == NULL ? -1 : 0;
}

static int
cffi_array(State *st, PyObject *obj, Layout *l, Py_ssize_t *itemsize,
           Element **e)
{
    PyObject *ctype = cffi_type(&st->foreign, obj);
    PyObject *item = NULL;
    int found = -1;
    if (ctype != NULL && cffi_shape(obj, ctype, l, &item) == 0) {
        found = l->ndim > 0; /* else it is a pointer */
    }
    if (found == 1 && cffi_item(st, item, itemsize, e) < 0) {
        found = -1;
    }
    Py_XDECREF(item);
    Py_XDECREF(ctype);
    return found;
}

int
address_array(State *st, PyObject *obj, Layout *l, Py_ssize_t *itemsize,
              Element **e)
{
    ForeignTypes *f = &st->foreign;
    if (f->ctypes_array != NULL && is_a(obj, f->ctypes_array)) {
        return ctypes_array(st, obj, l, itemsize, e);
    }
    if (f->cffi_data != NULL && is_a(obj, f->cffi_data)) {
        return cffi_array(st, obj, l, itemsize, e);
    }
    return 0;
}

/* ---- release= ------------------------------------------------------------- */

/* The pair (function_pointer, arg). */
static int
release_pair(State *st, PyObject *pair, Memory *mem)
{
    void *function;
    AddressForm form, arg_form = FROM_INT;
    PyObject *arg = PyTuple_GetItem(pair, 1);
    if (address_of(st, PyTuple_GetItem(pair, 0), "release[0]", &function,
                   &form) < 0) {
        return -1;
    }
    mem->arg = NULL;
    if (arg != Py_None &&
        address_of(st, arg, "release[1]", &mem->arg, &arg_form) < 0) {
        return -1;
    }
    if (function == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "release[0] is the NULL pointer: there is no function "
                        "to call");
        return -1;
    }
    mem->release = RELEASE_NATIVE;
    mem->native = (NativeRelease)function;
    if (form != FROM_INT || arg_form != FROM_INT) {
        mem->callback = Py_NewRef(pair); /* a thunk or block dies with it */
    }
    return 0;
}

/* A function of a compiled cffi library takes cffi pointers, not integers:
 * said now and not when the memory is to be freed. */
static bool
is_cffi_function(State *st, PyObject *obj)
{
    if (know_cffi(&st->foreign) != 1 || !PyCFunction_Check(obj)) {
        return false;
    }
    PyObject *lib = PyCFunction_GetSelf(obj);
    PyObject *type = PyObject_GetAttrString(st->foreign.cffi, "Lib");
    bool yes = lib != NULL && type != NULL && is_a(lib, type);
    Py_XDECREF(type);
    PyErr_Clear();
    return yes;
}

/* Whether a bare release= is a function of C, by its own form. */
static int
is_native(State *st, PyObject *obj, bool *yes)
{
    ForeignTypes *f = &st->foreign;
    int known = know_ctypes(f);
    if (known < 0) {
        return -1;
    }
    *yes = PyCapsule_CheckExact(obj) ||
           (known && is_a(obj, f->ctypes_func));
    if (*yes) {
        return 0;
    }
    known = know_cffi(f);
    if (known <= 0 || !is_a(obj, f->cffi_data)) {
        return known < 0 ? -1 : 0;
    }
    PyObject *ctype = cffi_type(f, obj);
    if (ctype == NULL) {
        return -1;
    }
    int failed = cffi_kind_is(ctype, "function", yes);
    Py_DECREF(ctype);
    if (!failed && !*yes) { /* each cffi object says that it is callable */
        return refuse(PyExc_TypeError, obj,
                      "release is {}, which is no function: give a cffi "
                      "function pointer, or a pair (function pointer, arg)");
    }
    return failed;
}

int
address_release(State *st, PyObject *obj, Memory *mem)
{
    if (PyTuple_Check(obj) && PyTuple_Size(obj) == 2) {
        return release_pair(st, obj, mem);
    }
    bool native;
    if (is_native(st, obj, &native) < 0) {
        return -1;
    }
    if (native) {
        PyObject *pair = PyTuple_Pack(2, obj, Py_None);
        int failed = pair == NULL || release_pair(st, pair, mem) < 0;
        Py_XDECREF(pair);
        return failed ? -1 : 0;
    }
    if (is_cffi_function(st, obj)) {
        return refuse(PyExc_TypeError, obj,
                      "release is {}, a function of a compiled cffi library, "
                      "which takes no integer: give ffi.addressof(lib, "
                      "\"name\")");
    }
    if (!PyCallable_Check(obj)) {
        return refuse(PyExc_TypeError, obj,
                      "release is {}; it must be a callable that takes the "
                      "address, a pair (function pointer, arg), or a ctypes "
                      "or cffi function");
    }
    mem->release = RELEASE_CALL;
    mem->callback = Py_NewRef(obj);
    return 0;
}
