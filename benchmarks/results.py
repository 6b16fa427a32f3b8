"""Shows a result as a table, and writes it into benchmarks/results as Markdown and JSON."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "results"

Row = dict[str, str]


def publish(name: str, title: str, rows: list[Row], measured: Any, where: str) -> None:
    """Print a table, and write `name.md` and `name.json`.

    Args:
        name: The files'.
        title: What the table shows.
        rows: Cells by heading; the first row has every heading.
        measured: All that was measured, for those who want to reckon themselves.
        where: The machine and the versions.
    """
    headings = list(rows[0])
    table = Table(title=title, caption=where)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    lines = [f"# {title}", "", where, "", _line(headings), _line(["---"] * len(headings))]
    for row in rows:
        table.add_row(*row.values())
        lines.append(_line(list(row.values())))
    Console(width=170).print(table)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.md").write_text("\n".join(lines) + "\n")
    (FOLDER / f"{name}.json").write_text(json.dumps({"where": where, "measured": measured}, indent=1) + "\n")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
