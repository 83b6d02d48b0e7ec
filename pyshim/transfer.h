/* transfer.h: what transfer.c asks of transfer_loops.c. Neither knows Python
 * objects, and nothing here fails. */
#ifndef PYBUF_TRANSFER_H
#define PYBUF_TRANSFER_H

#include "shim.h"

#define CACHE_LINE 64

/* Loops over items of one size; `size` is read by those for any. */
typedef struct {
    /* n items of one row. */
    void (*line)(char *to, Py_ssize_t to_step, const char *from,
                 Py_ssize_t from_step, Py_ssize_t n, size_t size);
    /* n items of each of m rows, from `offset` on, `step` apart, into n columns
     * of m items without gaps, `width` apart. */
    void (*turn)(char *to, Py_ssize_t width, char *const *rows,
                 Py_ssize_t m, Py_ssize_t offset, Py_ssize_t step,
                 Py_ssize_t n, size_t size);
    bool constant; /* made for one size */
} Loops;

const Loops *loops_of(Py_ssize_t itemsize);
/* n times the same item, of CACHE_LINE bytes at most, without gaps. */
void loops_repeat(char *to, const char *from, Py_ssize_t n, size_t size);

#endif
