/* module.c: the module pybuf._core and its state. */
#include "capi.h"
#include "indirect.h"

#include <stdio.h>

State *
state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

State *
state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

void
spare_free(PyObject *spare)
{
    PyTypeObject *type = Py_TYPE(spare);
    PyObject_Free(spare);
    Py_DECREF(OBJECT(type));
}

/* The heap types, in the order in which they are made; and whether the module
 * shows them. */
static const struct {
    PyType_Spec *spec;
    size_t place; /* in State */
    bool shown;
} types[] = {
    {&buffer_spec, offsetof(State, buffer_type), true},
    {&element_spec, offsetof(State, element_type), false},
    {&lease_spec, offsetof(State, lease_type), false},
    {&keep_spec, offsetof(State, keep_type), false},
    {&keeper_spec, offsetof(State, keeper_type), false},
    {&layout_spec, offsetof(State, layout_type), true},
    {&lent_spec, offsetof(State, lent_type), true},
    {&gopy_value_spec, offsetof(State, gopy_value_type), true},
    {&gopy_library_spec, offsetof(State, gopy_library_type), true},
    {&gopy_loan_spec, offsetof(State, gopy_loan_type), true},
    {&holder_spec, offsetof(State, holder_type), true},
    {&indirect_spec, offsetof(State, indirect_type), true},
};
#define TYPES ((int)(sizeof types / sizeof types[0]))

static PyObject **
place_of_type(State *st, int i)
{
    return (PyObject **)((char *)st + types[i].place);
}

static int
add_types(PyObject *module, State *st)
{
    for (int i = 0; i < TYPES; i++) {
        PyObject **place = place_of_type(st, i);
        *place = PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        if (*place == NULL ||
            (types[i].shown &&
             PyModule_AddType(module, (PyTypeObject *)*place) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
add_live_type(PyObject *module, State *st)
{
    st->live_type = PyStructSequence_NewType(&live_desc);
    return st->live_type == NULL ? -1
                                 : PyModule_AddObjectRef(module, "LiveMemory",
                                                         OBJECT(st->live_type));
}

/* The functions of pybuf.indirect, which say that they are: here their names have
 * its own before them. */
static int
add_indirect(PyObject *module)
{
    PyObject *name = PyUnicode_FromString("pybuf.indirect");
    int failed = name == NULL ? -1 : 0;
    for (PyMethodDef *def = indirect_functions; def->ml_name != NULL && !failed;
         def++) {
        char key[64];
        snprintf(key, sizeof key, "_indirect_%s", def->ml_name);
        PyObject *function = PyCFunction_NewEx(def, module, name);
        failed = function == NULL ||
                 PyModule_AddObjectRef(module, key, function) < 0;
        Py_XDECREF(function);
    }
    Py_XDECREF(name);
    return failed ? -1 : 0;
}

static int
add_version(PyObject *module)
{
    char text[64], message[REASON_CAP];
    pybuf_text version = {.data = text, .cap = sizeof text};
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    int32_t kind = go_version(&version, &err);
    if (kind != PYBUF_OK) {
        go_raise(kind, &err);
        return -1;
    }
    return PyModule_AddStringConstant(module, "__version__", text);
}

static int
module_exec(PyObject *module)
{
    State *st = PyModule_GetState(module);
    if ((st->ledger = ledger_new(st)) == NULL ||
        (st->by_dtype = PyDict_New()) == NULL ||
        add_types(module, st) < 0 ||
        add_live_type(module, st) < 0 || element_fill_caches(st) < 0 ||
        add_indirect(module) < 0 || add_version(module) < 0 ||
        PyModule_AddIntConstant(module, "tracemalloc_domain",
                                TRACEMALLOC_DOMAIN) < 0 ||
        capi_add(module) < 0) {
        return -1;
    }
    return here_enter(st);
}

#define OBJECTS_MAX 64

/* The places of all objects that the state owns: what there is to visit and to
 * clear is said once. Returns how many. */
static int
owned_objects(State *st, PyObject ***places)
{
    ForeignTypes *f = &st->foreign;
    int n = 0;
    for (int i = 0; i < PYBUF_READINGS; i++) {
        places[n++] = &st->readings[i];
    }
    for (int i = 0; i < SIG_COUNT; i++) {
        places[n++] = &st->keywords[i].kwnames;
    }
    PyObject **rest[] = {
        &st->last_spelling,   (PyObject **)&st->last_element,
        &st->by_dtype,        &st->dtype_type,
        &st->numpy_asarray,   &st->dtype_descr,
        &st->ctypes_descr,    &st->parameter,
        &f->ctypes_data,      &f->ctypes_pointer,
        &f->ctypes_simple,    &f->ctypes_array,
        &f->ctypes_func,      &f->cffi_uintptr,
        &f->cffi_data,        &f->cffi,
        (PyObject **)&st->live_type, &st->memory2d,
    };
    _Static_assert(PYBUF_READINGS + SIG_COUNT + TYPES +
                           sizeof rest / sizeof rest[0] <= OBJECTS_MAX,
                   "more objects than OBJECTS_MAX");
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        places[n++] = rest[i];
    }
    for (int i = 0; i < TYPES; i++) { /* last: the others may be of these */
        places[n++] = place_of_type(st, i);
    }
    return n;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *st = PyModule_GetState(module);
    PyObject **places[OBJECTS_MAX];
    int n = owned_objects(st, places);
    for (int i = 0; i < n; i++) {
        Py_VISIT(*places[i]);
    }
    for (int i = 0; i < SPELLED; i++) {
        Py_VISIT(OBJECT(st->spelled[i].element));
    }
    for (int i = 0; i < SPARES; i++) {
        if (st->spares[i] != NULL) {
            Py_VISIT(Py_TYPE(st->spares[i]));
        }
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *st = PyModule_GetState(module);
    PyObject **places[OBJECTS_MAX];
    int n = owned_objects(st, places);
    here_leave(st); /* C code finds what is whole, or nothing */
    spelled_clear(st);
    for (int i = 0; i < n; i++) {
        Py_CLEAR(*places[i]);
    }
    for (int i = 0; i < SPARES; i++) { /* now: the types are gone, none is added */
        PyObject *spare = st->spares[i];
        st->spares[i] = NULL;
        if (spare != NULL) {
            spare_free(spare);
        }
    }
    return 0;
}

static void
module_free(void *module)
{
    State *st = PyModule_GetState(module);
    if (st == NULL) { /* never executed */
        return;
    }
    module_clear(module);
    if (st->ledger != NULL) {
        trace_leave_python(st->ledger);
        st->ledger->st = NULL;
        ledger_drop(st->ledger);
        st->ledger = NULL;
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL}, /* filled in from 3.12 on */
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pybuf._core",
    .m_doc = "The C half of pybuf; use the package pybuf.",
    .m_size = sizeof(State),
    .m_methods = module_functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    if (go_start() < 0 || memory_prepare() < 0 || nest_prepare() < 0 ||
        trace_prepare() < 0) {
        return NULL;
    }
    tracemalloc_prepare();
    if (Py_Version >= 0x030C0000) { /* 3.11 refuses slots it does not know */
        slots[1] = (PyModuleDef_Slot){SLOT_MULTIPLE_INTERPRETERS,
                                      PER_INTERPRETER_GIL_SUPPORTED};
    }
    return PyModuleDef_Init(&module_def);
}
