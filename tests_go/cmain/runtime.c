/* pybuf_go_runtime: the counters of the Go runtime: runtime GO_VERSION */
#include "check.h"

static char go[64];

static pybuf_runtime
read_runtime(int32_t collect)
{
    pybuf_runtime r = {-1, -1, -1, -1, -1, -1, {go, sizeof(go), -1}};
    CHECK(pybuf_go_runtime(collect, &r) == PYBUF_OK);
    CHECK(r.goroutines > 0);
    CHECK(r.heap_objects > 0);
    CHECK(r.heap_bytes > 0);
    CHECK(r.collections >= 0);
    CHECK(r.blocks == 0);
    CHECK(r.block_bytes == 0);
    CHECK(r.go.len == (int64_t)strlen(go));
    return r;
}

int
main(int argc, char **argv)
{
    CHECK(argc == 2);
    pybuf_runtime before = read_runtime(1);
    CHECK_TEXT(argv[1], go);

    /* no call leaves anything behind */
    for (int i = 0; i < 10000; i++) {
        element e;
        error_text err;
        CHECK(element_read("T{O:x:}", PYBUF_FORMAT, &e, &err) == PYBUF_ETYPE);
        CHECK(element_read(">d", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    }
    pybuf_runtime after = read_runtime(1);
    CHECK(after.collections > before.collections);
    CHECK(after.goroutines == before.goroutines);
    CHECK(after.heap_objects < before.heap_objects + 1000);

    CHECK(pybuf_go_runtime(0, NULL) == PYBUF_EPANIC);
    return 0;
}
