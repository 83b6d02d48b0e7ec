/* transfer.h: what the files of transfer.c share. They know no Python objects,
 * and nothing of transfer.c, its plan and its loops fails. */
#ifndef PYBUF_TRANSFER_H
#define PYBUF_TRANSFER_H

#include "shim.h"

#define CACHE_LINE 64

/* Loops over items of one size; `size` is read by those for any. */
typedef struct {
    /* n items of one row. */
    void (*line)(char *to, Py_ssize_t to_step, const char *from,
                 Py_ssize_t from_step, Py_ssize_t n, size_t size);
    /* n items of each of m rows, from `offset` on, `step` apart, into n columns
     * of m items without gaps, `width` apart. */
    void (*turn)(char *to, Py_ssize_t width, char *const *rows,
                 Py_ssize_t m, Py_ssize_t offset, Py_ssize_t step,
                 Py_ssize_t n, size_t size);
    bool constant; /* made for one size */
} Loops;

const Loops *loops_of(Py_ssize_t itemsize);
/* n times the same item, of CACHE_LINE bytes at most, without gaps. */
void loops_repeat(char *to, const char *from, Py_ssize_t n, size_t size);

/* ---- transfer_plan.c --------------------------------------------------------- */

/* A tile, in which rows become columns, has so many rows at most, or columns
 * of so many bytes, and as many columns as fit. It stays in the fastest cache
 * together with the rows that it is made of. */
#define ROWS 256
#define WIDTH 512
#define TILE 16384
/* Bytes of source that stay in the second cache. */
#define NEAR 131072
/* Rows as short as this, in bytes, or of so few items, need no tile. */
#define SHORT 512
#define FEW 8

enum { TO, FROM, SIDES };

typedef struct {
    Py_ssize_t n;           /* items along it */
    Py_ssize_t step[SIDES]; /* bytes from one to the next */
    Py_ssize_t hop[SIDES];  /* suboffset: a pointer is followed; or -1 */
} Axis;

/* How a block is copied. */
typedef enum {
    LINES,   /* row after row */
    COLUMNS, /* column after column */
    TILES,   /* row after row into a tile, and column after column out of it */
} Way;

typedef struct {
    Py_ssize_t itemsize;
    const Loops *loops;
    Way way;
    char *base[SIDES];        /* of the outermost axes */
    Py_ssize_t shift[SIDES];  /* bytes to add to an address at its end */
    Py_ssize_t linear[SIDES]; /* what the loops behind all pointers add */
    int pointed[SIDES]; /* so many axes, the first, lead to a pointer there */
    int walked; /* the same on either side: in the order of the layouts. The
                 * other axes only add, on both. */
    int ndim;
    int row;  /* axis along which a block has its rows; -1: a single row */
    int item; /* axis along the rows; -1: single items */
    Axis axes[PYBUF_MAX_NDIM];
    Py_ssize_t index[PYBUF_MAX_NDIM]; /* along the walked axes, and the loops */
} Plan;

/* Returns false if there is nothing to copy. */
bool plan_make(Plan *p, char *to, const Layout *dst, const char *from,
               const Layout *src, Py_ssize_t itemsize);

static inline Py_ssize_t
distance(const Axis *axis, int side)
{
    Py_ssize_t step = axis->step[side];
    return step < 0 ? -step : step;
}

/* Whether rows at this distance find room in the cache together: distances
 * that are multiples of a large power of two share a few places of it. */
static inline bool
is_spread(Py_ssize_t stride)
{
    return (stride & (4 * CACHE_LINE - 1)) != 0 ||
           (stride <= SHORT && stride >= -SHORT);
}

#endif
