/* limits.c: Go's runtime starts only where it can.
 *
 * It ends the process if it cannot have the address space and the threads that
 * it wants, or if the environment gives it a setting that it cannot read. And
 * its constructor cannot be kept from running. But what that does is to make
 * the runtime's first thread, and each pthread_create of this library is led
 * here by the linker (--wrap). If something is missing no thread is made, and
 * whoever wants the runtime is given the reason. */
#include "runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* What the runtime of Go 1.25 and 1.26 takes, and some more: it reserves 1.3 GiB
 * of addresses, and the C library, for the allocations of its first threads,
 * another 0.2. With less it starts at some limits, and ends the process at
 * others. It writes to less than 64 MiB of them before its first collection. */
#define ADDRESSES ((size_t)1600 << 20)
#define WRITABLE ((size_t)64 << 20)
/* It starts with six, and its collector has one more for each processor, up to
 * a number at which no limit is that tight. */
#define THREADS_AT_START 6
#define THREADS_MAX 16

/* More than any machine has processors. */
#define PROCS_MAX 8192

#define MIB(n) ((long long)((n) >> 20))

static char refusal[REASON_CAP];
static bool settled;

/* ---- what the environment says to Go ---------------------------------------- */

/* The first value of a variable, which is the one that Go takes, or NULL. */
static const char *
setting(char **environment, const char *name)
{
    size_t n = strlen(name);
    for (char **e = environment; *e != NULL; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
            return *e + n + 1;
        }
    }
    return NULL;
}

/* As the runtime reads GOMEMLIMIT: "off", or a number with B, KiB, MiB, GiB,
 * TiB or nothing behind it, of at most 2^63 - 1 bytes. */
static bool
is_byte_count(const char *text)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"", 0},     {"B", 0},    {"KiB", 10},
                 {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    const char *digits = text + (*text == '+' || *text == '-');
    size_t n = strspn(digits, "0123456789");
    errno = 0;
    unsigned long long value = n == 0 ? 0 : strtoull(digits, NULL, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(digits + n, units[i].suffix) == 0) {
            return n > 0 && errno == 0 &&
                   value <= (unsigned long long)INT64_MAX >> units[i].shift &&
                   (*text != '-' || value == 0);
        }
    }
    return false;
}

/* Whether a list such as GODEBUG's sets name to a number outside of low..high,
 * in any place: of several the last one counts. */
static bool
lists_beyond(const char *list, const char *name, long low, long high)
{
    size_t n = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, n) == 0 && at[n] == '=') {
            long value = strtol(at + n + 1, NULL, 10);
            if (value < low || value > high) {
                return true;
            }
        }
    }
    return false;
}

/* Each of these ends the process, or as good as that. */
static void
examine_settings(char **environment)
{
    const char *limit = setting(environment, "GOMEMLIMIT");
    const char *procs = setting(environment, "GOMAXPROCS");
    const char *debug = setting(environment, "GODEBUG");
    if (limit != NULL && *limit != '\0' && strcmp(limit, "off") != 0 &&
        !is_byte_count(limit)) {
        snprintf(refusal, sizeof refusal,
                 "this process was started with GOMEMLIMIT=%.40s, which Go's "
                 "runtime cannot read: give it a number of bytes such as "
                 "512MiB, or \"off\", or unset it",
                 limit);
    }
    else if (procs != NULL && strtol(procs, NULL, 10) > PROCS_MAX) {
        snprintf(refusal, sizeof refusal,
                 "this process was started with GOMAXPROCS=%.40s, and Go's "
                 "runtime has memory for each of them: give it at most %d, or "
                 "unset it",
                 procs, PROCS_MAX);
    }
    else if (debug != NULL && lists_beyond(debug, "cgocheck", LONG_MIN, 1)) {
        snprintf(refusal, sizeof refusal,
                 "this process was started with GODEBUG=%.80s, and Go's "
                 "runtime takes no cgocheck above 1: remove it",
                 debug);
    }
    else if (debug != NULL && lists_beyond(debug, "sbrk", 0, 0)) {
        snprintf(refusal, sizeof refusal,
                 "this process was started with GODEBUG=%.80s, and sbrk is for "
                 "tests of Go's own allocator: remove it",
                 debug);
    }
}

/* ---- what the system has for it ----------------------------------------------- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*body)(void *), void *arg);

static void *
wait_for_all(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static int
threads_wanted(void)
{
    cpu_set_t usable;
    int processors = sched_getaffinity(0, sizeof usable, &usable) == 0
                         ? CPU_COUNT(&usable)
                         : THREADS_MAX;
    int wanted = THREADS_AT_START + processors;
    return wanted < THREADS_MAX ? wanted : THREADS_MAX;
}

/* How many threads can be had at once, of so many that are wanted. */
static int
try_threads(int wanted)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[THREADS_MAX];
    int n = 0;
    pthread_mutex_lock(&gate);
    while (n < wanted && __real_pthread_create(&threads[n], NULL, wait_for_all,
                                               &gate) == 0) {
        n++;
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    return n;
}

static void
say_limit(const char *name, int which, char *out, size_t size)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        snprintf(out, size, " (%s is %lld MiB)", name, MIB(limit.rlim_cur));
    }
    else {
        *out = '\0';
    }
}

bool
limits_allow(char *why)
{
    char said[64];
    void *addresses = mmap(NULL, ADDRESSES, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (addresses == MAP_FAILED) {
        say_limit("ulimit -v", RLIMIT_AS, said, sizeof said);
        snprintf(why, REASON_CAP,
                 "Go's runtime wants %lld MiB of address space, of which it "
                 "uses little, and this process cannot have that many%s: raise "
                 "the limit",
                 MIB(ADDRESSES), said);
        return false;
    }
    void *writable = mmap(NULL, WRITABLE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int wanted = threads_wanted();
    int threads = writable == MAP_FAILED ? 0 : try_threads(wanted);
    munmap(addresses, ADDRESSES);
    if (writable == MAP_FAILED) {
        say_limit("ulimit -d", RLIMIT_DATA, said, sizeof said);
        snprintf(why, REASON_CAP,
                 "Go's runtime wants %lld MiB that can be written to, and this "
                 "process cannot have that many%s: raise the limit",
                 MIB(WRITABLE), said);
        return false;
    }
    munmap(writable, WRITABLE);
    if (threads < wanted) {
        snprintf(why, REASON_CAP,
                 "Go's runtime wants %d threads, and this process can have %d "
                 "more: raise the limit of processes (ulimit -u, or of the "
                 "control group) or of memory (ulimit -v, ulimit -d), where "
                 "their stacks are",
                 wanted, threads);
        return false;
    }
    return true;
}

/* ---- the gate -------------------------------------------------------------------- */

void
limits_examine(char **environment)
{
    examine_settings(environment);
    settled = refusal[0] != '\0';
    if (!settled) {
        limits_allow(refusal);
    }
}

bool
limits_are_settled(void)
{
    return settled;
}

const char *
limits_refusal(void)
{
    return refusal[0] == '\0' ? NULL : refusal;
}

/* What Go calls in place of pthread_create. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*body)(void *), void *arg);

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                      void *(*body)(void *), void *arg)
{
    if (refusal[0] != '\0') {
        return 0; /* to Go's constructor, which looks no further */
    }
    return __real_pthread_create(thread, attr, body, arg);
}
