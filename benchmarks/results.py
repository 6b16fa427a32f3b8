"""Shows a result as a table, and writes it into benchmarks/results as Markdown and JSON."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "results"

Row = dict[str, str]

Figure = dict[str, Any]
"""One number that was measured, with its spread, and what it is of, by key; see `benchmarks.cases.figures`."""


def publish(name: str, title: str, rows: list[Row], measured: Any, where: str, figures: Sequence[Figure] = ()) -> None:
    """Print a table, and write `name.md` and `name.json`.

    Args:
        name: The files'.
        title: What the table shows.
        rows: Cells by heading; the first row has every heading.
        measured: All that was measured, for those who want to reckon themselves.
        where: The machine and the versions.
        figures: The same in numbers, for the summary and the plots.
    """
    headings = list(rows[0])
    table = Table(title=title, caption=where)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    lines = [f"# {title}", "", where, "", _line(headings), _line(["---"] * len(headings))]
    for row in rows:
        table.add_row(*row.values())
        lines.append(_line(list(row.values())))
    Console(width=200).print(table)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.md").write_text("\n".join(lines) + "\n")
    content = {"title": title, "date": date.today().isoformat(), "where": where, "rows": rows}
    content |= {"figures": list(figures), "measured": measured}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def read_results(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Return every result that was written, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def remove_results(kept: tuple[str, ...], folder: Path = FOLDER) -> None:
    """Remove every result that was written, so that what is written next is of one run.

    Args:
        kept: How the names of results begin that stay.
        folder: Where they are.
    """
    for path in (*folder.glob("*.json"), *folder.glob("*.md")):
        if not path.name.startswith(kept):
            path.unlink()


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
