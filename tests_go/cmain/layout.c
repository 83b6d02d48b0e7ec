/* pybuf_go_layout: every answer, every kind of error. */
#include "check.h"

static int64_t shape[64], strides[64], suboffsets[64], out[65];
static error_text err;

/* A layout of items of 8 bytes that owns none of its lists. */
static pybuf_layout
layout_of(int64_t ndim)
{
    for (int i = 0; i < 65; i++) {
        out[i] = 12345;
    }
    return (pybuf_layout){.ndim = ndim,
                          .itemsize = 8,
                          .shape = shape,
                          .order = 'C',
                          .out_strides = out,
                          .nbytes = -1,
                          .low = 1,
                          .high = -1,
                          .flags = -1,
                          .indirect = -1};
}

static void
checks_answer(pybuf_layout *l, int64_t nbytes, int64_t low, int64_t high,
              int64_t flags, int64_t indirect)
{
    CHECK(pybuf_go_layout(l, error_init(&err)) == PYBUF_OK);
    CHECK(l->nbytes == nbytes);
    CHECK(l->low == low);
    CHECK(l->high == high);
    CHECK(l->flags == flags);
    CHECK(l->indirect == indirect);
    CHECK(out[l->ndim] == 12345);
}

static void
checks_error(pybuf_layout *l, int32_t kind, const char *part)
{
    int32_t got = pybuf_go_layout(l, error_init(&err));
    if (got != kind || strstr(err.data, part) == NULL) {
        fprintf(stderr, "error %d, not %d: %s\n", got, kind, err.data);
        exit(1);
    }
    CHECK(err.text.len == (int64_t)strlen(err.data));
    CHECK(out[0] == 12345);
}

static void
packs_in_order(void)
{
    shape[0] = 3, shape[1] = 4;
    pybuf_layout l = layout_of(2);
    checks_answer(&l, 96, 0, 96, PYBUF_C_CONTIGUOUS, 0);
    CHECK(out[0] == 32 && out[1] == 8);

    l = layout_of(2);
    l.order = 'F';
    checks_answer(&l, 96, 0, 96, PYBUF_F_CONTIGUOUS, 0);
    CHECK(out[0] == 8 && out[1] == 24);
}

static void
keeps_strides_that_are_given(void)
{
    shape[0] = 3, shape[1] = 4;
    strides[0] = -64, strides[1] = 16;
    pybuf_layout l = layout_of(2);
    l.strides = strides;
    l.order = 0; /* not read */
    checks_answer(&l, 96, -128, 56, 0, 0);
    CHECK(out[0] == -64 && out[1] == 16);
    CHECK(strides[0] == -64 && strides[1] == 16);

    /* the answer may go where the question was */
    l = layout_of(2);
    l.strides = l.out_strides = strides;
    checks_answer(&l, 96, -128, 56, 0, 0);
    CHECK(strides[0] == -64 && strides[1] == 16);
}

static void
needs_no_lists_for_one_item(void)
{
    int both = PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS;
    pybuf_layout l = layout_of(0);
    checks_answer(&l, 8, 0, 8, both, 0);

    l = layout_of(0);
    l.shape = l.out_strides = NULL;
    checks_answer(&l, 8, 0, 8, both, 0);
}

static void
takes_no_items(void)
{
    int both = PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS;
    shape[0] = 3, shape[1] = 0, shape[2] = 2;
    pybuf_layout l = layout_of(3);
    checks_answer(&l, 0, 0, 0, both, 0);
    CHECK(out[0] == 16 && out[1] == 16 && out[2] == 8);
}

static void
takes_64_dimensions(void)
{
    for (int i = 0; i < PYBUF_MAX_NDIM; i++) {
        shape[i] = 1;
    }
    pybuf_layout l = layout_of(PYBUF_MAX_NDIM);
    checks_answer(&l, 8, 0, 8, PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS, 0);
}

static void
bounds_the_first_table_of_pointers(void)
{
    shape[0] = 3, shape[1] = 4;
    strides[0] = 24, strides[1] = 8;
    suboffsets[0] = 0, suboffsets[1] = -1;
    pybuf_layout l = layout_of(2);
    l.strides = strides;
    l.suboffsets = suboffsets;
    checks_answer(&l, 96, 0, 56, 0, 1);
    CHECK(out[0] == 24 && out[1] == 8);

    suboffsets[0] = -1;
    l = layout_of(2);
    l.suboffsets = suboffsets;
    checks_answer(&l, 96, 0, 96, PYBUF_C_CONTIGUOUS, 0);
}

static void
says_why_not(void)
{
    shape[0] = 3, shape[1] = -1;
    pybuf_layout l = layout_of(2);
    checks_error(&l, PYBUF_EVALUE, "shape (3, -1): extent 1 is -1");

    shape[1] = 4;
    l = layout_of(2);
    l.itemsize = 0;
    checks_error(&l, PYBUF_EVALUE, "itemsize 0");
    l.itemsize = INT64_MIN;
    checks_error(&l, PYBUF_EVALUE, "itemsize -9223372036854775808");

    int64_t ndims[] = {-1, 65, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        l = layout_of(ndims[i]);
        checks_error(&l, PYBUF_EVALUE, "a layout has 0 to 64");
    }

    int64_t orders[] = {0, 'K', 'c', 'C' + 256, INT64_MAX};
    for (int i = 0; i < 5; i++) {
        l = layout_of(2);
        l.order = orders[i];
        checks_error(&l, PYBUF_EVALUE, "is neither 'C' (67) nor 'F' (70)");
    }

    l = layout_of(2);
    l.shape = NULL;
    checks_error(&l, PYBUF_EVALUE, "is NULL");
    l = layout_of(2);
    l.out_strides = NULL;
    checks_error(&l, PYBUF_EVALUE, "is NULL");

    suboffsets[0] = 0, suboffsets[1] = -1;
    l = layout_of(2);
    l.suboffsets = suboffsets;
    checks_error(&l, PYBUF_EVALUE, "need strides");

    shape[0] = INT64_C(1) << 60;
    l = layout_of(1);
    checks_error(&l, PYBUF_EOVERFLOW, "more than 9223372036854775807 bytes");

    shape[0] = 2;
    strides[0] = INT64_MIN;
    l = layout_of(1);
    l.strides = strides;
    checks_error(&l, PYBUF_EOVERFLOW, "reach over more than");
}

static void
survives_a_panic(void)
{
    CHECK(pybuf_go_layout(NULL, error_init(&err)) == PYBUF_EPANIC);
    CHECK(strstr(err.data, "nil pointer dereference") != NULL);
}

int
main(void)
{
    packs_in_order();
    keeps_strides_that_are_given();
    needs_no_lists_for_one_item();
    takes_no_items();
    takes_64_dimensions();
    bounds_the_first_table_of_pointers();
    says_why_not();
    survives_a_panic();
    return 0;
}
