"""Draw the rooms of SeeWhy and the path of the data on the page "Architecture".

The rooms and their order are the `layers` of the import contract in `pyproject.toml`; the text in a room is the first
line of its docstring. SVG images replace the markers `<!-- drawing: rooms -->` and `<!-- drawing: pipeline -->`.

`python docs_build/architecture.py NAME` prints one of them.
"""

import ast
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGE = "seewhy"
MARKER = re.compile(r"^<!-- drawing: (\w+) -->$", re.MULTILINE)

STEPS = (
    ("read", "images.reading", ("image", "(H, W, 3)")),
    ("preprocess", "models.preprocessing", ("input", "(N, ...)")),
    ("capture", "frameworks", ("activations", "(N, *space, K),", "gradients", "(N, T, *space, K)")),
    ("method", "methods", ("raw heatmaps", "(N, T, *space)")),
    ("place", "images.geometry", ("normalized heatmaps", "(T, H, W)")),
    ("draw", "images.overlay", ("overlay", "(H, W, 3)")),
)
"""The pipeline: a step, the room or module that does it, and its result, line by line."""

WIDTH = 960
GAP = 12
LINE = 16
TEXT = 'font-size="12" text-anchor="middle" fill="currentColor"'
BOX = 'rx="6" fill="currentColor" fill-opacity="0.06" stroke="currentColor" stroke-opacity="0.5"'


def insert_drawings(markdown: str) -> str:
    """Replace the markers of a page by drawings."""
    return MARKER.sub(lambda marker: DRAWINGS[marker[1]](), markdown)


def draw_rooms() -> str:
    """Return the rooms as SVG: one row for each level of the import contract, the highest at the top."""
    levels = read_levels()
    elements, top = [], GAP
    for number, rooms in enumerate(levels):
        width = (WIDTH - GAP * (len(rooms) + 1)) / len(rooms)
        texts = [textwrap.wrap(summary_of(room), max(12, int(width / 6.6))) for room in rooms]
        height = LINE * (max(map(len, texts)) + 1) + 14
        for index, (room, lines) in enumerate(zip(rooms, texts, strict=True)):
            elements.append(box(GAP + index * (width + GAP), top, (width, height), room, lines))
        top += height
        if number < len(levels) - 1:
            elements.append(arrow("rooms", (WIDTH / 2, top + 3), (WIDTH / 2, top + 19)))
            top += 22
    names = "; ".join(", ".join(rooms) for rooms in levels)
    return svg("rooms", elements, top + GAP, f"Rooms, each of which imports only from later ones: {names}.")


def draw_pipeline() -> str:
    """Return the pipeline as SVG: a box for each step, with the room that does it, and its result below."""
    width = (WIDTH - GAP * 2 - 24 * (len(STEPS) - 1)) / len(STEPS)
    elements = []
    for number, (step, room, result) in enumerate(STEPS):
        path_of(room)  # raises if the room is gone
        left = GAP + number * (width + 24)
        elements.append(box(left, GAP, (width, 50), step, [room]))
        if number:
            elements.append(arrow("pipeline", (left - 21, GAP + 25), (left - 3, GAP + 25)))
        for line, words in enumerate(result):
            elements.append(text(left + width / 2, 84 + line * LINE, words))
    names = ", ".join(f"{step} ({' '.join(result)})" for step, _, result in STEPS)
    return svg("pipeline", elements, 150, f"The pipeline: {names}.")


def read_levels() -> list[list[str]]:
    """Return the rooms of each level of the import contract, the highest level first.

    Raises:
        RuntimeError: `pyproject.toml` has no contract of the type "layers".
    """
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            return [
                [room.strip(" ()").removeprefix(f"{PACKAGE}.") for room in re.split(r"[|:]", level)]
                for level in contract["layers"]
            ]
    raise RuntimeError("pyproject.toml has no import contract of the type 'layers'.")


def path_of(room: str) -> Path:
    """Return the file that holds a room's docstring.

    Raises:
        RuntimeError: There is no such room.
    """
    path = ROOT / "src" / PACKAGE / room.replace(".", "/")
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.exists():
            return candidate
    raise RuntimeError(f"There is no room {room!r} in src/{PACKAGE}.")


def summary_of(room: str) -> str:
    """Return the first line of a room's docstring, without code marks."""
    docstring = ast.get_docstring(ast.parse(path_of(room).read_text("utf-8"))) or ""
    return docstring.split("\n")[0].replace("`", "").rstrip(".:")


def box(left: float, top: float, size: tuple[float, float], title: str, lines: list[str]) -> str:
    """Return a box with a bold title and lines of text, centred."""
    width, height = size
    middle = left + width / 2
    parts = [f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" {BOX}/>']
    fit = f' textLength="{width - 8:.0f}" lengthAdjust="spacingAndGlyphs"' if 7.5 * len(title) > width else ""
    parts.append(text(middle, top + LINE + 4, title, f' font-weight="bold"{fit}'))
    parts += [text(middle, top + 4 + LINE * (number + 2), line) for number, line in enumerate(lines)]
    return "".join(parts)


def text(middle: float, baseline: float, words: str, attributes: str = "") -> str:
    """Return a centred line of text."""
    return f'<text x="{middle:.1f}" y="{baseline:.1f}" {TEXT}{attributes}>{escape(words)}</text>'


def arrow(name: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return an arrow."""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="currentColor" stroke-width="1.5" marker-end="url(#arrow-{name})"/>'
    )


def svg(name: str, elements: list[str], height: float, description: str) -> str:
    """Return an SVG image in a `div`, whose content Markdown leaves as it is."""
    head = (
        f'<marker id="arrow-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker>'
    )
    return (
        f'<div><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="100%" role="img" '
        f'font-family="sans-serif" aria-label="{escape(description)}"><defs>{head}</defs>'
        f"{''.join(elements)}</svg></div>"
    )


DRAWINGS: dict[str, Callable[[], str]] = {"rooms": draw_rooms, "pipeline": draw_pipeline}
"""The drawings by the names that markers use."""

if __name__ == "__main__":
    print(DRAWINGS[sys.argv[1]]())  # noqa: T201
