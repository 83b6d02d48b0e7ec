include "include/pybuf.pxd"
