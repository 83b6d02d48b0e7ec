/* copy.c: new memory with the items of another exporter, or of a Buffer. */
#include "indirect.h"

/* From this size on other threads run while bytes are copied. */
#define COPY_WITHOUT_GIL ((Py_ssize_t)1 << 20)

/* ---- items ---------------------------------------------------------------- */

/* What lets Python's other threads run, and its signals come. */
static bool
ask_signals(void *context)
{
    PyThreadState **state = context;
    PyEval_RestoreThread(*state);
    bool none = PyErr_CheckSignals() == 0;
    *state = PyEval_SaveThread();
    return none;
}

int
copy_items(char *to, const Layout *dst, const char *from, const Layout *src,
           Py_ssize_t itemsize)
{
    if (dst->nbytes < COPY_WITHOUT_GIL) {
        transfer_items(to, dst, from, src, itemsize);
        return 0;
    }
    PyThreadState *state = PyEval_SaveThread();
    int done = transfer_large(to, dst, from, src, itemsize, ask_signals,
                              &state);
    if (done < 0) { /* no memory for more than the least */
        transfer_items(to, dst, from, src, itemsize);
    }
    PyEval_RestoreThread(state);
    return done == 0 ? -1 : 0;
}

/* The shape of a layout, which is yet to be given strides. */
static void
take_shape(Layout *l, const Layout *other)
{
    l->ndim = other->ndim;
    for (int i = 0; i < other->ndim; i++) {
        l->shape[i] = other->shape[i];
    }
}

/* A Buffer in `order` with the items that lie at `from`; `src` says how. */
static Buffer *
copy_layout(State *st, Element *e, const char *from, const Layout *src,
            char order, Wish wish, const char *function)
{
    Layout dst;
    take_shape(&dst, src);
    if (layout_contiguous(&dst, e->itemsize, order) < 0) {
        return NULL;
    }
    /* Memory first: that of more items than there can be is refused at once,
     * where to look through their tables takes as long as they are many. */
    Buffer *b = make_buffer(st, e, &dst, wish);
    if (b != NULL &&
        (tables_check(from, src, function) < 0 ||
         copy_items(b->mem.data, &dst, from, src, e->itemsize) < 0)) {
        Py_CLEAR(b);
    }
    return b;
}

/* ---- of any exporter -------------------------------------------------------- */

/* The layout of a view, of which an exporter may have left out what follows
 * from the rest. */
int
layout_of_exporter(Layout *l, const Py_buffer *view, Py_ssize_t itemsize)
{
    if (layout_of_view(l, view) < 0 ||
        layout_contiguous(l, itemsize, 'C') < 0) {
        return -1;
    }
    if (l->nbytes != view->len) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter says a shape of %zd bytes and a length of "
                     "%zd bytes",
                     l->nbytes, view->len);
        return -1;
    }
    if (l->nbytes > 0 && view->buf == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter has %zd bytes and says that they lie at "
                     "NULL",
                     l->nbytes);
        return -1;
    }
    l->indirect = view->suboffsets != NULL;
    for (int i = 0; i < l->ndim; i++) {
        if (view->strides != NULL) {
            l->strides[i] = view->strides[i];
        }
        if (l->indirect) {
            l->suboffsets[i] = view->suboffsets[i];
        }
    }
    return 0;
}

Element *
read_exporter(State *st, PyObject *obj, const Py_buffer *view, Layout *l)
{
    Element *e =
        element_of_exporter(st, obj, view_format(view), view->itemsize);
    if (e != NULL && (layout_of_exporter(l, view, e->itemsize) < 0 ||
                      layout_element(l, &e, true) < 0)) {
        Py_CLEAR(e);
    }
    return e;
}

static Buffer *
copy_view(State *st, PyObject *src, const Py_buffer *view, char order,
          Wish wish)
{
    Layout layout;
    Element *e = read_exporter(st, src, view, &layout);
    if (e == NULL) {
        return NULL;
    }
    Buffer *b = copy_layout(st, e, view->buf, &layout, order, wish, "copy");
    Py_DECREF(OBJECT(e));
    return b;
}

int
own_view_open(State *st, OwnView *own, PyObject *obj, int flags)
{
    if (PyObject_GetBuffer(obj, &own->view, flags) < 0) {
        element_explain(st, obj);
        return -1;
    }
    own->ours = own->view.obj != obj                    ? NULL
                : Py_IS_TYPE(obj, st->buffer_type) ? (Buffer *)obj
                : PyObject_TypeCheck(obj, st->indirect_type)
                    ? memory2d_buffer(obj)
                    : NULL;
    return 0;
}

void
own_view_close(OwnView *own)
{
    Buffer *ours = own->ours;
    Aside aside = aside_put(); /* an exporter may run Python */
    Py_XINCREF(OBJECT(ours)); /* the view may have held the last reference */
    PyBuffer_Release(&own->view);
    if (ours != NULL) {
        buffer_unlend_pointer(ours); /* nobody else saw it */
    }
    Py_XDECREF(OBJECT(ours));
    aside_return(aside);
}

Buffer *
copy_of(State *st, PyObject *src, char order, Wish wish)
{
    OwnView own;
    if (!PyObject_CheckBuffer(src)) {
        refuse(PyExc_TypeError, src,
               "copy(): {} has no buffer protocol; give bytes, an "
               "array, a memoryview or another exporter");
        return NULL;
    }
    if (own_view_open(st, &own, src, PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    Buffer *b = copy_view(st, src, &own.view, order, wish);
    own_view_close(&own);
    return b;
}

PyObject *
module_copy(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {.function = "copy",
                                  .names = {"obj", "order", "align", "source",
                                            NULL},
                                  .positional = 1,
                                  .required = 1,
                                  .cache = SIG_COPY};
    State *st = state_of_module(module);
    PyObject *arg[4];
    char order = 'C';
    Wish wish;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        args_order(arg[1], "copy", &order) < 0 ||
        memory_wish(arg[2], arg[3], "copy", &wish) < 0) {
        return NULL;
    }
    return (PyObject *)copy_of(st, arg[0], order, wish);
}

/* ---- of a Buffer ------------------------------------------------------------- */

int
copy_out(Buffer *b, char order, char *to, const char *function)
{
    Layout src, dst;
    buffer_get_layout(b, &src);
    take_shape(&dst, &src);
    if (layout_contiguous(&dst, b->element->itemsize, order) < 0) {
        return -1;
    }
    if (tables_check(b->mem.data, &src, function) < 0) {
        return -1;
    }
    /* Lent to us meanwhile, so that the memory stays whatever runs. */
    buffer_lend(b);
    int failed =
        copy_items(to, &dst, b->mem.data, &src, b->element->itemsize);
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return failed;
}

static Buffer *
copy_buffer(State *st, Buffer *b, Wish wish, const char *function)
{
    char order = b->contiguous == PYBUF_F_CONTIGUOUS ? 'F' : 'C';
    Layout layout;
    buffer_get_layout(b, &layout);
    buffer_lend(b); /* as above */
    Buffer *copy = copy_layout(st, b->element, b->mem.data, &layout, order,
                               wish, function);
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return copy;
}

Buffer *
copy_plain(State *st, Buffer *b, const char *function)
{
    Wish wish = {.source = SOURCE_C, .align = ALIGN_DEFAULT};
    return copy_buffer(st, b, wish, function);
}

/* As alike as a copy can be. Memory of others is not to be had here: its copy
 * is C's. */
PyObject *
buffer_copy(PyObject *self, PyObject *Py_UNUSED(memo))
{
    Buffer *b = (Buffer *)self;
    if (buffer_open(b) < 0) {
        return NULL;
    }
    Wish wish = {
        .source = b->mem.source == SOURCE_GO ? SOURCE_GO : SOURCE_C,
        /* A view begins where the memory does that it is a view of. */
        .align = b->root->mem.align,
    };
    if (wish.align == 0) {
        wish.align = ALIGN_DEFAULT;
    }
    Buffer *copy = copy_buffer(state_of(self), b, wish, "copy");
    if (copy != NULL) {
        copy->readonly = b->readonly;
    }
    return (PyObject *)copy;
}
