"""Explain the first image of a source, to fix what "auto" chooses for all of them."""

from typing import Any

import numpy as np

from seewhy.batches import IMAGE_ERRORS
from seewhy.datasets.decoding import Decode
from seewhy.datasets.records import Source
from seewhy.datasets.run_folder import Settings
from seewhy.datasets.schema import HeatmapType, RequestedType
from seewhy.errors import LayerError, ModelRunError, NotPredictedError, OptionError
from seewhy.explainer import Explainer
from seewhy.frameworks.layers import AUTO
from seewhy.results.heatmaps import Heatmaps
from seewhy.targets import Target

SMALLEST, LARGEST = float(np.finfo(np.float16).smallest_normal), float(np.finfo(np.float16).max)
"""The range of float16; smaller values lose digits."""

MAX_FAILURES = 100
"""On how many images the model may fail before the run is refused: an error of each image would help nobody."""

CELL = 8
"""The pixels of the input, along one axis, in a cell of the heatmaps of a detector: each detection has a layer of its
own, and the rows of a table have one shape."""

MARGIN = 16
"""How much the heatmaps of later images may be stronger, or weaker, than those of the first where "auto" is float16."""


def choose(explainer: Explainer, source: Source, target: Target, requested: Settings, decode: Decode) -> dict[str, Any]:
    """Return the settings that the first image decides: what "auto" chose, and the shape of the heatmaps.

    Every worker and every resumed run takes them over: the evidence for "auto" may differ from image to image, and the
    rows of a table must not.

    Raises:
        OptionError: The heatmaps do not fit into the type of their column.
        SeewhyError: The model cannot be explained in this way.
    """
    heatmaps = _first_heatmaps(explainer, source, target, requested["batch_size"], decode)
    if heatmaps is None:  # every image becomes an error
        return _settings(explainer, None, "float32")
    if heatmaps.values.ndim != 4:
        raise LayerError(
            f"The output of the layer {heatmaps.layer!r} has {heatmaps.values.ndim - 2} spatial axes, and an image has "
            "two. Give another layer."
        )
    largest = float(np.abs(heatmaps.values).max(initial=0.0))
    return _settings(explainer, heatmaps, _column_type(requested["requested_heatmaps"], largest))


def _column_type(requested: RequestedType, largest: float) -> HeatmapType:
    """Return the type of the column of heatmaps, given the largest value of those of the first image."""
    if requested == "auto":
        return "float16" if SMALLEST * MARGIN <= largest <= LARGEST / MARGIN else "float32"
    if requested == "float16" and not (largest == 0 or SMALLEST <= largest <= LARGEST):
        raise OptionError(f"The heatmaps reach {largest:g}, which float16 cannot hold. Take heatmaps='float32'.")
    return requested


def _settings(explainer: Explainer, heatmaps: Heatmaps | None, column: HeatmapType) -> dict[str, Any]:
    method = explainer.method if heatmaps is None else explainer.method_of(heatmaps)
    shape = [1, 1, 1] if heatmaps is None else list(heatmaps.values.shape[1:])
    layer = "" if heatmaps is None else heatmaps.layer
    if (
        heatmaps is not None
        and heatmaps.boxes is not None
        and all(choice.is_auto for choice in explainer.layer_choices)
    ):
        height, width = explainer.classifier.input_size
        layer, shape = AUTO, [shape[0], -(-height // CELL), -(-width // CELL)]
    return {
        "layer": layer,
        "method": method.name,
        "method_options": dict(method.options) if explainer.method.is_auto and heatmaps is not None else {},
        "method_reason": "" if heatmaps is None else heatmaps.method_reason,
        "title": method.title,
        "peak_quantile": method.peak_quantile,
        "heatmap_shape": shape,
        "heatmaps": column,
    }


def _first_heatmaps(
    explainer: Explainer, source: Source, target: Target, batch_size: int, decode: Decode
) -> Heatmaps | None:
    """Return the heatmaps of the first image that can be read and explained; None if there is none.

    Raises:
        ModelRunError: The model fails on the first `MAX_FAILURES` images that can be read, so on all of them, perhaps.
        NotPredictedError: A segmentation model, or a detector, finds the targets in no image. A rare class may be in a
            late one.
    """
    failures = 0
    not_predicted: NotPredictedError | None = None
    copies = batch_size if explainer.framework.compiles_batch_size else 1
    for chunk in source.chunks:
        for record in chunk.records():
            try:
                values = explainer.classifier.preprocess([decode(record)]).values
                return explainer.heatmaps(np.repeat(values, copies, axis=0), target, batch_size=batch_size)
            except ModelRunError:
                failures += 1
                if failures == MAX_FAILURES:
                    raise
            except NotPredictedError as error:
                not_predicted = error
            except IMAGE_ERRORS:
                continue
    if not_predicted is not None:
        raise NotPredictedError(f"There is no image with these targets. Of the last one: {not_predicted}")
    return None
