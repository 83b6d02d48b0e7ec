/* rebirth.c: a living Go runtime, in forked children too.
 *
 * fork() copies the calling thread and no other: in the child the runtime has
 * no thread to run its scheduler and collector, and locks may be held for
 * ever by threads that are not there. It is left alone, with all that its memory
 * holds, and another one is started from the same image when it is needed:
 *
 * - from memory, not from the file, which may be gone or be another one by now.
 *   The mapping keeps the file that was loaded, and nothing of it is read
 *   until then;
 * - under a name that was never used, since the loader answers a known name
 *   with what it has loaded under it. */
#include "runtime.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(const GoRuntime *) living;
static atomic_uint generation;
static atomic_uint loads; /* of this image again, in this line of processes */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int process; /* that loaded the library, or was forked since */

/* ---- the image --------------------------------------------------------------------- */

static struct {
    void *bytes; /* NULL: `lost` says why */
    size_t size;
    char lost[REASON_CAP];
} image;

/* How many bytes of the file are looked at: its headers and its build ID. */
#define HEAD 1024

/* Called on the way in, and after a mere dlopen at some time later: by then the
 * path may lead to another file, which is told by its head. */
static void
map_image(void)
{
    Dl_info us;
    struct stat file;
    if (dladdr((void *)&map_image, &us) == 0) {
        snprintf(image.lost, REASON_CAP, "the loader does not know its file");
        return;
    }
    int fd = open(us.dli_fname, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) < 0) {
        snprintf(image.lost, REASON_CAP, "its file %.300s could not be read: %s",
                 us.dli_fname, strerror(errno));
    }
    else if (file.st_size < HEAD) {
        snprintf(image.lost, REASON_CAP, "its file %.300s is cut short",
                 us.dli_fname);
    }
    else {
        void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE,
                           fd, 0);
        if (bytes == MAP_FAILED) {
            snprintf(image.lost, REASON_CAP,
                     "its file %.300s could not be mapped: %s", us.dli_fname,
                     strerror(errno));
        }
        else if (memcmp(bytes, us.dli_fbase, HEAD) != 0) {
            snprintf(image.lost, REASON_CAP,
                     "its file %.300s was replaced before the import",
                     us.dli_fname);
            munmap(bytes, (size_t)file.st_size);
        }
        else {
            image.bytes = bytes;
            image.size = (size_t)file.st_size;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 0x0001U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* glibc has a function for it from 2.27 on, and wheels run on 2.17. */
static int
memory_file(unsigned flags)
{
    return (int)syscall(SYS_memfd_create, "pybuf", flags);
}

/* The image as a file without a name. Returns its descriptor, or -1 and errno.
 * A file that was cut short after it was mapped gives EFAULT here, where
 * reading the mapping would end the process. */
static int
image_file(void)
{
    int fd = memory_file(MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) { /* a kernel before 6.3 */
        fd = memory_file(MFD_CLOEXEC);
    }
    for (size_t done = 0; fd >= 0 && done < image.size;) {
        ssize_t n = write(fd, (char *)image.bytes + done, image.size - done);
        if (n < 0 && errno != EINTR) {
            int reason = errno;
            close(fd);
            errno = reason;
            return -1;
        }
        done += n < 0 ? 0 : (size_t)n;
    }
    (void)madvise(image.bytes, image.size, MADV_DONTNEED); /* read once */
    return fd;
}

/* A path to the descriptor that was not used before in this process, nor by
 * those it was forked from: how often the image was loaded is written into it,
 * by two spellings of nothing. */
static void
new_name(int fd, char *out, size_t size)
{
    unsigned n = atomic_fetch_add(&loads, 1) + 1;
    int used = snprintf(out, size, "/proc/self/fd/");
    for (; n != 0; n /= 2) {
        used += snprintf(out + used, size - (size_t)used, n % 2 ? "./" : "//");
    }
    snprintf(out + used, size - (size_t)used, "%d", fd);
}

/* ---- the rebirth --------------------------------------------------------------------- */

static const GoRuntime *
start_of(void *handle, char *why)
{
    /* What dlsym gives is a function, whatever ISO C says of the cast. */
    const GoRuntime *(*start)(char *) = NULL;
    void *found = dlsym(handle, "pybuf_runtime_start");
    memcpy(&start, &found, sizeof start);
    if (start == NULL || start == pybuf_runtime_start) {
        snprintf(why, REASON_CAP, "the loader gave back the dead one");
        return NULL;
    }
    const GoRuntime *runtime = start(why);
    if (runtime != NULL && (runtime->abi != PYBUF_ABI ||
                            runtime->size != sizeof(GoRuntime))) {
        snprintf(why, REASON_CAP, "another version of pybuf was loaded");
        return NULL;
    }
    return runtime;
}

static const GoRuntime *
load_again(char *why)
{
    char name[128];
    if (image.bytes == NULL) {
        snprintf(why, REASON_CAP, "%s", image.lost);
        return NULL;
    }
    if (!limits_allow(why)) {
        return NULL;
    }
    int fd = image_file();
    if (fd < 0) {
        snprintf(why, REASON_CAP, "no copy of the library can be made in memory: %s",
                 strerror(errno));
        return NULL;
    }
    new_name(fd, name, sizeof name);
    if (access(name, R_OK) < 0) {
        snprintf(why, REASON_CAP,
                 "the copy of the library in memory cannot be reached, for "
                 "which /proc must be mounted: %s",
                 strerror(errno));
        close(fd);
        return NULL;
    }
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *error = dlerror();
        snprintf(why, REASON_CAP, "the copy of the library cannot be loaded: %s",
                 error == NULL ? "no reason given" : error);
    }
    close(fd);
    return handle == NULL ? NULL : start_of(handle, why);
}

static const GoRuntime *
revive(char *why)
{
    char step[REASON_CAP];
    if (rebirth_generation() == 0) {
        const GoRuntime *first = pybuf_runtime_start(why);
        /* If it was refused, limits may have been raised since. */
        return first != NULL || limits_are_settled() ? first
                                                     : load_again(step);
    }
    const GoRuntime *again = load_again(step);
    if (again == NULL) {
        snprintf(why, REASON_CAP,
                 "this process was forked, Go's runtime is dead in it, and a "
                 "new one could not be started: %.360s",
                 step);
    }
    return again;
}

const GoRuntime *
rebirth_runtime(char *why)
{
    const GoRuntime *runtime =
        atomic_load_explicit(&living, memory_order_acquire);
    if (runtime != NULL) {
        return runtime;
    }
    pthread_mutex_lock(&lock);
    runtime = atomic_load_explicit(&living, memory_order_acquire);
    if (runtime == NULL) {
        runtime = revive(why);
        atomic_store_explicit(&living, runtime, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return runtime;
}

uint32_t
rebirth_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

int32_t
rebirth_process(void)
{
    return atomic_load_explicit(&process, memory_order_relaxed);
}

/* ---- forks --------------------------------------------------------------------------- */

/* A rebirth under way is let end first: the child could do nothing with a half
 * loaded library. */
static void
before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void
after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void
after_fork_in_child(void)
{
    const GoRuntime *dead = atomic_exchange(&living, NULL);
    atomic_fetch_add(&generation, 1);
    atomic_store(&process, getpid());
    pthread_mutex_init(&lock, NULL);
    if (dead != NULL) {
        dead->forget();
    }
}

__attribute__((constructor)) static void
note_process(void)
{
    atomic_store(&process, getpid());
}

static void
prepare(void)
{
    map_image();
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    /* The library was loaded, and then the process was forked. */
    if (rebirth_process() != getpid()) {
        atomic_store(&process, getpid());
        atomic_store(&generation, 1);
    }
}

void
rebirth_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
}
