"""Memory of Python by its address, without what is in no stable interface before 3.11."""

from __future__ import annotations

import ctypes
from typing import Any


def exported(buffer: Any) -> tuple[int, int, Any]:
    """Address and length in bytes of a writable contiguous buffer, and what keeps it where it is."""
    with memoryview(buffer) as view:
        if view.readonly:
            raise ValueError("the buffer is read-only, and loads write to it")
        if "O" in view.format:
            raise ValueError("the buffer holds Python's objects, and loads would write over them")
        if not view.c_contiguous:
            raise ValueError("the buffer is not contiguous")
        size = view.nbytes
    if size == 0:
        raise ValueError("the buffer is empty")
    array = (ctypes.c_ubyte * size).from_buffer(buffer)
    return ctypes.addressof(array), size, array

