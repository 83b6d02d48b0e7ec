/* pybuf_text: what is written, what is cut, what is left alone. */
#include "check.h"

/* Asks for the error of the spelling with the given cap, and checks that the
 * text is the first bytes of the whole one, and that no byte behind it
 * changed. */
static void
checks_cut(const char *spelling, const char *whole, int64_t cap,
           int64_t expected)
{
    element e;
    char data[512];
    pybuf_text err = {data, cap, -1};
    int64_t written = cap > 0 ? expected + 1 : 0;

    memset(data, '#', sizeof(data));
    CHECK(pybuf_go_element((char *)spelling, (int64_t)strlen(spelling),
                           PYBUF_FORMAT, 0, element_init(&e),
                           &err) == PYBUF_EVALUE);
    CHECK(err.len == (int64_t)strlen(whole));
    CHECK((err.len >= cap) == (expected < err.len || cap <= 0));
    if (cap > 0) {
        CHECK(memcmp(data, whole, (size_t)expected) == 0);
        CHECK(data[expected] == '\0');
    }
    for (size_t i = (size_t)written; i < sizeof(data); i++) {
        CHECK(data[i] == '#');
    }
    CHECK(err.data == data);
    CHECK(err.cap == cap);
}

static void
cuts_to_what_is_there(void)
{
    const char *whole =
        "format \"j\": \"j\" at index 0 is no letter of a type";
    int64_t len = (int64_t)strlen(whole);

    checks_cut("j", whole, len + 100, len);
    checks_cut("j", whole, len + 1, len);
    checks_cut("j", whole, len, len - 1);
    checks_cut("j", whole, 2, 1);
    checks_cut("j", whole, 1, 0);
    checks_cut("j", whole, 0, 0);
    checks_cut("j", whole, -1, 0);
    checks_cut("j", whole, INT64_MIN, 0);
}

static void
cuts_between_characters(void)
{
    /* The snowman is bytes 8, 9 and 10 of the text. */
    const char *spelling = "\xe2\x98\x83";
    const char *whole =
        "format \"\xe2\x98\x83\": \"\xe2\x98\x83\" at index 0 "
        "is no letter of a type";

    checks_cut(spelling, whole, 9, 8);
    checks_cut(spelling, whole, 10, 8);
    checks_cut(spelling, whole, 11, 8);
    checks_cut(spelling, whole, 12, 11);
}

static void
needs_no_memory_to_say_the_length(void)
{
    pybuf_text version = {NULL, 100, -1};

    CHECK(pybuf_go_version(&version) == PYBUF_OK);
    CHECK(version.len > 0);
}

static void
cuts_each_text_of_an_element(void)
{
    char format[4], typestr[4], arrow[4];
    pybuf_element e = {.format = {format, 2, -1},
                       .typestr = {typestr, 3, -1},
                       .arrow = {arrow, 1, -1}};
    error_text err;

    memset(format, '#', sizeof(format));
    memset(typestr, '#', sizeof(typestr));
    memset(arrow, '#', sizeof(arrow));
    CHECK(pybuf_go_element("Zd", 2, PYBUF_FORMAT, 0, &e, error_init(&err)) ==
          PYBUF_OK);
    CHECK(e.format.len == 2);
    CHECK(memcmp(format, "Z\0##", 4) == 0);
    CHECK(e.typestr.len == 4);
    CHECK(typestr[1] == 'c' && typestr[2] == '\0' && typestr[3] == '#');
    CHECK(e.arrow.len == 0);
    CHECK(memcmp(arrow, "\0###", 4) == 0);
    CHECK(e.itemsize == 16);
}

int
main(void)
{
    cuts_to_what_is_there();
    cuts_between_characters();
    needs_no_memory_to_say_the_length();
    cuts_each_text_of_an_element();
    return 0;
}
