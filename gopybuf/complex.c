/* complex.c: complex numbers for gopy.
 *
 * What gopy generates makes and reads Python's complex numbers after it has
 * let go of the GIL: that ends the process on CPython 3.13, and now and then on
 * older ones. The two functions that it calls are found here first, because
 * this package is linked into the same library, and take the GIL. They are
 * hidden: no other library sees them. */
#define _GNU_SOURCE
#include <dlfcn.h>

/* As Python.h has them, which is not included: gopy builds this package
 * without the path of it. */
typedef struct _object PyObject;
typedef struct {
    double real;
    double imag;
} Py_complex;

typedef int (*ensure_function)(void);
typedef void (*release_function)(int);

static void *
python(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    return found != 0 ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((visibility("hidden"))) PyObject *
PyComplex_FromDoubles(double real, double imag)
{
    ensure_function ensure = (ensure_function)python("PyGILState_Ensure");
    release_function release = (release_function)python("PyGILState_Release");
    PyObject *(*make)(double, double) =
        (PyObject * (*)(double, double)) python("PyComplex_FromDoubles");
    int state = ensure();
    PyObject *made = make(real, imag);
    release(state);
    return made;
}

__attribute__((visibility("hidden"))) Py_complex
PyComplex_AsCComplex(PyObject *number)
{
    ensure_function ensure = (ensure_function)python("PyGILState_Ensure");
    release_function release = (release_function)python("PyGILState_Release");
    Py_complex (*read)(PyObject *) =
        (Py_complex(*)(PyObject *))python("PyComplex_AsCComplex");
    int state = ensure();
    Py_complex value = read(number);
    release(state);
    return value;
}
