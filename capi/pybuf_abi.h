/* pybuf_abi.h: what the two halves of the extension say to each other.
 *
 * The Go half (capi, which calls the library pybuf) decides what an element
 * and what a layout is. The C half (pyshim) asks through the functions below
 * and carries the answers. Both halves are compiled from this header into one
 * shared library; nothing here is public. A change here is a change of
 * PYBUF_ABI.
 *
 * Rules for the whole header, exceptions are noted at the item:
 * - Units: sizes, strides and offsets are bytes; shapes are items.
 * - Ownership: every pointer belongs to the caller, is read or written during
 *   the call and never kept. Go hands over pybuf_block.data and nothing else.
 * - Threads: every function may be called on any thread, with or without the
 *   GIL, any number at once. None may be called in a child that was forked
 *   since this library was loaded: its Go runtime is dead there.
 * - Returns: PYBUF_OK, or the kind of an error whose sentence is in `err`.
 *   A failed call leaves the other outputs unspecified, one that succeeds
 *   leaves `err` alone. A function without `err` fails by PYBUF_EPANIC only,
 *   exceptions are noted.
 * - No prototype has const: cgo compares them with those that it generates.
 */
#ifndef PYBUF_ABI_H
#define PYBUF_ABI_H

#include <stdint.h>

#include "pybuf.h"

#define PYBUF_ABI 4

/* What a call returns besides the kinds of errors of pybuf.h. The shim has one
 * Python exception for each kind. */
enum {
    PYBUF_EUNKNOWN = 8, /* not a spelling of ours: somebody else may know it */
    PYBUF_EPANIC = 9    /* a bug in the Go half, caught: SystemError */
};

/* A text that Go writes into the caller's memory, UTF-8 with a NUL behind it.
 * cap: bytes at data, NUL included. len: bytes of the whole text without the
 * NUL, set by Go; len >= cap says that it was cut and how much it needs. */
typedef struct {
    char *data;
    int64_t cap;
    int64_t len;
} pybuf_text;

/* How a spelling of an element type is to be read. */
enum {
    PYBUF_FORMAT = 0,  /* PEP 3118 format, as a Py_buffer carries it */
    PYBUF_TYPESTR = 1, /* array-interface typestr, "<f8" */
    PYBUF_DTYPE = 2,   /* what a user writes: PEP 3118 first, then typestr */
    PYBUF_CTYPE = 3,   /* the name of a C type, "unsigned int" */
    PYBUF_DESCR = 4,   /* a structure that is known, see ParseDescr */
    PYBUF_READINGS = 5 /* how many there are */
};

/* An element type has no code of its own at this door. */
#define PYBUF_DL_NONE 255

/* The element record: one element type, with its code at each door. A
 * sub-array is the record of what it is made of, with the extents that each
 * shape gets at its end. */
typedef struct {
    int64_t itemsize;   /* bytes of one element, > 0 */
    int64_t align;      /* the alignment C gives it, a power of two */
    int64_t dl_code;    /* DLDataTypeCode, or PYBUF_DL_NONE */
    int64_t dl_bits;    /* bits of one DLPack lane, 0 with PYBUF_DL_NONE */
    pybuf_text format;  /* PEP 3118, as Buffers export it: "d", ">f", "Zd" */
    pybuf_text typestr; /* array interface, byte order included: "<f8" */
    pybuf_text arrow;   /* Arrow C data interface: "g"; "" where it has none */
    int64_t structured; /* 1: a record, of which typestr says the size only */
    int64_t ndim;       /* extents of a sub-array, 0 if it is none */
    int64_t *extents;   /* room for PYBUF_MAX_NDIM of them */
} pybuf_element;

/* Facts about a layout, bits of pybuf_layout.flags. */
enum {
    /* Neither holds for indirect layouts; both do without items, and axes of
     * one item do not matter. */
    PYBUF_C_CONTIGUOUS = 1, /* the last index moves fastest, no gaps */
    PYBUF_F_CONTIGUOUS = 2  /* the first index moves fastest, no gaps */
};

/* A layout to be judged, and the verdict. */
typedef struct {
    /* asked */
    int64_t ndim;        /* 0..PYBUF_MAX_NDIM */
    int64_t itemsize;    /* > 0 */
    int64_t *shape;      /* ndim items, each >= 0 */
    int64_t *strides;    /* ndim bytes; NULL: contiguous in `order`, see out_strides */
    int64_t *suboffsets; /* ndim bytes, or NULL; negative: not indirect there.
                          * With one that is not, strides are needed. */
    int64_t order;       /* 'C' or 'F', read only when strides is NULL */
    /* answered */
    int64_t *out_strides; /* room for ndim bytes; always filled */
    int64_t nbytes;       /* bytes of all elements: product(shape) * itemsize */
    int64_t low;          /* first byte in use, from element 0: <= 0 */
    int64_t high;         /* one past the last byte in use, from element 0.
                           * [low, high) is empty for zero items. Indirect: the
                           * bytes of the outermost pointer table. */
    int64_t flags;        /* PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS */
    int64_t indirect;     /* 1 if any suboffset is >= 0, else 0 */
} pybuf_layout;

/* Memory of Go's heap, pinned: it does not move and is not collected until
 * pybuf_go_free(slot). */
typedef struct {
    void *data;   /* zeroed; never NULL, not even for 0 bytes */
    int64_t slot; /* > 0 */
} pybuf_block;

/* What the Go runtime says about itself: read by tests and `python -m pybuf`. */
typedef struct {
    int64_t goroutines;
    int64_t heap_objects; /* live or not yet swept */
    int64_t heap_bytes;
    int64_t collections;  /* finished garbage collections */
    int64_t blocks;       /* pybuf_blocks that are not yet freed */
    int64_t block_bytes;  /* bytes that were asked for with them */
    pybuf_text go;        /* "go1.26.8" */
} pybuf_runtime;

/* ABI number and struct sizes of the Go half, to be held against one's own:
 * out[0] = PYBUF_ABI, out[1..4] = sizeof(pybuf_element, pybuf_layout,
 * pybuf_runtime, pybuf_block). Its return waits until the Go runtime is up. */
int32_t pybuf_go_abi(int64_t *out);

/* Version of the library, "0.1.0". */
int32_t pybuf_go_version(pybuf_text *out);

/* Reads the spelling (len bytes, any bytes) in the manner `how`. itemsize is
 * what an exporter says beside a PYBUF_FORMAT, 0 if nobody says.
 * Returns: PYBUF_EUNKNOWN only with PYBUF_DTYPE and PYBUF_CTYPE, when the
 * spelling is none of ours; PYBUF_EVALUE for what is malformed, PYBUF_ETYPE
 * for an element type that is understood and refused (the text says why). */
int32_t pybuf_go_element(char *spelling, int64_t len, int32_t how,
                         int64_t itemsize, pybuf_element *out,
                         pybuf_text *err);

/* The i-th entry of the list of plain spellings in the manner `how`, with which
 * the shim's caches are filled at import.
 * Returns: PYBUF_EUNKNOWN past the end, and for i < 0. */
int32_t pybuf_go_plain(int32_t how, int64_t i, pybuf_text *spelling,
                       pybuf_element *out);

/* Judges a layout, see pybuf_layout. */
int32_t pybuf_go_layout(pybuf_layout *layout, pybuf_text *err);

/* Memory of Go's heap: nbytes >= 0, of which the first lies at a multiple of
 * align, a power of two.
 * Returns: PYBUF_EMEMORY for a size that no machine has. One that this machine
 * does not have ends the process: ask the system first. */
int32_t pybuf_go_alloc(int64_t nbytes, int64_t align, pybuf_block *out,
                       pybuf_text *err);

/* Frees the block of the slot: nobody may look at it any more.
 * Returns: PYBUF_EVALUE if the slot has no block, or had it once. */
int32_t pybuf_go_free(int64_t slot, pybuf_text *err);

/* Reads the counters of the runtime, for which it stops all goroutines;
 * collect != 0 runs the collector first. */
int32_t pybuf_go_runtime(int32_t collect, pybuf_runtime *out);

#endif
