/* gopy.c: a gopy module: finds gopybuf in it, and calls it. */
#include "gopy.h"

#include <dlfcn.h>
#include <unistd.h>

/* ---- calling its Go ---------------------------------------------------------- */

bool
gopy_is_alive(const GopyLibrary *library)
{
    return library->generation == rebirth_generation();
}

int
gopy_check_alive(const GopyLibrary *library, PyObject *type)
{
    if (!gopy_is_alive(library)) {
        PyErr_SetString(type,
                        "this process was forked from the one that loaded the "
                        "gopy module: its Go runtime does not live here; views "
                        "made before stay valid");
        return -1;
    }
    return 0;
}

/* The error of a function that gave -1. */
static PyObject *
raise_descriptor(PyObject *self, uint64_t error)
{
    if (error == 0) {
        return PyErr_NoMemory();
    }
    Buffer *never = adopt_descriptor(state_of(self),
                                     (pybuf_descriptor *)(uintptr_t)error);
    Py_XDECREF(OBJECT(never));
    return NULL;
}

int
gopy_read_handle(PyObject *number, int64_t *out)
{
    long long value = PyLong_AsLongLong(number);
    *out = value;
    return value == -1 && PyErr_Occurred() ? -1 : 0;
}

int
gopy_handle(PyObject *obj, int64_t *out)
{
    PyObject *number = PyObject_GetAttrString(obj, "handle");
    if (number == NULL) {
        return -1;
    }
    int failed = gopy_read_handle(number, out);
    Py_DECREF(number);
    return failed;
}

static void library_dealloc(PyObject *self);

/* The library of a value's class: an attribute, which anybody may change. */
GopyLibrary *
gopy_library_of(PyObject *value)
{
    PyObject *found = PyObject_GetAttrString(value, "__pybuf_library__");
    if (found != NULL &&
        PyType_GetSlot(Py_TYPE(found), Py_tp_dealloc) != library_dealloc) {
        refuse(PyExc_TypeError, found,
               "__pybuf_library__ is {}, and pybuf.gopy.enable() had put what "
               "it found in the gopy module there");
        Py_CLEAR(found);
    }
    return (GopyLibrary *)found;
}

bool
gopy_is_lending(const GopyLibrary *library)
{
    return gopy_is_alive(library) &&
           __atomic_load_n(library->go->loans, __ATOMIC_ACQUIRE) != 0;
}

/* ---- the library ------------------------------------------------------------------ */

static int
find_functions(GopyLibrary *library, const char *path)
{
    /* It is loaded: this only finds it. */
    void *found = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (found == NULL) {
        PyErr_Format(PyExc_ImportError, "%s is not loaded in this process",
                     path);
        return -1;
    }
    pybuf_gopy_api_function api =
        (pybuf_gopy_api_function)dlsym(found, PYBUF_GOPY_API);
    const int32_t *home = (const int32_t *)dlsym(found, PYBUF_GOPY_HOME);
    if (api != NULL && home != NULL && *home != (int32_t)getpid()) {
        PyErr_Format(PyExc_ImportError,
                     "%s was loaded before this process was forked: its Go "
                     "runtime does not live here; enable the module before the "
                     "fork, or import it after it",
                     path);
    }
    else if (api == NULL) {
        PyErr_Format(PyExc_ImportError,
                     "%s was built without gopybuf: name the package "
                     "github.com/pybuf/pybuf-go/gopybuf as one more on gopy's "
                     "command line",
                     path);
    }
    else {
        library->go = api();
        if (library->go->version != PYBUF_GOPY_VERSION ||
            library->go->size != sizeof *library->go) {
            PyErr_Format(PyExc_ImportError,
                         "%s was built with another gopybuf (version %u; this "
                         "pybuf knows %d): build it again with the Go package "
                         "of this pybuf",
                         path, library->go->version, PYBUF_GOPY_VERSION);
            library->go = NULL;
        }
    }
    dlclose(found); /* Python's own import keeps it */
    return library->go == NULL ? -1 : 0;
}

static PyObject *
library_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *path;
    if (PyTuple_Size(args) != 1 || (kwargs != NULL && PyDict_Size(kwargs) != 0)) {
        PyErr_SetString(PyExc_TypeError,
                        "GopyLibrary() takes one argument, a path");
        return NULL;
    }
    if (!PyUnicode_FSConverter(PyTuple_GetItem(args, 0), &path)) {
        return NULL;
    }
    GopyLibrary *library = PyObject_New(GopyLibrary, type);
    if (library != NULL) {
        library->go = NULL;
        library->generation = rebirth_generation();
        if (find_functions(library, PyBytes_AsString(path)) < 0) {
            Py_CLEAR(library);
        }
    }
    Py_DECREF(path);
    return OBJECT(library);
}

static void
library_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(OBJECT(type));
}

/* Arguments of a method of Go's: handles, or the address of a descriptor. */
static int
bind(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
     Py_ssize_t wanted, int64_t *out)
{
    if (nargs != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments, and %zd are wanted",
                     nargs, wanted);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyObject *number = PyNumber_Index(args[i]);
        if (number == NULL) {
            return -1;
        }
        int failed = gopy_read_handle(number, &out[i]);
        Py_DECREF(number);
        if (failed) {
            return -1;
        }
    }
    return gopy_check_alive((GopyLibrary *)self, PyExc_RuntimeError);
}

static PyObject *
library_view(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    return bind(self, args, nargs, 1, &handle) < 0
               ? NULL
               : OBJECT(gopy_view((GopyLibrary *)self, handle));
}

static PyObject *
library_lend(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    uint64_t error = 0;
    if (bind(self, args, nargs, 2, given) < 0) {
        return NULL;
    }
    GopyLibrary *library = (GopyLibrary *)self;
    int64_t id = library->go->lend(given[0], (uint64_t)given[1], &error);
    return id < 0 ? raise_descriptor(self, error) : gopy_loan(library, id);
}

static PyObject *
library_fill(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    uint64_t error = 0;
    if (bind(self, args, nargs, 2, given) < 0) {
        return NULL;
    }
    const pybuf_gopy_functions *go = ((GopyLibrary *)self)->go;
    int64_t done;
    Py_BEGIN_ALLOW_THREADS
    done = go->fill(given[0], (uint64_t)given[1], &error);
    Py_END_ALLOW_THREADS
    return done < 0 ? raise_descriptor(self, error) : Py_NewRef(Py_None);
}

static PyObject *
library_hold(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    GopyLibrary *library = (GopyLibrary *)self;
    /* Nearly always nothing is lent, and Go is not asked. */
    if (!gopy_is_lending(library)) {
        Py_RETURN_NONE;
    }
    if (bind(self, args, nargs, 1, &handle) < 0) {
        return NULL;
    }
    int64_t id = library->go->hold(handle);
    return id > 0 ? gopy_loan(library, id) : Py_NewRef(Py_None);
}

static PyObject *
library_call(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4 || !PyDict_Check(args[3])) {
        PyErr_SetString(PyExc_TypeError,
                        "call() takes a function, a class, arguments and a "
                        "dictionary");
        return NULL;
    }
    PyObject *given = PySequence_Tuple(args[2]);
    if (given == NULL) {
        return NULL;
    }
    PyObject *result =
        gopy_call((GopyLibrary *)self, args[0], args[1], given, args[3]);
    Py_DECREF(given);
    return result;
}

static PyObject *
library_clear(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    uint64_t error = 0;
    if (bind(self, args, nargs, 1, &handle) < 0) {
        return NULL;
    }
    return ((GopyLibrary *)self)->go->clear(handle, &error) < 0
               ? raise_descriptor(self, error)
               : Py_NewRef(Py_None);
}

static PyObject *
library_fits(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    return bind(self, args, nargs, 2, given) < 0
               ? NULL
               : PyBool_FromLong(((GopyLibrary *)self)->go->fits(given[0],
                                                             given[1]) == 1);
}

static PyObject *
library_is_opaque(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    return bind(self, args, nargs, 1, &handle) < 0
               ? NULL
               : PyBool_FromLong(((GopyLibrary *)self)->go->is_opaque(handle) == 1);
}

static PyObject *
library_type_name(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    char text[256];
    if (bind(self, args, nargs, 1, &handle) < 0) {
        return NULL;
    }
    int64_t n = ((GopyLibrary *)self)->go->type_name(handle, text, sizeof text);
    return PyUnicode_DecodeUTF8(text, n > 0 ? n : 0, "replace");
}

static PyObject *
library_live(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t collect;
    if (bind(self, args, nargs, 1, &collect) < 0) {
        return NULL;
    }
    const pybuf_gopy_functions *go = ((GopyLibrary *)self)->go;
    int64_t n;
    Py_BEGIN_ALLOW_THREADS /* cleanups give arrays back, which takes the GIL */
    n = go->live(collect != 0);
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(n);
}

static PyObject *
library_alive(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(gopy_is_alive((GopyLibrary *)self));
}

static PyObject *
library_lending(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(gopy_is_lending((GopyLibrary *)self));
}

static PyMethodDef library_methods[] = {
    {"view", POSITIONAL(library_view),
     "view($self, handle, /)\n--\n\n"
     "The memory of a Go value, as a Buffer."},
    {"lend", POSITIONAL(library_lend),
     "lend($self, handle, descriptor, /)\n--\n\n"
     "Puts a Go slice onto the memory of a descriptor; gives what keeps it."},
    {"fill", POSITIONAL(library_fill),
     "fill($self, handle, descriptor, /)\n--\n\n"
     "Gives a Go slice new memory with the items of a descriptor."},
    {"hold", POSITIONAL(library_hold),
     "hold($self, handle, /)\n--\n\n"
     "What keeps the lent memory that a Go value stands on, or None."},
    {"call", POSITIONAL(library_call),
     "call($self, function, go_class, args, kwargs, /)\n--\n\n"
     "Calls a function of the module, and lets what is lent live as long as the\n"
     "Go objects that took part and refer to it."},
    {"clear", POSITIONAL(library_clear),
     "clear($self, handle, /)\n--\n\n"
     "Makes a Go slice nil."},
    {"fits", POSITIONAL(library_fits),
     "fits($self, handle, wanted, /)\n--\n\n"
     "Whether a Go function that wants one value takes the other."},
    {"is_opaque", POSITIONAL(library_is_opaque),
     "is_opaque($self, handle, /)\n--\n\n"
     "Whether what a Go value refers to may be out of sight."},
    {"type_name", POSITIONAL(library_type_name),
     "type_name($self, handle, /)\n--\n\n"
     "The type of a Go value."},
    {"live", POSITIONAL(library_live),
     "live($self, collect, /)\n--\n\n"
     "How many views and loans have not come back."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef library_getset[] = {
    {"alive", library_alive, NULL,
     "False in a forked child, where the Go runtime does not live.", NULL},
    {"lending", library_lending, NULL,
     "Whether anything is lent to the module now.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot library_slots[] = {
    {Py_tp_doc, (void *)"GopyLibrary(path, /)\n--\n\n"
                        "What gopybuf does in the gopy module at the path."},
    {Py_tp_new, library_new},
    {Py_tp_dealloc, library_dealloc},
    {Py_tp_methods, library_methods},
    {Py_tp_getset, library_getset},
    {0, NULL},
};

PyType_Spec gopy_library_spec = {
    .name = "pybuf._core.GopyLibrary",
    .basicsize = sizeof(GopyLibrary),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = library_slots,
};
