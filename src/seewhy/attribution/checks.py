"""Checks of what a caller gives, of a capture, and of the heatmaps made of it."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from seewhy.attribution.augmentation import Augmentation
from seewhy.errors import (
    ImageError,
    InputError,
    LayerError,
    MethodError,
    ModelRunError,
    OptionError,
    TargetError,
    short_repr,
    warn,
)
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import AUTO
from seewhy.frameworks.structures import InputBatch, is_float, leaves, only_leaf
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.reading import EncodedImage
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.recordings.recording import Signal, Video, Volume
from seewhy.types import AttentionCapture, Capture, FloatArray, ImageArray, LayerSpec

_logger = logging.getLogger("seewhy.attribution")

MAX_BATCH = 100_000
"""The maximum of `batch_size`; memory ends long before."""


def check_one_input(inputs: InputBatch, method: Method) -> None:
    """Raise InputError for several inputs and for whole numbers, which a method cannot explain or change."""
    if len(leaves(inputs)) > 1:
        raise InputError(
            f"The model has {len(leaves(inputs))} inputs, and {method.title} explains one input at a time. Say which, "
            "heatmaps(inputs, input_name=...), or use a method that explains a layer, such as gradcam."
        )
    if not is_float(only_leaf(inputs)):
        raise InputError(
            f"The input is of type {only_leaf(inputs).dtype}, such as token ids, and {method.title} explains or "
            "changes numbers that vary continuously. Use a method that explains a layer, such as gradcam."
        )


def check_capture(capture: Capture, images: int, classifier: Classifier) -> None:
    """Check that a capture has one row per image and one probability per class name.

    Raises:
        LayerError: The layer's output has another number of rows.
        TargetError: The target function's scores have another number of rows.
        ModelError: The classifier has another number of class names.
        ModelRunError: The model's class scores have another number of rows.
    """
    if capture.activations.shape[0] != images:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {capture.activations.shape[0]} rows for {images} "
            "images: the model folds other axes into the batch there. Give a layer before or after that."
        )
    check_scores(capture, images, classifier)


def check_scores(capture: Capture | AttentionCapture, images: int, classifier: Classifier) -> None:
    """Check that a capture has one row of scores per image and one probability per class name, as `check_capture`."""
    if capture.scores.shape[0] != images:
        raise TargetError(
            f"The target function gave scores of shape {tuple(capture.scores.shape)} for {images} images; expected "
            "(N,) or (N, T)."
        )
    if capture.probabilities is not None:
        if _row_count(capture) != images:  # class indices of the images would be read from the same row
            raise ModelRunError(
                f"The model gave {_row_count(capture)} rows of class scores for {images} images; expected one for each "
                "image. If it takes one image at a time, give one at a time: batch_size=1."
            )
        classifier.check_class_count(capture.probabilities.shape[1])


def check_row_count(capture: Capture, perturbations: int) -> None:
    """Raise ModelRunError unless the model gave a row of outputs for each perturbation of one image."""
    _check_rows(_row_count(capture), perturbations)


def check_score_count(scores: FloatArray, perturbations: int) -> None:
    """Raise ModelRunError unless there is a row of scores for each perturbation of one image."""
    _check_rows(len(scores), perturbations)


def _check_rows(rows: int, perturbations: int) -> None:
    if rows != perturbations:
        raise ModelRunError(
            f"The model gave {rows} rows of outputs for a batch of {perturbations} perturbations of one image. If "
            "it takes batches of one size only, give that size: batch_size=1."
        )


def _row_count(capture: Capture | AttentionCapture) -> int:
    """Return the number of rows of the class scores; of the targets' scores where the outputs are not class scores."""
    tensor = capture.scores if capture.probabilities is None else capture.probabilities
    return int(tensor.shape[0])


def look_like_probabilities(outputs: Any) -> bool:
    """Whether outputs (N, ...), or their exponentials, lie in 0..1 and sum to one over the classes for all images.

    The classes are on the last axis, or on that after the images.
    """
    if not isinstance(outputs, np.ndarray) or outputs.ndim < 2 or outputs.dtype.kind in "iub":
        return False
    tolerance = 1e-4 if outputs.dtype.itemsize > 2 else 1e-2  # half precision rounds every class
    values = outputs.astype(np.float32, copy=False)
    lowest, highest = values.min(), values.max()
    if lowest < 0 < highest or highest > 1 + tolerance:
        return False
    probabilities = values if lowest >= 0 else np.exp(values)
    return any(
        probabilities.shape[axis] > 1 and np.abs(probabilities.sum(axis=axis) - 1).max() < tolerance for axis in (-1, 1)
    )


def probabilities_hint(name: str) -> str:
    """Return the warning for a model whose probabilities are explained as logits."""
    return (
        f"The model {name!r} returns probabilities, or their logarithms: they sum to one for every image. SeeWhy found "
        "no softmax before them, so they are explained as if they were logits. Give a model that returns logits; or "
        "ask for probabilities: score='probability'."
    )


def output_of(capture: Capture | AttentionCapture) -> str:
    """Return whose output was captured, for messages."""
    is_layer = isinstance(capture, Capture)
    return f"the output of the layer {capture.layer!r}" if is_layer else "the attention of this model"


def other_batch_axis(output: str, images: int) -> LayerError:
    """Return the error for an output whose first axis has the size of the batch, and is another axis."""
    return LayerError(
        f"{output[0].upper()}{output[1:]} does not have its {images} images along its first axis, which only has "
        "the same size: the axis holds something else there, such as the tokens of (tokens, images, channels). "
        "Explain a layer before or after that."
    )


def check_finite(heatmaps: FloatArray, scores: FloatArray) -> None:
    """Raise ModelRunError if the heatmaps (N, T, *space) or the scores (N, T) hold NaN or infinite values."""
    if np.isfinite(heatmaps).all() and np.isfinite(scores).all():
        return
    finite = np.isfinite(heatmaps).reshape(len(heatmaps), -1).all(axis=1) & np.isfinite(scores).all(axis=1)
    raise ModelRunError(
        f"The model gave NaN or infinite values for image {int(np.argmin(finite))} of the batch: its weights may be "
        "damaged, or its arithmetic too narrow (float16)."
    )


def check_saturation(heatmaps: FloatArray, scores: FloatArray) -> None:
    """Warn of heatmaps (N, T, *space) that are all 0 because a probability (N, T) is 0 or 1 up to rounding."""
    is_blank = ~heatmaps.reshape(*heatmaps.shape[:2], -1).any(axis=2)
    saturated = scores[is_blank & ((scores == 0) | (scores == 1))]
    if saturated.size:
        warn(
            f"The probability of a target is {saturated[0]:.0f} up to rounding, and its gradient 0, so its heatmap is "
            "blank. Explain its logit: score='logit'."
        )


def find_layers(
    layer: LayerSpec | Sequence[LayerSpec], classifier: Classifier, framework: Framework, method: Method
) -> tuple[LayerChoice, ...]:
    """Return the layers that a caller means; "auto" is the classifier's default layer, if it has one.

    Raises:
        LayerError: There is no such layer, or the method explains no layer, or all attention layers together.
    """
    if method.family == "attention":
        if not isinstance(layer, str) or layer != AUTO:
            raise LayerError(
                f"{method.title} explains all attention layers together; given layer={short_repr(layer)}. Leave layer= "
                "out, or use a method that explains a layer, such as gradcam."
            )
        return (LayerChoice(AUTO),)
    layers: list[Any] = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    if not layers:
        raise LayerError("layer=[] names no layer; expected one or more, or 'auto'.")
    if len(layers) > 1 and method.level == "input":
        raise LayerError(
            f"{method.title} explains the model's input and no layer; given {len(layers)} layers. Leave layer= out, or "
            "use a method that explains layers, such as gradcam."
        )
    default = classifier.layer or AUTO
    if classifier.layer is not None and method.level == "layer":
        _logger.info("layer=auto stands for %s, the default layer of %s", default, classifier.name)
    return tuple(
        framework.find_layer(default if isinstance(choice, str) and choice == AUTO else choice) for choice in layers
    )


def check_images(images: Any) -> list[Any]:
    """Return images, samples, volumes, signals or videos as a list, a single one too."""
    if isinstance(images, (str, os.PathLike, Image.Image, EncodedImage, Mapping, Volume, Signal, Video)):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return [images]  # reading it says what is wrong with an array that is no image
    return list(images)


def check_batch_size(batch_size: int) -> None:
    """Raise OptionError unless this is a whole number above 0."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= MAX_BATCH:
        raise OptionError(f"batch_size is {short_repr(batch_size)}; expected 1 or more, up to {MAX_BATCH:,}.")


def listed(name: str, value: Any) -> list[Any]:
    """Return a list as it is and a single value in a list, or raise where the list is empty."""
    is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 4)
    values = list(value) if is_list else [value]
    if not values:
        error = MethodError if name == "methods" else OptionError
        raise error(f"compare was given no {name}: {value!r}. Give one, or a list.")
    return values


def require_decoded(image: ImageArray | ImageError) -> ImageArray:
    """Return a decoded image, or raise the error that reading it gave."""
    if isinstance(image, ImageError):
        raise image
    return image


def check_tokens(tokens: TokenGrid | None) -> TokenGrid | None:
    """Return tokens= as it is, or raise OptionError."""
    if not (tokens is None or isinstance(tokens, TokenGrid)):
        raise OptionError(
            f"tokens is {short_repr(tokens)}; expected None or a seewhy.TokenGrid, such as "
            "seewhy.TokenGrid(grid=(14, 14), prefix=1)."
        )
    return tokens


def check_inspected(method: Method, layers: Sequence[LayerChoice], augmentations: Sequence[Augmentation]) -> None:
    """Raise MethodError unless the method may be gradcam, at one layer without augmentation."""
    if method.name not in ("auto", "gradcam") or len(layers) > 1 or augmentations:
        raise MethodError(
            "inspect shows the steps of Grad-CAM at one layer without augmentation; this Explainer has the method "
            f"{method.name}, {len(layers)} layer(s) and {len(augmentations)} augmentation(s). Make another one: "
            'seewhy.Explainer(model, "gradcam").'
        )
