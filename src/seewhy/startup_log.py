"""What a framework's C++ code prints on standard error while it starts, hidden."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from seewhy.errors import SeewhyError

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""The environment variable by which a user says what TensorFlow prints."""


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hide what the C++ code of a framework prints on standard error while the framework is imported.

    TensorFlow reports missing GPUs before any setting can prevent it. What Python itself prints stays visible. If the
    block raises an error that is not a `SeewhyError`, the hidden output is printed.
    """
    with tempfile.TemporaryFile() as hidden, os.fdopen(os.dup(2), "w", encoding="utf-8") as visible:
        redirected = contextlib.redirect_stderr(visible) if _is_printed_by(2) else contextlib.nullcontext()
        with redirected:
            os.dup2(hidden.fileno(), 2)
            try:
                yield
            except (SeewhyError, KeyboardInterrupt):
                raise
            except BaseException:
                hidden.seek(0)
                visible.write(hidden.read().decode("utf-8", "replace"))
                raise
            finally:
                os.dup2(visible.fileno(), 2)


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
