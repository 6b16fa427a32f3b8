"""Fill in the tables of the page "Performance" and draw its plots from the recorded measurements.

Building the site measures nothing: `docs/measured.json` holds one run of `make bench`, recorded by
`python -m benchmarks.record`. The marker `<!-- measured: NAME -->` on a page is replaced by the table of that name;
`machine` describes the machine. The plots go into `docs/images/measured`, which is not under version control.
"""

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs" / "measured.json"
BENCHMARKS = ROOT / "benchmarks"
IMAGES = ROOT / "docs" / "images" / "measured"
MARKER = re.compile(r"^( *)<!-- measured: ([\w-]+) -->$", re.MULTILINE)

COLOURS = {
    "torch": "#d55e00",
    "torch-channels-last": "#e69f00",
    "keras-tensorflow": "#0072b2",
    "keras-jax": "#009e73",
    "keras-torch": "#cc79a7",
}
"""Colours of the frameworks, distinguishable with colour vision deficiency (Okabe and Ito)."""

TOOL_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
STYLE = {"fontsize": 9}

GOAL: dict[str, Any] = {"color": "black", "lw": 1.2, "ls": (0, (3, 2))}

Rows = list[dict[str, Any]]
"""The figures of a result: one row for each case, by key."""


def draw_plots() -> None:
    """Draw the plots that are missing or older than the record."""
    newest = max(RECORD.stat().st_mtime, Path(__file__).stat().st_mtime)
    record = read_record()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS.items():
        path = IMAGES / f"{name}.svg"
        if name in record["results"] and not (path.exists() and path.stat().st_mtime > newest):
            plot(rows_of(record, name)).savefig(path, metadata={"Date": None})


def read_record() -> dict[str, Any]:
    """Return the recorded measurements."""
    text = RECORD.read_text("utf-8")
    record: dict[str, Any] = json.loads(text)
    return record


def fill_tables(markdown: str, record: dict[str, Any], page: str) -> str:
    """Return a page with its markers replaced by tables, or by the statement that a result is not recorded yet.

    A benchmark is written before it is measured on a quiet machine: the page must not fail until then.
    `benchmarks.record` fails where a run lacks what the page shows.

    Args:
        markdown: The page.
        record: The record, as `read_record` returns it.
        page: The name of the page, for the message.

    Raises:
        RuntimeError: A marker has the name of no result and of no benchmark.
    """

    def table_of(marker: re.Match[str]) -> str:
        indent, name = marker.groups()
        benchmark = name.partition("-")[0]
        if name == "machine":
            lines = machine(record)
        elif name in record["results"]:
            lines = table(record["results"][name])
        elif (BENCHMARKS / f"{benchmark}.py").exists():
            lines = f"*Not recorded yet: `python -m benchmarks.{benchmark}` measures this.*"
        else:
            raise RuntimeError(
                f"{page}: the record has no result {name!r}, and there is no such benchmark. The record has: machine, "
                f"{', '.join(record['results'])}."
            )
        return textwrap.indent(lines, indent)

    return MARKER.sub(table_of, markdown)


def table(result: dict[str, Any]) -> str:
    """Return a result as a table in Markdown, with the command that measured it."""
    headings, *cells = [
        [str(cell).replace("|", "\\|") for cell in row] for row in (result["headings"], *result["rows"])
    ]
    ruler = ["---"] + ["---:"] * (len(headings) - 1)
    lines = "\n".join("| " + " | ".join(row) + " |" for row in (headings, ruler, *cells))
    where = f", on {result['where']}" if "where" in result else ""
    return f"{lines}\n\n*{result['title']}.* Measured by `{result['command']}` on {result['date']}{where}."


def machine(record: dict[str, Any]) -> str:
    """Return the description of the machine, as a list in Markdown."""
    facts = record["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return "\n".join(
        (
            f"- {facts['cores']} cores of a processor that reports itself as {facts['processor']}"
            f"{', in a virtual machine' if facts['virtual'] else ''}; {facts['memory_gb']} GB of memory",
            f"- instruction sets: {', '.join(facts['instructions']) or 'none of the relevant ones'}; "
            f"missing: {', '.join(facts['missing']) or 'none'}",
            f"- {facts['system']}; Python {facts['python']}",
            f"- {packages}",
        )
    )


def rows_of(record: dict[str, Any], name: str) -> Rows:
    """Return the figures of a result as rows."""
    result = record["results"][name]
    return [dict(zip(result["keys"], values, strict=True)) for values in result["figures"]]


def plot_cost(rows: Rows) -> Figure:
    """Plot the cost of one class and of eight, as multiples of the forward pass, by model and framework."""
    rows = [row for row in rows if row["tool"] == "seewhy"]
    models = list(dict.fromkeys(row["model"] for row in rows))[::-1]
    figure = Figure(figsize=(9, 0.85 * len(models) + 1.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(panels, (1, 8), strict=True):
        for row in rows:
            if row["classes"] == classes:
                middle = models.index(row["model"])
                height = middle + 0.3 - 0.15 * list(COLOURS).index(row["framework"])
                dot(axes, row, height)
                if row["goal"]:
                    axes.plot([row["goal"]] * 2, [middle - 0.42, middle + 0.42], **GOAL)
        axes.axvline(1, color="0.6", lw=0.8, zorder=0)
        axes.set_title(classes_in_words(classes), **STYLE)
        axes.set_xlabel("multiples of the forward pass", **STYLE)
        axes.grid(axis="x", color="0.9")
    panels[0].set_yticks(range(len(models)), models, **STYLE)
    legend(figure, rows, with_goal=any(row["goal"] for row in rows))
    return figure


def dot(axes: Axes, row: dict[str, Any], height: float) -> None:
    """Draw a median, and a line from quartile to quartile."""
    low, median, high = row["forward"]
    colour = COLOURS[row["framework"]]
    axes.plot([low, high], [height, height], color=colour, lw=2, alpha=0.5, solid_capstyle="butt")
    axes.plot([median], [height], "o", color=colour, ms=5)


def legend(figure: Figure, rows: Rows, *, with_goal: bool) -> None:
    """Add a legend of the frameworks and the goal above the plots."""
    axes = figure.axes[0]
    titles = {row["framework"]: row["title"].rpartition(", ")[0] for row in rows}
    for framework, colour in COLOURS.items():
        if framework in titles:
            axes.plot([], [], "o", color=colour, label=titles[framework])
    if with_goal:
        axes.plot([], [], label="goal", **GOAL)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, **STYLE)


def plot_classes(rows: Rows) -> Figure:
    """Plot the cost against the number of classes, as multiples of the forward pass."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in rows if row["tool"] == "seewhy"]
    lines(axes, rows, "classes")
    goals = [row for row in rows if row["goal"]]
    if goals:
        axes.plot([400, 2000], [goals[0]["goal"]] * 2, **GOAL)
        axes.annotate("goal", (400, goals[0]["goal"]), ha="right", va="center", **STYLE)
    axis_of(axes, "classes", rows)
    axes.legend(loc="upper left", frameon=False, **STYLE)
    return figure


def plot_batch(rows: Rows) -> Figure:
    """Plot the cost against the batch size, as multiples of the forward pass of the same batch."""
    return plot_growth(rows, "images")


def plot_size(rows: Rows) -> Figure:
    """Plot the cost against the image size, as multiples of the forward pass of the same size."""
    return plot_growth(rows, "side")


def plot_growth(rows: Rows, key: str) -> Figure:
    """Plot the cost against `key`, for one class and for eight side by side."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(panels, (1, 8), strict=True):
        of_count = [row for row in rows if row["tool"] == "seewhy" and row["classes"] == classes]
        lines(axes, of_count, key)
        axes.set_title(classes_in_words(classes), **STYLE)
        axis_of(axes, key, of_count)
    panels[0].legend(frameon=False, **STYLE)
    return figure


def lines(axes: Axes, rows: Rows, key: str) -> None:
    """Draw a line for each case, with its quartiles."""
    titles = list(dict.fromkeys(row["title"] for row in rows))
    for number, title in enumerate(titles):
        of_case = [row for row in rows if row["title"] == title]
        positions = [row[key] for row in of_case]
        low, median, high = zip(*(row["forward"] for row in of_case), strict=True)
        colour, mark = COLOURS[of_case[0]["framework"]], MARKS[number % len(MARKS)]
        axes.plot(positions, median, color=colour, marker=mark, ms=5, lw=1.4, label=title)
        axes.vlines(positions, low, high, color=colour, alpha=0.5, lw=2)


def axis_of(axes: Axes, key: str, rows: Rows) -> None:
    """Label the axes; the horizontal one shows `key`."""
    names = {"classes": "classes", "images": "images in the batch", "side": "side of the image, pixels"}
    positions = sorted({row[key] for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(positions, [f"{position:,}" for position in positions], **STYLE)
    axes.set_xticks([], minor=True)
    axes.set_xlabel(names[key], **STYLE)
    axes.set_ylabel("multiples of the forward pass", **STYLE)
    axes.axhline(1, color="0.6", lw=0.8, zorder=0)
    axes.grid(axis="y", color="0.9")


def plot_peers(rows: Rows) -> Figure:
    """Plot the time of other tools as multiples of SeeWhy's; code written by hand is no tool."""
    rows = [row for row in rows if row["seewhy"] is not None and row["tool"] not in ("seewhy", "by hand")]
    titles = list(dict.fromkeys(row["title"] for row in rows))[::-1]
    colours = dict(zip(dict.fromkeys(row["tool"] for row in rows), TOOL_COLOURS, strict=False))
    figure = Figure(figsize=(9, 0.75 * len(titles) + 1.3), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(panels, (1, 8), strict=True):
        for number, title in enumerate(titles):
            of_case = [row for row in rows if row["title"] == title and row["classes"] == classes]
            for index, row in enumerate(of_case):
                bar(axes, row, number + 0.25 * ((len(of_case) - 1) / 2 - index), colours[row["tool"]])
        axes.axvline(1, color="0.3", lw=0.8)
        axes.set_xscale("log")
        left, right = axes.get_xlim()
        axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"], **STYLE)
        axes.set_xticks([], minor=True)
        axes.set_title(classes_in_words(classes), **STYLE)
        axes.set_xlabel("times as long as SeeWhy", **STYLE)
        axes.set_xlim(0.95 * left, 1.4 * right)  # there is a number beside the longest bar
    panels[0].set_yticks(range(len(titles)), titles, **STYLE)
    for tool, colour in colours.items():
        panels[0].plot([], [], "s", color=colour, label=tool)
    panels[0].plot([], [], label="goal", **GOAL)
    figure.legend(loc="outside upper center", ncols=8, frameon=False, **STYLE)
    return figure


def bar(axes: Axes, row: dict[str, Any], height: float, colour: str) -> None:
    """Draw a bar from SeeWhy's 1 to a tool's median, its number, and its goal."""
    median, goal = row["seewhy"][1], row["goal"] or 1
    axes.barh([height], [median - 1], height=0.21, left=1, color=colour)
    number = f" {median:.2f} " if median < 10 else f" {median:.0f} "
    axes.annotate(number, (max(median, goal), height), va="center", fontsize=8)
    if row["goal"]:
        axes.plot([goal, goal], [height - 0.12, height + 0.12], **GOAL)


def classes_in_words(classes: int) -> str:
    """Return "1 class" or "8 classes"."""
    return f"{classes} class{'es' * (classes > 1)}"


PLOTS: dict[str, Callable[[Rows], Figure]] = {
    "cost": plot_cost,
    "cost-batch": plot_cost,
    "growth-classes": plot_classes,
    "growth-batch": plot_batch,
    "growth-size": plot_size,
    "peers": plot_peers,
}
"""The plot of each result."""
