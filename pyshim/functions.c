/* functions.c: the functions of the module pybuf._core. */
#include "indirect.h"

/* ---- what tests read ------------------------------------------------------------- */

static PyObject *
core_counters(PyObject *module, PyObject *Py_UNUSED(unused))
{
    Ledger *ledger = state_of_module(module)->ledger;
    return Py_BuildValue("{s:K,s:K,s:L,s:K,s:K}", "made",
                         (unsigned long long)ledger->made, "freed",
                         (unsigned long long)ledger->freed, "live_bytes",
                         (long long)ledger->live_bytes, "lent",
                         (unsigned long long)ledger->lent, "go_calls",
                         (unsigned long long)go_calls());
}

static PyObject *
core_go_runtime(PyObject *Py_UNUSED(module), PyObject *collect)
{
    char name[64], message[REASON_CAP];
    pybuf_runtime r = {.go = {.data = name, .cap = sizeof name}};
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    int truth = PyObject_IsTrue(collect);
    int32_t kind;
    if (truth < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    kind = go_runtime(truth, &r, &err);
    Py_END_ALLOW_THREADS
    if (kind != PYBUF_OK) {
        return go_raise(kind, &err);
    }
    return Py_BuildValue(
        "{s:s,s:L,s:L,s:L,s:L,s:L,s:L,s:I}", "go", name, "goroutines",
        (long long)r.goroutines, "heap_objects", (long long)r.heap_objects,
        "heap_bytes", (long long)r.heap_bytes, "collections",
        (long long)r.collections, "blocks", (long long)r.blocks,
        "block_bytes", (long long)r.block_bytes, "generation",
        (unsigned)rebirth_generation());
}

/* ---- the table --------------------------------------------------------------------- */

PyMethodDef module_functions[] = {
    {"empty", FAST(module_empty),
     "empty($module, /, shape, dtype='B', *, order='C', align=64, "
     "source='c')\n--\n\n"
     "New memory that is not initialised, as a Buffer. Arguments as zeros()\n"
     "has them."},
    {"zeros", FAST(module_zeros),
     "zeros($module, /, shape, dtype='B', *, order='C', align=64, "
     "source='c')\n--\n\n"
     "New memory of zeros, as a Buffer. Pages are zeroed by the system when\n"
     "they are first used.\n\n"
     "shape: an int or a sequence of ints, the items along each axis.\n"
     "dtype: a PEP 3118 format (\"d\", \"T{i:id:d:price:}\"), a typestr\n"
     "(\"<f8\"), a ctypes type, or anything that numpy.dtype() takes.\n"
     "order: \"C\", the last index moves fastest, or \"F\", the first one does.\n"
     "align: a power of two, of which the address is a multiple.\n"
     "source: \"c\", C's allocator, or \"go\", the heap of Go's runtime."},
    {"copy", FAST(module_copy),
     "copy($module, /, obj, *, order='C', align=64, source='c')\n--\n\n"
     "New memory with a contiguous copy of what any exporter of the buffer\n"
     "protocol holds, indirect memory included. Writable, in C order unless\n"
     "order says otherwise. Arguments as zeros() has them."},
    {"copyto", FAST(module_copyto),
     "copyto($module, /, dst, src, *, cast=False)\n--\n\n"
     "Copies the items of src to their places in dst. Both are exporters of\n"
     "the buffer protocol, in any layout, strided or indirect, of one shape\n"
     "and type of items; with cast=True of one size of items, whose bytes\n"
     "are copied as they are. They may overlap."},
    {"wrap", FAST(module_wrap),
     "wrap($module, /, address, shape=None, dtype=None, *, strides=None, "
     "suboffsets=None, readonly=False, owner=None, release=None, "
     "unowned=False, nbytes=None, offset=0)\n--\n\n"
     "Memory that somebody else made, as a Buffer, not copied.\n\n"
     "address: an int, a ctypes pointer, array, structure or union, a cffi\n"
     "pointer or array, or a capsule: where the item with all indices 0\n"
     "lies. With nbytes the block is [address, address + nbytes), that item\n"
     "lies at address + offset, and the layout must fit.\n"
     "shape, dtype: may be left out for a ctypes or cffi array; else dtype\n"
     "is \"B\" if left out.\n"
     "strides: bytes from one item to the next along each axis, any numbers;\n"
     "without them items lie in C order. suboffsets: for each axis the bytes\n"
     "to add to the pointer that is read there, negative where none is.\n"
     "readonly: writers are refused at every door.\n"
     "owner: an object to keep alive. release: called once when the last\n"
     "view is gone; a callable that gets the address, a pair\n"
     "(function pointer, arg) for void f(void *data, size_t nbytes,\n"
     "void *arg), or a ctypes or cffi function such as libc.free. One of\n"
     "them is needed, or unowned=True.\n\n"
     "If it raises, nothing was taken over and nothing is released."},
    {"adopt", module_adopt, METH_O,
     "adopt($module, descriptor, /)\n--\n\n"
     "The memory of a descriptor, as a Buffer, not copied: how a library of\n"
     "Go, C or any language hands memory over. pybuf.h says what one is.\n\n"
     "descriptor: its address as an int, a ctypes or cffi pointer, or a\n"
     "capsule named \"pybuf_descriptor\". A ctypes function that gives it\n"
     "needs restype = ctypes.c_size_t, or the address is cut.\n\n"
     "Each is adopted once: by this call the memory is the Buffer's, which\n"
     "calls the release of the descriptor once when the last view is gone.\n"
     "If the layout is refused it is released at once, and a descriptor of\n"
     "an error is raised as the exception that it stands for."},
    {"lend", FAST(module_lend),
     "lend($module, /, obj, *, writable=True)\n--\n\n"
     "The memory of any exporter of the buffer protocol as a descriptor, for\n"
     "a library of Go, C or any language, not copied.\n\n"
     "obj is held until the library gives the descriptor back; one that\n"
     "nobody took over goes with the Lent, or at the end of `with`.\n"
     "writable: whether the library may write; memory that is read-only is\n"
     "lent with writable=False."},
    {"stats", inspect_stats, METH_NOARGS,
     "stats($module, /)\n--\n\n"
     "What is alive in this interpreter, counted: a dict with blocks\n"
     "(memories), bytes, exports (views), sources (the same three for each\n"
     "source), lent (descriptors by lend() that have not come back), and\n"
     "go_calls, the calls into Go of the whole process so far."},
    {"live", inspect_live, METH_NOARGS,
     "live($module, /)\n--\n\n"
     "A list of what is alive: one LiveMemory for each memory, oldest first.\n"
     "Keeps nothing alive and lends nothing."},
    {"_trace_start", trace_start, METH_O,
     "Begins a trace: lines go to a descriptor, which becomes the trace's, to\n"
     "the write() of an object, or with None nowhere. Returns its number."},
    {"_trace_stop", trace_stop, METH_O, "Ends the trace of that number."},
    {"_trace_at_exit", trace_at_exit, METH_NOARGS,
     "Python ends: no line goes to an object any more."},
    {"_report_leaks_at_exit", leaks_report_at_exit, METH_NOARGS,
     "When Python is gone, what is still alive is listed on stderr."},
    {"_rebuild", POSITIONAL(door_rebuild),
     "Makes a Buffer of what its pickle holds."},
    {"_layout", POSITIONAL(layout_rebuild),
     "Makes a Layout of what its pickle holds."},
    {"_over", POSITIONAL(indirect_over),
     "Makes an object of a class derived from IndirectBase."},
    {"_lines", POSITIONAL(indirect_lines),
     "The rows or columns of an exporter, as two-dimensional memory."},
    {"_collection", POSITIONAL(indirect_collection),
     "Exporters as the rows of two-dimensional memory."},
    {"_pointer_array", POSITIONAL(indirect_ctypes),
     "A ctypes array of pointers, as two-dimensional memory."},
    {"_counters", core_counters, METH_NOARGS,
     "Counts of this interpreter's memory, and calls into Go."},
    {"_go_runtime", core_go_runtime, METH_O,
     "What the Go runtime says of itself; collects first if asked."},
    {NULL, NULL, 0, NULL},
};

/* ---- the table of pybuf.indirect ----------------------------------------------------- */

PyMethodDef indirect_functions[] = {
    {"pointers", FAST(indirect_pointers),
     "pointers($module, /, address, shape, dtype='B', *, levels=None, "
     "readonly=False, owner=None, release=None, unowned=False)\n--\n\n"
     "Memory of the kinds T**, T***... that somebody else made, as a Buffer,\n"
     "not copied.\n\n"
     "address: of the first table, in any form that pybuf.wrap takes.\n"
     "shape, dtype: as pybuf.zeros has them.\n"
     "levels: how many of the first axes read pointers. If left out all but\n"
     "the last do, and a single axis does. A table has its pointers without\n"
     "gaps, and so has a row its items.\n"
     "readonly, owner, release, unowned: as pybuf.wrap has them.\n\n"
     "NULL in a table is refused. If it raises, nothing was taken over."},
    {"zeros", FAST(indirect_zeros),
     "zeros($module, /, shape, dtype='B', *, levels=None, align=64)\n--\n\n"
     "New memory of zeros behind tables of pointers, as a Buffer: T**, T***...\n"
     "of one block, which begins with the tables. Rows lie without gaps, so\n"
     "numpy() is a view.\n\n"
     "shape, dtype: as pybuf.zeros has them. levels: as pointers() has it.\n"
     "align: a power of two; the first row lies at a multiple of it."},
    {"rows", FAST(indirect_rows),
     "rows($module, /, seq, *, shape=None, readonly=None, indirect=None)\n--\n\n"
     "Exporters that lie anywhere, as one Buffer with one more axis, not\n"
     "copied. Each is held until the Buffer and its last view are gone.\n\n"
     "seq: an iterable of exporters, or of lists of them to any depth. They\n"
     "have to be alike in shape, element type, strides and suboffsets.\n"
     "shape: several axes for the table of a flat seq.\n"
     "readonly: None, if one of them is; False, each must be writable; True.\n"
     "indirect: None gives plain memory if they lie at even distances, and a\n"
     "table of pointers else; True, always a table; False, never."},
    {NULL, NULL, 0, NULL},
};
