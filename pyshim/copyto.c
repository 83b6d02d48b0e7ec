/* copyto.c: copyto(): items of one exporter into the memory of another. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

/* One of the two exporters, while its view is held. */
typedef struct {
    OwnView held;
    Element *element; /* owned */
    CopySide side;
} End;

static int
end_open(State *st, End *end, PyObject *obj, int flags, const char *what)
{
    end->element = NULL;
    if (!PyObject_CheckBuffer(obj)) {
        return refuse(PyExc_TypeError, obj,
                      "copyto(): {}, given as %s, has no buffer protocol; give "
                      "an array, a memoryview or another exporter",
                      what);
    }
    if (own_view_open(st, &end->held, obj, flags) < 0) {
        return -1;
    }
    CopySide *side = &end->side;
    end->element = read_exporter(st, obj, &end->held.view, &side->layout);
    if (end->element == NULL) {
        own_view_close(&end->held);
        return -1;
    }
    side->function = "copyto";
    side->what = what;
    side->data = end->held.view.buf;
    return 0;
}

static void
end_close(End *end)
{
    Py_DECREF(OBJECT(end->element));
    own_view_close(&end->held);
}

static PyObject *
shape_of(const End *end)
{
    return tuple_of_dims(end->side.layout.shape, end->side.layout.ndim);
}

static int
refuse_shapes(const End *dst, const End *src)
{
    PyObject *to = shape_of(dst);
    PyObject *from = to == NULL ? NULL : shape_of(src);
    if (from != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "copyto(): dst has shape %S and src %S; each item needs "
                     "its place, and none is repeated",
                     to, from);
    }
    Py_XDECREF(to);
    Py_XDECREF(from);
    return -1;
}

/* Whether the items of one may go into the other. */
static int
judge(const End *dst, const End *src, bool cast)
{
    const Layout *to = &dst->side.layout, *from = &src->side.layout;
    if (to->ndim != from->ndim ||
        memcmp(to->shape, from->shape,
               (size_t)to->ndim * sizeof to->shape[0]) != 0) {
        return refuse_shapes(dst, src);
    }
    const Element *a = dst->element, *b = src->element;
    if (cast && a->itemsize != b->itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "copyto(): the items of dst have %zd bytes ('%s') and "
                     "those of src %zd ('%s'); cast=True takes any items of "
                     "one size",
                     a->itemsize, a->format, b->itemsize, b->format);
        return -1;
    }
    if (!cast && !element_is_same(a, b)) {
        PyErr_Format(PyExc_ValueError,
                     "copyto(): the items of dst are '%s' and those of src "
                     "'%s'; nothing is converted%s",
                     a->format, b->format,
                     a->itemsize == b->itemsize
                         ? ": cast=True copies their bytes"
                         : "");
        return -1;
    }
    return 0;
}

/* Through memory of its own, for items that lie where others are to go. */
static int
copy_through(const CopySide *dst, const CopySide *src, Py_ssize_t itemsize)
{
    Layout packed;
    packed.ndim = dst->layout.ndim;
    memcpy(packed.shape, dst->layout.shape, sizeof packed.shape);
    if (layout_contiguous(&packed, itemsize, 'C') < 0) {
        return -1;
    }
    char *between = malloc((size_t)packed.nbytes);
    if (between == NULL) {
        PyErr_Format(PyExc_MemoryError,
                     "%s(): %s and %s overlap, and there is no memory for the "
                     "%zd bytes between them",
                     dst->function, dst->what, src->what, packed.nbytes);
        return -1;
    }
    int failed = copy_items(between, &packed, src->data, &src->layout, itemsize);
    if (failed == 0) {
        failed = copy_items(dst->data, &dst->layout, between, &packed, itemsize);
    }
    free(between);
    return failed;
}

/* Tables that amount to plain strides are not needed for the copy. */
static void
collapse(CopySide *side, Py_ssize_t itemsize)
{
    side->tables = NULL;
    if (side->layout.indirect) {
        side->given = side->layout;
        side->tables = side->data;
        tables_collapse(&side->data, &side->layout, itemsize, NULL);
    }
}

/* Whether each item is its own copy. */
static bool
is_same(const CopySide *dst, const CopySide *src)
{
    const Layout *to = &dst->layout, *from = &src->layout;
    if (dst->data != src->data || to->indirect || from->indirect) {
        return false;
    }
    for (int i = 0; i < to->ndim; i++) {
        if (to->shape[i] > 1 && to->strides[i] != from->strides[i]) {
            return false;
        }
    }
    return true;
}

int
copy_sides(CopySide *dst, CopySide *src, Py_ssize_t itemsize)
{
    Overlap overlap;
    if (dst->layout.nbytes == 0) {
        return 0;
    }
    collapse(dst, itemsize);
    collapse(src, itemsize);
    if (copy_overlap(dst, src, itemsize, &overlap) < 0) {
        return -1;
    }
    switch (overlap) {
    case OVERLAP_NONE:
        return copy_items(dst->data, &dst->layout, src->data, &src->layout,
                          itemsize);
    case OVERLAP_ITEMS:
        return is_same(dst, src) ? 0 : copy_through(dst, src, itemsize);
    case OVERLAP_TABLES:
        break;
    }
    PyErr_Format(PyExc_ValueError,
                 "%s(): items of %s lie where a table of pointers is, by which "
                 "%s or %s finds its items: the copy would write over it",
                 dst->function, dst->what, dst->what, src->what);
    return -1;
}

PyObject *
module_copyto(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    static const Signature sig = {.function = "copyto",
                                  .names = {"dst", "src", "cast", NULL},
                                  .positional = 2,
                                  .required = 2,
                                  .cache = SIG_COPYTO};
    State *st = state_of_module(module);
    PyObject *arg[3];
    bool cast = false;
    End dst, src;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        args_bool(arg[2], &cast) < 0 ||
        end_open(st, &dst, arg[0], PyBUF_FULL, "dst") < 0) {
        return NULL;
    }
    int failed = end_open(st, &src, arg[1], PyBUF_FULL_RO, "src");
    if (failed == 0) {
        failed = judge(&dst, &src, cast);
        if (failed == 0) {
            failed = copy_sides(&dst.side, &src.side, dst.element->itemsize);
        }
        end_close(&src);
    }
    end_close(&dst);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}
