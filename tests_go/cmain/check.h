/* check.h: what the C programs share. Each program is one test: it returns 0,
 * or says what does not hold and returns 1. */
#ifndef PYBUF_TESTS_CHECK_H
#define PYBUF_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pybuf_abi.h"

#define CHECK(what)                                                    \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                   \
        }                                                              \
    } while (0)

/* Texts, with what is there shown when they differ. */
#define CHECK_TEXT(expected, actual)                                   \
    do {                                                               \
        if (strcmp((expected), (actual)) != 0) {                       \
            fprintf(stderr, "%s:%d: \"%s\" is not \"%s\"\n", __FILE__, \
                    __LINE__, (actual), (expected));                   \
            exit(1);                                                   \
        }                                                              \
    } while (0)

/* An error text with its memory. */
typedef struct {
    pybuf_text text;
    char data[512];
} error_text;

static inline pybuf_text *
error_init(error_text *e)
{
    memset(e->data, '#', sizeof(e->data));
    e->text = (pybuf_text){e->data, sizeof(e->data), -1};
    return &e->text;
}

/* An element record with the memory of its texts. */
typedef struct {
    pybuf_element record;
    int64_t extents[PYBUF_MAX_NDIM];
    char format[64], typestr[32], arrow[16];
} element;

static inline pybuf_element *
element_init(element *e)
{
    memset(e, '#', sizeof(*e));
    e->record.format = (pybuf_text){e->format, sizeof(e->format), -1};
    e->record.typestr = (pybuf_text){e->typestr, sizeof(e->typestr), -1};
    e->record.arrow = (pybuf_text){e->arrow, sizeof(e->arrow), -1};
    e->record.extents = e->extents;
    return &e->record;
}

static inline bool
element_equal(const element *a, const element *b)
{
    return a->record.itemsize == b->record.itemsize &&
           a->record.align == b->record.align &&
           a->record.dl_code == b->record.dl_code &&
           a->record.dl_bits == b->record.dl_bits &&
           a->record.structured == b->record.structured &&
           a->record.ndim == b->record.ndim &&
           memcmp(a->extents, b->extents,
                  (size_t)a->record.ndim * sizeof(int64_t)) == 0 &&
           a->record.format.len == b->record.format.len &&
           a->record.typestr.len == b->record.typestr.len &&
           a->record.arrow.len == b->record.arrow.len &&
           strcmp(a->format, b->format) == 0 &&
           strcmp(a->typestr, b->typestr) == 0 &&
           strcmp(a->arrow, b->arrow) == 0;
}

static inline int32_t
element_read(const char *spelling, int32_t how, element *out, error_text *err)
{
    return pybuf_go_element((char *)spelling, (int64_t)strlen(spelling), how, 0,
                            element_init(out), error_init(err));
}

/* A format as an exporter gives it. */
static inline int32_t
exported_read(const char *format, int64_t itemsize, element *out,
              error_text *err)
{
    return pybuf_go_element((char *)format, (int64_t)strlen(format),
                            PYBUF_FORMAT, itemsize, element_init(out),
                            error_init(err));
}

#endif
