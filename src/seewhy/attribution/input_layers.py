"""The layers at which one of several inputs is explained: those whose output is computed from this image alone.

The heatmap of a layer that is computed from several images shows all of them. Such a layer may be named where each of
its positions shows the same place of all images, as after a sum or a concatenation of channels.
"""

from collections.abc import Sequence

from seewhy.attribution.layer_evidence import judge_candidate, some_classes
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, warn
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.one_input import OneInput
from seewhy.frameworks.structures import InputBatch
from seewhy.representation import listed
from seewhy.targets import Objective


def layers_of_input(view: OneInput, image: InputBatch, choices: Sequence[LayerChoice]) -> tuple[LayerChoice, ...]:
    """Return those of the chosen layers that are computed from an image; "auto" stays as it is.

    Args:
        view: The model as one of this input.
        image: (1, ...), checked.
        choices: What the caller named.

    Raises:
        LayerError: None of them is.
    """
    found = tuple(choice for choice in choices if choice.is_auto or view.depends_on_image(image, choice))
    if found:
        return found
    named = listed([repr(str(choice)) for choice in choices])
    which = f"The layer {named} is" if len(choices) == 1 else f"The layers {named} are"
    raise LayerError(
        f"{which} not computed from {view.input_name!r}, so nothing of that image is shown there. Name a layer for "
        "each image input, layer=[...], of which each image takes those that are computed from it; or leave layer= out."
    )


def check_shared_layer(plan: Plan, view: OneInput, layer: LayerChoice, image: InputBatch, objective: Objective) -> None:
    """Warn of a layer that is computed from several images.

    Raises:
        LayerError: Its positions are not those of this image.
    """
    key = ("shared layer", layer)
    fault: str | None = view.evidence.get(key)
    if fault is None:
        fault = _positions_fault(plan, layer, image, objective)
        view.evidence.add(key, fault)
    if fault:
        raise LayerError(
            f"The layer {str(layer)!r} is computed from {view.input_name!r} and other images together, and its "
            f"positions are not those of this image: {fault}. Name a layer before the images are joined, or use a "
            "method that explains the input, such as integrated_gradients."
        )
    warn(
        f"The layer {str(layer)!r} is computed from {view.input_name!r} and other images together: its heatmap belongs "
        "to no single image, and is the same for all of them. layer='auto' takes a layer of each image alone."
    )


def _positions_fault(plan: Plan, layer: LayerChoice, image: InputBatch, objective: Objective) -> str:
    """Return what is wrong with the positions of a layer, in words; empty where nothing is found."""
    probabilities = plan.framework.predict(image, objective.output)
    judged_by = objective if probabilities is None else some_classes(objective, int(probabilities.shape[1]))
    evidence = judge_candidate(plan, layer, image, judged_by, is_complete=True)
    return "" if evidence.axes is None else evidence.axes.fault
