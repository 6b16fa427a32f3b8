"""`seewhy layers`, `seewhy models`, `seewhy methods`."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from seewhy.cli.sources import ModelRequest
from seewhy.cli.terminal import quiet_start
from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.frameworks import LayerCall
from seewhy.methods import METHODS
from seewhy.models import MODELS
from seewhy.models.application_facts import Facts, FactsFile, look_up
from seewhy.models.keras_applications import Application, applications, downloaded


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


def print_models(names: Sequence[str] = ()) -> None:
    """Print the table of models; of those named, if any are."""
    with quiet_start():
        known = _applications()
    for name in names:
        if name not in MODELS and name not in known:
            raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, [*MODELS, *known])}")
    table = _table("model", "input", "parameters", "ImageNet weights")
    for model in MODELS.values():
        if not names or model.name in names:
            _add_model(table, model.name, model.input_size, model.parameters, model.weights)
    here = downloaded(known)
    for name, facts in _facts([each for each in known.values() if not names or each.name in names]).items():
        where = "here" if name in here else "will be downloaded"
        _add_model(table, name, facts.input_size, facts.parameters, where)
    console = Console()
    console.print(table)
    if not known:
        console.print("With Keras there are some forty more: pip install 'seewhy[tensorflow]'", markup=False)
    if not names:
        console.print(
            "torchvision:NAME and timm:NAME are known as well, by the names those packages list "
            "(pip install 'seewhy[hubs]').",
            markup=False,
        )


def _add_model(table: Table, name: str, size: tuple[int, int], parameters: int, weights: str) -> None:
    table.add_row(name, f"{size[0]} x {size[1]}", f"{parameters:,}", weights)


def _applications() -> Mapping[str, Application]:
    """Return the architectures of keras.applications; none without Keras."""
    try:
        return applications()
    except MissingExtraError:
        return {}


def _facts(asked: Sequence[Application]) -> dict[str, Facts]:
    """Return the facts of architectures; what is not known yet is looked up, and kept."""
    if not asked:
        return {}
    file = FactsFile()
    facts = dict(file.read())
    unknown = [each for each in asked if each.name not in facts]
    for each in track(unknown, "Building each model once", console=Console(stderr=True), transient=True):
        facts[each.name] = look_up(each)
        file.write(facts)  # after each: whoever stops waiting has lost nothing
    return {each.name: facts[each.name] for each in asked}


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
        "model's input. paper: on arXiv, but for those with a name.",
        markup=False,
    )


def _why_not(call: LayerCall) -> str:
    if call.is_pooling:
        return "pooling"
    return "hands on another layer's output" if call.is_pass_through else ""


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
