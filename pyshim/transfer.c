/* transfer.c: items of one layout into another of the same shape.
 *
 * Knows no Python objects and needs no GIL: whoever calls it sees to it that
 * both memories stay. Nothing here fails.
 *
 * The plan has loops around a block of rows. A row is a pointer, so it makes no
 * difference whether a step along an axis is an addition or leads through a
 * table of pointers. */
#include "transfer.h"

#include <string.h>

/* ---- blocks --------------------------------------------------------------------- */

/* Where `index` leads along the first n axes, which are walked. */
static inline char *
walk(const Plan *p, int side, int n)
{
    char *at = p->base[side];
    for (int i = 0; i < n; i++) {
        at += p->index[i] * p->axes[i].step[side];
        if (p->axes[i].hop[side] >= 0) {
            at = pointer_at(at) + p->axes[i].hop[side];
        }
    }
    return at;
}

/* Where the items of one side begin that `index` leads to. */
static inline char *
reach(const Plan *p, int side)
{
    return walk(p, side, p->walked) + p->shift[side] + p->linear[side];
}

/* The same for n entries of the innermost tables. */
static void
reach_last(const Plan *p, int side, Py_ssize_t first, Py_ssize_t n, char **out)
{
    const Axis *last = &p->axes[p->walked - 1];
    Py_ssize_t more = p->shift[side] + p->linear[side];
    char *table = walk(p, side, p->walked - 1) + first * last->step[side];
    if (last->hop[side] < 0) {
        for (Py_ssize_t k = 0; k < n; k++) {
            out[k] = table + k * last->step[side] + more;
        }
        return;
    }
    more += last->hop[side];
    for (Py_ssize_t k = 0; k < n; k++) {
        out[k] = pointer_at(table + k * last->step[side]);
        out[k] += more;
    }
}

/* Where n rows begin, or columns: those from `first` on along an axis. */
static void
reach_all(Plan *p, int side, int axis, Py_ssize_t first, Py_ssize_t n,
          char **out)
{
    if (axis >= 0 && axis == p->walked - 1) {
        reach_last(p, side, first, n, out);
        return;
    }
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
