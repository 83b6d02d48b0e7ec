/* tracemalloc.c: memory that pybuf makes, told to Python's tracemalloc.
 *
 * CPython exports the two functions, but not in the stable ABI: they are looked
 * up at the import, and where there are none tracemalloc hears nothing. */
#include "shim.h"

#include <dlfcn.h>

static int
nobody(unsigned domain, uintptr_t address)
{
    (void)domain, (void)address;
    return TRACEMALLOC_OFF;
}

static int (*track)(unsigned domain, uintptr_t address, size_t size);
int (*tracemalloc_untrack)(unsigned domain, uintptr_t address) = nobody;

void
tracemalloc_prepare(void)
{
    void *tracks = dlsym(RTLD_DEFAULT, "PyTraceMalloc_Track");
    void *untracks = dlsym(RTLD_DEFAULT, "PyTraceMalloc_Untrack");
    if (tracks != NULL && untracks != NULL) {
        track = (int (*)(unsigned, uintptr_t, size_t))tracks;
        tracemalloc_untrack = (int (*)(unsigned, uintptr_t))untracks;
    }
}

void
tracemalloc_add(Memory *mem)
{
    /* CPython's function takes the GIL by a way that leads into the main
     * interpreter, where it would find file names of another. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        return;
    }
    /* A trace that finds no memory for itself is missing, no more. */
    mem->tracked = track(TRACEMALLOC_DOMAIN, (uintptr_t)mem->block,
                         (size_t)mem->block_size) == 0;
}

void
tracemalloc_remove(const Memory *mem)
{
    tracemalloc_untrack(TRACEMALLOC_DOMAIN, (uintptr_t)mem->block);
}
