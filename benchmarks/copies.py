"""Time pybuf.copy() beside memcpy and NumPy: python benchmarks/copies.py.

All three make new memory, whose pages are the system's to give: that is part
of the job. memcpy copies as many bytes in the order in which they lie. How to
read the figures, rounds.py says.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
from rounds import ratios, shown

import pybuf


def by_pointers(array: np.ndarray[Any, Any]) -> pybuf.Buffer:
    """Its rows behind a table of pointers."""
    rows, step = len(array), array.strides[0]
    table = (ctypes.c_void_p * rows)(*(array.ctypes.data + i * step for i in range(rows)))
    return pybuf.wrap(
        table,
        array.shape,
        array.dtype,
        strides=(ctypes.sizeof(ctypes.c_void_p), *array.strides[1:]),
        suboffsets=(0,) + (-1,) * (array.ndim - 1),
        owner=(table, array),
    )


def jobs(side: int) -> Iterator[tuple[str, Any, Any, str]]:
    """Name, what pybuf copies, what NumPy copies, order."""
    grid = np.random.default_rng(1).random((side, side))
    edge = 2 ** (int(math.log2(side)) * 2 // 3)
    cube = np.random.default_rng(2).random((edge, edge, edge))
    pixels = np.random.default_rng(3).integers(0, 256, (side, side, 4), "u1")
    small = np.random.default_rng(4).random((2, 3))
    rows = by_pointers(grid)
    yield "C order", grid, grid, "C"
    yield "C order to F order", grid, grid, "F"
    yield "row pointers", rows, grid, "C"
    yield "row pointers to F order", rows, grid, "F"
    yield "floats to F order", grid.view("f4"), grid.view("f4"), "F"
    yield "bytes to F order", pixels[..., 0].copy(), pixels[..., 0].copy(), "F"
    yield "every second of both axes", grid[::2, ::2], grid[::2, ::2], "C"
    yield "backwards", grid[::-1, ::-1], grid[::-1, ::-1], "C"
    yield "one column for all", *[np.broadcast_to(grid[:, :1], grid.shape)] * 2, "C"
    yield "three of four channels", pixels[..., :3], pixels[..., :3], "C"
    yield "pixels to planes", *[pixels[..., :3].transpose(2, 0, 1)] * 2, "C"
    for axes in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        yield f"axes {axes}", cube.transpose(axes), cube.transpose(axes), "C"
    yield "2 x 3", small, small, "C"
    yield "2 x 3 to F order", small, small, "F"


def memcpy(flat: np.ndarray[Any, Any]) -> pybuf.Buffer:
    to = pybuf.empty(flat.size)
    ctypes.memmove(to.address, flat.ctypes.data, flat.size)
    return to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--side", type=int, default=4096, help="rows and columns of the grid")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"pybuf {pybuf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}")
    print(f"\n{'job':<28} {'pybuf':>12}  {'to memcpy':>22}  {'to NumPy':>22}")
    for name, source, array, order in jobs(args.side):
        flat = np.random.default_rng(5).integers(0, 256, array.nbytes, "u1")
        own, (to_memcpy, to_numpy) = ratios(
            lambda s=source, o=order: pybuf.copy(s, order=o),
            [
                lambda f=flat: memcpy(f),
                lambda a=array, o=order: a.copy(order=o),
            ],
            args.rounds,
        )
        print(f"{name:<28} {own * 1e6:9.1f} us  {shown(to_memcpy):>22}  {shown(to_numpy):>22}")


if __name__ == "__main__":
    main()
