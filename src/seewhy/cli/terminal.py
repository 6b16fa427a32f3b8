"""What the terminal shows besides results."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text


def print_error(error: Exception) -> None:
    """Print an error's message on standard error."""
    Console(stderr=True).print(Text.assemble(("Error: ", "bold red"), str(error)), soft_wrap=True)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Hold back what a framework's C++ code prints on standard error while it is imported.

    TensorFlow remarks on missing GPUs there before any setting can stop it. If the start fails, all of it is shown.
    """
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(visible, 2)
            held.seek(0)
            with os.fdopen(os.dup(visible), "wb") as stderr:
                shutil.copyfileobj(held, stderr)
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)
