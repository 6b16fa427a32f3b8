"""What the terminal shows besides results."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from seewhy.errors import SeewhyError, SeewhyWarning
from seewhy.timing import Times


def print_error(error: Exception) -> None:
    """Print an error's message on standard error; above a progress bar, if one is shown."""
    sys.stderr.write(f"Error: {error}\n")  # not through a Console, which looks through the bar's stand-in for stderr


def print_times(times: Times, images: int) -> None:
    """Print on standard error where the time went."""
    sys.stderr.write(times.table(images) + "\n")


@contextlib.contextmanager
def showing_hints() -> Iterator[None]:
    """Show what SeeWhy warns of as a line of its own, and no line of code with it."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_hint(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, SeewhyWarning):
                sys.stderr.write(f"Note: {message}\n")
            else:
                show(message, category, *where, **more)

        warnings.showwarning = show_hint
        warnings.simplefilter("always", SeewhyWarning)
        yield


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what a framework's C++ code prints on standard error while it is imported.

    TensorFlow remarks on missing GPUs there before any setting can stop it. If the start fails in a way that SeeWhy has
    no message for, all of it is shown.
    """
    with (
        tempfile.TemporaryFile() as held,
        os.fdopen(os.dup(2), "w", encoding="utf-8") as visible,
        contextlib.redirect_stderr(visible),  # what Python writes there is shown as ever
    ):
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (SeewhyError, KeyboardInterrupt):
            raise
        except BaseException:
            held.seek(0)
            visible.write(held.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(visible.fileno(), 2)
