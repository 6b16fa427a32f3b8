"""`seewhy models`."""

import json
from collections.abc import Iterator, Mapping, Sequence

import typer
from rich.console import Console
from rich.progress import track

from seewhy.cli.tables import print_line, print_table
from seewhy.errors import MissingExtraError, ModelError, did_you_mean, install_command
from seewhy.models import MODELS
from seewhy.models.application_sizes import ApplicationSize, SizeCache, read_sizes
from seewhy.models.keras_applications import Application, applications, check_name, downloaded_names
from seewhy.startup_log import quiet_start


def run(names: Sequence[str] = (), *, as_json: bool) -> None:
    """Print the models that are loaded by name; only `names`, if there are any.

    Raises:
        ModelError: There is no model of that name.
    """
    for name in names:
        if name not in MODELS:
            check_name(name, MODELS)
    with quiet_start():
        known = _applications()
    for name in names:
        if name not in MODELS and name not in known:
            raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, [*MODELS, *known])}")
    rows = list(_rows(names, known))
    if as_json:
        models = [dict(zip(("name", "input_size", "parameters", "weights"), row, strict=True)) for row in rows]
        typer.echo(json.dumps({"models": models}, indent=2))
        return
    console = Console(highlight=False)
    cells = [(name, f"{h} x {w}", f"{parameters:,}", weights) for name, (h, w), parameters, weights in rows]
    print_table(console, ("model", "input size", "parameters", "ImageNet weights"), cells, right=(2,))
    if not known:
        print_line(console, f"With Keras there are about forty more: {install_command('tensorflow')}")
    if not names:
        print_line(
            console,
            "Further models: torchvision:NAME and timm:NAME, with the names of those packages "
            f"({install_command('hubs')}); open_clip:NAME@TAG ({install_command('open-clip')}); hf:OWNER/NAME, an "
            "image classifier, or a model with an image and a text tower, of the Hugging Face hub, or a folder "
            f"that save_pretrained wrote ({install_command('huggingface')}).",
        )


def _rows(names: Sequence[str], known: Mapping[str, Application]) -> Iterator[tuple[str, tuple[int, int], int, str]]:
    """Yield the name, the input size (h, w), the number of parameters and the origin of the weights of each model."""
    for model in MODELS.values():
        if not names or model.name in names:
            yield model.name, model.input_size, model.parameters, model.weights
    downloaded = downloaded_names(known)
    selected = [application for application in known.values() if not names or application.name in names]
    for name, facts in _facts(selected).items():
        weights = "downloaded" if name in downloaded else "downloaded on first use"
        yield name, facts.input_size, facts.parameters, weights


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
    console = Console(stderr=True)
    for application in track(
        missing, "Building each model once", console=console, transient=True, disable=not console.is_terminal
    ):
        facts[application.name] = read_sizes(application)
        cache.write(facts)  # after each model, so that an interruption loses nothing
    return {application.name: facts[application.name] for application in selected}
