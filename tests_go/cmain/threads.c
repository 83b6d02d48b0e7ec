/* Every function at once on several threads, the first call among them. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 500 };

static pthread_barrier_t start;

/* The slot of a block that its thread left for another one to free; or 0. */
static _Atomic int64_t left;

static void
allocate_and_free(void)
{
    enum { SIZE = 5000 };
    pybuf_block mine, others;
    error_text err;
    CHECK(pybuf_go_alloc(SIZE, 64, &mine, error_init(&err)) == PYBUF_OK);
    CHECK(pybuf_go_alloc(0, 1, &others, error_init(&err)) == PYBUF_OK);
    CHECK(mine.slot != others.slot);
    CHECK(((char *)mine.data)[0] == 0 && ((char *)mine.data)[SIZE - 1] == 0);
    memset(mine.data, 0x5a, SIZE);
    int64_t slot = atomic_exchange(&left, others.slot);
    CHECK(slot == 0 || pybuf_go_free(slot, error_init(&err)) == PYBUF_OK);
    for (int i = 0; i < SIZE; i++) {
        CHECK(((char *)mine.data)[i] == 0x5a);
    }
    CHECK(pybuf_go_free(mine.slot, error_init(&err)) == PYBUF_OK);
    CHECK(pybuf_go_free(mine.slot, error_init(&err)) == PYBUF_EVALUE);
}

static void
one_round(void)
{
    element e;
    error_text err;
    CHECK(element_read(">q", PYBUF_FORMAT, &e, &err) == PYBUF_OK);
    CHECK(e.record.itemsize == 8);
    CHECK(element_read("int", PYBUF_CTYPE, &e, &err) == PYBUF_OK);
    CHECK_TEXT("i", e.format);
    CHECK(element_read("float64", PYBUF_DTYPE, &e, &err) == PYBUF_EUNKNOWN);
    CHECK(strstr(err.data, "\"float64\"") != NULL);
    CHECK(pybuf_go_element("d", 1, PYBUF_FORMAT, 0, NULL, error_init(&err)) ==
          PYBUF_EPANIC);

    int64_t shape[2] = {3, 4}, out[2];
    pybuf_layout l = {.ndim = 2,
                      .itemsize = 8,
                      .shape = shape,
                      .order = 'F',
                      .out_strides = out};
    CHECK(pybuf_go_layout(&l, error_init(&err)) == PYBUF_OK);
    CHECK(out[0] == 8 && out[1] == 24);
    shape[0] = -1;
    CHECK(pybuf_go_layout(&l, error_init(&err)) == PYBUF_EVALUE);

    char data[16];
    pybuf_text text = {data, sizeof(data), -1};
    CHECK(pybuf_go_plain(PYBUF_DTYPE, 3, &text, element_init(&e)) == PYBUF_OK);
    CHECK(pybuf_go_version(&text) == PYBUF_OK);
    int64_t abi[5];
    CHECK(pybuf_go_abi(abi) == PYBUF_OK);
}

static void *
run(void *unused)
{
    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        one_round();
        allocate_and_free();
        if (i % 100 == 0) {
            pybuf_runtime r = {.go = {NULL, 0, 0}};
            CHECK(pybuf_go_runtime(1, &r) == PYBUF_OK);
        }
    }
    return unused;
}

int
main(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    pybuf_runtime r = {.go = {NULL, 0, 0}};
    CHECK(pybuf_go_runtime(0, &r) == PYBUF_OK);
    CHECK(r.blocks == 1); /* what the last one left */
    CHECK(r.block_bytes == 0);
    CHECK(pybuf_go_free(left, NULL) == PYBUF_OK);
    return 0;
}
