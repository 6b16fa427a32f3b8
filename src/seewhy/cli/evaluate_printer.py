"""What `seewhy evaluate` prints: the costs before, and the table after."""

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seewhy.cli.tables import print_line, print_table
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_notes import findings, notes, value_text
from seewhy.evaluate.study_plan import StudyPlan
from seewhy.evaluate.study_result import Study
from seewhy.evaluate.study_table import Cell
from seewhy.evaluate.table import METRICS
from seewhy.representation import counted


def print_metrics(steps: int | None, *, as_json: bool) -> None:
    """Print all metrics: what each asks, its direction, what it needs, and its cost for an image and a method."""
    options = {} if steps is None else {"steps": steps}
    if as_json:
        content = [
            {
                "name": metric.name,
                "title": metric.title,
                "family": metric.family,
                "higher_is_better": metric.higher_is_better,
                "needs": metric.needs,
                "paper": metric.paper,
                "forwards": metric.forwards(**options),
            }
            for metric in METRICS.values()
        ]
        typer.echo(json.dumps(content, indent=2))
        return
    rows = [
        (
            metric.name,
            metric.family,
            "higher" if metric.higher_is_better else "lower",
            metric.needs,
            _cost(metric, metric.forwards(**options)),
            metric.paper,
        )
        for metric in METRICS.values()
    ]
    headings = ("metric", "asks for", "better", "needs", "cost per image and method", "paper")
    print_table(Console(highlight=False), headings, rows)


def print_cost(plan: StudyPlan) -> None:
    """Print what the study costs before it starts, in forward passes of the model."""
    console = Console(highlight=False, stderr=True)
    images, sources = len(plan.loop.images), plan.loop.sources
    total = 0
    rows = []
    for metric in plan.loop.metrics:
        each = plan.forwards[metric.name]
        is_explained = metric.needs == "explainer"
        maps = sum(not is_explained or source.explainer is not None for source in sources)
        total += 0 if is_explained else each * maps * images
        rows.append((metric.name, _cost(metric, each), f"{each * maps * images:,}"))
    methods = sum(not source.is_baseline for source in sources)
    print_line(
        console,
        f"{counted(images, 'image')} x {counted(methods, 'method')} and {len(sources) - methods} baselines; the "
        "heatmaps themselves cost what 'seewhy methods' lists",
    )
    print_table(console, ("metric", "cost per image and method", "in all"), rows, right=(2,))
    print_line(console, f"{total:,} forward passes for the metrics")


class StudyPrinter:
    """Prints the results of a study on standard output."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._console = Console(highlight=False)

    @property
    def notes(self) -> list[str]:
        """What was left out, and what failed."""
        return notes(self._study)

    def print(self, files: list[str]) -> None:
        """Print the table, what it says, what was left out, and the files."""
        if self._console.is_terminal:
            self._console.print(self._table())
        else:
            self._print_lines()
        for line in findings(self._study):
            print_line(self._console, line)
        for line in self.notes:
            print_line(self._console, f"note: {line}")
        for file in files:
            self._console.print(f"wrote {file}", markup=False, soft_wrap=True)

    def _table(self) -> Table:
        study = self._study
        table = Table(caption="mean [95% interval]; ↑ higher is better, ↓ lower is better", caption_justify="left")
        table.add_column("method")
        for metric in study.metrics.values():
            table.add_column(f"{metric.name} {'↑' if metric.higher_is_better else '↓'}")
        for method in study.methods:
            cells = [study.table.cell(method, metric) for metric in study.metrics]
            is_baseline = method in study.baselines
            name = Text(f"{method}\n(baseline)" if is_baseline else method)
            table.add_row(name, *map(_cell, cells), style="dim" if is_baseline else "")
        return table

    def _print_lines(self) -> None:
        """Print a line for each method and metric, for files and pipes."""
        study = self._study
        headings = ("metric", "method", "mean [95% interval]", "images", "verdict")
        rows = [
            (cell.metric, cell.method, value_text(cell), str(cell.count), cell.verdict or _baseline(cell))
            for metric in study.metrics
            for cell in (study.table.cell(method, metric) for method in study.methods)
        ]
        print_table(self._console, headings, rows, right=(3,))


def _cell(cell: Cell) -> Text:
    text = Text(value_text(cell))
    if cell.verdict:
        text.append(f"\n{cell.verdict}", style="yellow" if cell.is_beaten else "dim")
    return text


def _baseline(cell: Cell) -> str:
    return "baseline" if cell.is_baseline else ""


def _cost(metric: Metric, number: int) -> str:
    if metric.needs == "explainer":
        return counted(number, "explanation")
    return "none" if number == 0 else f"{number:,} forward passes"
