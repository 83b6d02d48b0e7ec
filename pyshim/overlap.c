/* overlap.c: whether a copy would write over what it is yet to read.
 *
 * Rows may lie between those of the other side, and behind pointers they lie
 * anywhere: where the bounds of all meet, row is compared with row. A row is not
 * looked into for items of the other side: those that share their bounds, and no
 * byte, count as overlapping, which costs a copy. For tables it is, as they would
 * be refused: a column is one row, and its table may well lie between its items. */
#include "tables.h"

#include <stdlib.h>

/* Bytes [low, high) of the address space. */
typedef struct {
    uintptr_t low, high;
} Span;

/* So many rows are compared to save a copy of them, and not more. */
#define MANY ((size_t)1 << 16)

/* Memories of one kind: items, or tables. */
typedef struct {
    Span all;   /* bounds them */
    Span *each; /* malloc'd, or NULL while only the bounds are wanted */
    size_t n, room;
    size_t most; /* of each */
    Py_ssize_t gap; /* behind an item, from which on it is a row by itself */
    bool failed; /* no memory for them */
    bool many;   /* there are more */
} Spans;

static bool
meets(Span a, Span b)
{
    return a.low < b.high && b.low < a.high;
}

static void
spans_add(Spans *s, Span one)
{
    if (s->n == 0 || one.low < s->all.low) {
        s->all.low = one.low;
    }
    if (s->n == 0 || one.high > s->all.high) {
        s->all.high = one.high;
    }
    if (s->n == s->room && s->each != NULL && s->n < s->most) {
        Span *more = realloc(s->each, 2 * s->room * sizeof *more);
        s->failed = more == NULL;
        if (more != NULL) {
            s->each = more;
            s->room *= 2;
        }
    }
    s->many = s->each != NULL && s->n >= s->most;
    if (s->each != NULL && !s->failed && !s->many) {
        s->each[s->n] = one;
    }
    s->n++;
}

typedef struct {
    Py_ssize_t itemsize;
    Spans *items, *tables; /* NULL: not wanted */
} Wanted;

/* An axis as a row is made of it: which way it goes makes no difference. */
typedef struct {
    Py_ssize_t n, step;
} Extent;

/* The axes of a stretch, those with the shortest steps first. */
static int
extents_of(const Layout *l, const Stretch *stretch, Extent *out)
{
    int found = 0;
    for (int i = stretch->first; i < stretch->end; i++) {
        Extent e = {l->shape[i], l->strides[i]};
        e.step = e.step < 0 ? -e.step : e.step;
        if (e.n == 1 || e.step == 0) {
            continue;
        }
        int k = found++;
        for (; k > 0 && out[k - 1].step > e.step; k--) {
            out[k] = out[k - 1];
        }
        out[k] = e;
    }
    return found;
}

/* The rows of a stretch that begins at `low`. */
static void
note_rows(Spans *s, const Extent *axes, int n, uintptr_t low, Py_ssize_t row)
{
    int k = 0;
    Py_ssize_t index[PYBUF_MAX_NDIM] = {0};
    while (k < n && axes[k].step == row) { /* without gaps */
        row *= axes[k++].n;
    }
    if (k == 0 && n > 0 && axes[0].step - row < s->gap) {
        row += (axes[0].n - 1) * axes[0].step;
        k = 1;
    }
    for (;;) {
        spans_add(s, (Span){low, low + (uintptr_t)row});
        int i = k;
        for (; i < n; i++) {
            low += (uintptr_t)axes[i].step;
            if (++index[i] < axes[i].n) {
                break;
            }
            low -= (uintptr_t)(axes[i].n * axes[i].step);
            index[i] = 0;
        }
        if (i == n || s->failed || s->many) {
            return;
        }
    }
}

/* The bounds of all that the pointers of a table lead to. */
static WalkStep
note_behind(Spans *s, const Tables *t, const Stretch *table, const char *at)
{
    const Stretch *items = table + 1;
    uintptr_t least, greatest;
    if (!table_bounds(t, table, at, &least, &greatest)) {
        return WALK_ON; /* to find the NULL */
    }
    spans_add(s, (Span){least + (uintptr_t)(table->hop + items->low),
                        greatest + (uintptr_t)(table->hop + items->high)});
    return WALK_PAST;
}

static WalkStep
note(void *context, const Tables *t, const Stretch *stretch, char *at)
{
    const Wanted *wanted = context;
    Spans *s = stretch->last ? wanted->items : wanted->tables;
    uintptr_t low = (uintptr_t)at + (uintptr_t)stretch->low;
    bool bounds = s == NULL || s->each == NULL;
    if (s != NULL && bounds) {
        spans_add(s, (Span){low, (uintptr_t)at + (uintptr_t)stretch->high});
    }
    if (!stretch->last && stretch[1].last && wanted->items != NULL &&
        wanted->items->each == NULL) {
        return note_behind(wanted->items, t, stretch, at);
    }
    if (bounds) {
        return WALK_ON;
    }
    Extent axes[PYBUF_MAX_NDIM];
    int n = extents_of(t->layout, stretch, axes);
    note_rows(s, axes, n, low,
              stretch->last ? wanted->itemsize : (Py_ssize_t)sizeof(char *));
    return s->failed || s->many ? WALK_STOP : WALK_ON;
}

/* Returns 0; 1 if there are too many, or no memory for them; -1 with ValueError
 * for a NULL. */
static int
collect(const CopySide *side, Wanted wanted)
{
    Tables t;
    Py_ssize_t itemsize = wanted.itemsize;
    int level, stopped = 0;
    if (wanted.items != NULL && !side->layout.indirect) {
        tables_of(&t, &side->layout, itemsize);
        stopped = note(&wanted, &t, &t.stretches[0], side->data) == WALK_STOP;
        wanted.items = NULL;
    }
    if (side->tables == NULL || stopped) {
        return stopped;
    }
    tables_of(&t, &side->given, itemsize);
    if (t.n == 2 && wanted.items == NULL) { /* a single table */
        return wanted.tables != NULL &&
               note(&wanted, &t, &t.stretches[0], side->tables) == WALK_STOP;
    }
    int found = tables_walk(&t, side->tables, note, &wanted, &level);
    return found < 0 ? tables_refuse_level(&t, level, side->function, side->what)
                     : found;
}

static int
by_low(const void *a, const void *b)
{
    uintptr_t x = ((const Span *)a)->low, y = ((const Span *)b)->low;
    return (x > y) - (x < y);
}

/* Those of one kind on one side, one behind the other. As collect(). */
static int
collect_sorted(Spans *s, const CopySide *side, Py_ssize_t itemsize, bool items,
               Spans limits)
{
    *s = limits;
    s->each = malloc(64 * sizeof(Span));
    s->room = 64;
    if (s->each == NULL) {
        s->failed = true;
        return 1;
    }
    Wanted wanted = {.itemsize = itemsize};
    *(items ? &wanted.items : &wanted.tables) = s;
    int found = collect(side, wanted);
    if (found == 0) {
        qsort(s->each, s->n, sizeof(Span), by_low);
    }
    return found;
}

/* Whether a piece of one meets a piece of the other. Both are sorted; pieces of
 * one may overlap, so what counts is how far those so far have reached. */
static bool
any_meet(const Spans *a, const Spans *b)
{
    size_t i = 0, k = 0;
    uintptr_t a_end = 0, b_end = 0;
    while (i < a->n || k < b->n) {
        if (k == b->n || (i < a->n && a->each[i].low < b->each[k].low)) {
            if (a->each[i].low < b_end) {
                return true;
            }
            a_end = a->each[i].high > a_end ? a->each[i].high : a_end;
            i++;
        }
        else {
            if (b->each[k].low < a_end) {
                return true;
            }
            b_end = b->each[k].high > b_end ? b->each[k].high : b_end;
            k++;
        }
    }
    return false;
}

static int
meet(const CopySide *dst, const CopySide *other, Py_ssize_t itemsize, bool items,
     bool closely)
{
    Spans mine, theirs = {.each = NULL};
    Spans limits = {.most = items ? MANY : SIZE_MAX,
                    .gap = closely ? (Py_ssize_t)sizeof(char *) : PY_SSIZE_T_MAX};
    int found = collect_sorted(&mine, dst, itemsize, true, limits);
    if (found == 0) { /* an item has room between pointers if it is that small */
        limits.gap = closely ? itemsize : PY_SSIZE_T_MAX;
        found = collect_sorted(&theirs, other, itemsize, items, limits);
    }
    int answer = found == 0                      ? any_meet(&mine, &theirs)
                 : found == 1 && !mine.failed && !theirs.failed ? 1
                                                 : -1;
    if (found == 1 && answer < 0) {
        PyErr_NoMemory();
    }
    free(mine.each);
    free(theirs.each);
    return answer;
}

/* Whether the items of dst meet the items, or the tables, of the other side.
 * Returns 1, 0 or -1. Of many items it is not found out: then they are taken to
 * meet, which is slower and no mistake. Tables are to be known, and seldom lie
 * within a row: rows are looked into only then. */
static int
pieces_meet(const CopySide *dst, const CopySide *other, Py_ssize_t itemsize,
            bool items)
{
    int answer = meet(dst, other, itemsize, items, false);
    return answer == 1 && !items ? meet(dst, other, itemsize, items, true)
                                 : answer;
}

int
copy_overlap(const CopySide *dst, const CopySide *src, Py_ssize_t itemsize,
             Overlap *out)
{
    Spans to = {.n = 0}, from = {.n = 0};
    Spans to_tables = {.n = 0}, from_tables = {.n = 0};
    *out = OVERLAP_NONE;
    if (collect(dst, (Wanted){itemsize, &to, &to_tables}) < 0 ||
        collect(src, (Wanted){itemsize, &from, &from_tables}) < 0) {
        return -1;
    }
    int met = 0;
    if (to_tables.n > 0 && meets(to.all, to_tables.all)) {
        met = pieces_meet(dst, dst, itemsize, false);
    }
    if (met == 0 && from_tables.n > 0 && meets(to.all, from_tables.all)) {
        met = pieces_meet(dst, src, itemsize, false);
    }
    if (met == 0 && meets(to.all, from.all)) {
        met = pieces_meet(dst, src, itemsize, true);
        *out = met > 0 ? OVERLAP_ITEMS : OVERLAP_NONE;
    }
    else if (met > 0) {
        *out = OVERLAP_TABLES;
    }
    return met < 0 ? -1 : 0;
}
