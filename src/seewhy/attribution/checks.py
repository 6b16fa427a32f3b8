"""From what a model left at its tap to what comes out: checked, named, and off the device."""

import os

import numpy as np

from seewhy.errors import LayerError, ModelRunError, TargetError
from seewhy.frameworks import Framework
from seewhy.frameworks.structures import map_tree
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.results.explanation import Explanation, Heatmaps, TargetResult
from seewhy.targets import Target
from seewhy.types import Capture, FloatArray, ImageArray


def check_capture(capture: Capture, images: int, classifier: Classifier) -> None:
    """Refuse what a target function, a list of class names or the choice of layer has wrong."""
    if capture.activations.shape[0] != images:
        raise LayerError(
            f"The output of the layer {capture.layer!r} has {capture.activations.shape[0]} rows for {images} "
            "images: the model folds other axes into the batch there. Give a layer before or after that."
        )
    if capture.scores.shape[0] != images:
        raise TargetError(
            f"The target function gave scores of shape {tuple(capture.scores.shape)} for {images} images; expected "
            "(N,) or (N, T)."
        )
    if capture.probabilities is not None:
        classifier.check_class_count(capture.probabilities.shape[1])


def check_finite(evidence: FloatArray, scores: FloatArray) -> None:
    """Refuse what is not a number, which no map could be honest about."""
    finite = np.isfinite(evidence).reshape(len(evidence), -1).all(axis=1) & np.isfinite(scores).all(axis=1)
    if not finite.all():
        raise ModelRunError(
            f"The model gave NaN or infinite values for image {int(np.argmin(finite))} of the batch: its weights "
            "may be damaged, or its arithmetic too narrow (float16)."
        )


def heatmaps_of(
    capture: Capture,
    evidence: FloatArray,
    target: Target,
    *,
    framework: Framework,
    classifier: Classifier,
    method: Method,
    signed: bool,
) -> Heatmaps:
    """Bring what is wanted off the device, and name what was asked.

    Args:
        capture: What the model left.
        evidence: (N, T, *space), what the method made of it.
        target: What was asked.
        framework: Whose tensors these are.
        classifier: Knows the names of the classes.
        method: The method that was used.
        signed: Whether what speaks against a target is kept.
    """
    to_numpy = framework.to_numpy
    indices = to_numpy(capture.indices)
    names = [target.for_image(row).names(each, classifier.class_name) for row, each in enumerate(indices)]
    return Heatmaps(
        values=np.asarray(evidence if signed else np.maximum(evidence, 0), dtype=np.float32),
        indices=np.maximum(indices, -1),
        scores=to_numpy(capture.scores),
        outputs=map_tree(lambda each: None if each is None else to_numpy(each), capture.outputs),
        probabilities=None if capture.probabilities is None else to_numpy(capture.probabilities),
        layer=capture.layer or "input",
        method=method.name,
        names=tuple(tuple(name or f"target {t}" for t, name in enumerate(each)) for each in names),
    )


def explanation_of(
    heatmaps: Heatmaps,
    row: int,
    image: ImageLike,
    pixels: ImageArray,
    placement: Placement,
    classifier: Classifier,
    method: Method,
) -> Explanation:
    """Return the explanation of one image of a batch.

    Args:
        heatmaps: Of the batch.
        row: Which of its images.
        image: What the caller gave.
        pixels: The image, uint8 (H, W, 3).
        placement: Where on it the input lies.
        classifier: Knows the classes.
        method: The method that was used.

    Raises:
        LayerError: The heatmaps are not of two axes of space.
    """
    if heatmaps.values.ndim != 4:
        raise LayerError(
            f"The output of the layer {heatmaps.layer!r} has {heatmaps.values.ndim - 2} axes of space, and an "
            "image has two. Give another layer; for signals, volumes and tokens use Explainer.heatmaps."
        )
    return Explanation(
        image=pixels,
        heatmaps=heatmaps.values[row],
        targets=_target_results(heatmaps, row),
        predictions=() if heatmaps.probabilities is None else classifier.rank(heatmaps.probabilities[row]),
        layer=heatmaps.layer,
        method=heatmaps.method,
        title=method.title,
        peak_quantile=method.peak_quantile,
        placement=placement,
        ids=classifier.class_names.ids if classifier.class_names is not None else None,
        model=classifier.name,
        source=os.fspath(image) if isinstance(image, (str, os.PathLike)) else None,
    )


def _target_results(heatmaps: Heatmaps, row: int) -> tuple[TargetResult, ...]:
    has_evidence = heatmaps.has_evidence[row]
    probabilities = None if heatmaps.probabilities is None else heatmaps.probabilities[row]
    return tuple(
        TargetResult(
            index=int(index),
            name=heatmaps.names[row][position],
            score=float(heatmaps.scores[row, position]),
            probability=float(probabilities[index]) if index >= 0 and probabilities is not None else None,
            has_evidence=bool(has_evidence[position]),
        )
        for position, index in enumerate(heatmaps.indices[row])
    )
