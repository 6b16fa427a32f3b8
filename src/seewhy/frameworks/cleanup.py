"""Restoring what a run changes, also where Ctrl+C interrupts the run or the restoring itself."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def restoring(restore: Callable[[], None]) -> Iterator[None]:
    """Call a function when this is left, and again if that call was interrupted, as by Ctrl+C.

    An error that an interrupt led to is replaced by the interrupt: an interrupted framework may fail while it closes
    its contexts.

    Args:
        restore: Restores everything, or the rest if it was called before. It must know what to restore before the
            first change, so that an interrupt between a change and its record leaves nothing behind.
    """
    earlier, is_restored = sys.exception(), False
    try:
        try:
            yield
        finally:
            restore()
            is_restored = True
    except Exception as error:
        if (interrupt := interrupt_behind(error, earlier)) is not None:
            raise interrupt from None
        raise
    finally:
        if not is_restored:
            restore()


def interrupt_behind(error: BaseException, earlier: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt that led to an error; None for any other error.

    Args:
        error: The error.
        earlier: The exception that was handled when the run began, which did not interrupt the run.
    """
    context = error.__context__
    while context is not None and context is not earlier:
        if isinstance(context, KeyboardInterrupt):
            return context
        context = context.__context__
    return None
