"""What can be exported: methods that a graph can compute, at one layer, for classes."""

import math
from typing import Any

from seewhy import methods as all_methods
from seewhy.errors import MethodError, ModelError, OptionError, TargetError, short_repr
from seewhy.explainer import Explainer
from seewhy.frameworks.export_settings import Classes
from seewhy.frameworks.structures import InputBatch, image_count
from seewhy.methods import Method
from seewhy.targets import Class, TargetSpec, TopK

ALL = "all"

DEFAULT_COUNT = 5
"""How many of the most probable classes are explained where no targets are given."""

MAX_TOLERANCE = 0.1

INSTEAD = "Use gradcam, hirescam, gradcam++, xgradcam, layercam, elementwise or cam"


def check_is_explainer(explainer: object) -> None:
    """Raise ModelError for anything but an explainer, such as a model."""
    if not isinstance(explainer, Explainer):
        raise ModelError(
            f"export was given {short_repr(explainer)}; expected an Explainer, which says how the model is explained: "
            "seewhy.export(seewhy.Explainer(model), 'model.onnx')."
        )


def check_explainer(explainer: Explainer) -> None:
    """Raise an error for an explainer that no exported model can be like.

    Raises:
        MethodError: The method needs more than one backward pass.
        OptionError: Heatmaps are averaged or fused, or the model runs in another precision.
        ModelError: The model has an image and a text tower.
    """
    if explainer.classifier.framework.text_tower() is not None:
        raise ModelError(
            f"The model {explainer.classifier.name!r} has an image and a text tower, and is not exported: it is run in "
            "PyTorch. Export a classifier."
        )
    if not explainer.method.is_auto:
        check_method(explainer.method)
    if len(explainer.layer_choices) > 1:
        raise OptionError("An exported model explains one layer, and the explainer has several. Give one: layer=...")
    if explainer.augmentations:
        raise OptionError("An exported model explains an image as it is given. Leave out augmentation=.")
    framework, own = explainer.framework, explainer.classifier.framework
    if framework is not own and framework.name == own.name:  # another backend has another name
        raise OptionError("A model is exported in its own types. Leave out precision='bfloat16'.")


def check_method(method: Method) -> None:
    """Raise MethodError for a method that a graph cannot compute exactly."""
    reason = None
    if method.needs_runner and method.name != "cam":
        reason = "runs the model many times, on changed images or activations"
    elif method.fuse is not None:
        reason = "explains several layers"
    elif method.contrast is not None:
        reason = "compares classes that are different for each image"
    elif method.family not in ("gradient", "attention") or method.name == "eigengradcam":
        reason = "computes principal components, for which exported models have no operator"
    if reason is not None:
        raise MethodError(f"{method.title} {reason}, so it cannot be a part of the exported model. {INSTEAD}.")


def check_tolerance(tolerance: float) -> None:
    """Raise OptionError unless a tolerance is a share above 0."""
    is_number = isinstance(tolerance, (int, float)) and not isinstance(tolerance, bool) and math.isfinite(tolerance)
    if not is_number or not 0 < tolerance <= MAX_TOLERANCE:
        raise OptionError(
            f"tolerance is {short_repr(tolerance)}; expected a share of the largest value, above 0 and up to "
            f"{MAX_TOLERANCE}."
        )


def exported_classes(explainer: Explainer, targets: TargetSpec | None, inputs: InputBatch) -> Classes:
    """Return the classes that are explained.

    Raises:
        TargetError: There is no such class, or the targets are no classes that are the same for all images.
        ModelError: The model has no class scores.
    """
    count = class_count(explainer, inputs)
    if targets is None:
        return min(DEFAULT_COUNT, count)
    if isinstance(targets, str) and targets.strip().lower() == ALL:
        return None
    target = explainer.classifier.resolve(targets, explainer.output)
    if isinstance(target, TopK):
        target.check_outputs((None, count))
        return target.k
    if isinstance(target, Class) and not target.is_per_image:
        target.check_outputs((None, count))
        return tuple(int(index) for index in target.classes)  # type: ignore[arg-type]  # resolved
    raise TargetError(
        f"An exported model explains classes, and the targets are {short_repr(targets)}. Give 'top-5', 'all', a class "
        "or a list of classes."
    )


def class_count(explainer: Explainer, inputs: InputBatch) -> int:
    """Return the number of classes.

    Raises:
        ModelError: The model has no class scores.
    """
    probabilities: Any = explainer.framework.predict(inputs, explainer.output)
    if probabilities is None or probabilities.shape[0] != image_count(inputs):
        raise ModelError(
            f"The outputs of the model {explainer.classifier.name!r} are not class scores of shape (N, classes), which "
            "an exported model explains."
        )
    return int(probabilities.shape[1])


def resolved_method(explainer: Explainer, name: str) -> Method:
    """Return the method by which heatmaps were made; `method="auto"` has chosen it by then."""
    method = all_methods.get(name) if explainer.method.is_auto else explainer.method
    check_method(method)
    return method
