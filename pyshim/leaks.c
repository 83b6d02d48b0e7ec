/* leaks.c: what is still alive when Python is gone, for PYBUF_LEAKS=1.
 *
 * At atexit every global is alive still. So this waits until modules are
 * emptied and the collector came last: what lives then nobody ends. No Python
 * runs any more; the Buffers are where they were, for nobody freed them. */
#include "shim.h"

#include <stdio.h>
#include <unistd.h>

#define TOLD_LINES 50

/* The main interpreter's; held. */
static Ledger *watched;

static void
say(const char *line, int size)
{
    ssize_t n = write(STDERR_FILENO, line, (size_t)size);
    (void)n; /* nobody to tell, and nothing else to try */
}

static void
say_memory(const Live *live)
{
    char line[3 * TOLD_MAX], views[TOLD_MAX] = "";
    const Buffer *b = live->buffer;
    const Site *made = b == NULL ? NULL : history_made(b);
    if (b != NULL) {
        history_tell(b, b->exports, views, sizeof views);
    }
    int size = snprintf(
        line, sizeof line, "  %p: %zd bytes of %s, format '%s', exports %zd%s%s%s\n",
        live->address, live->nbytes, memory_source_name(live->source),
        live->element->format, live->exports,
        made == NULL ? "" : ", made at ", made == NULL ? "" : site_text(made),
        views);
    say(line, size < (int)sizeof line ? size : (int)sizeof line - 1);
}

static void
report(void)
{
    char line[256];
    Ledger *ledger = watched;
    Live live;
    Py_ssize_t blocks = 0, bytes = 0;
    watched = NULL;
    for (Ring *p = ledger->live.next; p != &ledger->live; p = p->next) {
        if (live_look(p, &live)) {
            blocks++;
            bytes += live.nbytes;
        }
    }
    if (blocks > 0) {
        say(line, snprintf(line, sizeof line,
                           "pybuf: ResourceWarning: %zd memor%s of %zd bytes "
                           "still alive after the end of Python%s\n",
                           blocks, blocks == 1 ? "y" : "ies", bytes,
                           ledger->tracer == NULL
                               ? " (PYBUF_TRACE says where each was made):"
                               : ":"));
    }
    if (ledger->lent > 0) {
        say(line, snprintf(line, sizeof line,
                           "pybuf: ResourceWarning: %llu descriptor%s by lend() "
                           "had not come back at the end of Python\n",
                           (unsigned long long)ledger->lent,
                           ledger->lent == 1 ? "" : "s"));
    }
    Py_ssize_t told = 0;
    for (Ring *p = ledger->live.next; p != &ledger->live && told < TOLD_LINES;
         p = p->next) {
        if (live_look(p, &live)) {
            say_memory(&live);
            told++;
        }
    }
    if (blocks > told) {
        say(line, snprintf(line, sizeof line, "  and %zd more\n", blocks - told));
    }
    ledger_drop(ledger);
}

PyObject *
leaks_report_at_exit(PyObject *module, PyObject *Py_UNUSED(unused))
{
    /* What a sub-interpreter leaves may be gone when the process ends. */
    bool is_main = PyInterpreterState_GetID(PyInterpreterState_Get()) == 0;
    if (is_main && watched == NULL) {
        if (Py_AtExit(report) < 0) {
            PyErr_SetString(PyExc_RuntimeError,
                            "the leaks cannot be reported at exit: Python has "
                            "no place left for a function to call there");
            return NULL;
        }
        watched = state_of_module(module)->ledger;
        watched->holders++;
    }
    Py_RETURN_NONE;
}
