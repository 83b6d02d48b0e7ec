/* trace.c: a line for each memory and view that begins or ends.
 *
 * Writing a line may run Python: so what is told of has happened by then, and
 * whatever is used afterwards is held. */
#include "shim.h"

static bool
is_on(const Ledger *ledger)
{
    return ledger->tracer != NULL && ledger->tracer->sinks != NULL;
}

static void
tell_of_memory(const Ledger *ledger, const char *event, const Memory *mem,
               const Site *site, const char *before, const char *made)
{
    trace_tell(ledger, "pybuf: %s %p, %zd bytes of %s, at %s%s%s\n", event, mem->data,
         mem->block_size, memory_source_name(mem->source), site_text(site),
         before, made);
}

void
trace_made(Buffer *b)
{
    if (!is_on(b->ledger)) {
        return;
    }
    Pending pending = pending_save();
    Site *site = site_here();
    history_set_made(b, site);
    tell_of_memory(b->ledger,
                   b->mem.source == SOURCE_FOREIGN ? "wrap" : "alloc", &b->mem,
                   site, "", "");
    site_drop(site);
    pending_restore(pending);
}

void
trace_free(Buffer *b, const Memory *mem)
{
    if (mem->release == RELEASE_PARENT) {
        trace_release((Buffer *)mem->owner, history_take_view(b));
        return;
    }
    if (!is_on(b->ledger)) {
        return;
    }
    Pending pending = pending_save();
    Site *site = site_here(), *made = site_share(history_made(b));
    tell_of_memory(b->ledger, "free", mem, site,
                   made == NULL ? "" : ", made at ",
                   made == NULL ? "" : site_text(made));
    site_drop(site);
    site_drop(made);
    pending_restore(pending);
}

void
trace_untold(const Ledger *ledger, const Memory *mem)
{
    if (!is_on(ledger)) {
        return;
    }
    Pending pending = pending_save();
    Site *site = site_here();
    tell_of_memory(ledger, "free", mem, site, "", "");
    site_drop(site);
    pending_restore(pending);
}

void
trace_resized(Buffer *b, const Memory *old)
{
    trace_free(b, old);
    if (!is_on(b->ledger)) {
        return;
    }
    Pending pending = pending_save();
    Site *site = site_here();
    tell_of_memory(b->ledger, "alloc", &b->mem, site, "", "");
    site_drop(site);
    pending_restore(pending);
}

Record *
trace_export(Buffer *b, const char *door)
{
    if (!is_on(b->ledger)) {
        return NULL;
    }
    Pending pending = pending_save();
    Site *site = site_here();
    Record *record = record_new(b, door, site);
    trace_tell(b->ledger, "pybuf: export %p, by %s, at %s\n", b->mem.data, door,
         site_text(site));
    site_drop(site);
    pending_restore(pending);
    return record;
}

void
trace_release(Buffer *b, Record *record)
{
    if (is_on(b->ledger)) {
        Pending pending = pending_save();
        Site *site = site_here();
        trace_tell(b->ledger, "pybuf: release %p%s%s, at %s%s%s\n", b->mem.data,
             record == NULL ? "" : ", by ",
             record == NULL ? "" : record->door, site_text(site),
             record == NULL ? "" : ", taken at ",
             record == NULL ? "" : site_text(record->site));
        site_drop(site);
        pending_restore(pending);
    }
    record_drop(record);
}

int
trace_view(Buffer *b, Py_buffer *view)
{
    view->internal = trace_export(b, "buffer");
    return 0;
}

void
trace_view_end(Buffer *b, const Py_buffer *view)
{
    trace_release(b, view->internal);
}

void
trace_child(Buffer *child, const char *door)
{
    Buffer *parent = (Buffer *)child->mem.owner;
    Record *record = trace_export(parent, door);
    if (child->mem.release != RELEASE_PARENT) {
        record_drop(record); /* whoever was told has found and closed it */
    }
    else if (record != NULL) {
        history_set_view(child, record);
    }
}
