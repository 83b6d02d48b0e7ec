"""How ctypes passes an address whole, whatever it knows of the function.

Of a function without ``argtypes`` ctypes passes ints as 32 bits. It passes a
``c_size_t`` as what it is, there and where ``argtypes`` says so. Where they say
``c_void_p``, or another integer of 64 bits, ctypes does not take that, and asks
the object what to pass instead: one after the other, these.

Imported only when a function of ctypes is given a descriptor.
"""

from __future__ import annotations

import ctypes


class _Pointer(ctypes.c_void_p):
    @property
    def _as_parameter_(self) -> int | None:
        return self.value


class _Number(ctypes.c_size_t):
    @property
    def _as_parameter_(self) -> _Pointer:
        return _Pointer(self.value)


def parameter(address: int) -> ctypes.c_size_t:
    """Give what ctypes is to pass for the address."""
    return _Number(address)
