/* pybuf.h: the descriptor, by which one library hands memory and its layout
 * to another, in one process.
 *
 * A producer fills one in and gives its address away, or NULL if it has no
 * memory for one. The consumer looks at version and flags, takes it over, once,
 * and calls its release, once. Nothing else passes between them: neither needs
 * the other's language, runtime or header files but this one.
 *
 *     producer                          consumer
 *     d = one block of malloc
 *     d->magic = ...; d->data = ...
 *     return (uintptr_t)d         ->    pybuf_descriptor_take(d)
 *                                       ... looks at d->data ...
 *                                 <-    d->release(d)
 *     gives the memory back, free(d)
 *
 * In Python pybuf.adopt(d) is the consumer and pybuf.lend(obj) the producer.
 * In Go they are pybuf.Slice and Buffer.Export.
 *
 * Rules for the whole header, exceptions are noted at the item:
 * - Units: sizes, strides and suboffsets are bytes; extents are items.
 * - Ownership: the descriptor and all that it points to belong to the
 *   producer, who keeps it unchanged until release is called. Whoever has
 *   taken it may read it; nobody may write to it.
 * - Threads: any thread may take, read and release, with or without locks of
 *   its own; each of these happens in one thread at a time.
 * - Pointers may not be NULL unless the item says so.
 */
#ifndef PYBUF_H
#define PYBUF_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* First word of a descriptor that nobody has taken: "PYBUFDSC" in memory on
 * little-endian machines. */
#define PYBUF_DESCRIPTOR_MAGIC UINT64_C(0x4353444655425950)

/* Version of the struct below. Whoever knows version n reads every version up
 * to n: fields are added at the end, and flags that change the meaning of old
 * fields raise the version. */
#define PYBUF_DESCRIPTOR_VERSION 1

/* Name of a PyCapsule whose pointer is a descriptor, and its name after it was
 * taken over: by this a second take is always noticed. Its destructor is the
 * producer's: where it finds the first name it takes the descriptor itself, and
 * releases it. */
#define PYBUF_CAPSULE "pybuf_descriptor"
#define PYBUF_CAPSULE_USED "used_pybuf_descriptor"

/* The most dimensions of a layout: PyBUF_MAX_NDIM of CPython. */
#define PYBUF_MAX_NDIM 64

/* Bits of pybuf_descriptor.flags. One that the consumer does not know is a
 * reason to refuse. */
enum {
    /* The memory may not be written to. */
    PYBUF_FLAG_READONLY = 1,
    /* The memory belongs to a runtime that does not outlive a fork: release
     * may be called only in the process whose number is in `pid`. In a forked
     * child the consumer may look at the memory, which is a copy, and drops
     * it without a call. */
    PYBUF_FLAG_PROCESS = 2,
    /* There is no memory: the producer failed. `format` is a text for people,
     * UTF-8; `ndim` is one of the kinds below; with PYBUF_ESYSTEM `nbytes` is
     * the errno. The other fields but `release`, `ctx` and with
     * PYBUF_FLAG_PROCESS `pid` say nothing. */
    PYBUF_FLAG_ERROR = 4
};

/* Kinds of errors, and the exceptions of Python that they are. */
enum {
    PYBUF_OK = 0,
    PYBUF_EVALUE = 1,    /* a value that cannot be: ValueError */
    PYBUF_ETYPE = 2,     /* something of the wrong sort: TypeError */
    PYBUF_EOVERFLOW = 3, /* a number too large for what it counts: OverflowError */
    PYBUF_EMEMORY = 4,   /* memory that cannot be had: MemoryError */
    PYBUF_EBUFFER = 5,   /* a request that a buffer cannot answer: BufferError */
    PYBUF_ERUNTIME = 6,  /* whatever else failed: RuntimeError */
    PYBUF_ESYSTEM = 7    /* a call of the operating system: OSError */
};

/* Memory and its layout. The producer makes it as one block of malloc, or of
 * whatever its own release frees; it is aligned to 8 bytes. */
typedef struct pybuf_descriptor {
    /* PYBUF_DESCRIPTOR_MAGIC until somebody takes it, then anything else. Read
     * and changed by pybuf_descriptor_take only. */
    uint64_t magic;

    /* PYBUF_DESCRIPTOR_VERSION of the header that the producer knew. */
    uint32_t version;

    /* PYBUF_FLAG_ bits. */
    uint32_t flags;

    /* Dimensions, 0 to PYBUF_MAX_NDIM; 0 is one item alone. */
    int32_t ndim;

    /* With PYBUF_FLAG_PROCESS: getpid() of the producer. Else 0. */
    int32_t pid;

    /* Where the item lies whose indices are all 0. NULL only if there are no
     * items. With suboffsets: where the outermost table of pointers begins. */
    void *data;

    /* Bytes of one item, > 0, the same as `format` says. */
    int64_t itemsize;

    /* Bytes of all items: product of the extents times itemsize, whatever
     * gaps or overlaps there are (Py_buffer.len). */
    int64_t nbytes;

    /* PEP 3118 format of an item, such as "d" or "T{<i:id:<d:price:}". */
    const char *format;

    /* Items along each axis, each >= 0. NULL if ndim is 0. */
    const int64_t *shape;

    /* Bytes from one index to the next along each axis, any sign. NULL: the
     * items lie packed, the last index moves fastest. */
    const int64_t *strides;

    /* For each axis, what to add to the pointer that is read there, or a
     * negative number where none is read (PEP 3118). NULL: none anywhere. With
     * any that is not negative, strides may not be NULL. */
    const int64_t *suboffsets;

    /* Gives memory and descriptor back: called once, by whoever took it, on
     * any thread; afterwards neither may be touched. It may not throw, and
     * may not wait for a lock of the consumer's, such as Python's GIL if that
     * is Python. A descriptor of Python's own does wait for the GIL: hold no
     * lock that a thread of Python's may want. */
    void (*release)(struct pybuf_descriptor *);

    /* The producer's. May be NULL. */
    void *ctx;
} pybuf_descriptor;

/* Takes the descriptor over: what follows is the caller's duty to call release.
 * d may be NULL. Of several threads that try, one gets it.
 * Returns: 1, or 0 if it is none or was taken before. That is sure while its
 * block lives; after the release it is like a second free(). */
static inline int
pybuf_descriptor_take(pybuf_descriptor *d)
{
    uint64_t untaken = PYBUF_DESCRIPTOR_MAGIC;
    return d != 0 &&
           __atomic_compare_exchange_n(&d->magic, &untaken, 0, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif

#endif
