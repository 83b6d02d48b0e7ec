/* tables.c: the tables of pointers that an indirect layout reads.
 *
 * Whoever made them keeps them: they are read when they are needed, and may be
 * others the next time. */
#include "tables.h"

#include <stdio.h>
#include <string.h>

/* ---- the walk ---------------------------------------------------------------- */

static bool
reads_pointer(const Layout *l, int axis)
{
    return l->indirect && l->suboffsets[axis] >= 0;
}

void
tables_of(Tables *t, const Layout *l, Py_ssize_t itemsize)
{
    t->layout = l;
    t->n = 0;
    for (int i = 0; i <= l->ndim;) {
        Stretch *s = &t->stretches[t->n++];
        *s = (Stretch){.first = i, .last = true};
        for (; i < l->ndim && s->last; i++) {
            Py_ssize_t way = (l->shape[i] - 1) * l->strides[i];
            *(way < 0 ? &s->low : &s->high) += way;
            if (reads_pointer(l, i)) {
                s->last = false;
                s->hop = l->suboffsets[i];
            }
        }
        s->end = i;
        s->high += s->last ? itemsize : (Py_ssize_t)sizeof(char *);
        if (s->last) {
            return;
        }
    }
}

typedef struct {
    Tables *t;
    TablesVisit visit;
    void *context;
    int *level;
} Walk;

static int
walk(const Walk *w, int level, char *at)
{
    Tables *t = w->t;
    const Stretch *s = &t->stretches[level];
    if (!w->visit(w->context, t, s, at)) {
        return 1;
    }
    if (s->last) {
        return 0;
    }
    const Layout *l = t->layout;
    for (int i = s->first; i < s->end; i++) {
        t->index[i] = 0;
    }
    for (;;) {
        char *next;
        memcpy(&next, at, sizeof next); /* which need not be aligned */
        if (next == NULL) {
            *w->level = level;
            return -1;
        }
        int stopped = walk(w, level + 1, next + s->hop);
        if (stopped != 0) {
            return stopped;
        }
        int i = s->end - 1;
        for (; i >= s->first; i--) {
            at += l->strides[i];
            if (++t->index[i] < l->shape[i]) {
                break;
            }
            at -= l->shape[i] * l->strides[i];
            t->index[i] = 0;
        }
        if (i < s->first) {
            return 0;
        }
    }
}

int
tables_walk(Tables *t, char *data, TablesVisit visit, void *context,
            int *level)
{
    Walk w = {.t = t, .visit = visit, .context = context, .level = level};
    return walk(&w, 0, data);
}

/* ---- NULL ----------------------------------------------------------------------- */

static bool
go_on(void *Py_UNUSED(context), const Tables *Py_UNUSED(t),
      const Stretch *Py_UNUSED(stretch), char *Py_UNUSED(at))
{
    return true;
}

/* "3", or "(1, 2)": the first n numbers. */
static void
write_index(const Py_ssize_t *index, int n, char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < n && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%zd",
                                 i > 0 ? ", " : n > 1 ? "(" : "", index[i]);
    }
    if (n > 1 && used + 2 <= size) {
        memcpy(out + used, ")", 2);
    }
}

int
tables_refuse_null(const Tables *t, int level, const char *what)
{
    char index[256];
    write_index(t->index, t->stretches[level].end, index, sizeof index);
    PyErr_Format(PyExc_ValueError,
                 "%s: row %s is NULL; each pointer of an indirect layout has "
                 "to lead to %s",
                 what, index,
                 t->stretches[level + 1].last ? "items"
                                              : "a table of pointers");
    return -1;
}

int
tables_check(const char *data, const Layout *l, const char *what)
{
    if (!l->indirect || l->nbytes == 0) {
        return 0;
    }
    Tables t;
    int level;
    tables_of(&t, l, 1);
    if (tables_walk(&t, (char *)data, go_on, NULL, &level) < 0) {
        return tables_refuse_null(&t, level, what);
    }
    return 0;
}

/* ---- even distances --------------------------------------------------------------- */

/* Where the items would be that the first pointers of each axis tell. Distances
 * are counted as addresses are, modulo 2^64. */
typedef struct {
    uintptr_t base;
    uintptr_t step[PYBUF_MAX_NDIM]; /* along the axes before the last stretch */
    bool begun;
} Grid;

static bool
is_on_grid(void *context, const Tables *t, const Stretch *stretch, char *at)
{
    Grid *grid = context;
    if (!stretch->last) {
        return true;
    }
    if (!grid->begun) {
        grid->begun = true;
        grid->base = (uintptr_t)at;
        return true;
    }
    uintptr_t expected = grid->base;
    int moved = -1, others = 0;
    for (int i = 0; i < stretch->first; i++) {
        if (t->index[i] != 0) {
            expected += (uintptr_t)t->index[i] * grid->step[i];
            others += t->index[i] > 1 || moved >= 0;
            moved = i;
        }
    }
    if (others == 0) { /* the second along an axis tells its step */
        grid->step[moved] = (uintptr_t)at - grid->base;
        return true;
    }
    return expected == (uintptr_t)at;
}

bool
tables_collapse(char **data, Layout *l, Py_ssize_t itemsize)
{
    if (!l->indirect || l->nbytes == 0) {
        return !l->indirect;
    }
    Tables t;
    Grid grid = {.begun = false};
    int level;
    tables_of(&t, l, itemsize);
    if (tables_walk(&t, *data, is_on_grid, &grid, &level) != 0) {
        return false;
    }
    for (int i = t.stretches[t.n - 1].first - 1; i >= 0; i--) {
        l->strides[i] = l->shape[i] > 1    ? (Py_ssize_t)grid.step[i]
                        : i + 1 < l->ndim ? l->shape[i + 1] * l->strides[i + 1]
                                          : itemsize;
    }
    l->indirect = false;
    *data = (char *)grid.base;
    return true;
}
