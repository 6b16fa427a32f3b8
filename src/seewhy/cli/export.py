"""`seewhy export`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from seewhy.cli.image_search import check_single_image
from seewhy.cli.layer_option import find_layer
from seewhy.cli.model_options import ModelArguments, check_targets
from seewhy.cli.tables import print_line
from seewhy.explainer import Explainer
from seewhy.exporter.exporter import Export, export
from seewhy.exporter.formats import SUFFIXES, check_path, choose_format
from seewhy.exporter.scope import ALL, check_method, check_tolerance
from seewhy.frameworks.tokens import TokenGrid
from seewhy.methods import Method
from seewhy.startup_log import quiet_start
from seewhy.types import Score

DEFAULT_FORMAT = "onnx"


@dataclass(frozen=True)
class ExportArguments:
    """The arguments and options of the command."""

    model: ModelArguments
    to: str | None
    out: Path | None
    targets: Sequence[str] | None
    method: Method
    layer: str
    score: Score
    tokens: TokenGrid | None
    preprocess: bool
    place: bool
    tolerance: float
    samples: Sequence[Path]

    @property
    def path(self) -> Path:
        """Where the model is written; by default in the current folder, under the name of its source."""
        if self.out is not None:
            return self.out
        name = re.sub(r"[^\w.-]+", "-", Path(self.model.source.rstrip("/\\")).stem) or "model"
        return Path(f"{name}-explained{SUFFIXES.get(self.to or DEFAULT_FORMAT, '')}")

    @property
    def is_of_all(self) -> bool:
        """Whether all classes are explained."""
        return self.targets is not None and [target.lower() for target in self.targets] == [ALL]

    def check(self) -> None:
        """Raise an error for mistakes that can be found before a framework is imported, which takes seconds."""
        check_path(self.path, choose_format(self.path, self.to))
        check_tolerance(self.tolerance)
        if not self.method.is_auto:
            check_method(self.method)
        for sample in self.samples:
            check_single_image(sample)
        spec = self.model.check()
        if self.targets is not None and not self.is_of_all:
            check_targets(self.targets, spec)


def run(request: ExportArguments, *, as_json: bool) -> None:
    """Export a model, and print what was written.

    Raises:
        SeewhyError: The call is wrong, or the model cannot be exported so.
    """
    request.check()
    with quiet_start():
        classifier = request.model.load()
        layer = find_layer(classifier, request.layer)
        explainer = Explainer(classifier, request.method, layer, request.score, tokens=request.tokens)
        targets = ALL if request.is_of_all else request.targets
        written = export(
            explainer,
            request.path,
            to=request.to,
            targets=targets,
            preprocess=request.preprocess,
            place=request.place,
            tolerance=request.tolerance,
            samples=list(request.samples) or None,
        )
    if as_json:
        typer.echo(json.dumps(_as_dict(written), indent=2))
        return
    _print(written)


def _print(written: Export) -> None:
    console = Console(highlight=False)
    print_line(console, str(written.path))
    print_line(console, f"inputs: {', '.join(written.inputs)}; outputs: {', '.join(written.outputs)}")
    passes = written.backward_passes
    cost = f"{passes} backward passes through the head" if passes else "one product for all heatmaps"
    print_line(console, f"{written.method} at {written.layer}: {cost}")
    print_line(
        console,
        f"Run by its own runtime on sample images, it deviates by {written.deviation:.1e} of the largest value.",
    )


def _as_dict(written: Export) -> dict[str, object]:
    return {
        "path": str(written.path),
        "format": written.format,
        "inputs": list(written.inputs),
        "outputs": list(written.outputs),
        "layer": written.layer,
        "method": written.method,
        "backward_passes": written.backward_passes,
        "deviation": written.deviation,
        "metadata": dict(written.metadata),
    }
