/* gopybuf.h: what the Go package gopybuf, inside of a gopy module, and the
 * extension module pybuf say to each other. Private to the two: a change here
 * is a change of PYBUF_GOPY_VERSION.
 *
 * Rules for the whole header:
 * - A handle is gopy's number of a Go value, as the attribute `handle` of its
 *   Python objects has it; < 1 is nil.
 * - Threads: any, with or without the GIL, in the process that loaded the gopy
 *   module: its Go runtime is dead in a forked child.
 * - Every function returns 0 or more when it succeeds, and else -1. Then
 *   *error, where there is one, is a descriptor with PYBUF_FLAG_ERROR, to be
 *   adopted, or 0 if there was no memory for it.
 */
#ifndef PYBUF_GOPY_H
#define PYBUF_GOPY_H

#include <stdint.h>

#define PYBUF_GOPY_VERSION 2

/* The one symbol that is looked up, of type pybuf_gopy_api_function. */
#define PYBUF_GOPY_API "pybuf_gopy_api"

/* The process that loaded the gopy module, int32_t: to be compared before any
 * call, which would wait for ever in another one. */
#define PYBUF_GOPY_HOME "pybuf_gopy_home"

typedef struct {
    uint32_t version; /* PYBUF_GOPY_VERSION */
    uint32_t size;    /* of this struct, bytes */

    /* How many loans there are now, to be read atomically. */
    const int64_t *loans;

    /* A descriptor of the memory of what the handle names, for pybuf.adopt().
     * Returns: never -1; 0 if there is no memory for the descriptor. */
    uint64_t (*view)(int64_t handle);

    /* Puts the slice that the handle names onto the memory of an untaken
     * descriptor, and takes that. The loan has one reference, the caller's.
     * Returns: the loan, 1 or more. On an error the descriptor is not taken. */
    int64_t (*lend)(int64_t handle, uint64_t descriptor,
                    uint64_t *error);

    /* Gives the slice that the handle names new memory of Go's with the items
     * of an untaken descriptor, read-only or not. It is not taken. */
    int64_t (*fill)(int64_t handle, uint64_t descriptor,
                    uint64_t *error);

    /* Tells whether what the handle names stands on lent memory.
     * Returns: 0, or the loan, with one more reference, the caller's. */
    int64_t (*hold)(int64_t handle);

    /* Looks for the loans in what the handle names, to any depth, and binds
     * those that it finds to the life of the Go objects that refer to them.
     * taken are the n loans of the call that it took part in. */
    int64_t (*bind)(int64_t handle, int64_t *taken, int64_t n);

    /* Drops one reference to a loan. With the last, the array goes back. */
    int64_t (*drop)(int64_t loan);

    /* Makes the slice that the handle names nil. */
    int64_t (*clear)(int64_t handle, uint64_t *error);

    /* Tells whether a function that takes what `wanted` names would take what
     * the handle names: a value of the same Go type, or a struct in which one
     * is embedded: 1 or 0. */
    int64_t (*fits)(int64_t handle, int64_t wanted);

    /* Tells whether the type of what the handle names can refer to memory out
     * of sight: functions, channels, locks that say that other threads use
     * it. To such a value nothing should be lent: 1 or 0. */
    int64_t (*is_opaque)(int64_t handle);

    /* Writes the name of the Go type into text (cap bytes, no NUL).
     * Returns: its bytes, cut to cap. */
    int64_t (*type_name)(int64_t handle, char *text, int64_t cap);

    /* Counts loans and views that have not come back. collect != 0 runs Go's
     * collector first. */
    int64_t (*live)(int32_t collect);
} pybuf_gopy_functions;

typedef const pybuf_gopy_functions *(*pybuf_gopy_api_function)(void);

#endif
