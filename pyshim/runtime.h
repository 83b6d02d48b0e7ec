/* runtime.h: how the shim comes by a Go runtime that lives.
 *
 * A process has one, which its loading of the library starts. In a forked child
 * it is dead, for its threads were not copied; the first call that needs Go
 * there loads the library's image once more, under another name, and so starts
 * a runtime of its own. The parts of this know nothing of Python:
 *
 *   guard.c    signals and limits stay as they were before Go came in
 *   limits.c   Go's runtime starts only where it can
 *   entry.c    the functions of the runtime of one image
 *   rebirth.c  which image's runtime is the one to call
 *
 * All that is static in guard.c, limits.c and entry.c belongs to the image that
 * it is in, what is static in rebirth.c is used in the first image only. */
#ifndef PYBUF_RUNTIME_H
#define PYBUF_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "pybuf_abi.h"

/* Room for a sentence that says why there is no runtime. */
#define REASON_CAP 512

/* ---- guard.c -------------------------------------------------------------- */

/* The runtime is up: puts back what it took. */
void guard_restore(void);
/* In a forked child: what still leads into the dead runtime. */
void guard_forget(void);

/* ---- limits.c ------------------------------------------------------------- */

/* Before Go's constructor, with the environment that Go will see. */
void limits_examine(char **environment);
/* Why this image's runtime was not started, or NULL. */
const char *limits_refusal(void);
/* Whether that is so for as long as this process lives. */
bool limits_are_settled(void);
/* Whether the system has what a runtime needs now; says why not, in
 * why[REASON_CAP]. */
bool limits_allow(char *why);

/* ---- entry.c --------------------------------------------------------------- */

/* The functions of one runtime, as pybuf_abi.h has them. They leave the mask
 * of the calling thread alone. */
typedef struct {
    int64_t abi;  /* PYBUF_ABI */
    int64_t size; /* sizeof(GoRuntime) */
    int32_t (*element)(char *spelling, int64_t len, int32_t how,
                       int64_t itemsize, pybuf_element *out, pybuf_text *err);
    int32_t (*plain)(int32_t how, int64_t i, pybuf_text *spelling,
                     pybuf_element *out);
    int32_t (*layout)(pybuf_layout *layout, pybuf_text *err);
    int32_t (*alloc)(int64_t nbytes, int64_t align, pybuf_block *out,
                     pybuf_text *err);
    int32_t (*free)(int64_t slot, pybuf_text *err);
    int32_t (*runtime)(int32_t collect, pybuf_runtime *out);
    int32_t (*version)(pybuf_text *out);
    /* In a forked child: nothing leads into this runtime any more. */
    void (*forget)(void);
} GoRuntime;

/* The runtime of the image that this function is in; waits until it is up. NULL
 * and why[REASON_CAP] filled if it cannot be used. The one name beside PyInit
 * that the library shows, so that it is found in an image loaded again. */
__attribute__((visibility("default"))) const GoRuntime *
pybuf_runtime_start(char *why);

/* ---- rebirth.c --------------------------------------------------------------- */

/* Once for each process: makes ready for forks. */
void rebirth_prepare(void);
/* The runtime to call: the living one, or a new one. NULL and why[REASON_CAP]
 * filled if none can be had. Any thread. */
const GoRuntime *rebirth_runtime(char *why);
/* How many forks lie between the process that loaded the library and this one:
 * memory of Go's belongs to the generation that made it. */
uint32_t rebirth_generation(void);
/* getpid(), without asking the kernel. */
int32_t rebirth_process(void);

#endif
