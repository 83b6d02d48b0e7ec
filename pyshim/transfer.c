/* transfer.c: items of one layout into another of the same shape.
 *
 * Knows no Python objects and needs no GIL: whoever calls it sees to it that
 * both memories stay. Nothing here fails.
 *
 * The axes are brought into an order that suits the destination. Then all but
 * two of them are loops around a block of rows. A row is a pointer, so it
 * makes no difference whether a step along an axis is an addition or leads
 * through a table of pointers. */
#include "transfer.h"

#include <string.h>

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

/* ---- the plan ---------------------------------------------------------------- */

typedef struct {
    Py_ssize_t n;    /* items along it */
    Py_ssize_t to;   /* bytes from one to the next */
    Py_ssize_t from; /* likewise */
    Py_ssize_t hop;  /* suboffset: a pointer is followed; or -1 */
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
    Py_ssize_t shift; /* bytes to add to a source address at its end */
    int walked; /* so many axes, the first, lead to a pointer: in the order of
                 * the source. The others only add. */
    int ndim;
    int row;  /* axis along which a block has its rows; -1: a single row */
    int item; /* axis along the rows; -1: single items */
    Axis axes[PYBUF_MAX_NDIM];
    Py_ssize_t index[PYBUF_MAX_NDIM]; /* of the loops */
} Plan;

static Py_ssize_t
distance(Py_ssize_t stride)
{
    return stride < 0 ? -stride : stride;
}

/* Whether a belongs outside of b, seen from the destination. */
static bool
is_outer(const Axis *a, const Axis *b)
{
    Py_ssize_t mine = distance(a->to), other = distance(b->to);
    return mine != other ? mine > other
                         : distance(a->from) > distance(b->from);
}

/* One more axis that only adds: turned so that the destination is written
 * upwards, and put into its place. */
static void
plan_add(Plan *p, Axis axis, char **to)
{
    if (axis.to < 0) {
        *to += (axis.n - 1) * axis.to;
        p->shift += (axis.n - 1) * axis.from;
        axis.to = -axis.to;
        axis.from = -axis.from;
    }
    int i = p->ndim++;
    for (; i > p->walked && is_outer(&axis, &p->axes[i - 1]); i--) {
        p->axes[i] = p->axes[i - 1];
    }
    p->axes[i] = axis;
}

/* Two axes that are one on both sides become one. */
static void
plan_merge(Plan *p)
{
    int last = p->walked;
    for (int i = p->walked + 1; i < p->ndim; i++) {
        Axis *outer = &p->axes[last], *inner = &p->axes[i];
        if (outer->to == inner->to * inner->n &&
            outer->from == inner->from * inner->n) {
            inner->n *= outer->n;
            *outer = *inner;
        }
        else {
            p->axes[++last] = *inner;
        }
    }
    if (p->ndim > p->walked) {
        p->ndim = last + 1;
    }
}

/* Whether rows at this distance find room in the cache together: distances
 * that are multiples of a large power of two share a few places of it. */
static bool
is_spread(Py_ssize_t stride)
{
    return (stride & (4 * CACHE_LINE - 1)) != 0 || distance(stride) <= SHORT;
}

/* Which axes make up the blocks, and how those are copied. */
static void
plan_block(Plan *p)
{
    int fast = p->ndim - 1; /* where the destination moves least */
    for (int i = 0; i < p->walked; i++) {
        if (p->axes[i].n > 1 &&
            (fast < 0 ||
             distance(p->axes[i].to) < distance(p->axes[fast].to))) {
            fast = i;
        }
    }
    int near = -1; /* where the source moves least */
    for (int i = p->walked; i < p->ndim; i++) {
        if (p->axes[i].from != 0 &&
            (near < 0 ||
             distance(p->axes[i].from) <= distance(p->axes[near].from))) {
            near = i;
        }
    }
    p->row = fast;
    p->item = near;
    if (fast >= p->walked && (near < 0 || p->axes[fast].from == 0 ||
                              distance(p->axes[fast].from) <=
                                  distance(p->axes[near].from))) {
        /* Both sides agree. */
        p->item = fast;
        p->row = p->ndim > 1 ? fast - 1 : -1;
    }
    p->way = LINES;
    if (p->row != fast || near < 0) {
        return;
    }
    const Axis *row = &p->axes[fast], *item = &p->axes[near];
    bool small = item->n < FEW || row->n <= ROWS ||
                 row->n <= NEAR / item->n / p->itemsize;
    if (fast >= p->walked &&
        (distance(row->from) <= SHORT || !p->loops->constant ||
         (small && is_spread(row->from)))) {
        p->way = COLUMNS;
    }
    else if (p->itemsize < WIDTH / 4) {
        p->way = TILES;
    }
}

/* Returns false if there is nothing to copy. */
static bool
plan_make(Plan *p, char **to, const Layout *dst, const Layout *src,
          Py_ssize_t itemsize)
{
    p->itemsize = itemsize;
    p->loops = loops_of(itemsize);
    p->shift = 0;
    p->walked = 0;
    p->ndim = 0;
    int linear = 0; /* the first axis behind all pointers */
    for (int i = 0; i < dst->ndim; i++) {
        if (dst->shape[i] == 0) {
            return false;
        }
        if (src->indirect && src->suboffsets[i] >= 0) {
            linear = i + 1;
        }
    }
    for (int i = 0; i < dst->ndim; i++) {
        Axis axis = {.n = dst->shape[i],
                     .to = dst->strides[i],
                     .from = src->strides[i],
                     .hop = i < linear ? src->suboffsets[i] : -1};
        if (axis.n == 1 && axis.hop < 0) {
            continue;
        }
        if (i < linear) {
            p->axes[p->ndim++] = axis;
            p->walked = p->ndim;
        }
        else {
            plan_add(p, axis, to);
        }
    }
    plan_merge(p);
    plan_block(p);
    return true;
}

/* ---- blocks --------------------------------------------------------------------- */

/* Where the items begin that `index` leads to, but for what the axes behind
 * all pointers add. */
static const char *
reach(const Plan *p, const char *from)
{
    for (int i = 0; i < p->walked; i++) {
        from += p->index[i] * p->axes[i].from;
        if (p->axes[i].hop >= 0) {
            /* Nobody promises that the tables are aligned. */
            memcpy(&from, from, sizeof from);
            from += p->axes[i].hop;
        }
    }
    return from + p->shift;
}

/* m rows whose items lie beside each other in the destination. */
static void
tile_rows(const Plan *p, char *to, const char *const *rows, Py_ssize_t m)
{
    char tile[TILE];
    const Axis *row = &p->axes[p->row], *item = &p->axes[p->item];
    Py_ssize_t size = p->itemsize;
    Py_ssize_t width = m * size;
    Py_ssize_t most = TILE / width;
    bool straight = m < FEW && row->to == size;
    for (Py_ssize_t j = 0; j < item->n; j += most) {
        Py_ssize_t n = item->n - j < most ? item->n - j : most;
        if (straight) {
            p->loops->turn(to + j * item->to, item->to, rows, m,
                           j * item->from, item->from, n, (size_t)size);
            continue;
        }
        p->loops->turn(tile, width, rows, m, j * item->from, item->from, n,
                       (size_t)size);
        for (Py_ssize_t k = 0; k < n; k++) {
            char *column = to + (j + k) * item->to;
            if (row->to == size) {
                memcpy(column, tile + k * width, (size_t)width);
            }
            else {
                p->loops->line(column, row->to, tile + k * width, size, m,
                               (size_t)size);
            }
        }
    }
}

/* m rows, one after the other. */
static void
copy_rows(const Plan *p, char *to, Py_ssize_t to_row, const char *const *rows,
          Py_ssize_t m)
{
    size_t size = (size_t)p->itemsize;
    Axis item = {.n = 1, .to = p->itemsize, .from = p->itemsize};
    if (p->item >= 0) {
        item = p->axes[p->item];
    }
    if (item.to == p->itemsize && item.from == p->itemsize) {
        for (Py_ssize_t i = 0; i < m; i++) {
            memcpy(to + i * to_row, rows[i], (size_t)item.n * size);
        }
    }
    else if (item.to == p->itemsize && item.from == 0 && size <= CACHE_LINE) {
        for (Py_ssize_t i = 0; i < m; i++) {
            loops_repeat(to + i * to_row, rows[i], item.n, size);
        }
    }
    else {
        for (Py_ssize_t i = 0; i < m; i++) {
            p->loops->line(to + i * to_row, item.to, rows[i], item.from,
                           item.n, size);
        }
    }
}

/* Columns one after the other, each a line of the destination, of so many rows
 * at a time that they stay in the cache meanwhile. */
static void
copy_columns(const Plan *p, char *to, const char *from)
{
    const Axis *row = &p->axes[p->row], *item = &p->axes[p->item];
    Py_ssize_t bytes = item->n * distance(item->from);
    if (bytes > distance(row->from)) {
        bytes = distance(row->from);
    }
    Py_ssize_t least = is_spread(row->from) ? ROWS : ROWS / 8;
    Py_ssize_t most = NEAR / bytes;
    if (most < least || least < ROWS) {
        most = least;
    }
    for (Py_ssize_t i = 0; i < row->n; i += most) {
        Py_ssize_t m = row->n - i < most ? row->n - i : most;
        for (Py_ssize_t j = 0; j < item->n; j++) {
            p->loops->line(to + i * row->to + j * item->to, row->to,
                           from + i * row->from + j * item->from, row->from,
                           m, (size_t)p->itemsize);
        }
    }
}

/* The block that the loops have come to. `linear` is what the axes behind all
 * pointers add to a source address. */
static void
copy_block(Plan *p, char *to, const char *from, Py_ssize_t linear)
{
    static const Axis single = {.n = 1};
    const Axis *row = p->row < 0 ? &single : &p->axes[p->row];
    bool walks = p->row >= 0 && p->row < p->walked;
    const char *base = walks ? NULL : reach(p, from) + linear;
    if (p->way == COLUMNS) {
        copy_columns(p, to, base);
        return;
    }
    const char *rows[ROWS];
    Py_ssize_t most = ROWS;
    if (p->way == TILES && p->itemsize * ROWS > WIDTH) {
        most = WIDTH / p->itemsize;
    }
    for (Py_ssize_t i = 0; i < row->n; i += most) {
        Py_ssize_t m = row->n - i < most ? row->n - i : most;
        for (Py_ssize_t k = 0; k < m; k++) {
            if (walks) {
                p->index[p->row] = i + k;
                rows[k] = reach(p, from) + linear;
            }
            else {
                rows[k] = base + (i + k) * row->from;
            }
        }
        if (p->way == TILES) {
            tile_rows(p, to + i * row->to, rows, m);
        }
        else {
            copy_rows(p, to + i * row->to, row->to, rows, m);
        }
    }
}

void
transfer_items(char *to, const Layout *dst, const char *from,
               const Layout *src, Py_ssize_t itemsize)
{
    Plan p;
    if (!plan_make(&p, &to, dst, src, itemsize)) {
        return;
    }
    int loops[PYBUF_MAX_NDIM]; /* the axes around a block */
    int n = 0;
    for (int i = 0; i < p.ndim; i++) {
        p.index[i] = 0;
        if (i != p.row && i != p.item) {
            loops[n++] = i;
        }
    }
    Py_ssize_t linear = 0;
    for (;;) {
        copy_block(&p, to, from, linear);
        int k = n - 1;
        for (; k >= 0; k--) {
            int i = loops[k];
            const Axis *axis = &p.axes[i];
            Py_ssize_t back = ++p.index[i] < axis->n ? 0 : axis->n;
            to += (1 - back) * axis->to;
            if (i >= p.walked) {
                linear += (1 - back) * axis->from;
            }
            if (back == 0) {
                break;
            }
            p.index[i] = 0;
        }
        if (k < 0) {
            return;
        }
    }
}
