/* plain.c: a library that knows no Python, and of pybuf the header alone. */
#include "pybuf.h"

#ifdef __cplusplus
extern "C" {
#endif

static long given_back;

long
samples_given_back(void)
{
    return given_back;
}

/* The descriptor, its extent and its items are one block. */
static void
give_back(pybuf_descriptor *d)
{
    given_back++;
    free(d);
}

static pybuf_descriptor *
blank(size_t more)
{
    pybuf_descriptor *d =
        (pybuf_descriptor *)calloc(1, sizeof *d + sizeof(int64_t) + more);
    if (d != NULL) {
        d->magic = PYBUF_DESCRIPTOR_MAGIC;
        d->version = PYBUF_DESCRIPTOR_VERSION;
        d->release = give_back;
    }
    return d;
}

/* n doubles that count up; an error for a negative n, NULL without memory. */
pybuf_descriptor *
samples_read(int64_t n)
{
    pybuf_descriptor *d = blank(n < 0 ? 0 : (size_t)n * sizeof(double));
    if (d == NULL) {
        return NULL;
    }
    if (n < 0) {
        d->flags = PYBUF_FLAG_ERROR;
        d->ndim = PYBUF_EVALUE;
        d->format = "there are no samples before the first one";
        return d;
    }
    int64_t *shape = (int64_t *)(d + 1);
    double *items = (double *)(shape + 1);
    *shape = n;
    for (int64_t i = 0; i < n; i++) {
        items[i] = (double)i;
    }
    d->flags = PYBUF_FLAG_READONLY;
    d->ndim = 1;
    d->data = items;
    d->itemsize = sizeof(double);
    d->nbytes = n * (int64_t)sizeof(double);
    d->format = "d";
    d->shape = shape;
    return d;
}

/* Takes a table of doubles, and gives it back. Returns: its sum, or -1 if it is no
 * such table or was taken. */
double
samples_sum(pybuf_descriptor *d)
{
    double sum = 0;
    if (!pybuf_descriptor_take(d)) {
        return -1;
    }
    if (d->ndim != 2 || d->format[0] != 'd' || d->suboffsets != NULL) {
        sum = -1;
    }
    for (int64_t i = 0; sum >= 0 && i < d->shape[0]; i++) {
        const char *row = (const char *)d->data + i * d->strides[0];
        for (int64_t j = 0; j < d->shape[1]; j++) {
            sum += *(const double *)(row + j * d->strides[1]);
        }
    }
    d->release(d);
    return sum;
}

#ifdef __cplusplus
}
#endif
