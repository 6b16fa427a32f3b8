"""Locks and threads, also in a forked process.

A forked child has one thread, the one that forked. A lock that another thread held stays closed in the child, and what
another thread changed for the time of a run stays changed. So locks are opened again, and changes for one thread are
tied to `this_thread`: the number of a thread that does not exist in the child may be given to a new one.
"""

import os
import threading
import weakref
from typing import final


@final
class ForkSafeLock:
    """A reentrant lock that is open in a forked child, unless the thread that forked holds it.

    Attributes:
        lock: For a `with` statement. A lock of Python's own, as no interrupt comes between its closing and its opening.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _locks.add(self)

    def __reduce__(self) -> tuple[type["ForkSafeLock"], tuple[()]]:
        """Copy and pickle a lock as a new, open one."""
        return ForkSafeLock, ()

    def open_in_child(self) -> None:
        """Replace the lock if a thread holds it that does not exist in this process."""
        if self.lock.acquire(blocking=False):
            self.lock.release()
        else:
            self.lock = threading.RLock()


_locks: "weakref.WeakSet[ForkSafeLock]" = weakref.WeakSet()
_thread_state = threading.local()


def this_thread() -> object:
    """Return an object that stands for the running thread, in this process and in children that it forks."""
    try:
        return _thread_state.thread
    except AttributeError:
        _thread_state.thread = thread = object()
        return thread


def _open_locks() -> None:
    for lock in list(_locks):
        lock.open_in_child()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_open_locks)
