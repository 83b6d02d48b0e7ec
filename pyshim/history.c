/* history.c: where Buffers and views were made, remembered while a trace is on.
 *
 * All of it is C's: it can be told when Python is gone, keeps no object alive,
 * and its end runs no code. */
#include "shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines of Python ---------------------------------------------------------- */

struct Site {
    unsigned refs;
    char text[]; /* "file.py:12", UTF-8 */
};

static Site *
site_new(const char *file, int line)
{
    size_t size = strlen(file) + sizeof ":-2147483648";
    Site *site = malloc(sizeof *site + size);
    if (site != NULL) {
        site->refs = 1;
        snprintf(site->text, size, "%s:%d", file, line);
        /* A name may hold anything; a line of a trace is to stay one. */
        for (char *c = site->text; *c != '\0'; c++) {
            if ((unsigned char)*c < ' ') {
                *c = '?';
            }
        }
    }
    return site;
}

Site *
site_here(void)
{
    Site *site = NULL;
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    if (frame != NULL) {
        PyObject *code = OBJECT(PyFrame_GetCode(frame));
        PyObject *name = PyObject_GetAttrString(code, "co_filename");
        PyObject *utf8 = name == NULL ? NULL
                                      : PyUnicode_AsEncodedString(
                                            name, "utf-8", "backslashreplace");
        if (utf8 != NULL) {
            site = site_new(PyBytes_AsString(utf8), PyFrame_GetLineNumber(frame));
        }
        Py_XDECREF(utf8);
        Py_XDECREF(name);
        Py_DECREF(code);
        Py_DECREF(OBJECT(frame));
    }
    PyErr_Clear();
    return site;
}

Site *
site_share(Site *site)
{
    if (site != NULL) {
        site->refs++;
    }
    return site;
}

void
site_drop(Site *site)
{
    if (site != NULL && --site->refs == 0) {
        free(site);
    }
}

const char *
site_text(const Site *site)
{
    return site == NULL ? "?" : site->text;
}

/* ---- what is remembered of a Buffer ------------------------------------------- */

struct History {
    Ring views; /* of Records, oldest first */
    Site *made; /* owned or NULL */
    Record *view; /* owned or NULL: what the parent remembers of this one */
};

History *
history_of(Buffer *b)
{
    if (b->history == NULL && b->ledger->tracer != NULL) {
        b->history = calloc(1, sizeof *b->history);
        if (b->history != NULL) {
            ring_init(&b->history->views);
            b->ledger->tracer->histories++;
        }
    }
    return b->history;
}

Record *
record_new(Buffer *b, const char *door, Site *site)
{
    History *history = history_of(b);
    Record *record = history == NULL ? NULL : malloc(sizeof *record);
    if (record != NULL) {
        record->door = door;
        record->site = site_share(site);
        ring_add(&history->views, &record->place);
    }
    return record;
}

void
record_drop(Record *record)
{
    if (record != NULL) {
        ring_remove(&record->place);
        site_drop(record->site);
        free(record);
    }
}

Site *
history_made(const Buffer *b)
{
    return b->history == NULL ? NULL : b->history->made;
}

void
history_set_made(Buffer *b, Site *site)
{
    History *history = history_of(b);
    if (history != NULL) {
        history->made = site_share(site);
    }
}

void
history_set_view(Buffer *b, Record *record)
{
    History *history = history_of(b);
    if (history != NULL) {
        history->view = record;
    }
    else {
        record_drop(record);
    }
}

Record *
history_take_view(Buffer *b)
{
    Record *record = NULL;
    if (b->history != NULL) {
        record = b->history->view;
        b->history->view = NULL;
    }
    return record;
}

void
history_free(Buffer *b)
{
    History *history = b->history;
    b->history = NULL;
    /* None, unless a consumer lost what it was to give back with its view. */
    while (history->views.next != &history->views) {
        record_drop((Record *)history->views.next);
    }
    record_drop(history->view);
    site_drop(history->made);
    free(history);
    b->ledger->tracer->histories--;
    trace_settle(b->ledger);
}

/* ---- telling ------------------------------------------------------------------- */

#define NAMED_MAX 4

_Static_assert(offsetof(Record, place) == 0, "a place in the ring is a Record");

static void
append(char *out, size_t cap, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + used, cap - used, format, args);
    va_end(args);
}

void
history_tell(const Buffer *b, Py_ssize_t views, char *out, size_t cap)
{
    Py_ssize_t named = 0;
    out[0] = '\0';
    if (b->history == NULL) {
        return;
    }
    const Ring *head = &b->history->views;
    for (const Ring *p = head->next; p != head && named < NAMED_MAX;
         p = p->next, named++) {
        const Record *record = (const Record *)p;
        append(out, cap, "%s %s at %s", named == 0 ? "; taken by" : ", by",
               record->door, site_text(record->site));
    }
    if (named > 0 && views > named) {
        append(out, cap, ", and %zd more", views - named);
    }
}
