/* tables.h: what tables.c and overlap.c share: a walk through the tables of
 * pointers of a layout. */
#ifndef PYBUF_TABLES_H
#define PYBUF_TABLES_H

#include "shim.h"

/* Axes up to one that reads a pointer, or those behind the last of them. */
typedef struct {
    int first, end;       /* axes [first, end) */
    bool last;            /* items lie here; else pointers */
    Py_ssize_t hop;       /* to add to each pointer */
    Py_ssize_t low, high; /* bytes in use from the first entry, [low, high) */
} Stretch;

typedef struct {
    const Layout *layout;
    int n; /* stretches, at least one */
    Stretch stretches[PYBUF_MAX_NDIM + 1];
    Py_ssize_t index[PYBUF_MAX_NDIM]; /* of the pointer that was read last */
} Tables;

/* Reads of l: ndim, shape, strides, indirect and suboffsets. It has items. */
void tables_of(Tables *t, const Layout *l, Py_ssize_t itemsize);

typedef enum {
    WALK_ON,
    WALK_PAST, /* what this table leads to was looked at */
    WALK_STOP,
} WalkStep;

/* Called with the beginning of each table, and of the items behind each pointer
 * of the last tables. */
typedef WalkStep (*TablesVisit)(void *context, const Tables *t,
                                const Stretch *stretch, char *at);

/* Calls visit for all of them, outer ones first, in the order of the indices.
 * Returns 0; 1 if visit stopped it; or -1 for a NULL, to which t->index leads,
 * axes before t->stretches[*level].end. */
int tables_walk(Tables *t, char *data, TablesVisit visit, void *context,
                int *level);
/* The least and the greatest pointer of a table, as addresses. Returns false if
 * one is NULL. */
bool table_bounds(const Tables *t, const Stretch *table, const char *at,
                  uintptr_t *least, uintptr_t *greatest);
/* As tables_refuse_null(), of the NULL that the walk came to. */
int tables_refuse_level(const Tables *t, int level, const char *function,
                        const char *what);

#endif
