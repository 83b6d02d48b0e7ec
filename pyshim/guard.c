/* guard.c: the process stays as it was before Go came in.
 *
 * Loading a Go library starts its runtime from a constructor: threads are
 * made, RLIMIT_NOFILE's soft limit is raised, SIGPIPE and SIGURG get Go's
 * handlers. Three steps undo that, each at the only time when it works:
 *
 * 1. before Go's constructor (priority 101): save what will change, and block
 *    every signal, so that Go's threads are born with all of them blocked. A
 *    signal for the process then never lands on a thread of Go's.
 * 2. after Go's constructor, still inside dlopen: give the loading thread its
 *    mask back. In PyInit it would be too late for a mere dlopen.
 * 3. in PyInit, when the runtime is up: put back the limit and the actions. */
#include "shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

/* The asynchronous signals whose actions a c-shared runtime takes. SIGSEGV,
 * SIGBUS and SIGFPE stay with Go, which chains to the action before it. */
static const int taken[] = {SIGPIPE, SIGURG};
#define TAKEN ((int)(sizeof taken / sizeof taken[0]))

static struct {
    sigset_t mask;
    struct rlimit nofile;
    struct sigaction actions[TAKEN];
    bool have_mask, have_nofile, have_action[TAKEN];
} before;

static atomic_flag restored = ATOMIC_FLAG_INIT;

__attribute__((constructor(101))) static void
save_and_block(void)
{
    before.have_nofile = getrlimit(RLIMIT_NOFILE, &before.nofile) == 0;
    for (int i = 0; i < TAKEN; i++) {
        before.have_action[i] =
            sigaction(taken[i], NULL, &before.actions[i]) == 0;
    }
    sigset_t all;
    sigfillset(&all);
    before.have_mask = pthread_sigmask(SIG_SETMASK, &all, &before.mask) == 0;
}

/* No priority: runs after Go's entry, which the linker puts first among the
 * constructors without one. A test holds that order. */
__attribute__((constructor)) static void
unblock(void)
{
    if (before.have_mask) {
        pthread_sigmask(SIG_SETMASK, &before.mask, NULL);
    }
}

static bool
in_this_file(void *address)
{
    Dl_info ours, theirs;
    return dladdr((void *)&guard_restore, &ours) != 0 &&
           dladdr(address, &theirs) != 0 && ours.dli_fbase == theirs.dli_fbase;
}

void
guard_restore(void)
{
    if (atomic_flag_test_and_set(&restored)) {
        return; /* another interpreter of this process was here before */
    }
    struct rlimit now;
    /* Go raises the soft limit to the hard one, or to one less: any other value
     * is somebody else's wish, since the library was loaded. */
    if (before.have_nofile && getrlimit(RLIMIT_NOFILE, &now) == 0 &&
        now.rlim_cur >= before.nofile.rlim_max - 1) {
        now.rlim_cur = before.nofile.rlim_cur;
        setrlimit(RLIMIT_NOFILE, &now);
    }
    for (int i = 0; i < TAKEN; i++) {
        struct sigaction current;
        if (before.have_action[i] &&
            sigaction(taken[i], NULL, &current) == 0 &&
            in_this_file((void *)current.sa_sigaction)) {
            sigaction(taken[i], &before.actions[i], NULL);
        }
    }
}
