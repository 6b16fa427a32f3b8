"""How much memory calls leave behind.

What glibc has handed out and not got back is exact to a few kilobytes, so that a hundred calls show what leaks. How
much of it is resident is not: a leak of a thousand calls fits into what the heap has kept of earlier ones.
"""

import ctypes
import gc

import pytest

CALLS = 100


def leaks(call, bytes_per_call, objects_per_call=0.25):
    """Whether this much memory, or this many Python objects, are left behind by every call, which is given its number.

    A cache may grow once while it is measured; a leak grows in each of three measurements.
    """
    growth(call)  # let caches settle
    for _ in range(3):
        more_bytes, more_objects = growth(call)
        if more_bytes < bytes_per_call * CALLS and more_objects < objects_per_call * CALLS:
            return False
    return True


def growth(call):
    """Return by how many bytes, and by how many of Python's objects, the calls let memory grow."""
    gc.collect()
    memory, objects = bytes_in_use(), len(gc.get_objects())
    for number in range(CALLS):
        call(number)
    gc.collect()
    return bytes_in_use() - memory, len(gc.get_objects()) - objects


class MallocInformation(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def bytes_in_use():
    """Return the bytes that are allocated, in the heap and in maps of their own, by any library of this process."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        pytest.skip("memory is measured with mallinfo2, which this system's C library, not glibc 2.33 or later, lacks")
    library.mallinfo2.restype = MallocInformation
    information = library.mallinfo2()
    return information.uordblks + information.hblkhd
