"""Tables for the terminal, and for files and pipes, where no line is wrapped."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from seewhy.cli.terminal import without_controls

if TYPE_CHECKING:
    from rich.style import StyleType

GAP = 2
MIN_WRAPPED = 24
"""The narrowest column in which text is wrapped, in characters."""


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    marked: int | None = None,
) -> None:
    """Print rows as aligned columns without borders.

    On a terminal, the widest column is wrapped if the rows are too long; where the terminal is too narrow for that,
    the cells of a row are printed below each other. Elsewhere, such as in a file or a pipe, every row is one line.

    Args:
        console: Where to print.
        headings: The name of each column.
        rows: The cells of each row.
        right: The numbers of the columns that are aligned to the right.
        marked: The number of a row that is printed in bold on a terminal.
    """
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    excess = sum(widths) + GAP * (len(widths) - 1) - console.width if console.is_terminal else 0
    widest = max(range(len(widths)), key=widths.__getitem__)
    if excess > 0 and widths[widest] - excess < MIN_WRAPPED:
        _print_blocks(console, headings, rows, marked)
        return
    widths[widest] -= max(excess, 0)
    for number, row in enumerate([headings, *rows], start=-1):
        style = "bold" if number in (-1, marked) else ""
        for line in _lines(row, widths, right):
            print_line(console, line, style)


def print_line(console: Console, text: str, style: "StyleType" = "") -> None:
    """Print a line; only on a terminal, at words, is it wrapped."""
    console.print(Text(without_controls(text), style), soft_wrap=not console.is_terminal)


def _lines(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row: more than one if a cell is longer than its column."""
    cells = [
        [cell] if cell_len(cell) <= width else textwrap.wrap(cell, width)
        for cell, width in zip(row, widths, strict=True)
    ]
    for number in range(max(map(len, cells))):
        parts = []
        for column, (lines, width) in enumerate(zip(cells, widths, strict=True)):
            text = lines[number] if number < len(lines) else ""
            padding = " " * (width - cell_len(text))
            parts.append(padding + text if column in right else text + padding)
        yield (" " * GAP).join(parts).rstrip()


def _print_blocks(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None) -> None:
    for number, (first, *rest) in enumerate(rows):
        print_line(console, first, "bold" if number == marked else "")
        for heading, cell in zip(headings[1:], rest, strict=True):
            if cell:
                text = f"{heading}: {cell}" if heading else cell
                for line in textwrap.wrap(text, max(console.width - GAP, 1), subsequent_indent=" " * GAP):
                    print_line(console, " " * GAP + line)
