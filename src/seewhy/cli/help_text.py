"""The text of `--help`: plain, as wide as the terminal, with descriptions below the options where that is narrow."""

import os
import re
import shutil
import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

WIDTH = 100
"""The width of the text, in characters, in a file or a pipe; on a terminal the largest width."""

NARROW = 80
"""Below this width, descriptions are below their options and not beside them."""


def help_width() -> int:
    """Return the width of the text: that of the terminal, if there is one, or what COLUMNS asks for."""
    is_known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return min(shutil.get_terminal_size().columns, WIDTH) if is_known else WIDTH


class Command(TyperCommand):
    """A command whose help is readable on a narrow terminal."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _prepare(formatter)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help is readable on a narrow terminal."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _prepare(formatter)
        super().format_help(ctx, formatter)


def _prepare(formatter: Any) -> None:
    """Let a formatter of click write arguments by their names alone: no braces around them, no types of Python."""
    write_usage, write_dl = formatter.write_usage, formatter.write_dl
    options = {"col_max": 4} if formatter.width < NARROW else {}
    formatter.write_usage = lambda prog, args="", prefix=None: write_usage(prog, re.sub("[{}]", "", args), prefix)
    formatter.write_dl = lambda rows, **given: write_dl(
        [(name if name.startswith("-") else name.partition(" <")[0], text) for name, text in rows], **(given | options)
    )
