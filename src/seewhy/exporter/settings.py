"""The settings of an exported model, as heatmaps of its explainer tell them."""

import numpy as np

from seewhy.attribution.token_layout import find_token_grid
from seewhy.errors import OptionError
from seewhy.explainer import Explainer
from seewhy.exporter.attention_reads import attention_reads
from seewhy.exporter.pixels import require_transform
from seewhy.exporter.samples import Samples
from seewhy.exporter.scope import resolved_method
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.export_settings import Classes, Enlargement, ExportSettings
from seewhy.frameworks.layers import INPUT, check_tapped
from seewhy.frameworks.structures import InputBatch
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.geometry import Placement
from seewhy.interpolation import bilinear_weights
from seewhy.results.heatmaps import Heatmaps
from seewhy.targets import Objective, TopK


def export_settings(
    explainer: Explainer, heatmaps: Heatmaps, samples: Samples, classes: Classes, *, is_placed: bool
) -> tuple[ExportSettings, LayerChoice]:
    """Return what the exported model computes, and the layer that it explains.

    Raises:
        MethodError: "auto" chose a method that cannot be exported.
        OptionError: The heatmaps are not those of an image, and should be placed.
    """
    method = resolved_method(explainer, heatmaps.method)
    is_attention = method.family == "attention"
    has_no_layer = is_attention or method.level == "input"
    layer = LayerChoice(INPUT) if has_no_layer else explainer.framework.find_layer(heatmaps.layer)
    tokens = None if has_no_layer else _token_grid(explainer, samples.inputs, layer)
    attention = None
    if is_attention:
        attention, tokens = attention_reads(explainer, samples.inputs)
    settings = ExportSettings(
        method=method,
        classes=classes,
        score=explainer.score,
        output=explainer.output,
        signed=explainer.signed,
        tokens=tokens,
        attention=attention,
        enlargement=_enlargement(explainer, heatmaps, samples.inputs) if is_placed else None,
        pixels=None if samples.pixels is None else require_transform(explainer.classifier),
    )
    return settings, layer


def _token_grid(explainer: Explainer, inputs: InputBatch, layer: LayerChoice) -> TokenGrid | None:
    """Return how the layer's tokens lie on the image, which its heatmaps have shown already."""
    shape = check_tapped(layer, explainer.framework.calls(inputs)).shape or ()
    plan = explainer._pipeline.plan(inputs, Objective(TopK(1), explainer.score, explainer.output), 1)
    return find_token_grid(plan, inputs, tuple(size or 0 for size in shape[:-1]), f"the output of the layer '{layer}'")


def _enlargement(explainer: Explainer, heatmaps: Heatmaps, inputs: InputBatch) -> Enlargement:
    """Return the weights by which a heatmap is resized to the input and placed where it belongs on it."""
    if heatmaps.values.ndim != 4:
        raise OptionError(
            f"place=True enlarges heatmaps with rows and columns, and those of {heatmaps.layer!r} have the shape "
            f"{heatmaps.values.shape[2:]}. Leave it out."
        )
    height, width = explainer.framework.image_size(inputs)
    placement = Placement((height, width), (0.0, 0.0, float(height), float(width)), heatmaps.input_box)
    top, left, bottom, right = placement.heatmap_box
    rows, columns = heatmaps.values.shape[2:]
    covered_rows, covered_columns = (np.any(placement.covered, axis=axis, keepdims=True) for axis in (1, 0))
    return Enlargement(
        np.asarray(bilinear_weights(rows, height, top, bottom) * covered_rows, np.float32),
        np.asarray(bilinear_weights(columns, width, left, right) * covered_columns.T, np.float32),
    )
