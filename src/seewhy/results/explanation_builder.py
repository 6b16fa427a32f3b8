"""Make the explanation of one image from the heatmaps of its batch."""

import os

from seewhy.errors import LayerError
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike
from seewhy.methods import Method
from seewhy.models import Classifier, ClassNames
from seewhy.representation import ShortTuple
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.target_result import target_results
from seewhy.types import ImageArray


def build_explanation(
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
        heatmaps: The heatmaps of the batch.
        row: The image's position in the batch.
        image: What the caller gave.
        pixels: The decoded image, uint8 (H, W, 3).
        placement: Where on the image the model's input lies.
        classifier: Knows the classes.
        method: The method that was used.

    Raises:
        LayerError: The heatmaps do not have two spatial axes.
    """
    if heatmaps.values.ndim != 4:
        raise LayerError(
            f"The output of the layer {heatmaps.layer!r} has {heatmaps.values.ndim - 2} spatial axes, and an image has "
            "two. Give another layer; for signals and volumes use Explainer.heatmaps."
        )
    targets, class_names = target_results(heatmaps, row, placement), classifier.class_names
    return Explanation(
        image=pixels,
        heatmaps=heatmaps.values[row],
        targets=targets,
        predictions=() if heatmaps.probabilities is None else classifier.rank(heatmaps.probabilities[row]),
        layer=heatmaps.layer,
        method=heatmaps.method,
        title=method.title,
        peak_quantile=method.peak_quantile,
        placement=placement.with_input_box(heatmaps.input_box),
        ids=None if class_names is None else class_names.ids,
        aliases=() if class_names is None else ShortTuple(_names(class_names, target.index) for target in targets),
        model=classifier.name,
        method_reason=heatmaps.method_reason,
        source=os.fspath(image) if isinstance(image, (str, os.PathLike)) else None,
    )


def _names(class_names: ClassNames, index: int) -> tuple[str, ...]:
    return () if index < 0 else class_names.all_names(index)
