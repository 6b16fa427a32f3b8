"""What a framework's C++ code prints on standard error while it starts, hidden."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, TextIO, final

from seewhy.errors import SeewhyError
from seewhy.threads import ForkSafeLock

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""The environment variable by which a user says what TensorFlow prints."""


@final
class _Redirection:
    """Standard error of this process, redirected to a file while any thread is in `quiet_start`.

    The descriptor and `sys.stderr` belong to the whole process, so the first thread that enters redirects them, and the
    last one that leaves restores them. The stream for what Python prints is never closed: whatever took `sys.stderr`
    meanwhile, such as a handler of logging, keeps it.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._threads = 0
        self._hidden: BinaryIO | None = None
        self._shown = 0
        self._visible: TextIO | None = None
        self._replaced: TextIO | None = None

    def start(self) -> None:
        """Hide what is written to the descriptor from now on."""
        with self._lock.lock:
            if self._threads == 0:
                self._redirect()
            self._threads += 1

    def end(self, *, shows: bool) -> None:
        """Restore standard error if no other thread needs it hidden.

        Args:
            shows: Whether what was hidden is printed.
        """
        with self._lock.lock:
            if shows:
                self._show()
            self._threads -= 1
            if self._threads == 0:
                self._restore()

    def _redirect(self) -> None:
        hidden = tempfile.TemporaryFile()  # noqa: SIM115 - `_restore` closes it
        if self._visible is None:
            # Never closed: unbuffered, and without a warning of that at the exit of Python.
            raw = os.fdopen(os.dup(2), "wb", buffering=0, closefd=False)
            self._visible = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
        else:
            os.dup2(2, self._visible.fileno(), inheritable=False)
        if _is_printed_by(2):
            sys.stderr.flush()
            self._replaced, sys.stderr = sys.stderr, self._visible
        os.dup2(hidden.fileno(), 2)
        self._hidden, self._shown = hidden, 0

    def _show(self) -> None:
        if self._hidden is not None and self._visible is not None:
            self._hidden.seek(self._shown)
            self._visible.write(self._hidden.read().decode("utf-8", "replace"))
            self._shown = self._hidden.tell()

    def _restore(self) -> None:
        if self._hidden is not None and self._visible is not None:
            os.dup2(self._visible.fileno(), 2)
            self._hidden.close()
            self._hidden = None
        if self._replaced is not None and sys.stderr is self._visible:  # unless the block has replaced it
            sys.stderr = self._replaced
        self._replaced = None


_REDIRECTION = _Redirection()


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hide what the C++ code of a framework prints on standard error while the framework is imported.

    TensorFlow reports missing GPUs before any setting can prevent it. What Python itself prints stays visible. If the
    block raises an error that is not a `SeewhyError`, the hidden output is printed.
    """
    _REDIRECTION.start()
    shows = False
    try:
        yield
    except (SeewhyError, KeyboardInterrupt):
        raise
    except BaseException:
        shows = True
        raise
    finally:
        _REDIRECTION.end(shows=shows)


def quiet_first_start() -> contextlib.AbstractContextManager[None]:
    """Do as `quiet_start` where TensorFlow is not imported yet and the user has set no level of its log; else nothing.

    Nothing is hidden either where there is no standard error.
    """
    if "tensorflow" in sys.modules or LOG_LEVEL in os.environ or not _is_open(2):
        return contextlib.nullcontext()
    return quiet_start()


def _is_printed_by(descriptor: int) -> bool:
    """Whether Python prints its errors by a file descriptor: not in a notebook, which shows them by itself."""
    try:
        return sys.stderr.fileno() == descriptor
    except (AttributeError, OSError, ValueError):
        return False


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
