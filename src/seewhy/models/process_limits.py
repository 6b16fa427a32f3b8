"""Limits of memory, time and written bytes for the process that inspects a file."""

import resource


def limit_process(memory: int, max_bytes: int, processor_time: int) -> None:
    """Limit this process, for good; it may write no files.

    Args:
        memory: What is limited: `resource.RLIMIT_AS`, the address space, or `resource.RLIMIT_DATA`, what is allocated.
        max_bytes: The limit of the memory.
        processor_time: Seconds.
    """
    for limit, value in (
        (memory, max_bytes),
        (resource.RLIMIT_CPU, processor_time),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (lower, lower))


def limit_memory(memory: int, max_bytes: int) -> None:
    """Limit the memory of this process until it is limited otherwise, within what `limit_process` allows."""
    hard = resource.getrlimit(memory)[1]
    lower = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(memory, (lower, hard))
