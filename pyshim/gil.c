/* gil.c: back into Python from a consumer that knows no Python.
 *
 * DLPack's and Arrow's consumers end what they took on any thread, with or
 * without the GIL, and at times after the interpreter is gone. */
#include "shim.h"

#include <dlfcn.h>

/* While the interpreter shuts down, Py_IsInitialized() says no although the
 * main thread still runs Python under the GIL; PyGILState_Ensure() would hang
 * or end any other thread. The limited API has no name for the question. */
static bool
holds_gil(void)
{
    int (*check)(void) =
        (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Check");
    return PyGILState_GetThisThreadState() != NULL && check != NULL &&
           check() == 1;
}

void
gil_call(void (*work)(void *), void *context)
{
    if (Py_IsInitialized()) {
        PyGILState_STATE state = PyGILState_Ensure();
        work(context);
        PyGILState_Release(state);
    }
    else if (holds_gil()) {
        work(context);
    }
    /* else Python is gone: what `context` holds is left to the end of the
     * process, which is near. */
}

int
gil_can_return(const char *protocol)
{
    /* PyGILState_Ensure() leads into the main interpreter and no other. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) == 0) {
        return 0;
    }
    PyErr_Format(PyExc_BufferError,
                 "a consumer of %s may end its view on any thread, from which "
                 "there is no safe way back into a sub-interpreter: use "
                 "memoryview() here",
                 protocol);
    return -1;
}
