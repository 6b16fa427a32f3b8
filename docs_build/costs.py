"""Fills the tables of the page "What it costs" and draws its plots, from what was measured and kept.

Nothing is measured when the site is built: `docs/measured.json` has one run of `make bench`, kept by
`python -m benchmarks.record`. Where a page says `<!-- measured: NAME -->` it gets the table of that name; `machine` is
the machine. The plots go into `docs/images/measured`, which is not kept under version control.
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
IMAGES = ROOT / "docs" / "images" / "measured"
MARKER = re.compile(r"^( *)<!-- measured: ([\w-]+) -->$", re.MULTILINE)

COLOURS = {
    "torch": "#d55e00",
    "torch-channels-last": "#e69f00",
    "keras-tensorflow": "#0072b2",
    "keras-jax": "#009e73",
    "keras-torch": "#cc79a7",
}
"""Of the frameworks: colours that can be told apart by those who see fewer of them (Okabe and Ito)."""

TOOL_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
STYLE = {"fontsize": 9}

GOAL: dict[str, Any] = {"color": "black", "lw": 1.2, "ls": (0, (3, 2))}

Found = list[dict[str, Any]]


def on_pre_build(**_: object) -> None:
    """Draw the plots that are missing or older than the record; MkDocs calls this by its name."""
    newest = max(RECORD.stat().st_mtime, Path(__file__).stat().st_mtime)
    record = read_record()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS.items():
        path = IMAGES / f"{name}.svg"
        if name in record["results"] and not (path.exists() and path.stat().st_mtime > newest):
            plot(found_of(record, name)).savefig(path, metadata={"Date": None})


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Fill the tables of a page; MkDocs calls this by its name."""
    if not MARKER.search(markdown):
        return markdown
    return filled(markdown, read_record(), page.file.src_uri)


def read_record() -> dict[str, Any]:
    """Return what was kept."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return record


def filled(markdown: str, record: dict[str, Any], page: str) -> str:
    """Return a page with what was measured in the place of its markers.

    Args:
        markdown: The page.
        record: As `python -m benchmarks.record` wrote it.
        page: Its name, for the message.

    Raises:
        RuntimeError: Nothing is recorded under the name of a marker.
    """

    def measured(marker: re.Match[str]) -> str:
        indent, name = marker.groups()
        if name != "machine" and name not in record["results"]:
            raise RuntimeError(
                f"{page}: nothing is recorded as {name!r}; there are machine, {', '.join(record['results'])}. "
                "Measure it with python -m benchmarks, and keep it with python -m benchmarks.record."
            )
        lines = machine(record) if name == "machine" else table(record["results"][name])
        return textwrap.indent(lines, indent)

    return MARKER.sub(measured, markdown)


def table(result: dict[str, Any]) -> str:
    """Return a result as a table in Markdown, with the command that measured it."""
    headings, *cells = [
        [str(cell).replace("|", "\\|") for cell in row] for row in (result["headings"], *result["rows"])
    ]
    ruler = ["---"] + ["---:"] * (len(headings) - 1)
    lines = "\n".join("| " + " | ".join(row) + " |" for row in (headings, ruler, *cells))
    return f"{lines}\n\n*{result['title']}.* Measured by `{result['command']}` on {result['date']}."


def machine(record: dict[str, Any]) -> str:
    """Return the description of the machine, as a list in Markdown."""
    told = record["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    return "\n".join(
        (
            f"- {told['cores']} cores of a processor that calls itself {told['processor']}"
            f"{', in a virtual machine' if told['virtual'] else ''}; {told['memory_gb']} GB of memory",
            f"- instruction sets: {', '.join(told['instructions']) or 'none of those that matter'}; "
            f"not there: {', '.join(told['missing']) or 'none'}",
            f"- {told['system']}; Python {told['python']}",
            f"- {packages}",
        )
    )


def found_of(record: dict[str, Any], name: str) -> Found:
    """Return the figures of a result, each by key."""
    result = record["results"][name]
    return [dict(zip(result["keys"], values, strict=True)) for values in result["figures"]]


def plot_cost(found: Found) -> Figure:
    """Draw dots: how many times the bare forward pass one class and eight take, by model and framework."""
    found = [each for each in found if each["tool"] == "seewhy"]
    models = list(dict.fromkeys(each["model"] for each in found))[::-1]
    figure = Figure(figsize=(9, 0.85 * len(models) + 1.5), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(both, (1, 8), strict=True):
        for each in found:
            if each["classes"] == classes:
                middle = models.index(each["model"])
                height = middle + 0.3 - 0.15 * list(COLOURS).index(each["framework"])
                dot(axes, each, height)
                if each["goal"]:
                    axes.plot([each["goal"]] * 2, [middle - 0.42, middle + 0.42], **GOAL)
        axes.axvline(1, color="0.6", lw=0.8, zorder=0)
        axes.set_title(classes_in_words(classes), **STYLE)
        axes.set_xlabel("times the bare forward pass", **STYLE)
        axes.grid(axis="x", color="0.9")
    both[0].set_yticks(range(len(models)), models, **STYLE)
    legend(figure, found, with_goal=any(each["goal"] for each in found))
    return figure


def dot(axes: Axes, each: dict[str, Any], height: float) -> None:
    """Draw a median, and a line from quartile to quartile."""
    low, median, high = each["forward"]
    colour = COLOURS[each["framework"]]
    axes.plot([low, high], [height, height], color=colour, lw=2, alpha=0.5, solid_capstyle="butt")
    axes.plot([median], [height], "o", color=colour, ms=5)


def legend(figure: Figure, found: Found, *, with_goal: bool) -> None:
    """Name the frameworks above the plots, and the line of the goal."""
    axes = figure.axes[0]
    titles = {each["framework"]: each["title"].rpartition(", ")[0] for each in found}
    for framework, colour in COLOURS.items():
        if framework in titles:
            axes.plot([], [], "o", color=colour, label=titles[framework])
    if with_goal:
        axes.plot([], [], label="goal", **GOAL)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, **STYLE)


def plot_classes(found: Found) -> Figure:
    """Draw lines: how many times the bare forward pass more and more classes take."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    found = [each for each in found if each["tool"] == "seewhy"]
    lines(axes, found, "classes")
    goals = [each for each in found if each["goal"]]
    if goals:
        axes.plot([400, 2000], [goals[0]["goal"]] * 2, **GOAL)
        axes.annotate("goal", (400, goals[0]["goal"]), ha="right", va="center", **STYLE)
    axis_of(axes, "classes", found)
    axes.legend(loc="upper left", frameon=False, **STYLE)
    return figure


def plot_batch(found: Found) -> Figure:
    """Draw lines: how many times the bare forward pass of larger and larger batches an explanation takes."""
    return plot_growth(found, "images")


def plot_size(found: Found) -> Figure:
    """Draw lines: how many times the bare forward pass of larger and larger images an explanation takes."""
    return plot_growth(found, "side")


def plot_growth(found: Found, key: str) -> Figure:
    """Draw what grows with `key`, one class and eight classes beside each other."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(both, (1, 8), strict=True):
        of_count = [each for each in found if each["tool"] == "seewhy" and each["classes"] == classes]
        lines(axes, of_count, key)
        axes.set_title(classes_in_words(classes), **STYLE)
        axis_of(axes, key, of_count)
    both[0].legend(frameon=False, **STYLE)
    return figure


def lines(axes: Axes, found: Found, key: str) -> None:
    """Draw a line for each case, and its quartiles."""
    titles = list(dict.fromkeys(each["title"] for each in found))
    for number, title in enumerate(titles):
        of_case = [each for each in found if each["title"] == title]
        where = [each[key] for each in of_case]
        low, median, high = zip(*(each["forward"] for each in of_case), strict=True)
        colour, mark = COLOURS[of_case[0]["framework"]], MARKS[number % len(MARKS)]
        axes.plot(where, median, color=colour, marker=mark, ms=5, lw=1.4, label=title)
        axes.vlines(where, low, high, color=colour, alpha=0.5, lw=2)


def axis_of(axes: Axes, key: str, found: Found) -> None:
    """Label the axes of what grows."""
    names = {"classes": "classes", "images": "images in the batch", "side": "side of the image, pixels"}
    where = sorted({each[key] for each in found})
    axes.set_xscale("log")
    axes.set_xticks(where, [f"{each:,}" for each in where], **STYLE)
    axes.set_xticks([], minor=True)
    axes.set_xlabel(names[key], **STYLE)
    axes.set_ylabel("times the bare forward pass", **STYLE)
    axes.axhline(1, color="0.6", lw=0.8, zorder=0)
    axes.grid(axis="y", color="0.9")


def plot_peers(found: Found) -> Figure:
    """Draw bars: how many times as long as SeeWhy other tools take."""
    found = [each for each in found if each["seewhy"] is not None and each["tool"] != "seewhy"]
    titles = list(dict.fromkeys(each["title"] for each in found))[::-1]
    colours = dict(zip(dict.fromkeys(each["tool"] for each in found), TOOL_COLOURS, strict=False))
    figure = Figure(figsize=(9, 0.75 * len(titles) + 1.3), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, classes in zip(both, (1, 8), strict=True):
        for place, title in enumerate(titles):
            of_case = [each for each in found if each["title"] == title and each["classes"] == classes]
            for number, each in enumerate(of_case):
                bar(axes, each, place + 0.25 * ((len(of_case) - 1) / 2 - number), colours[each["tool"]])
        axes.axvline(1, color="0.3", lw=0.8)
        axes.set_xscale("log")
        left, right = axes.get_xlim()
        axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"], **STYLE)
        axes.set_xticks([], minor=True)
        axes.set_title(classes_in_words(classes), **STYLE)
        axes.set_xlabel("times as long as SeeWhy", **STYLE)
        axes.set_xlim(0.95 * left, 1.4 * right)  # there is a number beside the longest bar
    both[0].set_yticks(range(len(titles)), titles, **STYLE)
    for tool, colour in colours.items():
        both[0].plot([], [], "s", color=colour, label=tool)
    both[0].plot([], [], label="goal", **GOAL)
    figure.legend(loc="outside upper center", ncols=8, frameon=False, **STYLE)
    return figure


def bar(axes: Axes, each: dict[str, Any], height: float, colour: str) -> None:
    """Draw a bar from SeeWhy's 1 to a tool's median, its number, and its goal."""
    median, goal = each["seewhy"][1], each["goal"] or 1
    axes.barh([height], [median - 1], height=0.21, left=1, color=colour)
    number = f" {median:.2f} " if median < 10 else f" {median:.0f} "
    axes.annotate(number, (max(median, goal), height), va="center", fontsize=8)
    if each["goal"]:
        axes.plot([goal, goal], [height - 0.12, height + 0.12], **GOAL)


def classes_in_words(classes: int) -> str:
    """Return "1 class" or "8 classes"."""
    return f"{classes} class{'es' * (classes > 1)}"


PLOTS: dict[str, Callable[[Found], Figure]] = {
    "cost": plot_cost,
    "cost-batch": plot_cost,
    "growth-classes": plot_classes,
    "growth-batch": plot_batch,
    "growth-size": plot_size,
    "peers": plot_peers,
}
"""What is drawn of each result."""
