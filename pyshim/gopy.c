/* gopy.c: values of Go in gopy modules: exporters, and slices that stand on
 * memory of Python's.
 *
 * A gopy module is a library with a Go runtime of its own, in which gopybuf is
 * linked. What is found there and what is refused is decided there. */
#include "shim.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "gopybuf.h"

/* The functions of one gopy module. */
typedef struct {
    PyObject_HEAD
    const pybuf_gopy_functions *go;
    uint32_t generation; /* of the process that loaded it */
} Library;

/* One reference to a loan, see gopybuf.h. */
typedef struct {
    PyObject_HEAD
    Library *library; /* owned */
    int64_t loan;
} Loan;

/* ---- calling its Go ---------------------------------------------------------- */

static bool
is_dead(const Library *library)
{
    return library->generation != rebirth_generation();
}

static int
check_alive(const Library *library, PyObject *type)
{
    if (is_dead(library)) {
        PyErr_SetString(type,
                        "this process was forked from the one that loaded the "
                        "gopy module: its Go runtime does not live here; views "
                        "made before stay valid");
        return -1;
    }
    return 0;
}

static PyObject *
raise_descriptor(State *st, uint64_t error)
{
    if (error == 0) {
        return PyErr_NoMemory();
    }
    Buffer *never = adopt_descriptor(st, (pybuf_descriptor *)(uintptr_t)error);
    Py_XDECREF(OBJECT(never));
    return NULL;
}

static int
read_handle(PyObject *number, int64_t *out)
{
    long long value = PyLong_AsLongLong(number);
    *out = value;
    return value == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
handle_of(PyObject *obj, int64_t *out)
{
    PyObject *number = PyObject_GetAttrString(obj, "handle");
    if (number == NULL) {
        return -1;
    }
    int failed = read_handle(number, out);
    Py_DECREF(number);
    return failed;
}

static Buffer *
view_of(Library *library, int64_t handle)
{
    uint64_t d = library->go->view(handle);
    if (d == 0) {
        PyErr_NoMemory();
        return NULL;
    }
    return adopt_descriptor(state_of(OBJECT(library)),
                            (pybuf_descriptor *)(uintptr_t)d);
}

/* ---- values -------------------------------------------------------------------- */

static void library_dealloc(PyObject *self);

/* The library of a value's class: an attribute, which anybody may change. */
static Library *
library_of(PyObject *value)
{
    PyObject *found = PyObject_GetAttrString(value, "__pybuf_library__");
    if (found != NULL &&
        PyType_GetSlot(Py_TYPE(found), Py_tp_dealloc) != library_dealloc) {
        refuse(PyExc_TypeError, found,
               "__pybuf_library__ is {}, and pybuf.gopy.enable() had put what "
               "it found in the gopy module there");
        Py_CLEAR(found);
    }
    return (Library *)found;
}

/* The slice may move or go while views live: so what is lent is a Buffer of its
 * memory as it is now, and each view holds that. */
static int
value_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    int64_t handle;
    Buffer *b = NULL;
    view->obj = NULL;
    Library *library = library_of(self);
    if (library == NULL) {
        return -1;
    }
    if (check_alive(library, PyExc_BufferError) == 0 &&
        handle_of(self, &handle) == 0) {
        b = view_of(library, handle);
    }
    int failed = -1;
    if (b != NULL && b->suboffsets != NULL) {
        /* NumPy asks for such memory and then does not take it. */
        PyErr_SetString(PyExc_BufferError,
                        "the rows of this slice lie apart, each at an address "
                        "of its own: take one row, make the slice by "
                        "pybuf.Matrix in Go, or take pybuf.gopy.view() of it");
    }
    else if (b != NULL) {
        failed = PyObject_GetBuffer(OBJECT(b), view, flags);
    }
    Py_XDECREF(OBJECT(b));
    Py_DECREF(OBJECT(library));
    return failed;
}

static PyType_Slot value_slots[] = {
    {Py_tp_doc, (void *)"A Go value that lends its memory: the base that "
                        "pybuf.gopy.enable() gives to gopy's classes."},
    {Py_bf_getbuffer, value_getbuffer},
    {0, NULL},
};

PyType_Spec gopy_value_spec = {
    .name = "pybuf._core.GopyValue",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = value_slots,
};

/* ---- loans ----------------------------------------------------------------------- */

static PyObject *
loan_new(Library *library, int64_t id)
{
    State *st = state_of(OBJECT(library));
    Loan *loan = PyObject_New(Loan, st->gopy_loan_type);
    if (loan == NULL) {
        library->go->drop(id);
        return NULL;
    }
    loan->library = (Library *)Py_NewRef(OBJECT(library));
    loan->loan = id;
    return OBJECT(loan);
}

static void
loan_dealloc(PyObject *self)
{
    Loan *loan = (Loan *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (!is_dead(loan->library)) {
        Pending pending = pending_save();
        loan->library->go->drop(loan->loan);
        pending_restore(pending);
    }
    Py_DECREF(loan->library);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot loan_slots[] = {
    {Py_tp_doc, (void *)"Keeps memory that was lent to Go."},
    {Py_tp_dealloc, loan_dealloc},
    {0, NULL},
};

PyType_Spec gopy_loan_spec = {
    .name = "pybuf._core.GopyLoan",
    .basicsize = sizeof(Loan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loan_slots,
};

/* ---- the library ------------------------------------------------------------------ */

static int
find_functions(Library *library, const char *path)
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
    Library *library = PyObject_New(Library, type);
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
    Py_DECREF(type);
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
        int failed = read_handle(number, &out[i]);
        Py_DECREF(number);
        if (failed) {
            return -1;
        }
    }
    return check_alive((Library *)self, PyExc_RuntimeError);
}

static PyObject *
library_view(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    return bind(self, args, nargs, 1, &handle) < 0
               ? NULL
               : OBJECT(view_of((Library *)self, handle));
}

static PyObject *
library_lend(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    uint64_t error = 0;
    if (bind(self, args, nargs, 2, given) < 0) {
        return NULL;
    }
    Library *library = (Library *)self;
    int64_t id = library->go->lend(given[0], (uint64_t)given[1], &error);
    return id < 0 ? raise_descriptor(state_of(self), error)
                  : loan_new(library, id);
}

static PyObject *
library_fill(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    uint64_t error = 0;
    if (bind(self, args, nargs, 2, given) < 0) {
        return NULL;
    }
    const pybuf_gopy_functions *go = ((Library *)self)->go;
    int64_t done;
    Py_BEGIN_ALLOW_THREADS
    done = go->fill(given[0], (uint64_t)given[1], &error);
    Py_END_ALLOW_THREADS
    if (done < 0) {
        return raise_descriptor(state_of(self), error);
    }
    Py_RETURN_NONE;
}

static PyObject *
library_hold(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    Library *library = (Library *)self;
    /* Nearly always nothing is lent, and Go is not asked. */
    if (is_dead(library) ||
        __atomic_load_n(library->go->loans, __ATOMIC_ACQUIRE) == 0) {
        Py_RETURN_NONE;
    }
    if (bind(self, args, nargs, 1, &handle) < 0) {
        return NULL;
    }
    int64_t id = library->go->hold(handle);
    if (id <= 0) {
        Py_RETURN_NONE;
    }
    return loan_new(library, id);
}

/* The loan that a gopy object stands on, borrowed; NULL if there is none. */
static Loan *
standing_on(const State *st, PyObject *value)
{
    PyObject *names = PyObject_GetAttrString(value, "__dict__");
    PyObject *loan =
        names == NULL ? NULL : PyDict_GetItemString(names, "__pybuf_loan__");
    Py_XDECREF(names); /* the object has it */
    PyErr_Clear();
    return loan != NULL && Py_TYPE(loan) == st->gopy_loan_type ? (Loan *)loan
                                                               : NULL;
}

/* The loans of a call, held until it is over, whatever ends the slices that
 * stand on them meanwhile. */
typedef struct {
    PyObject *held; /* list */
    int64_t *ids;
    int64_t n;
} Taken;

static int
taken_add(const State *st, Taken *taken, PyObject *values)
{
    Py_ssize_t size = PySequence_Size(values);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *value = PySequence_GetItem(values, i);
        Loan *loan = value == NULL ? NULL : standing_on(st, value);
        int failed = value == NULL ||
                     (loan != NULL && PyList_Append(taken->held, OBJECT(loan)) < 0);
        if (loan != NULL && !failed) {
            taken->ids[taken->n++] = loan->loan;
        }
        Py_XDECREF(value);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static void
bind_value(const Library *library, PyObject *go_class, PyObject *value,
           const Taken *taken)
{
    int64_t handle = 0;
    if (PyObject_IsInstance(value, go_class) == 1 &&
        standing_on(state_of(OBJECT(library)), value) == NULL &&
        handle_of(value, &handle) == 0) {
        library->go->bind(handle, taken->ids, taken->n);
    }
    PyErr_Clear(); /* what has no handle is nothing of Go's */
}

static void
bind_values(const Library *library, PyObject *go_class, PyObject *values,
            const Taken *taken)
{
    Py_ssize_t size = PySequence_Size(values);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *value = PySequence_GetItem(values, i);
        if (value != NULL) {
            bind_value(library, go_class, value, taken);
            Py_DECREF(value);
        }
    }
}

static bool
is_lending(const Library *library)
{
    return !is_dead(library) &&
           __atomic_load_n(library->go->loans, __ATOMIC_ACQUIRE) != 0;
}

/* In C, for the handler of a signal may raise between any two instructions of
 * Python's: nothing of it runs from the end of Go's function to that of this. */
static PyObject *
call_and_bind(Library *library, PyObject *function, PyObject *go_class,
              PyObject *given, PyObject *kwargs)
{
    PyObject *result = NULL;
    PyObject *named = PyDict_Values(kwargs);
    Taken taken = {.held = PyList_New(0)};
    if (named != NULL && taken.held != NULL) {
        size_t most = (size_t)(PyTuple_Size(given) + PyList_Size(named));
        taken.ids = malloc((most + 1) * sizeof *taken.ids);
        if (taken.ids == NULL) {
            PyErr_NoMemory();
        }
        else if (!is_lending(library) ||
                 (taken_add(state_of(OBJECT(library)), &taken, given) == 0 &&
                  taken_add(state_of(OBJECT(library)), &taken, named) == 0)) {
            result = PyObject_Call(function, given, kwargs);
            if (is_lending(library)) { /* a callback or another thread may
                                        * have lent since */
                Pending pending = pending_save();
                bind_values(library, go_class, given, &taken);
                bind_values(library, go_class, named, &taken);
                if (result != NULL) {
                    bind_value(library, go_class, result, &taken);
                }
                pending_restore(pending);
            }
        }
    }
    Py_XDECREF(named);
    Pending pending = pending_save();
    Py_XDECREF(taken.held); /* memory may go, by Python's code */
    pending_restore(pending);
    free(taken.ids);
    return result;
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
        call_and_bind((Library *)self, args[0], args[1], given, args[3]);
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
    if (((Library *)self)->go->clear(handle, &error) < 0) {
        return raise_descriptor(state_of(self), error);
    }
    Py_RETURN_NONE;
}

static PyObject *
library_fits(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t given[2];
    return bind(self, args, nargs, 2, given) < 0
               ? NULL
               : PyBool_FromLong(((Library *)self)->go->fits(given[0],
                                                             given[1]) == 1);
}

static PyObject *
library_is_opaque(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    return bind(self, args, nargs, 1, &handle) < 0
               ? NULL
               : PyBool_FromLong(((Library *)self)->go->is_opaque(handle) == 1);
}

static PyObject *
library_type_name(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t handle;
    char text[256];
    if (bind(self, args, nargs, 1, &handle) < 0) {
        return NULL;
    }
    int64_t n = ((Library *)self)->go->type_name(handle, text, sizeof text);
    return PyUnicode_DecodeUTF8(text, n > 0 ? n : 0, "replace");
}

static PyObject *
library_live(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int64_t collect;
    if (bind(self, args, nargs, 1, &collect) < 0) {
        return NULL;
    }
    const pybuf_gopy_functions *go = ((Library *)self)->go;
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
    return PyBool_FromLong(!is_dead((Library *)self));
}

#define POSITIONAL(f) ((PyCFunction)(void (*)(void))(f)), METH_FASTCALL

static PyObject *
library_lending(PyObject *self, void *closure)
{
    (void)closure;
    const int64_t *loans = ((Library *)self)->go->loans;
    return PyBool_FromLong(__atomic_load_n(loans, __ATOMIC_ACQUIRE) != 0);
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
    .basicsize = sizeof(Library),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = library_slots,
};
