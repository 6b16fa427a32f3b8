"""`seewhy layers`."""

import copy
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from seewhy.cli.model_options import ModelArguments
from seewhy.cli.tables import new_table
from seewhy.cli.terminal import quiet_start
from seewhy.errors import SeewhyError
from seewhy.explainer import Explainer
from seewhy.frameworks import LayerCall
from seewhy.models import Classifier


def run(model: ModelArguments) -> None:
    """Print the layers of a model that have spatial output, in call order, and mark the one that "auto" selects."""
    with quiet_start():
        classifier = model.load()
        # Noise: of a blank image, positions may have no gradient that have one in every other.
        noise = np.random.default_rng(0).integers(0, 256, (*classifier.input_size, 3), dtype=np.uint8)
        inputs = classifier.preprocess([noise])
        calls = classifier.framework.calls(classifier.framework.check_inputs(inputs))
        selected = _auto_layer(classifier, inputs)
    spatial_calls = [call for call in calls if call.has_space]
    auto = max((position for position, call in enumerate(spatial_calls) if _is_auto(call, selected)), default=None)
    table = new_table("layer", "type", "output shape", "")
    for position, call in enumerate(spatial_calls):
        is_auto = position == auto
        table.add_row(
            Text(call.path, style="bold green" if is_auto else ""),
            Text(call.kind),
            " x ".join("any" if size is None else str(size) for size in call.shape or ()),
            Text("<- auto" if is_auto else _reason_not_auto(call)),
        )
    console = Console()
    console.print(table)
    if auto is not None:
        console.print(
            f"auto selects {spatial_calls[auto].path}: the last layer in call order that has spatial output (more than "
            "1 x 1), is not a pooling layer, and whose positions reach the score. "
            f"{len(calls) - len(spatial_calls)} other layer calls have no spatial output and are not listed.",
            markup=False,
        )
    if classifier.layer is not None:
        console.print(f"This model has a default layer, which is explained instead: {classifier.layer}.", markup=False)


def _auto_layer(classifier: Classifier, inputs: Any) -> str | None:
    """Return the layer that "auto" explains; None where the model cannot be explained without more arguments."""
    classifier = copy.copy(classifier)
    classifier.layer = None
    try:
        return Explainer(classifier).heatmaps(inputs).layer
    except SeewhyError:
        return None


def _is_auto(call: LayerCall, selected: str | None) -> bool:
    return call.is_candidate if selected is None else selected in (call.path, f"{call.path}#{call.number}")


def _reason_not_auto(call: LayerCall) -> str:
    if call.is_pooling:
        return "pooling"
    return "returns the output of another layer" if call.is_pass_through else ""
