"""Tables on terminals of several widths, and in files."""

import io

import pytest
from rich.console import Console

from seewhy.cli.tables import print_line, print_table

ROWS = [
    ("gradcam", "channels weighted by their mean gradient", "1"),
    ("猫", "a class", "4,652,008"),
]
HEADINGS = ("name", "what it shows", "size")
TEXT = "what is said at the end is a sentence of more than forty characters"


def printed(width, *, terminal, **options):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None, highlight=False)
    print_table(console, HEADINGS, ROWS, **options)
    print_line(console, TEXT)
    return file.getvalue().splitlines()


def test_in_a_file_each_row_is_one_line_however_narrow():
    expected = [
        "name     what it shows                             size",
        "gradcam  channels weighted by their mean gradient          1",
        "猫       a class                                   4,652,008",
        TEXT,
    ]
    lines = printed(20, terminal=False, right=(2,))
    assert lines[1:] == expected[1:]
    assert lines[0].split() == expected[0].split()
    assert len(lines[0]) == len("gradcam  channels weighted by their mean gradient  4,652,008")


def test_on_a_wide_terminal_rows_are_the_same():
    assert printed(100, terminal=True)[:3] == printed(20, terminal=False)[:3]


def test_on_a_narrower_terminal_the_widest_column_is_wrapped():
    lines = printed(46, terminal=True)
    assert lines[1] == "gradcam  channels weighted by their  1"
    assert lines[2] == "         mean gradient"


@pytest.mark.parametrize("width", [20, 30, 40])
def test_on_a_narrow_terminal_cells_are_below_each_other(width):
    lines = printed(width, terminal=True)
    assert all(len(line) <= width for line in lines)
    assert lines[0] == "gradcam"
    assert lines[1].startswith("  what it shows:")
    assert " ".join(" ".join(lines[1:]).split()).startswith("what it shows: channels weighted by their mean gradient")
    assert "  size: 4,652,008" in lines
