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

static Py_ssize_t
distance(const Axis *axis, int side)
{
    Py_ssize_t step = axis->step[side];
    return step < 0 ? -step : step;
}

/* Whether a belongs outside of b, seen from the destination. */
static bool
is_outer(const Axis *a, const Axis *b)
{
    Py_ssize_t mine = distance(a, TO), other = distance(b, TO);
    return mine != other ? mine > other
                         : distance(a, FROM) > distance(b, FROM);
}

/* One more axis that only adds: turned so that the destination is written
 * upwards, and put into its place. */
static void
plan_add(Plan *p, Axis axis)
{
    if (axis.step[TO] < 0) {
        for (int side = 0; side < SIDES; side++) {
            p->shift[side] += (axis.n - 1) * axis.step[side];
            axis.step[side] = -axis.step[side];
        }
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
        if (outer->step[TO] == inner->step[TO] * inner->n &&
            outer->step[FROM] == inner->step[FROM] * inner->n) {
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
    return (stride & (4 * CACHE_LINE - 1)) != 0 ||
           (stride <= SHORT && stride >= -SHORT);
}

/* The axis along which one side moves least, of those where it is known how far
 * it moves: not through a pointer. -1: there is none. */
static int
nearest(const Plan *p, int side)
{
    int best = -1;
    for (int i = p->ndim - 1; i >= p->pointed[side]; i--) {
        const Axis *axis = &p->axes[i];
        if (axis->n > 1 && axis->step[side] != 0 &&
            (best < 0 ||
             distance(axis, side) < distance(&p->axes[best], side))) {
            best = i;
        }
    }
    return best;
}

/* Which axes make up the blocks, and how those are copied. */
static void
plan_block(Plan *p)
{
    int fast = nearest(p, TO), near = nearest(p, FROM);
    p->way = LINES;
    if (fast >= p->walked &&
        (near < 0 || p->axes[fast].step[FROM] == 0 ||
         distance(&p->axes[fast], FROM) <= distance(&p->axes[near], FROM))) {
        /* Both sides agree. */
        p->item = fast;
        p->row = fast - 1;
        return;
    }
    p->item = near >= p->walked ? near : -1;
    p->row = fast >= 0 ? fast : p->item < 0 ? p->ndim - 1 : p->item - 1;
    if (fast < 0 || near < 0) {
        return;
    }
    const Axis *row = &p->axes[fast], *item = &p->axes[near];
    bool small = item->n < FEW || row->n <= ROWS ||
                 row->n <= NEAR / item->n / p->itemsize;
    if (fast >= p->walked && near >= p->walked &&
        (distance(row, FROM) <= SHORT || !p->loops->constant ||
         (small && is_spread(row->step[FROM])))) {
        p->way = COLUMNS;
    }
    else if (p->itemsize < WIDTH / 4) {
        p->way = TILES;
        p->item = near;
    }
    else if (near < p->walked && fast >= p->walked) {
        p->row = near;
        p->item = fast;
    }
}

static bool
hops(const Layout *l, int axis)
{
    return l->indirect && l->suboffsets[axis] >= 0;
}

/* Returns false if there is nothing to copy. */
static bool
plan_make(Plan *p, char *to, const Layout *dst, const char *from,
          const Layout *src, Py_ssize_t itemsize)
{
    const Layout *layouts[SIDES] = {dst, src};
    p->itemsize = itemsize;
    p->loops = loops_of(itemsize);
    p->base[TO] = to;
    p->base[FROM] = (char *)from; /* which is only read */
    p->walked = 0;
    p->ndim = 0;
    int behind = 0; /* the first axis behind all pointers */
    for (int side = 0; side < SIDES; side++) {
        p->shift[side] = p->linear[side] = 0;
        p->pointed[side] = 0;
    }
    for (int i = 0; i < dst->ndim; i++) {
        if (dst->shape[i] == 0) {
            return false;
        }
        if (hops(src, i) || hops(dst, i)) {
            behind = i + 1;
        }
    }
    for (int i = 0; i < dst->ndim; i++) {
        Axis axis = {.n = dst->shape[i]};
        bool leads = false;
        for (int side = 0; side < SIDES; side++) {
            axis.step[side] = layouts[side]->strides[i];
            axis.hop[side] = -1;
            if (hops(layouts[side], i)) {
                axis.hop[side] = layouts[side]->suboffsets[i];
                p->pointed[side] = p->ndim + 1;
                leads = true;
            }
        }
        if (axis.n == 1 && !leads) {
            continue;
        }
        if (i < behind) {
            p->axes[p->ndim++] = axis;
            p->walked = p->ndim;
        }
        else {
            plan_add(p, axis);
        }
    }
    plan_merge(p);
    plan_block(p);
    return true;
}

/* ---- blocks --------------------------------------------------------------------- */

/* Where the items of one side begin that `index` leads to. */
static inline char *
reach(const Plan *p, int side)
{
    char *at = p->base[side];
    for (int i = 0; i < p->walked; i++) {
        at += p->index[i] * p->axes[i].step[side];
        if (p->axes[i].hop[side] >= 0) {
            /* Nobody promises that the tables are aligned. */
            memcpy(&at, at, sizeof at);
            at += p->axes[i].hop[side];
        }
    }
    return at + p->shift[side] + p->linear[side];
}

/* Where n rows begin, or columns: those from `first` on along an axis. */
static void
reach_all(Plan *p, int side, int axis, Py_ssize_t first, Py_ssize_t n,
          char **out)
{
    if (axis < p->walked && axis >= 0) {
        for (Py_ssize_t k = 0; k < n; k++) {
            p->index[axis] = first + k;
            out[k] = reach(p, side);
        }
        p->index[axis] = 0;
        return;
    }
    char *at = reach(p, side);
    Py_ssize_t step = axis < 0 ? 0 : p->axes[axis].step[side];
    for (Py_ssize_t k = 0; k < n; k++) {
        out[k] = at + (first + k) * step;
    }
}

/* m rows from `first` on, whose items lie beside each other in the destination. */
static void
tile_rows(Plan *p, char **rows, Py_ssize_t first, Py_ssize_t m)
{
    char tile[TILE];
    char *columns[ROWS];
    const Axis *row = &p->axes[p->row], *item = &p->axes[p->item];
    Py_ssize_t size = p->itemsize, step = item->step[FROM];
    Py_ssize_t width = m * size;
    Py_ssize_t most = TILE / width;
    Py_ssize_t to_row = row->step[TO];
    bool straight = m < FEW && to_row == size && p->item >= p->walked;
    if (!straight && most > ROWS) {
        most = ROWS;
    }
    for (Py_ssize_t j = 0; j < item->n; j += most) {
        Py_ssize_t n = item->n - j < most ? item->n - j : most;
        reach_all(p, TO, p->item, j, straight ? 1 : n, columns);
        if (straight) {
            p->loops->turn(columns[0] + first * to_row, item->step[TO], rows,
                           m, j * step, step, n, (size_t)size);
            continue;
        }
        p->loops->turn(tile, width, rows, m, j * step, step, n, (size_t)size);
        for (Py_ssize_t k = 0; k < n; k++) {
            char *column = columns[k] + first * to_row;
            if (to_row == size) {
                memcpy(column, tile + k * width, (size_t)width);
            }
            else {
                p->loops->line(column, to_row, tile + k * width, size, m,
                               (size_t)size);
            }
        }
    }
}

/* m rows, one after the other. */
static void
copy_rows(const Plan *p, char *const *to, char *const *from, Py_ssize_t m)
{
    size_t size = (size_t)p->itemsize;
    Py_ssize_t n = 1, to_step = p->itemsize, from_step = p->itemsize;
    if (p->item >= 0) {
        const Axis *item = &p->axes[p->item];
        n = item->n;
        to_step = item->step[TO];
        from_step = item->step[FROM];
    }
    if (to_step == p->itemsize && from_step == p->itemsize) {
        for (Py_ssize_t i = 0; i < m; i++) {
            memcpy(to[i], from[i], (size_t)n * size);
        }
    }
    else if (to_step == p->itemsize && from_step == 0 && size <= CACHE_LINE) {
        for (Py_ssize_t i = 0; i < m; i++) {
            loops_repeat(to[i], from[i], n, size);
        }
    }
    else {
        for (Py_ssize_t i = 0; i < m; i++) {
            p->loops->line(to[i], to_step, from[i], from_step, n, size);
        }
    }
}

/* Columns one after the other, each a line of the destination, of so many rows
 * at a time that they stay in the cache meanwhile. */
static void
copy_columns(const Plan *p, char *to, const char *from)
{
    const Axis *row = &p->axes[p->row], *item = &p->axes[p->item];
    Py_ssize_t bytes = item->n * distance(item, FROM);
    if (bytes > distance(row, FROM)) {
        bytes = distance(row, FROM);
    }
    Py_ssize_t least = is_spread(row->step[FROM]) ? ROWS : ROWS / 8;
    Py_ssize_t most = NEAR / bytes;
    if (most < least || least < ROWS) {
        most = least;
    }
    for (Py_ssize_t i = 0; i < row->n; i += most) {
        Py_ssize_t m = row->n - i < most ? row->n - i : most;
        for (Py_ssize_t j = 0; j < item->n; j++) {
            p->loops->line(
                to + i * row->step[TO] + j * item->step[TO], row->step[TO],
                from + i * row->step[FROM] + j * item->step[FROM],
                row->step[FROM], m, (size_t)p->itemsize);
        }
    }
}

/* The block that the loops have come to. */
static void
copy_block(Plan *p)
{
    if (p->way == COLUMNS) {
        copy_columns(p, reach(p, TO), reach(p, FROM));
        return;
    }
    char *rows[ROWS], *to[ROWS];
    Py_ssize_t all = p->row < 0 ? 1 : p->axes[p->row].n;
    Py_ssize_t most = ROWS;
    if (p->way == TILES && p->itemsize * ROWS > WIDTH) {
        most = WIDTH / p->itemsize;
    }
    for (Py_ssize_t i = 0; i < all; i += most) {
        Py_ssize_t m = all - i < most ? all - i : most;
        reach_all(p, FROM, p->row, i, m, rows);
        if (p->way == TILES) {
            tile_rows(p, rows, i, m);
        }
        else {
            reach_all(p, TO, p->row, i, m, to);
            copy_rows(p, to, rows, m);
        }
    }
}

void
transfer_items(char *to, const Layout *dst, const char *from,
               const Layout *src, Py_ssize_t itemsize)
{
    Plan p;
    if (!plan_make(&p, to, dst, from, src, itemsize)) {
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
    for (;;) {
        copy_block(&p);
        int k = n - 1;
        for (; k >= 0; k--) {
            int i = loops[k];
            const Axis *axis = &p.axes[i];
            Py_ssize_t back = ++p.index[i] < axis->n ? 0 : axis->n;
            for (int side = 0; side < SIDES && i >= p.walked; side++) {
                p.linear[side] += (1 - back) * axis->step[side];
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
