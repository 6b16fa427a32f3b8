"""`seewhy layers`, `seewhy models`, `seewhy methods`."""

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seewhy.cli.sources import ModelRequest
from seewhy.cli.terminal import quiet_start
from seewhy.frameworks import LayerCall
from seewhy.methods import METHODS
from seewhy.models import MODELS


def print_layers(model: ModelRequest) -> None:
    """Print every layer of a model that has space, in the order in which they return."""
    with quiet_start():
        classifier = model.load()
        inputs = classifier.preprocess([np.zeros((*classifier.input_size, 3), dtype=np.uint8)])
        calls = classifier.framework.calls(classifier.framework.check_inputs(inputs))
    explained = [call for call in calls if call.has_space]
    chosen = max((position for position, call in enumerate(explained) if call.is_candidate), default=None)
    table = _table("layer", "kind", "output", "")
    for position, call in enumerate(explained):
        is_chosen = position == chosen
        table.add_row(
            Text(call.path, style="bold green" if is_chosen else ""),
            Text(call.kind),
            " x ".join("any" if size is None else str(size) for size in call.shape or ()),
            Text("<- auto" if is_chosen else _why_not(call)),
        )
    console = Console()
    console.print(table)
    if chosen is not None:
        console.print(
            f"auto takes {explained[chosen].path}: the last layer in call order whose output still has space (more "
            f"than 1 x 1) and that is not a pooling layer. {len(calls) - len(explained)} others have no space.",
            markup=False,
        )
    if classifier.layer is not None:
        console.print(
            f"This model has a layer of its own, which is explained instead: {classifier.layer}.", markup=False
        )


def print_models() -> None:
    """Print the table of models."""
    table = _table("model", "input", "parameters", "weights")
    for model in MODELS.values():
        height, width = model.input_size
        table.add_row(model.name, f"{height} x {width}", f"{model.parameters:,}", model.weights)
    Console().print(table)


def print_methods() -> None:
    """Print the tables of methods, by what their evidence comes from."""
    console = Console()
    for family in dict.fromkeys(method.family for method in METHODS.values()):
        table = _table("method", "what it shows", "runs", "maps", "paper")
        table.title, table.title_justify = family.capitalize(), "left"
        table.columns[0].no_wrap = True
        for method in METHODS.values():
            if method.family == family:
                table.add_row(method.name, method.summary, method.cost, method.resolution, method.paper)
        console.print(table)
    console.print(
        "runs: beside the one forward pass that every method begins with; T: the targets asked for, K: the layer's "
        "channels, head: what follows the layer. maps: whether they have the resolution of the layer or of the "
        "network's input. paper: on arXiv, but for those with a name.",
        markup=False,
    )


def _why_not(call: LayerCall) -> str:
    if call.is_pooling:
        return "pooling"
    return "hands on another layer's output" if call.is_handed_on else ""


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
