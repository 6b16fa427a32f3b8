"""`seewhy models`."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import track
from rich.table import Table

from seewhy.cli.tables import new_table
from seewhy.cli.terminal import quiet_start
from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.models import MODELS
from seewhy.models.application_sizes import ApplicationSize, SizeCache, read_sizes
from seewhy.models.keras_applications import Application, applications, downloaded_names


def run(names: Sequence[str] = ()) -> None:
    """Print the table of models that are loaded by name; only of `names`, if there are any.

    Raises:
        ModelError: There is no model of that name.
    """
    with quiet_start():
        known = _applications()
    for name in names:
        if name not in MODELS and name not in known:
            raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, [*MODELS, *known])}")
    table = new_table("model", "input size", "parameters", "ImageNet weights")
    for model in MODELS.values():
        if not names or model.name in names:
            _add_row(table, model.name, model.input_size, model.parameters, model.weights)
    cached = downloaded_names(known)
    selected = [application for application in known.values() if not names or application.name in names]
    for name, facts in _facts(selected).items():
        weights = "downloaded" if name in cached else "downloaded on first use"
        _add_row(table, name, facts.input_size, facts.parameters, weights)
    console = Console()
    console.print(table)
    if not known:
        console.print("With Keras there are about forty more: pip install 'seewhy[tensorflow]'", markup=False)
    if not names:
        console.print(
            "Further models: torchvision:NAME and timm:NAME, with the names of those packages "
            "(pip install 'seewhy[hubs]').",
            markup=False,
        )


def _add_row(table: Table, name: str, size: tuple[int, int], parameters: int, weights: str) -> None:
    table.add_row(name, f"{size[0]} x {size[1]}", f"{parameters:,}", weights)


def _applications() -> Mapping[str, Application]:
    """Return the architectures of keras.applications; none without Keras."""
    try:
        return applications()
    except MissingExtraError:
        return {}


def _facts(selected: Sequence[Application]) -> dict[str, ApplicationSize]:
    """Return the facts of architectures from the cache; those that are missing are read from the built models."""
    if not selected:
        return {}
    cache = SizeCache()
    facts = dict(cache.read())
    missing = [application for application in selected if application.name not in facts]
    for application in track(missing, "Building each model once", console=Console(stderr=True), transient=True):
        facts[application.name] = read_sizes(application)
        cache.write(facts)  # after each model, so that an interruption loses nothing
    return {application.name: facts[application.name] for application in selected}
