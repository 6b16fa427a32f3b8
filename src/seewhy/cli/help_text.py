"""The text of `--help`: plain, as wide as the terminal, with descriptions below the options where that is narrow."""

import shutil
import sys
from functools import partial
from typing import Any

from typer.core import TyperCommand, TyperGroup

WIDTH = 100
"""The width of the text, in characters, in a file or a pipe; on a terminal the largest width."""

NARROW = 80
"""Below this width, descriptions are below their options and not beside them."""


def help_width() -> int:
    """Return the width of the text, which depends on a terminal only if there is one."""
    return min(shutil.get_terminal_size().columns, WIDTH) if sys.stdout.isatty() else WIDTH


class Command(TyperCommand):
    """A command whose help is readable on a narrow terminal."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _narrow(formatter)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help is readable on a narrow terminal."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _narrow(formatter)
        super().format_help(ctx, formatter)


def _narrow(formatter: Any) -> None:
    if formatter.width < NARROW:
        formatter.write_dl = partial(formatter.write_dl, col_max=4)
