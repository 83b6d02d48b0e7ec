/* nest.c: memories that end one another, in chains of any length.
 *
 * What a release drops may have a release of its own, and so on. Like CPython's
 * trashcan, which the limited API does not have: below some depth the dead wait
 * in a list of the thread, and the outermost end ends them all before it
 * returns. */
#include "shim.h"

#include <stdlib.h>

typedef struct {
    int depth;
    Place *dead;
    /* Tells interpreters apart: a release may enter another one on this very
     * thread, whose dead must not wait for this one. */
    const Ledger *ledger;
} Nest;

static ThreadKey nests;

int
nest_prepare(void)
{
    return thread_key_make(&nests, free);
}

/* The nest of this thread; NULL if there is no memory for one. */
static Nest *
nest_here(void)
{
    Nest *nest = pthread_getspecific(nests.key);
    if (nest == NULL) {
        nest = calloc(1, sizeof *nest);
        if (pthread_setspecific(nests.key, nest) != 0) {
            free(nest);
            nest = NULL;
        }
    }
    return nest;
}

static void
end_now(Place *place)
{
    if (place->is_keep) {
        keep_end(place);
    }
    else {
        buffer_end(place);
    }
}

static void
end_nested(Nest *nest, Place *place)
{
    nest->depth++;
    end_now(place);
    nest->depth--;
}

void
nest_end(const Ledger *ledger, Place *place)
{
    Nest *nest = nest_here();
    if (nest == NULL) {
        end_now(place);
        return;
    }
    Nest outer = *nest;
    bool outermost = outer.depth == 0 || outer.ledger != ledger;
    if (outermost) {
        *nest = (Nest){.ledger = ledger};
    }
    else if (outer.depth >= NESTING_MAX) {
        place->next_dead = nest->dead;
        nest->dead = place;
        return;
    }
    end_nested(nest, place);
    if (!outermost) {
        return;
    }
    while (nest->dead != NULL) {
        Place *next = nest->dead;
        nest->dead = next->next_dead;
        end_nested(nest, next);
    }
    *nest = outer;
}
