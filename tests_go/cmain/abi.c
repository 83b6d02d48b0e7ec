/* The two halves agree on the header, and the version is the library's:
 * abi VERSION */
#include "check.h"

int
main(int argc, char **argv)
{
    CHECK(argc == 2);

    int64_t abi[6] = {-1, -1, -1, -1, -1, 12345};
    CHECK(pybuf_go_abi(abi) == PYBUF_OK);
    CHECK(abi[0] == PYBUF_ABI);
    CHECK(abi[1] == sizeof(pybuf_element));
    CHECK(abi[2] == sizeof(pybuf_layout));
    CHECK(abi[3] == sizeof(pybuf_runtime));
    CHECK(abi[4] == sizeof(pybuf_block));
    CHECK(abi[5] == 12345);

    char data[32];
    pybuf_text version = {data, sizeof(data), -1};
    CHECK(pybuf_go_version(&version) == PYBUF_OK);
    CHECK_TEXT(argv[1], data);
    CHECK(version.len == (int64_t)strlen(data));

    CHECK(pybuf_go_abi(NULL) == PYBUF_EPANIC);
    return 0;
}
