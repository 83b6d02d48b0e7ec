/* transfer_plan.c: in which order the items of a copy are visited.
 *
 * The axes are brought into an order that suits the destination; two of them
 * make up the blocks of transfer.c, the others are loops around those. */
#include "transfer.h"

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

bool
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
        if (layout_reads_pointers(src, i) || layout_reads_pointers(dst, i)) {
            behind = i + 1;
        }
    }
    for (int i = 0; i < dst->ndim; i++) {
        Axis axis = {.n = dst->shape[i]};
        bool leads = false;
        for (int side = 0; side < SIDES; side++) {
            axis.step[side] = layouts[side]->strides[i];
            axis.hop[side] = -1;
            if (layout_reads_pointers(layouts[side], i)) {
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
