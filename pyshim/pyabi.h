/* pyabi.h: CPython's stable ABI as far as the shim uses it, in place of Python.h.
 *
 * The ABI is what one cp311-abi3 file shares with every CPython from 3.11 on, so
 * it can be declared once; and then a machine needs no headers of Python's to
 * build pybuf. What is not declared here is not used. A test holds each line
 * against the real headers, where there are some (tests_py/test_pyabi.py).
 *
 * Names, values and layouts are CPython's: the reference is "Stable ABI contents"
 * of its C API manual. Conventions of the functions are told there. */
#ifndef PYBUF_PYABI_H
#define PYBUF_PYABI_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* What pybuf.h looks at to know that these names are declared. */
#define Py_PYTHON_H

/* ---- objects -------------------------------------------------------------------- */

typedef intptr_t Py_ssize_t;
typedef Py_ssize_t Py_hash_t;

#define PY_SSIZE_T_MAX INTPTR_MAX

typedef struct _typeobject PyTypeObject;

typedef struct _object {
    Py_ssize_t ob_refcnt;
    PyTypeObject *ob_type;
} PyObject;

#define PyObject_HEAD PyObject ob_base;

typedef struct _ts PyThreadState;
typedef struct _is PyInterpreterState;
typedef struct _frame PyFrameObject;
typedef struct PyCodeObject PyCodeObject;

typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef int (*visitproc)(PyObject *, void *);
typedef void (*destructor)(PyObject *);
typedef void (*freefunc)(void *);
typedef PyObject *(*allocfunc)(PyTypeObject *, Py_ssize_t);
typedef PyObject *(*richcmpfunc)(PyObject *, PyObject *, int);
typedef PyObject *(*getter)(PyObject *, void *);
typedef int (*setter)(PyObject *, PyObject *, void *);

extern PyObject _Py_NoneStruct, _Py_NotImplementedStruct;
extern PyObject _Py_FalseStruct, _Py_TrueStruct; /* of a larger type, really */

#define Py_None (&_Py_NoneStruct)
#define Py_NotImplemented (&_Py_NotImplementedStruct)
#define Py_False (&_Py_FalseStruct)
#define Py_True (&_Py_TrueStruct)

extern PyTypeObject PyBytes_Type, PyCFunction_Type, PyCapsule_Type, PyLong_Type,
    PyMemoryView_Type, PyTuple_Type, PyUnicode_Type;

extern PyObject *PyExc_AttributeError, *PyExc_BufferError, *PyExc_Exception, *PyExc_ImportError,
    *PyExc_IndexError, *PyExc_KeyboardInterrupt, *PyExc_MemoryError,
    *PyExc_ModuleNotFoundError, *PyExc_OSError, *PyExc_OverflowError,
    *PyExc_RuntimeError, *PyExc_SyntaxError, *PyExc_SystemError,
    *PyExc_TypeError, *PyExc_UnicodeDecodeError, *PyExc_ValueError;

#define Py_UNUSED(name) _unused_##name __attribute__((unused))
#define PyDoc_STRVAR(name, text) static const char name[] = text
#define PyMODINIT_FUNC __attribute__((visibility("default"))) PyObject *

/* ---- references -------------------------------------------------------------------- */

void _Py_Dealloc(PyObject *);

static inline Py_ssize_t
Py_REFCNT(PyObject *o)
{
    return o->ob_refcnt;
}

static inline PyTypeObject *
Py_TYPE(PyObject *o)
{
    return o->ob_type;
}

static inline int
Py_IS_TYPE(PyObject *o, PyTypeObject *type)
{
    return o->ob_type == type;
}

/* From 3.12 on: an object that never goes, such as None. Interpreters that hold
 * a lock each share it, so its count is not written: two threads would tear it.
 * No object of 3.11 has so many references that the low half tells of them. */
static inline int
py_is_immortal(PyObject *o)
{
    return (int32_t)o->ob_refcnt < 0;
}

static inline void
Py_INCREF(PyObject *o)
{
    if (!py_is_immortal(o)) {
        o->ob_refcnt++;
    }
}

static inline void
Py_DECREF(PyObject *o)
{
    if (!py_is_immortal(o) && --o->ob_refcnt == 0) {
        _Py_Dealloc(o);
    }
}

static inline void
Py_XINCREF(PyObject *o)
{
    if (o != NULL) {
        Py_INCREF(o);
    }
}

static inline void
Py_XDECREF(PyObject *o)
{
    if (o != NULL) {
        Py_DECREF(o);
    }
}

static inline PyObject *
Py_NewRef(PyObject *o)
{
    Py_INCREF(o);
    return o;
}

static inline PyObject *
Py_XNewRef(PyObject *o)
{
    return o == NULL ? NULL : Py_NewRef(o);
}

/* The place is empty before the object goes: its end may look there. */
#define Py_CLEAR(place)                                                        \
    do {                                                                       \
        PyObject *py_clear_ = (PyObject *)(place);                             \
        if (py_clear_ != NULL) {                                               \
            (place) = NULL;                                                    \
            Py_DECREF(py_clear_);                                              \
        }                                                                      \
    } while (0)

/* In a tp_traverse, whose arguments are called visit and arg. */
#define Py_VISIT(object)                                                       \
    do {                                                                       \
        if ((object) != NULL) {                                                \
            int py_visit_ = visit((PyObject *)(object), arg);                  \
            if (py_visit_ != 0) {                                              \
                return py_visit_;                                              \
            }                                                                  \
        }                                                                      \
    } while (0)

/* ---- the buffer protocol ------------------------------------------------------------ */

typedef struct {
    void *buf;
    PyObject *obj; /* owned */
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;

#define PyBUF_WRITABLE 0x1
#define PyBUF_FORMAT 0x4
#define PyBUF_ND 0x8
#define PyBUF_STRIDES (0x10 | PyBUF_ND)
#define PyBUF_C_CONTIGUOUS (0x20 | PyBUF_STRIDES)
#define PyBUF_F_CONTIGUOUS (0x40 | PyBUF_STRIDES)
#define PyBUF_ANY_CONTIGUOUS (0x80 | PyBUF_STRIDES)
#define PyBUF_INDIRECT (0x100 | PyBUF_STRIDES)
#define PyBUF_FULL_RO (PyBUF_INDIRECT | PyBUF_FORMAT)
#define PyBUF_FULL (PyBUF_FULL_RO | PyBUF_WRITABLE)

int PyBuffer_FillInfo(Py_buffer *, PyObject *, void *, Py_ssize_t, int, int);
int PyBuffer_IsContiguous(const Py_buffer *, char);
void PyBuffer_Release(Py_buffer *);
int PyObject_CheckBuffer(PyObject *);
int PyObject_GetBuffer(PyObject *, Py_buffer *, int);

/* ---- types ------------------------------------------------------------------------------ */

typedef struct PyMethodDef {
    const char *ml_name;
    PyCFunction ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;

#define METH_VARARGS 0x1
#define METH_KEYWORDS 0x2
#define METH_NOARGS 0x4
#define METH_O 0x8
#define METH_FASTCALL 0x80

typedef struct PyMemberDef {
    const char *name;
    int type;
    Py_ssize_t offset;
    int flags;
    const char *doc;
} PyMemberDef;

#define T_PYSSIZET 19
#define READONLY 1

typedef struct PyGetSetDef {
    const char *name;
    getter get;
    setter set;
    const char *doc;
    void *closure;
} PyGetSetDef;

typedef struct {
    int slot;
    void *pfunc;
} PyType_Slot;

typedef struct {
    const char *name;
    int basicsize;
    int itemsize;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;

enum {
    Py_bf_getbuffer = 1,
    Py_bf_releasebuffer = 2,
    Py_mp_ass_subscript = 3,
    Py_mp_length = 4,
    Py_mp_subscript = 5,
    Py_nb_index = 13,
    Py_nb_int = 26,
    Py_sq_item = 44,
    Py_sq_length = 45,
    Py_tp_alloc = 47,
    Py_tp_dealloc = 52,
    Py_tp_doc = 56,
    Py_tp_hash = 59,
    Py_tp_iter = 62,
    Py_tp_methods = 64,
    Py_tp_new = 65,
    Py_tp_repr = 66,
    Py_tp_richcompare = 67,
    Py_tp_traverse = 71,
    Py_tp_members = 72,
    Py_tp_getset = 73,
    Py_tp_free = 74,
    Py_tp_finalize = 80
};

#define Py_TPFLAGS_DEFAULT 0UL
#define Py_TPFLAGS_DISALLOW_INSTANTIATION (1UL << 7)
#define Py_TPFLAGS_IMMUTABLETYPE (1UL << 8)
#define Py_TPFLAGS_BASETYPE (1UL << 10)
#define Py_TPFLAGS_HAVE_GC (1UL << 14)
#define Py_TPFLAGS_LONG_SUBCLASS (1UL << 24)
#define Py_TPFLAGS_LIST_SUBCLASS (1UL << 25)
#define Py_TPFLAGS_TUPLE_SUBCLASS (1UL << 26)
#define Py_TPFLAGS_BYTES_SUBCLASS (1UL << 27)
#define Py_TPFLAGS_UNICODE_SUBCLASS (1UL << 28)
#define Py_TPFLAGS_DICT_SUBCLASS (1UL << 29)
#define Py_TPFLAGS_TYPE_SUBCLASS (1UL << 31)

/* For tp_richcompare. */
#define Py_LT 0
#define Py_EQ 2
#define Py_NE 3

PyObject *PyType_FromModuleAndSpec(PyObject *, PyType_Spec *, PyObject *);
unsigned long PyType_GetFlags(PyTypeObject *);
void *PyType_GetModuleState(PyTypeObject *);
PyObject *PyType_GetName(PyTypeObject *);
PyObject *PyType_GetQualName(PyTypeObject *);
void *PyType_GetSlot(PyTypeObject *, int);
int PyType_IsSubtype(PyTypeObject *, PyTypeObject *);

typedef struct {
    const char *name;
    const char *doc;
} PyStructSequence_Field;

typedef struct {
    const char *name;
    const char *doc;
    PyStructSequence_Field *fields;
    int n_in_sequence;
} PyStructSequence_Desc;

PyObject *PyStructSequence_New(PyTypeObject *);
PyTypeObject *PyStructSequence_NewType(PyStructSequence_Desc *);
void PyStructSequence_SetItem(PyObject *, Py_ssize_t, PyObject *);

/* ---- what an object is ---------------------------------------------------------------------- */

static inline int
py_has_flag(PyObject *o, unsigned long flag)
{
    return (PyType_GetFlags(Py_TYPE(o)) & flag) != 0;
}

#define PyBytes_Check(o) py_has_flag(o, Py_TPFLAGS_BYTES_SUBCLASS)
#define PyDict_Check(o) py_has_flag(o, Py_TPFLAGS_DICT_SUBCLASS)
#define PyList_Check(o) py_has_flag(o, Py_TPFLAGS_LIST_SUBCLASS)
#define PyLong_Check(o) py_has_flag(o, Py_TPFLAGS_LONG_SUBCLASS)
#define PyTuple_Check(o) py_has_flag(o, Py_TPFLAGS_TUPLE_SUBCLASS)
#define PyType_Check(o) py_has_flag(o, Py_TPFLAGS_TYPE_SUBCLASS)
#define PyUnicode_Check(o) py_has_flag(o, Py_TPFLAGS_UNICODE_SUBCLASS)

#define PyBytes_CheckExact(o) Py_IS_TYPE(o, &PyBytes_Type)
#define PyCapsule_CheckExact(o) Py_IS_TYPE(o, &PyCapsule_Type)
#define PyLong_CheckExact(o) Py_IS_TYPE(o, &PyLong_Type)
#define PyTuple_CheckExact(o) Py_IS_TYPE(o, &PyTuple_Type)
#define PyUnicode_CheckExact(o) Py_IS_TYPE(o, &PyUnicode_Type)
#define PyMemoryView_Check(o) Py_IS_TYPE(o, &PyMemoryView_Type)

static inline int
PyObject_TypeCheck(PyObject *o, PyTypeObject *type)
{
    return Py_IS_TYPE(o, type) || PyType_IsSubtype(Py_TYPE(o), type);
}

#define PyCFunction_Check(o) PyObject_TypeCheck(o, &PyCFunction_Type)

int PyCallable_Check(PyObject *);
int PyIndex_Check(PyObject *);
int PyIter_Check(PyObject *);
int PySequence_Check(PyObject *);

/* ---- modules ----------------------------------------------------------------------------------- */

typedef struct PyModuleDef_Slot {
    int slot;
    void *value;
} PyModuleDef_Slot;

#define Py_mod_exec 2

typedef struct PyModuleDef {
    PyObject_HEAD
    PyObject *(*m_init)(void);
    Py_ssize_t m_index;
    PyObject *m_copy;
    const char *m_name;
    const char *m_doc;
    Py_ssize_t m_size;
    PyMethodDef *m_methods;
    PyModuleDef_Slot *m_slots;
    int (*m_traverse)(PyObject *, visitproc, void *);
    int (*m_clear)(PyObject *);
    freefunc m_free;
} PyModuleDef;

#define PyModuleDef_HEAD_INIT .ob_base = {1, NULL}

PyObject *PyModuleDef_Init(PyModuleDef *);
int PyModule_AddIntConstant(PyObject *, const char *, long);
int PyModule_AddObjectRef(PyObject *, const char *, PyObject *);
int PyModule_AddStringConstant(PyObject *, const char *, const char *);
int PyModule_AddType(PyObject *, PyTypeObject *);
void *PyModule_GetState(PyObject *);

PyObject *PyImport_GetModuleDict(void);
PyObject *PyImport_ImportModule(const char *);

/* ---- making and ending objects --------------------------------------------------------------------- */

PyObject *_PyObject_New(PyTypeObject *);
PyObject *_PyObject_GC_New(PyTypeObject *);
void PyObject_Free(void *);
void PyObject_GC_Del(void *);
int PyObject_GC_IsFinalized(PyObject *);
void PyObject_GC_Track(void *);
void PyObject_GC_UnTrack(void *);
void PyObject_ClearWeakRefs(PyObject *);

#define PyObject_New(type, object) ((type *)_PyObject_New(object))
#define PyObject_GC_New(type, object) ((type *)_PyObject_GC_New(object))

/* ---- any object ---------------------------------------------------------------------------------------- */

PyObject *PyObject_Call(PyObject *, PyObject *, PyObject *);
PyObject *PyObject_CallFunction(PyObject *, const char *, ...);
PyObject *PyObject_CallFunctionObjArgs(PyObject *, ...);
PyObject *PyObject_CallMethod(PyObject *, const char *, const char *, ...);
int PyObject_DelItem(PyObject *, PyObject *);
PyObject *PyObject_GetAttrString(PyObject *, const char *);
PyObject *PyObject_GetItem(PyObject *, PyObject *);
PyObject *PyObject_GetIter(PyObject *);
Py_hash_t PyObject_Hash(PyObject *);
int PyObject_IsInstance(PyObject *, PyObject *);
int PyObject_IsTrue(PyObject *);
PyObject *PyObject_Repr(PyObject *);
int PyObject_RichCompareBool(PyObject *, PyObject *, int);
int PyObject_SetItem(PyObject *, PyObject *, PyObject *);
Py_ssize_t PyObject_Size(PyObject *);
PyObject *PyObject_Str(PyObject *);
PyObject *PyIter_Next(PyObject *);
PyObject *PyNumber_Add(PyObject *, PyObject *);
PyObject *PyNumber_Index(PyObject *);
PyObject *PyNumber_Long(PyObject *);
PyObject *PySequence_GetItem(PyObject *, Py_ssize_t);
Py_ssize_t PySequence_Size(PyObject *);
PyObject *PySequence_Tuple(PyObject *);

/* ---- objects of one type ----------------------------------------------------------------------------------- */

int PyArg_ParseTupleAndKeywords(PyObject *, PyObject *, const char *, char **, ...);
PyObject *Py_BuildValue(const char *, ...);

PyObject *PyBool_FromLong(long);
char *PyBytes_AsString(PyObject *);
PyObject *PyBytes_FromString(const char *);
PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
Py_ssize_t PyBytes_Size(PyObject *);
PyObject *PyCFunction_GetSelf(PyObject *);
PyObject *PyCMethod_New(PyMethodDef *, PyObject *, PyObject *, PyTypeObject *);
#define PyCFunction_NewEx(def, self, module) PyCMethod_New(def, self, module, NULL)
const char *PyCapsule_GetName(PyObject *);
void *PyCapsule_GetPointer(PyObject *, const char *);
void *PyCapsule_Import(const char *, int);
int PyCapsule_IsValid(PyObject *, const char *);
PyObject *PyCapsule_New(void *, const char *, destructor);
int PyCapsule_SetName(PyObject *, const char *);
void PyDict_Clear(PyObject *);
PyObject *PyDict_GetItemString(PyObject *, const char *);
PyObject *PyDict_GetItemWithError(PyObject *, PyObject *);
PyObject *PyDict_New(void);
int PyDict_SetItem(PyObject *, PyObject *, PyObject *);
int PyDict_SetItemString(PyObject *, const char *, PyObject *);
Py_ssize_t PyDict_Size(PyObject *);
PyObject *PyDict_Values(PyObject *);
int PyList_Append(PyObject *, PyObject *);
PyObject *PyList_AsTuple(PyObject *);
PyObject *PyList_New(Py_ssize_t);
Py_ssize_t PyList_Size(PyObject *);
long PyLong_AsLong(PyObject *);
long long PyLong_AsLongLong(PyObject *);
size_t PyLong_AsSize_t(PyObject *);
Py_ssize_t PyLong_AsSsize_t(PyObject *);
unsigned long long PyLong_AsUnsignedLongLong(PyObject *);
PyObject *PyLong_FromLong(long);
PyObject *PyLong_FromLongLong(long long);
PyObject *PyLong_FromSize_t(size_t);
PyObject *PyLong_FromSsize_t(Py_ssize_t);
PyObject *PyLong_FromUnsignedLongLong(unsigned long long);
PyObject *PyLong_FromVoidPtr(void *);
PyObject *PyMemoryView_FromObject(PyObject *);
PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t);
PyObject *PyTuple_New(Py_ssize_t);
PyObject *PyTuple_Pack(Py_ssize_t, ...);
int PyTuple_SetItem(PyObject *, Py_ssize_t, PyObject *);
Py_ssize_t PyTuple_Size(PyObject *);
PyObject *PyUnicode_AsEncodedString(PyObject *, const char *, const char *);
const char *PyUnicode_AsUTF8AndSize(PyObject *, Py_ssize_t *);
PyObject *PyUnicode_AsUTF8String(PyObject *);
int PyUnicode_CompareWithASCIIString(PyObject *, const char *);
PyObject *PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *);
int PyUnicode_FSConverter(PyObject *, void *);
PyObject *PyUnicode_FromFormat(const char *, ...);
PyObject *PyUnicode_FromFormatV(const char *, va_list);
PyObject *PyUnicode_FromString(const char *);
Py_ssize_t PyUnicode_GetLength(PyObject *);
PyObject *PyUnicode_Replace(PyObject *, PyObject *, PyObject *, Py_ssize_t);
PyObject *PyUnicode_Substring(PyObject *, Py_ssize_t, Py_ssize_t);

/* ---- exceptions ----------------------------------------------------------------------------------------------- */

int PyErr_CheckSignals(void);
void PyErr_Clear(void);
int PyErr_ExceptionMatches(PyObject *);
void PyErr_Fetch(PyObject **, PyObject **, PyObject **);
PyObject *PyErr_Format(PyObject *, const char *, ...);
PyObject *PyErr_NoMemory(void);
void PyErr_NormalizeException(PyObject **, PyObject **, PyObject **);
PyObject *PyErr_Occurred(void);
void PyErr_Restore(PyObject *, PyObject *, PyObject *);
PyObject *PyErr_SetFromErrno(PyObject *);
void PyErr_SetObject(PyObject *, PyObject *);
void PyErr_SetString(PyObject *, const char *);
void PyErr_WriteUnraisable(PyObject *);

/* ---- the interpreter --------------------------------------------------------------------------------------------- */

extern const unsigned long Py_Version;

typedef enum { PyGILState_LOCKED, PyGILState_UNLOCKED } PyGILState_STATE;

int Py_AtExit(void (*)(void));
int Py_IsInitialized(void);
PyInterpreterState *PyInterpreterState_Get(void);
PyObject *PyInterpreterState_GetDict(PyInterpreterState *);
int64_t PyInterpreterState_GetID(PyInterpreterState *);
PyGILState_STATE PyGILState_Ensure(void);
PyThreadState *PyGILState_GetThisThreadState(void);
void PyGILState_Release(PyGILState_STATE);
void PyEval_RestoreThread(PyThreadState *);
PyThreadState *PyEval_SaveThread(void);
PyThreadState *PyThreadState_Get(void);
PyFrameObject *PyThreadState_GetFrame(PyThreadState *);
int PyThreadState_SetAsyncExc(unsigned long, PyObject *);
unsigned long PyThread_get_thread_ident(void);
PyCodeObject *PyFrame_GetCode(PyFrameObject *);
int PyFrame_GetLineNumber(PyFrameObject *);

/* Other threads of Python's run in between. */
#define Py_BEGIN_ALLOW_THREADS                                                 \
    {                                                                          \
        PyThreadState *py_saved_ = PyEval_SaveThread();
#define Py_END_ALLOW_THREADS                                                   \
        PyEval_RestoreThread(py_saved_);                                       \
    }

#endif
