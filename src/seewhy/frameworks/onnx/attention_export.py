"""The heatmaps of attention methods as nodes: from all attention maps of a model, and their gradients."""

from typing import Any

import numpy as np

from seewhy.frameworks.layers import no_gradient_to_attention
from seewhy.frameworks.onnx.attention import AttentionMaps, attention_maps
from seewhy.frameworks.onnx.backward import backward
from seewhy.frameworks.onnx.head_gradients import HeadGradients
from seewhy.frameworks.onnx.node_arrays import NodeArray
from seewhy.frameworks.onnx.node_namespace import NodeNamespace
from seewhy.types import AttentionCapture

FEW_IMAGES = 2
"""For how many images the layouts of the maps are found; those of other numbers follow from it."""


def attention_heatmaps(head: HeadGradients, indices: str | None, scores: NodeArray, xp: NodeNamespace) -> NodeArray:
    """Return the heatmaps (N, T, L) over tokens.

    Args:
        head: The model and the targets.
        indices: The classes (N, T) that are explained; None where they are the same for all images.
        scores: The scores (N, T).
        xp: Emits the nodes.

    Raises:
        LayerError: The model computes no attention that can be captured.
        MethodError: An operator has no gradient.
        NoGradientError: The scores depend on none of the maps.
    """
    settings, graph = head.settings, head.scored.graph
    reads = settings.attention
    assert reads is not None  # noqa: S101  # the settings of an attention method have it
    found = attention_maps(graph, graph.batch_size or FEW_IMAGES)
    count = reads.map_count
    found = AttentionMaps(
        found.softmaxes[:count], found.layouts[:count], found.shapes[:count], found.links[: max(0, count - 1)]
    )
    maps = [_laid_out(head, found, number, name, xp) for number, name in enumerate(found.softmaxes)]
    gradients = _gradients(head, found, indices, xp) if settings.method.derivatives == "gradients" else None
    images, targets = scores.shape
    shares = head.builder.constant(reads.shares[None, None].astype(np.float32))
    stored = NodeArray.of(head.builder, shares, (1, 1, len(reads.shares)))
    capture = AttentionCapture(
        maps=tuple(maps),
        gradients=None if gradients is None else tuple(gradients),
        scores=scores,
        indices=scores,
        outputs=scores,
        probabilities=None,
        xp=xp,
        reads=stored.broadcast((images, targets, len(reads.shares))),
    )
    heatmaps: Any = settings.method(capture)
    result: NodeArray = heatmaps
    return result


def _gradients(head: HeadGradients, found: AttentionMaps, indices: str | None, xp: NodeNamespace) -> list[NodeArray]:
    """Return dy/dA of each map, (N, T, H, Lq, Lk)."""
    head.start_backward_passes()
    graph, builder, by_target = head.scored.graph, head.builder, list[list[NodeArray]]()
    for target in range(head.target_count):
        names = backward(graph, builder, {head.scored.scores: head.seed(target, indices)}, found.softmaxes)
        if all(name is None for name in names.values()):
            raise no_gradient_to_attention()
        by_target.append(
            [_laid_out(head, found, number, names[softmax], xp) for number, softmax in enumerate(found.softmaxes)]
        )
    return [xp.stack(each, axis=1) for each in zip(*by_target, strict=True)]


def _laid_out(head: HeadGradients, found: AttentionMaps, number: int, name: str | None, xp: NodeNamespace) -> NodeArray:
    """Return a map, or its gradient, as (N, H, Lq, Lk); zeros where the scores do not depend on it."""
    graph, softmax, shape = head.scored.graph, found.softmaxes[number], found.shapes[number]
    images = head.layer_shape[0]
    if name is None:
        zero = head.builder.constant(np.zeros((1,) * (1 + len(shape)), np.float32))
        return NodeArray(head.builder, zero, (images, *shape), (1,) * (1 + len(shape)))
    if graph.dtype(softmax) != np.float32:
        name = head.builder.cast(name, np.float32)
    laid_out: NodeArray = found.layouts[number].map(NodeArray.of(head.builder, name, graph.shape(softmax) or ()), xp)
    # Attention heads that are folded into the axis of the images follow each other for every image.
    return laid_out if laid_out.shape == (images, *shape) else laid_out.full().reshaped((images, *shape))
