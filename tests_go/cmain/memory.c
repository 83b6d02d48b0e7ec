/* pybuf_go_alloc and pybuf_go_free: what a block is, until when, and what is
 * refused. */
#include "check.h"

static error_text err;

static pybuf_block
alloc(int64_t nbytes, int64_t align)
{
    pybuf_block block = {NULL, -1};
    CHECK(pybuf_go_alloc(nbytes, align, &block, error_init(&err)) == PYBUF_OK);
    CHECK(err.text.len == -1 && err.data[0] == '#'); /* left alone */
    CHECK(block.data != NULL);
    CHECK((uintptr_t)block.data % (uintptr_t)align == 0);
    CHECK(block.slot > 0);
    return block;
}

static void
free_block(pybuf_block block)
{
    CHECK(pybuf_go_free(block.slot, error_init(&err)) == PYBUF_OK);
    CHECK(err.text.len == -1 && err.data[0] == '#');
}

static bool
is_filled(const char *data, int64_t nbytes, char fill)
{
    for (int64_t i = 0; i < nbytes; i++) {
        if (data[i] != fill) {
            return false;
        }
    }
    return true;
}

static pybuf_runtime
collect(void)
{
    pybuf_runtime r = {.go = {NULL, 0, 0}};
    CHECK(pybuf_go_runtime(1, &r) == PYBUF_OK);
    return r;
}

static void
is_zeroed_and_aligned(void)
{
    static const int64_t sizes[] = {0, 1, 8, 100, 4096, 8193, 300000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int64_t align = 1; align <= 1 << 20; align *= 2) {
            pybuf_block block = alloc(sizes[i], align);
            CHECK(is_filled(block.data, sizes[i], 0));
            memset(block.data, 0xff, (size_t)sizes[i]);
            free_block(block);
        }
    }
}

static void
stays_where_it_is_until_it_is_freed(void)
{
    enum { N = 200 };
    pybuf_block blocks[N];
    for (int i = 0; i < N; i++) {
        blocks[i] = alloc(i * 101, 64);
        memset(blocks[i].data, i, (size_t)i * 101);
    }
    for (int i = 0; i < N; i += 2) {
        free_block(blocks[i]);
    }
    for (int round = 0; round < 3; round++) {
        collect();
        for (int i = 0; i < N; i++) { /* where the collector made room */
            pybuf_block other = alloc(i * 101, 64);
            memset(other.data, 0xff, (size_t)i * 101);
            free_block(other);
        }
    }
    for (int i = 1; i < N; i += 2) {
        CHECK(is_filled(blocks[i].data, i * 101, (char)i));
        free_block(blocks[i]);
    }
}

static void
is_counted_and_then_collected(void)
{
    enum { SIZE = 64 << 20 };
    pybuf_runtime before = collect();
    pybuf_block small = alloc(7, 4096), large = alloc(SIZE, 64);
    pybuf_runtime held = collect();
    CHECK(held.blocks == before.blocks + 2);
    CHECK(held.block_bytes == before.block_bytes + 7 + SIZE);
    CHECK(held.heap_bytes >= before.heap_bytes + SIZE);
    free_block(large);
    free_block(small);
    pybuf_runtime after = collect();
    CHECK(after.blocks == before.blocks);
    CHECK(after.block_bytes == before.block_bytes);
    CHECK(after.heap_bytes < held.heap_bytes - SIZE / 2);
}

static void
refuses(int64_t nbytes, int64_t align, int32_t kind, const char *sentence)
{
    pybuf_block block;
    CHECK(pybuf_go_alloc(nbytes, align, &block, error_init(&err)) == kind);
    CHECK_TEXT(sentence, err.data);
    CHECK(err.text.len == (int64_t)strlen(sentence));
    CHECK(pybuf_go_alloc(nbytes, align, &block, NULL) == kind);
}

static void
refuses_what_cannot_be(void)
{
    refuses(-1, 64, PYBUF_EVALUE, "a block of -1 bytes was asked for");
    refuses(8, 0, PYBUF_EVALUE, "align is 0, which is no power of two");
    refuses(8, 24, PYBUF_EVALUE, "align is 24, which is no power of two");
    refuses(8, INT64_MIN, PYBUF_EVALUE,
            "align is -9223372036854775808, which is no power of two");
    refuses(INT64_MAX, 1, PYBUF_EMEMORY,
            "9223372036854775807 bytes, aligned to 1, were asked for, which "
            "no machine has");
    refuses((int64_t)1 << 50, 64, PYBUF_EMEMORY,
            "1125899906842624 bytes, aligned to 64, were asked for, which no "
            "machine has");
}

static void
refuses_slots_without_a_block(void)
{
    pybuf_block old = alloc(100, 64), kept = alloc(100, 64);
    free_block(old);
    pybuf_block new = alloc(100, 64);
    CHECK(new.slot != old.slot);
    const int64_t bad[] = {old.slot, 0, -1, 1, -kept.slot, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(pybuf_go_free(bad[i], error_init(&err)) == PYBUF_EVALUE);
        CHECK(strstr(err.data, "holds no memory") != NULL);
        CHECK(pybuf_go_free(bad[i], NULL) == PYBUF_EVALUE);
    }
    CHECK(collect().blocks == 2);
    free_block(kept);
    free_block(new);
    CHECK(pybuf_go_free(new.slot, error_init(&err)) == PYBUF_EVALUE);
}

static void
loses_nothing_where_there_is_no_room_for_the_answer(void)
{
    int64_t blocks = collect().blocks;
    CHECK(pybuf_go_alloc(8, 8, NULL, error_init(&err)) == PYBUF_EPANIC);
    CHECK(strstr(err.data, "nil pointer dereference") != NULL);
    CHECK(collect().blocks == blocks);
}

int
main(void)
{
    is_zeroed_and_aligned();
    stays_where_it_is_until_it_is_freed();
    is_counted_and_then_collected();
    refuses_what_cannot_be();
    refuses_slots_without_a_block();
    loses_nothing_where_there_is_no_room_for_the_answer();
    return 0;
}
