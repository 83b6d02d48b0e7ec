/* pybuf_go_plain: the list that a cache is filled with. */
#include "check.h"

static void
check_list(int32_t how, int64_t at_least)
{
    int64_t entries = 0;

    for (;; entries++) {
        char data[64];
        pybuf_text spelling = {data, sizeof(data), -1};
        element listed, read;
        error_text err;
        int32_t kind =
            pybuf_go_plain(how, entries, &spelling, element_init(&listed));

        if (kind == PYBUF_EUNKNOWN) {
            break;
        }
        CHECK(kind == PYBUF_OK);
        CHECK(spelling.len == (int64_t)strlen(data));
        CHECK(element_read(data, how, &read, &err) == PYBUF_OK);
        CHECK(element_equal(&listed, &read));
        CHECK(entries < 1000);
    }
    CHECK(entries >= at_least);

    char data[64];
    pybuf_text spelling = {data, sizeof(data), -1};
    element e;
    CHECK(pybuf_go_plain(how, -1, &spelling, element_init(&e)) == PYBUF_EUNKNOWN);
    CHECK(pybuf_go_plain(how, INT64_MIN, &spelling, element_init(&e)) ==
          PYBUF_EUNKNOWN);
    CHECK(pybuf_go_plain(how, INT64_MAX, &spelling, element_init(&e)) ==
          PYBUF_EUNKNOWN);
    CHECK(entries == 0 ||
          pybuf_go_plain(how, 0, &spelling, NULL) == PYBUF_EPANIC);
}

int
main(void)
{
    check_list(PYBUF_FORMAT, 40);
    check_list(PYBUF_TYPESTR, 30);
    check_list(PYBUF_DTYPE, 80);
    check_list(PYBUF_CTYPE, 25);
    check_list(PYBUF_DESCR, 0); /* nothing that anybody writes */
    return 0;
}
