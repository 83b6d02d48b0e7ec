/* transfer_loops.c: the innermost loops of transfer.c, for each size of items.
 */
#include "transfer.h"

#include <string.h>

/* Where `size` is a constant each memcpy is a load and a store, at whatever
 * alignment. So these are written once and inlined for each size. */
#define PER_SIZE static inline __attribute__((always_inline)) void

/* n items of one row. */
PER_SIZE
line(char *to, Py_ssize_t to_step, const char *from, Py_ssize_t from_step,
     Py_ssize_t n, size_t size)
{
    for (; n >= 4; n -= 4) {
        memcpy(to, from, size);
        memcpy(to + to_step, from + from_step, size);
        memcpy(to + 2 * to_step, from + 2 * from_step, size);
        memcpy(to + 3 * to_step, from + 3 * from_step, size);
        to += 4 * to_step;
        from += 4 * from_step;
    }
    for (; n > 0; n--) {
        memcpy(to, from, size);
        to += to_step;
        from += from_step;
    }
}

/* n items of each of m rows, from `offset` on, into n columns of m items
 * without gaps, `width` apart. Four rows at a time: their items are neighbours
 * there. */
PER_SIZE
turn(char *to, Py_ssize_t width, char *const *rows, Py_ssize_t m,
     Py_ssize_t offset, Py_ssize_t step, Py_ssize_t n, size_t size)
{
    Py_ssize_t i = 0;
    for (; i + 4 <= m; i += 4) {
        const char *a = rows[i] + offset, *b = rows[i + 1] + offset;
        const char *c = rows[i + 2] + offset, *d = rows[i + 3] + offset;
        char *out = to + i * (Py_ssize_t)size;
        for (Py_ssize_t j = 0; j < n; j++) {
            memcpy(out, a + j * step, size);
            memcpy(out + size, b + j * step, size);
            memcpy(out + 2 * size, c + j * step, size);
            memcpy(out + 3 * size, d + j * step, size);
            out += width;
        }
    }
    for (; i < m; i++) {
        line(to + i * (Py_ssize_t)size, width, rows[i] + offset, step, n,
             size);
    }
}

/* Steps of one item are constants too, where they are: the commonest loops
 * then move several items at once. */
#define LOOPS_OF(NAME, SIZE, CONSTANT)                                        \
    static void line_##NAME(char *to, Py_ssize_t to_step, const char *from,   \
                            Py_ssize_t from_step, Py_ssize_t n, size_t size)  \
    {                                                                         \
        (void)size;                                                           \
        if (to_step == (Py_ssize_t)(SIZE)) {                                  \
            line(to, (Py_ssize_t)(SIZE), from, from_step, n, SIZE);           \
        }                                                                     \
        else {                                                                \
            line(to, to_step, from, from_step, n, SIZE);                      \
        }                                                                     \
    }                                                                         \
    static void turn_##NAME(char *to, Py_ssize_t width,                       \
                            char *const *rows, Py_ssize_t m,                  \
                            Py_ssize_t offset, Py_ssize_t step, Py_ssize_t n, \
                            size_t size)                                      \
    {                                                                         \
        (void)size;                                                           \
        if (step == (Py_ssize_t)(SIZE)) {                                     \
            turn(to, width, rows, m, offset, (Py_ssize_t)(SIZE), n, SIZE);    \
        }                                                                     \
        else {                                                                \
            turn(to, width, rows, m, offset, step, n, SIZE);                  \
        }                                                                     \
    }                                                                         \
    static const Loops loops_##NAME = {line_##NAME, turn_##NAME, CONSTANT};

LOOPS_OF(1, 1, true)
LOOPS_OF(2, 2, true)
LOOPS_OF(4, 4, true)
LOOPS_OF(8, 8, true)
LOOPS_OF(16, 16, true)
LOOPS_OF(any, size, false)

const Loops *
loops_of(Py_ssize_t itemsize)
{
    switch (itemsize) {
    case 1:
        return &loops_1;
    case 2:
        return &loops_2;
    case 4:
        return &loops_4;
    case 8:
        return &loops_8;
    case 16:
        return &loops_16;
    default:
        return &loops_any;
    }
}

/* n times the same small item, without gaps. */
void
loops_repeat(char *to, const char *from, Py_ssize_t n, size_t size)
{
    char pattern[CACHE_LINE];
    size_t all = (size_t)n * size;
    size_t width = CACHE_LINE / size * size;
    width = width < all ? width : all;
    memcpy(pattern, from, size);
    for (size_t done = size; done < width; done *= 2) {
        size_t more = done < width - done ? done : width - done;
        memcpy(pattern + done, pattern, more);
    }
    if (width == CACHE_LINE) { /* a constant, which is much faster */
        for (; all >= CACHE_LINE; all -= CACHE_LINE, to += CACHE_LINE) {
            memcpy(to, pattern, CACHE_LINE);
        }
    }
    while (all > 0) {
        width = width < all ? width : all;
        memcpy(to, pattern, width);
        to += width;
        all -= width;
    }
}
