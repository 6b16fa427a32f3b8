"""What an exported Keras model computes of its scores and of what was captured, over the functions of `keras.ops`."""

import math
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np

from seewhy.errors import MethodError, ModelError, TargetError
from seewhy.frameworks.export_settings import GREY, MAX_BACKWARD_PASSES, ExportSettings, PixelTransform
from seewhy.frameworks.outputs import Outputs
from seewhy.frameworks.tokens import TokenGrid
from seewhy.types import Capture, NativeTensor, Score

ops = keras.ops


class ChosenClasses(NamedTuple):
    """The classes that are explained.

    Attributes:
        indices: (N, T), where they are different for each image; else None.
        scores: (N, T).
    """

    indices: NativeTensor | None
    scores: NativeTensor


def class_scores(outputs: Outputs, score: Score) -> NativeTensor:
    """Return the scores (N, C) that are explained.

    Raises:
        ModelError: The outputs are not one score for each class.
    """
    if outputs.probabilities is None:
        raise ModelError(f"An exported model explains scores of classes, (N, C), and the output is {outputs.shape}.")
    scores = outputs.logits if score == "logit" else outputs.probabilities
    return ops.cast(scores, "float32")


def choose_classes(scores: NativeTensor, settings: ExportSettings) -> ChosenClasses:
    """Return the classes that are explained, and their scores."""
    classes = settings.classes
    if classes is None:
        return ChosenClasses(None, scores)
    if isinstance(classes, int):
        _, indices = ops.top_k(ops.stop_gradient(scores), classes)
        return ChosenClasses(indices, ops.take_along_axis(scores, indices, axis=1))
    return ChosenClasses(None, ops.take(scores, np.array(classes), axis=1))


def check_pass_count(targets: int, layer: str) -> None:
    """Raise TargetError where each of too many targets takes a backward pass."""
    if targets > MAX_BACKWARD_PASSES:
        raise TargetError(
            f"Each heatmap of the layer {layer!r} takes a backward pass in the exported model: at most "
            f"{MAX_BACKWARD_PASSES}, and {targets} were requested. Give fewer, such as targets='top-5', or a list of "
            "classes."
        )


def finished_heatmaps(
    capture: Capture | None, closed_form: NativeTensor | None, settings: ExportSettings, layer: str
) -> NativeTensor:
    """Return the heatmaps (N, T, *space) of what was captured; or of the closed form, where there is one."""
    tokens, method = settings.tokens, settings.method
    if closed_form is not None:
        heatmaps = closed_form if tokens is None else _folded(closed_form, 2, tokens)
        if method.name == "cam":
            heatmaps = heatmaps * float(math.prod(size or 1 for size in heatmaps.shape[2:]))
    elif method.name == "cam" or capture is None:
        raise MethodError(
            f"CAM is exported for a head of pooling and one linear layer, and that after {layer!r} is another. Use "
            "hirescam, which takes any layer."
        )
    else:
        if tokens is not None:
            folded = _folded(capture.activations, 1, tokens), _folded(capture.require_gradients(), 2, tokens)
            capture = replace(capture, activations=folded[0], gradients=folded[1])
        heatmaps = method(capture)
    heatmaps = heatmaps if settings.signed else ops.maximum(heatmaps, 0.0)
    enlargement = settings.enlargement
    if enlargement is None:
        return heatmaps
    return ops.matmul(ops.matmul(ops.convert_to_tensor(enlargement.rows), heatmaps), enlargement.columns.T)


def has_closed_form(settings: ExportSettings) -> bool:
    """Whether heatmaps are those of the closed form, where the head reads a mean."""
    return settings.method.has_closed_form or settings.method.name == "cam"


def transformed_pixels(pixels: NativeTensor, transform: PixelTransform) -> NativeTensor:
    """Return a model's input for pixels uint8 (N, h, w, 3)."""
    values = ops.cast(pixels, "float32")
    if transform.is_grey:
        weights = np.array(GREY[:3], np.float32)[:, None]
        values = ops.floor((ops.matmul(values, weights) + GREY[3] / 2) / GREY[3])
    values = ops.matmul(values, transform.matrix) + transform.offset
    return ops.transpose(values, (0, 3, 1, 2)) if transform.channels_first else values


def _folded(tensor: NativeTensor, axis: int, grid: TokenGrid) -> NativeTensor:
    """Return a tensor with its token axis as two axes, also where the number of images is not known."""
    index = (*(slice(None),) * axis, slice(grid.prefix, grid.prefix + grid.patches))
    shape = [-1 if size is None else size for size in tensor.shape]
    return ops.reshape(tensor[index], (*shape[:axis], *grid.grid, *shape[axis + 1 :]))
