/* entry.c: the functions of the runtime of this image.
 *
 * When a thread of Python's calls Go for the first time, Go unblocks the
 * signals that it wants on it (SIGCHLD, SIGPROF, SIGURG and seven more), and
 * leaves it so. The thread is not Go's: it gets its own mask back. */
#include "runtime.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- threads that Go knows ---------------------------------------------------- */

/* Go remembers the threads that called it by a key, and so we know them: no
 * mask changes on such a thread any more, and asking the kernel twice for each
 * call would take longer than the call. The linker leads Go's pthread_key_create
 * here (--wrap), with the shim's own, whose values are freed. If Go gets no key,
 * each call is a first call. */
static pthread_key_t go_key;
static bool have_go_key;

int __real_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *));

int
__wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *))
{
    int failed = __real_pthread_key_create(key, end);
    if (failed == 0 && !have_go_key && end != free) {
        go_key = *key;
        have_go_key = true;
    }
    return failed;
}

typedef struct {
    bool known;
    sigset_t mask;
} Visit;

static Visit
enter(void)
{
    Visit visit;
    visit.known = have_go_key && pthread_getspecific(go_key) != NULL;
    if (!visit.known) {
        pthread_sigmask(SIG_SETMASK, NULL, &visit.mask);
    }
    return visit;
}

static int32_t
leave(const Visit *visit, int32_t result)
{
    if (!visit->known) {
        pthread_sigmask(SIG_SETMASK, &visit->mask, NULL);
    }
    return result;
}

/* ---- the functions --------------------------------------------------------------- */

static int32_t
element(char *spelling, int64_t len, int32_t how, int64_t itemsize,
        pybuf_element *out, pybuf_text *err)
{
    Visit v = enter();
    return leave(&v, pybuf_go_element(spelling, len, how, itemsize, out,
                                         err));
}

static int32_t
plain(int32_t how, int64_t i, pybuf_text *spelling, pybuf_element *out)
{
    Visit v = enter();
    return leave(&v, pybuf_go_plain(how, i, spelling, out));
}

static int32_t
layout(pybuf_layout *asked, pybuf_text *err)
{
    Visit v = enter();
    return leave(&v, pybuf_go_layout(asked, err));
}

static int32_t
alloc_block(int64_t nbytes, int64_t align, pybuf_block *out, pybuf_text *err)
{
    Visit v = enter();
    return leave(&v, pybuf_go_alloc(nbytes, align, out, err));
}

static int32_t
free_block(int64_t slot, pybuf_text *err)
{
    Visit v = enter();
    return leave(&v, pybuf_go_free(slot, err));
}

static int32_t
runtime(int32_t collect, pybuf_runtime *out)
{
    Visit v = enter();
    return leave(&v, pybuf_go_runtime(collect, out));
}

static int32_t
version(pybuf_text *out)
{
    Visit v = enter();
    return leave(&v, pybuf_go_version(out));
}

/* The C library ends a thread by calling back what it left at the key, and in a
 * forked child that would hang. */
static void
forget(void)
{
    if (have_go_key) {
        pthread_setspecific(go_key, NULL);
    }
    guard_forget();
}

static const GoRuntime this_image = {
    .abi = PYBUF_ABI,
    .size = sizeof(GoRuntime),
    .element = element,
    .plain = plain,
    .layout = layout,
    .alloc = alloc_block,
    .free = free_block,
    .runtime = runtime,
    .version = version,
    .forget = forget,
};

/* ---- the start ------------------------------------------------------------------- */

const GoRuntime *
pybuf_runtime_start(char *why)
{
    static const int64_t ours[] = {
        PYBUF_ABI, sizeof(pybuf_element), sizeof(pybuf_layout),
        sizeof(pybuf_runtime), sizeof(pybuf_block)};
    enum { N = sizeof ours / sizeof ours[0] };
    int64_t theirs[N] = {0};
    const char *refusal = limits_refusal();
    if (refusal != NULL) {
        snprintf(why, REASON_CAP, "%s", refusal);
        return NULL;
    }
    Visit v = enter();
    leave(&v, pybuf_go_abi(theirs)); /* waits until the runtime is up */
    guard_restore();
    for (int i = 0; i < N; i++) {
        if (theirs[i] != ours[i]) {
            snprintf(why, REASON_CAP,
                     "the two halves of pybuf._core were built from different "
                     "sources (item %d is %lld in Go and %lld in C); build "
                     "and install pybuf again",
                     i, (long long)theirs[i], (long long)ours[i]);
            return NULL;
        }
    }
    return &this_image;
}
