"""Reading ahead: what comes next is read in threads, in bounded memory, and handed out in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from seewhy import timing
from seewhy.timing import Phase

Source = TypeVar("Source")
Read = TypeVar("Read")

READERS = 2
"""The number of threads that decode images."""

READ_AHEAD = 4
"""How many images are decoded ahead of the one that is wanted next."""

MAX_WAITING_BYTES = 2**28
"""The memory of what is decoded ahead; what the threads are at work on, and a single image, may exceed it."""


def read_ahead(
    sources: Iterable[Source],
    read: Callable[[Source], Read],
    *,
    is_slow: Callable[[Source], bool],
    size: Callable[[Read], int],
    ahead: int = READ_AHEAD,
) -> Iterator[Read]:
    """Read in threads a few steps ahead, and yield in order.

    If `sources` raises an exception, it is raised again after everything before it was yielded.

    Args:
        sources: What is read, in any number; taken a few ahead, in the caller's thread.
        read: Reads one; runs in several threads.
        is_slow: Whether reading one takes a thread; otherwise it is read in the caller's thread.
        size: The bytes of memory that what was read takes.
        ahead: How many are read ahead of the one that is wanted next.
    """
    with ThreadPoolExecutor(READERS, "seewhy-reader") as readers:
        pending: deque[Future[Read]] = deque()
        remaining = iter(sources)
        try:
            while True:
                try:
                    source = next(remaining)
                except StopIteration:
                    break
                except Exception:
                    yield from map(_await, pending)  # what came before it
                    raise
                pending.append(readers.submit(read, source) if is_slow(source) else _done(read, source))
                while len(pending) > ahead or (len(pending) > 1 and _bytes_waiting(pending, size) > MAX_WAITING_BYTES):
                    yield _await(pending.popleft())
            while pending:
                yield _await(pending.popleft())
        finally:
            for waiting in pending:  # the caller has stopped
                waiting.cancel()


def _bytes_waiting(pending: Iterable[Future[Read]], size: Callable[[Read], int]) -> int:
    return sum(size(future.result()) for future in pending if future.done() and future.exception() is None)


def _done(read: Callable[[Source], Read], source: Source) -> Future[Read]:
    """Read in this thread; an exception comes in its place, as from a thread."""
    done: Future[Read] = Future()
    try:
        done.set_result(read(source))
    except Exception as error:  # noqa: BLE001  # the future raises it
        done.set_exception(error)
    return done


@timing.phase(Phase.AWAITING_IMAGES)
def _await(future: Future[Read]) -> Read:
    return future.result()
