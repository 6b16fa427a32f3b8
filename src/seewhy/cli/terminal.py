"""Messages on standard error: errors, warnings, times, and the output of frameworks."""

import codecs
import contextlib
import io
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from seewhy.cli.error_messages import command_line_message
from seewhy.errors import SeewhyWarning
from seewhy.timing import Times


def print_any_text() -> None:
    """Make standard output print any name: a file's name byte for byte, and other text escaped if need be."""
    codecs.register_error("seewhy", _bytes_or_escapes)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="seewhy")


def _bytes_or_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)


def without_controls(text: str) -> str:
    r"""Return text in which characters that control a terminal are escapes such as `\x1b`: files may hold any name."""
    return _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All of them but the tab and the line feed."""

MAX_NOTES = 20
"""How many different notes are printed."""


def print_error(error: Exception, image: str = "") -> None:
    """Print the message of an error on standard error; above a progress bar, if there is one.

    Args:
        error: What went wrong.
        image: The image that it concerns, which is named unless the message names it.
    """
    message, image = without_controls(command_line_message(error)), without_controls(image)
    named = message if image in message else f"{image}: {message}"
    sys.stderr.write(f"Error: {named}\n")  # not with a Console, which bypasses the progress bar's redirection of stderr


def print_times(times: Times, images: int) -> None:
    """Print on standard error where the time went."""
    sys.stderr.write(times.table(images) + "\n")


@contextlib.contextmanager
def print_warnings_as_notes() -> Iterator[None]:
    """Print each different `SeewhyWarning` once, as a line on standard error, without its line of code."""
    with warnings.catch_warnings():
        show_warning = warnings.showwarning
        printed: set[str] = set()

        def print_note(message: Any, category: type[Warning], *location: Any, **options: Any) -> None:
            if issubclass(category, SeewhyWarning):
                note = f"Note: {without_controls(command_line_message(message))}\n"
                if note not in printed and len(printed) < MAX_NOTES:
                    sys.stderr.write(note)
                    printed.add(note)
            else:
                show_warning(message, category, *location, **options)

        warnings.showwarning = print_note
        warnings.simplefilter("always", SeewhyWarning)
        yield
