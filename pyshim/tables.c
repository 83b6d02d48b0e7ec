/* tables.c: the tables of pointers that an indirect layout reads.
 *
 * Whoever made them keeps them: they are read when they are needed, and may be
 * others the next time. */
#include "tables.h"

#include <stdio.h>
#include <string.h>

/* ---- the walk ---------------------------------------------------------------- */

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
            if (layout_reads_pointers(l, i)) {
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
    WalkStep step = w->visit(w->context, t, s, at);
    if (s->last || step != WALK_ON) {
        return step == WALK_STOP;
    }
    const Layout *l = t->layout;
    for (int i = s->first; i < s->end; i++) {
        t->index[i] = 0;
    }
    for (;;) {
        char *next = pointer_at(at);
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

bool
table_bounds(const Tables *t, const Stretch *table, const char *at,
             uintptr_t *least, uintptr_t *greatest)
{
    const Layout *l = t->layout;
    Py_ssize_t index[PYBUF_MAX_NDIM] = {0};
    int inner = table->end - 1; /* there is one: it reads the pointers */
    Py_ssize_t n = l->shape[inner], step = l->strides[inner];
    *least = UINTPTR_MAX;
    *greatest = 0;
    for (;;) {
        for (Py_ssize_t k = 0; k < n; k++) {
            uintptr_t pointer = (uintptr_t)pointer_at(at + k * step);
            *least = pointer < *least ? pointer : *least;
            *greatest = pointer > *greatest ? pointer : *greatest;
        }
        int i = inner - 1;
        for (; i >= table->first; i--) {
            at += l->strides[i];
            if (++index[i] < l->shape[i]) {
                break;
            }
            at -= l->shape[i] * l->strides[i];
            index[i] = 0;
        }
        if (i < table->first) {
            return *least != 0;
        }
    }
}

/* ---- NULL ----------------------------------------------------------------------- */

/* The last tables are looked through at once, and pointer by pointer only to
 * find the NULL. */
static WalkStep
look_for_null(void *Py_UNUSED(context), const Tables *t,
              const Stretch *stretch, char *at)
{
    uintptr_t least, greatest;
    if (!stretch->last && stretch[1].last &&
        table_bounds(t, stretch, at, &least, &greatest)) {
        return WALK_PAST;
    }
    return WALK_ON;
}

Name
name_of(const Py_ssize_t *index, int n)
{
    Name name;
    size_t used = (size_t)snprintf(name.text, NAME_CAP, n == 1 ? "row " : "row (");
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(name.text + used, NAME_CAP - used,
                                 i == 0 ? "%zd" : ", %zd", index[i]);
    }
    if (n > 1) {
        snprintf(name.text + used, NAME_CAP - used, ")");
    }
    return name;
}

int
tables_refuse_null(const char *function, const Py_ssize_t *index, int n,
                   const char *what, bool items)
{
    PyErr_Format(PyExc_ValueError,
                 "%s(): %s%s%s is NULL; each pointer of an indirect layout has "
                 "to lead to %s",
                 function, name_of(index, n).text, what == NULL ? "" : " of ",
                 what == NULL ? "" : what,
                 items ? "items" : "a table of pointers");
    return -1;
}

int
tables_refuse_level(const Tables *t, int level, const char *function,
                    const char *what)
{
    return tables_refuse_null(function, t->index, t->stretches[level].end,
                              what, t->stretches[level + 1].last);
}

int
tables_check(const char *data, const Layout *l, const char *function)
{
    if (!l->indirect || l->nbytes == 0) {
        return 0;
    }
    Tables t;
    int level;
    tables_of(&t, l, 1);
    if (tables_walk(&t, (char *)data, look_for_null, NULL, &level) < 0) {
        return tables_refuse_level(&t, level, function, NULL);
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
    Py_ssize_t off; /* of the one that is not there, from where it would be */
} Grid;

static WalkStep
check_grid(void *context, const Tables *t, const Stretch *stretch, char *at)
{
    Grid *grid = context;
    if (!stretch->last) {
        return WALK_ON;
    }
    if (!grid->begun) {
        grid->begun = true;
        grid->base = (uintptr_t)at;
        return WALK_ON;
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
        return WALK_ON;
    }
    grid->off = (Py_ssize_t)((uintptr_t)at - expected);
    return grid->off == 0 ? WALK_ON : WALK_STOP;
}

bool
tables_collapse(char **data, Layout *l, Py_ssize_t itemsize, Uneven *where)
{
    if (!l->indirect || l->nbytes == 0) {
        return !l->indirect;
    }
    Tables t;
    Grid grid = {.begun = false};
    int level;
    tables_of(&t, l, itemsize);
    int found = tables_walk(&t, *data, check_grid, &grid, &level);
    int axes = t.stretches[t.n - 1].first; /* that lead to the items */
    if (found != 0) {
        if (where != NULL) {
            where->n = found < 0 ? 0 : axes;
            where->off = grid.off;
            memcpy(where->index, t.index, sizeof where->index);
        }
        return false;
    }
    for (int i = axes - 1; i >= 0; i--) {
        l->strides[i] = l->shape[i] > 1    ? (Py_ssize_t)grid.step[i]
                        : i + 1 < l->ndim ? l->shape[i + 1] * l->strides[i + 1]
                                          : itemsize;
    }
    l->indirect = false;
    *data = (char *)grid.base;
    return true;
}
