/* guard.c: the process stays as it was before Go came in.
 *
 * Loading a Go library starts its runtime from a constructor: threads are
 * made, RLIMIT_NOFILE's soft limit is raised, handlers of signals are set. Each
 * of that is met where it can be met:
 *
 * 1. before Go's constructor (priority 101): save what will change, and block
 *    every signal, so that Go's threads are born with all of them blocked. A
 *    signal for the process then never lands on a thread of Go's. Whether Go
 *    may start at all is asked here, too.
 * 2. when Go sets a handler, which the linker leads here (--wrap=sigaction):
 *    those of asynchronous signals are not set; those of faults are, with a
 *    frame around them, for they must be harmless once the runtime is dead.
 * 3. after Go's constructor, still inside dlopen: give the loading thread its
 *    mask back. In PyInit it would be too late for a mere dlopen.
 * 4. in PyInit, when the runtime is up: put back the limit. */
#include "runtime.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

/* The asynchronous signals that a c-shared runtime wants: SIGPIPE, to make it
 * an error of a write, and SIGURG, with which it interrupts loops of its own. */
static const int unwanted[] = {SIGPIPE, SIGURG};
#define UNWANTED ((int)(sizeof unwanted / sizeof unwanted[0]))

/* The faults, at which Go comes first and hands on what is not its own. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE};
#define FAULTS ((int)(sizeof faults / sizeof faults[0]))

typedef void (*Handler)(int, siginfo_t *, void *);

static struct {
    sigset_t mask;
    struct rlimit nofile;
    struct sigaction faults[FAULTS];
    bool have_mask, have_nofile;
} before;

static Handler go_handlers[FAULTS];
static atomic_bool dead; /* the runtime of this image */

static int
place(int number, const int *list, int n)
{
    for (int i = 0; i < n; i++) {
        if (list[i] == number) {
            return i;
        }
    }
    return -1;
}

/* ---- handlers ------------------------------------------------------------------- */

/* Where this file lies in memory, by the linker. dladdr would take the loader's
 * lock, which is no good in a child that was just forked. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static bool
is_of_this_file(const struct sigaction *action)
{
    uintptr_t at = (uintptr_t)action->sa_sigaction;
    return at >= (uintptr_t)__ehdr_start && at < (uintptr_t)_end;
}

int __real_sigaction(int number, const struct sigaction *action,
                     struct sigaction *old);
int __wrap_sigaction(int number, const struct sigaction *action,
                     struct sigaction *old);

/* Go's handler, as long as there is a Go. Whoever took its place since (such as
 * faulthandler) leads back to it when it has said its word, in a forked child
 * too, where Go's own would wait for threads that are not there. */
static void
on_fault(int number, siginfo_t *info, void *context)
{
    int i = place(number, faults, FAULTS);
    if (!atomic_load(&dead)) {
        go_handlers[i](number, info, context);
        return;
    }
    /* A fault repeats itself when this returns; what was sent does not. */
    __real_sigaction(number, &before.faults[i], NULL);
    if (info->si_code <= 0) {
        raise(number);
    }
}

/* What Go calls in place of sigaction. */
int
__wrap_sigaction(int number, const struct sigaction *action,
                 struct sigaction *old)
{
    if (action == NULL || !is_of_this_file(action)) {
        return __real_sigaction(number, action, old);
    }
    if (place(number, unwanted, UNWANTED) >= 0) {
        return __real_sigaction(number, NULL, old);
    }
    int i = place(number, faults, FAULTS);
    if (i < 0) {
        return __real_sigaction(number, action, old);
    }
    struct sigaction framed = *action;
    go_handlers[i] = action->sa_sigaction;
    framed.sa_sigaction = on_fault;
    return __real_sigaction(number, &framed, old);
}

void
guard_forget(void)
{
    atomic_store(&dead, true);
    for (int i = 0; i < FAULTS; i++) {
        struct sigaction current;
        if (__real_sigaction(faults[i], NULL, &current) == 0 &&
            is_of_this_file(&current)) {
            __real_sigaction(faults[i], &before.faults[i], NULL);
        }
    }
}

/* ---- mask and limit ---------------------------------------------------------------- */

/* Arguments are glibc's, and Go's constructor gets the same. */
__attribute__((constructor(101))) static void
save_and_block(int argc, char **argv)
{
    before.have_nofile = getrlimit(RLIMIT_NOFILE, &before.nofile) == 0;
    for (int i = 0; i < FAULTS; i++) {
        __real_sigaction(faults[i], NULL, &before.faults[i]);
    }
    sigset_t all;
    sigfillset(&all);
    before.have_mask = pthread_sigmask(SIG_SETMASK, &all, &before.mask) == 0;
    limits_examine(argv + argc + 1); /* where Go looks for it */
}

/* No priority: runs after Go's entry, which the linker puts first among the
 * constructors without one. A test holds that order. */
__attribute__((constructor)) static void
unblock(void)
{
    if (limits_refusal() != NULL) {
        guard_forget(); /* handlers of a runtime that was not started */
    }
    if (before.have_mask) {
        pthread_sigmask(SIG_SETMASK, &before.mask, NULL);
    }
}

void
guard_restore(void)
{
    static atomic_flag restored = ATOMIC_FLAG_INIT;
    struct rlimit now;
    if (atomic_flag_test_and_set(&restored)) {
        return; /* another interpreter of this process was here before */
    }
    /* Go raises the soft limit to the hard one, or to one less: any other value
     * is somebody else's wish, since the library was loaded. */
    if (before.have_nofile && getrlimit(RLIMIT_NOFILE, &now) == 0 &&
        now.rlim_cur >= before.nofile.rlim_max - 1) {
        now.rlim_cur = before.nofile.rlim_cur;
        setrlimit(RLIMIT_NOFILE, &now);
    }
}
