/* overlap.c: whether a copy would write over what it is yet to read.
 *
 * Memory behind pointers is many pieces, which may lie between those of the
 * other side: where the bounds of all meet, piece is compared with piece. A
 * piece is not looked into: rows that share their bounds, and no byte, count as
 * overlapping. */
#include "tables.h"

#include <stdlib.h>

/* Bytes [low, high) of the address space. */
typedef struct {
    uintptr_t low, high;
} Span;

/* Memories of one kind: items, or tables. */
typedef struct {
    Span all;   /* bounds them */
    Span *each; /* malloc'd, or NULL while only the bounds are wanted */
    size_t n, room;
    bool failed; /* no memory for them */
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
    if (s->n == s->room && s->each != NULL) {
        Span *more = realloc(s->each, 2 * s->room * sizeof *more);
        s->failed = more == NULL;
        if (more != NULL) {
            s->each = more;
            s->room *= 2;
        }
    }
    if (s->each != NULL && !s->failed) {
        s->each[s->n] = one;
    }
    s->n++;
}

typedef struct {
    Spans *items, *tables; /* NULL: not wanted */
} Wanted;

static bool
note(void *context, const Tables *Py_UNUSED(t), const Stretch *stretch, char *at)
{
    const Wanted *wanted = context;
    Spans *s = stretch->last ? wanted->items : wanted->tables;
    if (s == NULL) {
        return true;
    }
    uintptr_t base = (uintptr_t)at;
    spans_add(s, (Span){base + (uintptr_t)stretch->low,
                        base + (uintptr_t)stretch->high});
    return !s->failed;
}

/* Returns 0; 1 if there is no memory; -1 with ValueError for a NULL. */
static int
collect(const CopySide *side, Py_ssize_t itemsize, Wanted wanted)
{
    Tables t;
    int level, stopped = 0;
    if (wanted.items != NULL && !side->layout.indirect) {
        tables_of(&t, &side->layout, itemsize);
        stopped = note(&wanted, &t, &t.stretches[0], side->data) ? 0 : 1;
        wanted.items = NULL;
    }
    if (side->tables == NULL || stopped) {
        return stopped;
    }
    tables_of(&t, &side->given, itemsize);
    if (t.n == 2 && wanted.items == NULL) { /* a single table */
        return wanted.tables == NULL ||
                       note(&wanted, &t, &t.stretches[0], side->tables)
                   ? 0
                   : 1;
    }
    int found = tables_walk(&t, side->tables, note, &wanted, &level);
    return found < 0 ? tables_refuse_null(&t, level, side->what) : found;
}

static int
by_low(const void *a, const void *b)
{
    uintptr_t x = ((const Span *)a)->low, y = ((const Span *)b)->low;
    return (x > y) - (x < y);
}

/* Those of one kind on one side, one behind the other. As collect(). */
static int
collect_sorted(Spans *s, const CopySide *side, Py_ssize_t itemsize, bool items)
{
    *s = (Spans){.each = malloc(64 * sizeof(Span)), .room = 64};
    if (s->each == NULL) {
        return 1;
    }
    int found = collect(side, itemsize,
                        items ? (Wanted){.items = s} : (Wanted){.tables = s});
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

/* Whether the items of dst meet the items, or the tables, of the other side.
 * Returns 1, 0 or -1. */
static int
pieces_meet(const CopySide *dst, const CopySide *other, Py_ssize_t itemsize,
            bool items)
{
    Spans mine, theirs = {.each = NULL};
    int found = collect_sorted(&mine, dst, itemsize, true);
    if (found == 0) {
        found = collect_sorted(&theirs, other, itemsize, items);
    }
    int answer = found == 0 ? any_meet(&mine, &theirs) : -1;
    if (found == 1) {
        PyErr_NoMemory();
    }
    free(mine.each);
    free(theirs.each);
    return answer;
}

int
copy_overlap(const CopySide *dst, const CopySide *src, Py_ssize_t itemsize,
             Overlap *out)
{
    Spans to = {.n = 0}, from = {.n = 0};
    Spans to_tables = {.n = 0}, from_tables = {.n = 0};
    *out = OVERLAP_NONE;
    if (collect(dst, itemsize, (Wanted){&to, &to_tables}) < 0 ||
        collect(src, itemsize, (Wanted){&from, &from_tables}) < 0) {
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
