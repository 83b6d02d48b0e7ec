/* module.c: the module pybuf._core and its state. */
#include "shim.h"

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

static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *out == NULL ? -1 : 0;
}

static int
add_version(PyObject *module)
{
    char text[64];
    pybuf_text version = {.data = text, .cap = sizeof text};
    if (go_version(&version) != PYBUF_OK) {
        PyErr_SetString(PyExc_SystemError, "the Go half has no version");
        return -1;
    }
    return PyModule_AddStringConstant(module, "__version__", text);
}

static int
module_exec(PyObject *module)
{
    State *st = PyModule_GetState(module);
    if ((st->ledger = ledger_new()) == NULL ||
        (st->by_dtype = PyDict_New()) == NULL ||
        add_type(module, &buffer_spec, &st->buffer_type) < 0 ||
        add_type(module, &element_spec, &st->element_type) < 0 ||
        add_type(module, &lease_spec, &st->lease_type) < 0 ||
        add_type(module, &keeper_spec, &st->keeper_type) < 0 ||
        element_fill_caches(st) < 0 || add_version(module) < 0) {
        return -1;
    }
    return PyModule_AddType(module, st->buffer_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *st = PyModule_GetState(module);
    Py_VISIT(st->buffer_type);
    Py_VISIT(st->element_type);
    Py_VISIT(st->lease_type);
    Py_VISIT(st->keeper_type);
    for (int i = 0; i < PYBUF_READINGS; i++) {
        Py_VISIT(st->readings[i]);
    }
    Py_VISIT(st->by_dtype);
    Py_VISIT(st->last_spelling);
    Py_VISIT(st->last_element);
    Py_VISIT(st->dtype_type);
    Py_VISIT(st->foreign.ctypes_data);
    Py_VISIT(st->foreign.ctypes_pointer);
    Py_VISIT(st->foreign.ctypes_simple);
    Py_VISIT(st->foreign.ctypes_array);
    Py_VISIT(st->foreign.ctypes_func);
    Py_VISIT(st->foreign.cffi);
    Py_VISIT(st->foreign.cffi_data);
    Py_VISIT(st->foreign.cffi_uintptr);
    for (int i = 0; i < SIG_COUNT; i++) {
        Py_VISIT(st->keywords[i].kwnames);
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *st = PyModule_GetState(module);
    for (int i = 0; i < PYBUF_READINGS; i++) {
        Py_CLEAR(st->readings[i]);
    }
    Py_CLEAR(st->by_dtype);
    Py_CLEAR(st->last_spelling);
    Py_CLEAR(st->last_element);
    Py_CLEAR(st->dtype_type);
    Py_CLEAR(st->foreign.ctypes_data);
    Py_CLEAR(st->foreign.ctypes_pointer);
    Py_CLEAR(st->foreign.ctypes_simple);
    Py_CLEAR(st->foreign.ctypes_array);
    Py_CLEAR(st->foreign.ctypes_func);
    Py_CLEAR(st->foreign.cffi_uintptr);
    Py_CLEAR(st->foreign.cffi_data);
    Py_CLEAR(st->foreign.cffi);
    for (int i = 0; i < SIG_COUNT; i++) {
        Py_CLEAR(st->keywords[i].kwnames);
    }
    Py_CLEAR(st->buffer_type);
    Py_CLEAR(st->element_type);
    Py_CLEAR(st->lease_type);
    Py_CLEAR(st->keeper_type);
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
    ledger_orphan(st->ledger);
    st->ledger = NULL;
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
    if (go_check() < 0) { /* waits until the runtime is up */
        return NULL;
    }
    guard_restore();
    if (Py_Version >= 0x030C0000) { /* 3.11 refuses slots it does not know */
        slots[1] = (PyModuleDef_Slot){SLOT_MULTIPLE_INTERPRETERS,
                                      PER_INTERPRETER_GIL_SUPPORTED};
    }
    return PyModuleDef_Init(&module_def);
}
