/* transfer_large.c: copies that take long: in parts, by several threads, and
 * such that they can be stopped.
 *
 * A copy is halved along its outermost axes until its parts are small. Each
 * thread goes through all parts in the same order, and copies those that are
 * next when it asks: so nothing is stored but how many are begun. Go has no hand
 * in it: a thread of C's costs some 20 us, and a forked child has one too. */
#include "transfer.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fewer bytes than this are copied by the caller alone. */
#define ALONE ((Py_ssize_t)8 << 20)
/* Bytes of a part: of parts that are too small columns become short. */
#define PART_MIN ((Py_ssize_t)1 << 20)
#define PART_MAX ((Py_ssize_t)16 << 20)
/* Memory is not faster for more of them. */
#define THREADS_MAX 4
#define THREAD_STACK ((size_t)256 << 10)
/* Nanoseconds between two questions whether to go on. */
#define ASK_AFTER 50000000

typedef struct {
    char *to;
    const char *from;
    Layout dst, src;
} Part;

typedef struct {
    Part all;
    Py_ssize_t itemsize;
    Py_ssize_t most; /* bytes of a part */
    int32_t process; /* that its threads are in */
    bool ended;      /* go_on() said so */
    atomic_size_t begun;
    atomic_bool stop;
    atomic_int holders; /* threads that use this; the last one frees it */
} Job;

/* One thread on its way through the parts. */
typedef struct {
    Job *job;
    size_t passed, mine; /* parts gone by; the number of the next to copy */
    bool (*go_on)(void *); /* NULL: another thread asks */
    void *context;
    struct timespec asked;
} Worker;

/* ---- parts --------------------------------------------------------------------- */

/* Axes before this one are reached by adding to the beginning of the layout. */
static int
reached(const Layout *l)
{
    for (int i = 0; i < l->ndim; i++) {
        if (layout_reads_pointers(l, i)) {
            return i + 1;
        }
    }
    return l->ndim;
}

/* The axis to halve: the outermost of the destination. -1: there is none. */
static int
outermost(const Part *p)
{
    int end = reached(&p->dst), other = reached(&p->src);
    int best = -1;
    Py_ssize_t most = -1;
    end = end < other ? end : other;
    for (int i = 0; i < end; i++) {
        Py_ssize_t step = p->dst.strides[i];
        step = step < 0 ? -step : step;
        if (p->dst.shape[i] > 1 && step > most) {
            best = i;
            most = step;
        }
    }
    return best;
}

/* The layout without its first n axes, which have one item each. Returns where
 * what is left begins: pointers among them are followed. */
static const char *
drop(Layout *l, const char *at, int n)
{
    bool behind = false; /* a pointer */
    for (int i = 0; i < l->ndim; i++) {
        if (i < n && layout_reads_pointers(l, i)) {
            at = pointer_at(at) + l->suboffsets[i];
        }
        if (i >= n) {
            l->shape[i - n] = l->shape[i];
            l->strides[i - n] = l->strides[i];
            if (l->indirect) {
                l->suboffsets[i - n] = l->suboffsets[i];
                behind |= l->suboffsets[i] >= 0;
            }
        }
    }
    l->ndim -= n;
    l->indirect = behind;
    return at;
}

/* Takes away the axes of one item that are in front of others. Returns false
 * if there are no others. */
static bool
enter(Part *p)
{
    int end = reached(&p->dst), other = reached(&p->src);
    end = end < other ? end : other;
    if (end == p->dst.ndim) {
        return false;
    }
    p->to = (char *)drop(&p->dst, p->to, end);
    p->from = drop(&p->src, p->from, end);
    return true;
}

/* Whether this is the child of the process that the copy began in. */
static bool
is_forked(const Job *job)
{
    return rebirth_process() != job->process;
}

static bool
may_go_on(Worker *w)
{
    struct timespec now;
    if (atomic_load_explicit(&w->job->stop, memory_order_relaxed)) {
        return false;
    }
    if (w->go_on == NULL) {
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - w->asked.tv_sec) * 1000000000L + now.tv_nsec -
            w->asked.tv_nsec <
        ASK_AFTER) {
        return true;
    }
    w->job->ended = !w->go_on(w->context);
    clock_gettime(CLOCK_MONOTONIC, &w->asked);
    if (w->job->ended || is_forked(w->job)) {
        atomic_store(&w->job->stop, true);
        return false;
    }
    return true;
}

/* Returns false if it was stopped. */
static bool
copy_part(Worker *w, const Part *p)
{
    Job *job = w->job;
    if (w->passed++ != w->mine) {
        return true;
    }
    if (!may_go_on(w)) {
        return false;
    }
    transfer_items(p->to, &p->dst, p->from, &p->src, job->itemsize);
    w->mine = atomic_fetch_add(&job->begun, 1);
    return true;
}

static bool
copy_parts(Worker *w, const Part *whole, Py_ssize_t nbytes)
{
    Part half = *whole;
    int axis = -1;
    while (nbytes > w->job->most && (axis = outermost(&half)) < 0 &&
           enter(&half)) {
    }
    if (axis < 0) {
        return copy_part(w, &half);
    }
    Py_ssize_t n = half.dst.shape[axis], first = n / 2;
    Py_ssize_t each = nbytes / n;
    half.dst.shape[axis] = half.src.shape[axis] = first;
    if (!copy_parts(w, &half, first * each)) {
        return false;
    }
    half.dst.shape[axis] = half.src.shape[axis] = n - first;
    half.to += first * half.dst.strides[axis];
    half.from += first * half.src.strides[axis];
    return copy_parts(w, &half, (n - first) * each);
}

/* ---- threads -------------------------------------------------------------------- */

static void
job_drop(Job *job)
{
    if (atomic_fetch_sub(&job->holders, 1) == 1) {
        free(job);
    }
}

static bool
take_part(Job *job, bool (*go_on)(void *), void *context)
{
    Worker w = {.job = job, .go_on = go_on, .context = context};
    clock_gettime(CLOCK_MONOTONIC, &w.asked);
    w.mine = atomic_fetch_add(&job->begun, 1);
    return copy_parts(&w, &job->all, job->all.dst.nbytes);
}

static void *
help(void *arg)
{
    take_part(arg, NULL, NULL);
    job_drop(arg);
    return NULL;
}

static int
helpers_wanted(Py_ssize_t nbytes)
{
    cpu_set_t cpus;
    if (nbytes < ALONE || sched_getaffinity(0, sizeof cpus, &cpus) != 0) {
        return 0;
    }
    int n = CPU_COUNT(&cpus);
    return (n < THREADS_MAX ? n : THREADS_MAX) - 1;
}

/* Starts as many as it can. They are given no signals. */
static int
start_helpers(Job *job, pthread_t *threads, int n)
{
    sigset_t all, before;
    pthread_attr_t small;
    int started = 0;
    if (n == 0 || pthread_attr_init(&small) != 0) {
        return 0;
    }
    pthread_attr_setstacksize(&small, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < n; started++) {
        atomic_fetch_add(&job->holders, 1);
        if (pthread_create(&threads[started], &small, help, job) != 0) {
            atomic_fetch_sub(&job->holders, 1);
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&small);
    return started;
}

int
transfer_large(char *to, const Layout *dst, const char *from,
               const Layout *src, Py_ssize_t itemsize, bool (*go_on)(void *),
               void *context)
{
    /* Not on this thread's stack: a thread that waits for Python's lock ends
     * there if Python does, and leaves the helpers to themselves. */
    Job *job = malloc(sizeof *job);
    if (job == NULL) {
        return -1;
    }
    *job = (Job){.all = {to, from, *dst, *src},
                 .itemsize = itemsize,
                 .process = rebirth_process()};
    atomic_init(&job->begun, 0);
    atomic_init(&job->stop, false);
    atomic_init(&job->holders, 1);
    int helpers = helpers_wanted(dst->nbytes);
    job->most = dst->nbytes / (8 * (helpers + 1));
    job->most = job->most < PART_MIN   ? PART_MIN
                : job->most > PART_MAX ? PART_MAX
                                       : job->most;
    pthread_t threads[THREADS_MAX];
    helpers = start_helpers(job, threads, helpers);
    bool done = take_part(job, go_on, context);
    while (is_forked(job)) { /* by go_on() */
        /* The helpers are not here, and nobody knows what they had copied. */
        helpers = 0;
        job->process = rebirth_process();
        atomic_store(&job->holders, 1);
        atomic_store(&job->begun, 0);
        atomic_store(&job->stop, false);
        done = !job->ended && take_part(job, go_on, context);
    }
    for (int i = 0; i < helpers; i++) {
        pthread_join(threads[i], NULL);
    }
    job_drop(job);
    return done;
}
