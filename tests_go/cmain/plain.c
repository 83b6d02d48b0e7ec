/* pybuf_go_plain: the list that a cache is filled with. */
#include "check.h"

int
main(void)
{
    int64_t entries = 0;

    for (;; entries++) {
        char data[16];
        pybuf_text spelling = {data, sizeof(data), -1};
        element listed, read;
        error_text err;
        int32_t kind =
            pybuf_go_plain(entries, &spelling, element_init(&listed));

        if (kind == PYBUF_EUNKNOWN) {
            break;
        }
        CHECK(kind == PYBUF_OK);
        CHECK(spelling.len == (int64_t)strlen(data));
        CHECK(element_read(data, PYBUF_DTYPE, &read, &err) == PYBUF_OK);
        CHECK(element_equal(&listed, &read));
        CHECK(entries < 1000);
    }
    CHECK(entries > 50);

    char data[16];
    pybuf_text spelling = {data, sizeof(data), -1};
    element e;
    CHECK(pybuf_go_plain(-1, &spelling, element_init(&e)) == PYBUF_EUNKNOWN);
    CHECK(pybuf_go_plain(INT64_MIN, &spelling, element_init(&e)) ==
          PYBUF_EUNKNOWN);
    CHECK(pybuf_go_plain(INT64_MAX, &spelling, element_init(&e)) ==
          PYBUF_EUNKNOWN);
    CHECK(pybuf_go_plain(0, &spelling, NULL) == PYBUF_EPANIC);
    return 0;
}
