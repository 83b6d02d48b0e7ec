/* table.c: the functions of exports.go as the struct that gopybuf.h promises. */
#include "gopybuf.h"

#include "_cgo_export.h"

#include <unistd.h>

int64_t gopybuf_loans;

int32_t pybuf_gopy_home;

__attribute__((constructor)) static void
note_home(void)
{
    pybuf_gopy_home = (int32_t)getpid();
}

static const pybuf_gopy_functions functions = {
    .version = PYBUF_GOPY_VERSION,
    .size = sizeof(pybuf_gopy_functions),
    .loans = &gopybuf_loans,
    .view = gopybuf_view,
    .lend = gopybuf_lend,
    .fill = gopybuf_fill,
    .hold = gopybuf_hold,
    .bind = gopybuf_bind,
    .drop = gopybuf_drop,
    .clear = gopybuf_clear,
    .fits = gopybuf_fits,
    .is_opaque = gopybuf_is_opaque,
    .type_name = gopybuf_type_name,
    .live = gopybuf_live,
};

const pybuf_gopy_functions *
gopybuf_functions(void)
{
    return &functions;
}
