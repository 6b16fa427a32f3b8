"""How much memory calls leave behind."""

import gc
import resource


def growth(call, times):
    """Return by how many bytes resident memory grew, and by how many Python's objects, while `call` ran so often."""
    gc.collect()
    memory, objects = resident_bytes(), len(gc.get_objects())
    for number in range(times):
        call(number)
    gc.collect()
    return resident_bytes() - memory, len(gc.get_objects()) - objects


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
