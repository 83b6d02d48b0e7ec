/* pybuf_go_element: every manner of reading, every kind of error. */
#include <complex.h>
#include <stddef.h>
#include <sys/types.h>

#include "check.h"

static element e;
static error_text err;

static void
reads_what_is_spelled(void)
{
    CHECK(element_read("d", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.itemsize == 8);
    CHECK(e.record.align == 8);
    CHECK(e.record.dl_code == 2);
    CHECK(e.record.dl_bits == 64);
    CHECK_TEXT("d", e.format);
    CHECK(e.record.format.len == 1);
    CHECK(strcmp(e.typestr, "<f8") == 0 || strcmp(e.typestr, ">f8") == 0);
    CHECK(e.record.typestr.len == 3);
    CHECK_TEXT("g", e.arrow);
    CHECK(e.record.arrow.len == 1);

    element same;
    CHECK(element_read("f8", PYBUF_TYPESTR, &same, &err) == PYBUF_OK);
    CHECK(element_equal(&e, &same));
    CHECK(element_read("=d", PYBUF_DTYPE, &same, &err) == PYBUF_OK);
    CHECK(element_equal(&e, &same));
    CHECK(element_read("f8", PYBUF_DTYPE, &same, &err) == PYBUF_OK);
    CHECK(element_equal(&e, &same));
    CHECK(element_read("double", PYBUF_CTYPE, &same, &err) == PYBUF_OK);
    CHECK(element_equal(&e, &same));
}

static void
says_what_a_door_lacks(void)
{
    CHECK(element_read("c", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.dl_code == PYBUF_DL_NONE);
    CHECK(e.record.dl_bits == 0);
    CHECK_TEXT("", e.arrow);
    CHECK(e.record.arrow.len == 0);
}

static void
tells_records_and_sub_arrays(void)
{
    CHECK(element_read("T{i:a:d:b:}", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.structured == 1);
    CHECK(e.record.ndim == 0);
    CHECK(e.record.itemsize == 16);
    CHECK(e.record.align == 8);
    CHECK_TEXT("|V16", e.typestr);

    element same;
    CHECK(element_read("{16:0:1:ai4;8:1:bf8;}", PYBUF_DESCR, &same, &err) ==
          PYBUF_OK);
    CHECK(element_equal(&e, &same));

    CHECK(element_read("(2,3)d", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.structured == 0);
    CHECK(e.record.ndim == 2);
    CHECK(e.extents[0] == 2 && e.extents[1] == 3);
    CHECK(e.record.itemsize == 8); /* what it is made of */
    CHECK_TEXT("d", e.format);

    CHECK(element_read("2T{b:a:}", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.structured == 1);
    CHECK(e.record.ndim == 1 && e.extents[0] == 2);

    CHECK(element_read("8x", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.structured == 0);
    CHECK_TEXT("|V8", e.typestr);
}

static void
heeds_the_exporter_s_itemsize(void)
{
    CHECK(exported_read("T{d:a:b:b:}", 16, &e, &err) == PYBUF_OK);
    CHECK(e.record.itemsize == 16);
    CHECK(exported_read("T{d:a:b:b:}", 9, &e, &err) == PYBUF_OK);
    CHECK(e.record.itemsize == 9);
    CHECK(exported_read("T{d:a:b:b:}", 8, &e, &err) == PYBUF_EVALUE);
    CHECK(strstr(err.data, "have 8 bytes") != NULL);
    CHECK(exported_read("d", 4, &e, &err) == PYBUF_EVALUE);
    CHECK(exported_read("d", INT64_MIN, &e, &err) == PYBUF_EVALUE);
    CHECK(exported_read("d", INT64_MAX, &e, &err) == PYBUF_EVALUE);

    /* the other manners know nothing of it */
    CHECK(pybuf_go_element("f8", 2, PYBUF_TYPESTR, 4, element_init(&e),
                           error_init(&err)) == PYBUF_OK);
    CHECK(e.record.itemsize == 8);
}

static void
checks_error(int32_t kind, const char *part, const char *spelling, int32_t how)
{
    int32_t got = element_read(spelling, how, &e, &err);
    if (got != kind || strstr(err.data, part) == NULL) {
        fprintf(stderr, "\"%s\" read as %d: error %d, not %d: %s\n", spelling,
                how, got, kind, err.data);
        exit(1);
    }
    CHECK(err.text.len == (int64_t)strlen(err.data));
}

static void
says_why_not(void)
{
    checks_error(PYBUF_EVALUE, "is empty", "", PYBUF_FORMAT);
    checks_error(PYBUF_EVALUE, "no letter", "j", PYBUF_FORMAT);
    checks_error(PYBUF_ETYPE, "objects", "O", PYBUF_FORMAT);
    checks_error(PYBUF_ETYPE, "field \"x\" is of objects", "T{O:x:}",
                 PYBUF_FORMAT);
    checks_error(PYBUF_ETYPE, "0 bytes", "T{}", PYBUF_FORMAT);
    checks_error(PYBUF_ETYPE, "0 bytes", "{0:}", PYBUF_DESCR);
    checks_error(PYBUF_EVALUE, "malformed at index 3", "{8:", PYBUF_DESCR);
    checks_error(PYBUF_EVALUE, "malformed", "float64", PYBUF_TYPESTR);
    checks_error(PYBUF_EVALUE, "no floats of 3", "<f3", PYBUF_TYPESTR);
    checks_error(PYBUF_ETYPE, ".view(\"i8\")", "<M8[ns]", PYBUF_TYPESTR);
    checks_error(PYBUF_EUNKNOWN, "float64", "float64", PYBUF_DTYPE);
    checks_error(PYBUF_EUNKNOWN, "neither", "", PYBUF_DTYPE);
    checks_error(PYBUF_ETYPE, "objects", "O", PYBUF_DTYPE);
    checks_error(PYBUF_EVALUE, "no floats of 3", "<f3", PYBUF_DTYPE);
    checks_error(PYBUF_EUNKNOWN, "struct s", "struct s", PYBUF_CTYPE);
    checks_error(PYBUF_EVALUE, "manner 5", "d", PYBUF_READINGS);
    checks_error(PYBUF_EVALUE, "manner -1", "d", -1);
}

static void
takes_any_bytes(void)
{
    pybuf_text *text = error_init(&err);

    CHECK(pybuf_go_element("d\0", 2, PYBUF_FORMAT, 0, element_init(&e), text) ==
          PYBUF_EVALUE);
    CHECK(strstr(err.data, "\"\\x00\" at index 1") != NULL);

    /* only len bytes are read */
    CHECK(pybuf_go_element("d8", 1, PYBUF_FORMAT, 0, element_init(&e), text) ==
          PYBUF_OK);
    CHECK(pybuf_go_element(NULL, 0, PYBUF_FORMAT, 0, element_init(&e), text) ==
          PYBUF_EVALUE);
    CHECK(pybuf_go_element(NULL, 1, PYBUF_FORMAT, 0, element_init(&e), text) ==
          PYBUF_EVALUE);
    CHECK(pybuf_go_element("d", -1, PYBUF_FORMAT, 0, element_init(&e), text) ==
          PYBUF_EVALUE);
    CHECK(pybuf_go_element("d", INT64_MIN, PYBUF_FORMAT, 0, element_init(&e),
                           text) == PYBUF_EVALUE);

    enum { LONG = 1 << 20 };
    char *spelling = malloc(LONG);
    CHECK(spelling != NULL);
    memset(spelling, 0xff, LONG);
    for (int32_t how = PYBUF_FORMAT; how < PYBUF_READINGS; how++) {
        int32_t kind = pybuf_go_element(spelling, LONG, how, 0,
                                        element_init(&e), error_init(&err));
        CHECK(kind == (how == PYBUF_DTYPE || how == PYBUF_CTYPE
                           ? PYBUF_EUNKNOWN
                           : PYBUF_EVALUE));
        CHECK(err.text.len == (int64_t)strlen(err.data));
    }
    free(spelling);
}

static void
survives_a_panic(void)
{
    CHECK(pybuf_go_element("d", 1, PYBUF_FORMAT, 0, NULL, error_init(&err)) ==
          PYBUF_EPANIC);
    CHECK(strstr(err.data, "nil pointer dereference") != NULL);
    CHECK(element_read("d", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
}

/* Sizes and alignments are those of this compiler. */
#define CHECK_C(type, name)                                           \
    do {                                                              \
        CHECK(element_read(name, PYBUF_CTYPE, &e, &err) == PYBUF_OK); \
        CHECK(e.record.itemsize == sizeof(type));                     \
        CHECK(e.record.align == _Alignof(type));                      \
    } while (0)
#define CHECK_FORMAT(type, format)                                       \
    do {                                                                 \
        CHECK(element_read(format, PYBUF_FORMAT, &e, &err) == PYBUF_OK); \
        CHECK(e.record.itemsize == sizeof(type));                        \
        CHECK(e.record.align == _Alignof(type));                         \
    } while (0)

static void
measures_as_c_does(void)
{
    CHECK_C(_Bool, "_Bool");
    CHECK_C(char, "char");
    CHECK_C(signed char, "signed char");
    CHECK_C(unsigned char, "unsigned char");
    CHECK_C(short, "short");
    CHECK_C(unsigned short, "unsigned short");
    CHECK_C(int, "int");
    CHECK_C(unsigned int, "unsigned int");
    CHECK_C(long, "long");
    CHECK_C(unsigned long, "unsigned long");
    CHECK_C(long long, "long long");
    CHECK_C(unsigned long long, "unsigned long long");
    CHECK_C(int8_t, "int8_t");
    CHECK_C(uint8_t, "uint8_t");
    CHECK_C(int16_t, "int16_t");
    CHECK_C(uint16_t, "uint16_t");
    CHECK_C(int32_t, "int32_t");
    CHECK_C(uint32_t, "uint32_t");
    CHECK_C(int64_t, "int64_t");
    CHECK_C(uint64_t, "uint64_t");
    CHECK_C(intptr_t, "intptr_t");
    CHECK_C(uintptr_t, "uintptr_t");
    CHECK_C(size_t, "size_t");
    CHECK_C(ssize_t, "ssize_t");
    CHECK_C(ptrdiff_t, "ptrdiff_t");
    CHECK_C(float, "float");
    CHECK_C(double, "double");
    CHECK_C(float _Complex, "float _Complex");
    CHECK_C(double _Complex, "double _Complex");
    CHECK_C(long double, "long double");
    CHECK_C(long double _Complex, "long double _Complex");
    CHECK_C(float _Complex, "_cffi_float_complex_t");
    CHECK_C(double _Complex, "_cffi_double_complex_t");

    CHECK_FORMAT(_Bool, "?");
    CHECK_FORMAT(char, "c");
    CHECK_FORMAT(signed char, "b");
    CHECK_FORMAT(unsigned char, "B");
    CHECK_FORMAT(short, "h");
    CHECK_FORMAT(unsigned short, "H");
    CHECK_FORMAT(int, "i");
    CHECK_FORMAT(unsigned int, "I");
    CHECK_FORMAT(long, "l");
    CHECK_FORMAT(unsigned long, "L");
    CHECK_FORMAT(long long, "q");
    CHECK_FORMAT(unsigned long long, "Q");
    CHECK_FORMAT(ssize_t, "n");
    CHECK_FORMAT(size_t, "N");
    CHECK_FORMAT(void *, "P");
    CHECK_FORMAT(uint16_t, "e");
    CHECK_FORMAT(float, "f");
    CHECK_FORMAT(double, "d");
    CHECK_FORMAT(float _Complex, "Zf");
    CHECK_FORMAT(double _Complex, "Zd");
    CHECK_FORMAT(long double, "g");
    CHECK_FORMAT(long double _Complex, "Zg");

    typedef struct {
        char a;
        long double b;
        struct {
            short x;
            char y[3];
        } c[2];
        double _Complex d;
        void *e;
        float f;
    } record;
    CHECK_FORMAT(record, "T{c:a:g:b:2T{h:x:3s:y:}:c:Zd:d:P:e:f:f:}");
}

int
main(void)
{
    reads_what_is_spelled();
    says_what_a_door_lacks();
    tells_records_and_sub_arrays();
    heeds_the_exporter_s_itemsize();
    says_why_not();
    takes_any_bytes();
    survives_a_panic();
    measures_as_c_does();
    return 0;
}
