"""Attention maps in a traced TensorFlow graph, and their gradients."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import keras
import tensorflow as tf

from seewhy.frameworks.attention_maps import FoundAttention, find_attention
from seewhy.frameworks.layers import UNEVEN, LayerCall, no_attention, no_gradient_to_attention
from seewhy.frameworks.map_layout import MapLayout, images_axis
from seewhy.frameworks.tensorflow.axis_graph import TensorflowAxisGraph
from seewhy.frameworks.tensorflow.logits import FUNCTION_CALLS
from seewhy.frameworks.tensorflow.private_api import function_graph
from seewhy.types import NativeTensor

UNREACHED = (
    "computes attention inside a loop, a branch or a tf.function of its own, where its maps cannot be reached (under "
    "tf.config.run_functions_eagerly(True), a tf.function is part of the model's graph)"
)
"""The obstacle of attention in another graph than the model's."""

BRANCHES = ("then_branch", "else_branch")

FUNCTION_ATTRIBUTES = {
    **dict.fromkeys(FUNCTION_CALLS, ("f",)),
    "While": ("body",),
    "StatelessWhile": ("body",),
    "If": BRANCHES,
    "StatelessIf": BRANCHES,
}
"""The attributes that name functions which run as part of an operation, by its type."""


class TracedCalls(NamedTuple):
    """What a trace of the model shows.

    Attributes:
        calls: Every call of every layer.
        map_shapes: From the inputs to the shape of each attention map; None where the model computes no attention that
            can be captured.
        layouts: The layouts of these maps.
        links: As in `FoundAttention`.
        origins: The inputs that each call is computed from, as `Framework.origins` returns; empty for one input.
    """

    calls: tuple[LayerCall, ...]
    map_shapes: Callable[..., Any] | None
    layouts: list[MapLayout]
    links: tuple[bool, ...]
    origins: dict[tuple[str, int], frozenset[int]]


@final
@dataclass(frozen=True)
class MapTensors:
    """The attention maps of a traced model.

    Attributes:
        softmaxes: The results of the softmaxes.
        layouts: The layouts of the maps.
        links: As in `FoundAttention`.
    """

    softmaxes: list[NativeTensor]
    layouts: list[MapLayout]
    links: tuple[bool, ...]

    def laid_out(self) -> list[NativeTensor]:
        """Return the maps in float32, as `MapLayout.map` lays them out."""
        pairs = zip(self.layouts, self.softmaxes, strict=True)
        return [tf.cast(layout.map(softmax, keras.ops), tf.float32) for layout, softmax in pairs]

    def gradients(self, totals: NativeTensor, *, is_one: bool) -> list[NativeTensor]:
        """Return the gradients of every total (T,) by every map, as `MapLayout.gradients` lays them out.

        Args:
            totals: The sums of scores over the images.
            is_one: Whether T is always 1, so that no loop over the totals is needed.

        Raises:
            NoGradientError: The totals depend on none of the maps.
        """
        if is_one:
            by_target = [gradient[None] for gradient in self._backward(totals, tf.ones_like(totals))]
        else:
            types = [softmax.dtype for softmax in self.softmaxes]
            seeds = tf.eye(tf.size(totals))
            by_target = tf.map_fn(lambda seed: self._backward(totals, seed), seeds, fn_output_signature=types)
        pairs = zip(self.layouts, by_target, strict=True)
        return [tf.cast(layout.gradients(each, keras.ops), tf.float32) for layout, each in pairs]

    def _backward(self, totals: NativeTensor, seed: NativeTensor) -> list[NativeTensor]:
        """Return the gradient by every softmax; 0 where the totals do not depend on it."""
        found = tf.gradients(totals, self.softmaxes, grad_ys=seed)
        if all(gradient is None for gradient in found):
            raise no_gradient_to_attention()
        return [
            tf.zeros_like(softmax) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, softmax in zip(found, self.softmaxes, strict=True)
        ]


def map_tensors(inputs: Sequence[NativeTensor], images: int) -> MapTensors:
    """Find the attention maps of the model that the graph of its inputs holds.

    Args:
        inputs: The model's inputs, in a graph that holds the model.
        images: The number of images, N.

    Raises:
        LayerError: The model computes no attention that can be captured.
    """
    graph = inputs[0].graph
    is_unreached = any(_has_attention(inner) for inner in _inner_graphs(graph, [graph]))
    found = FoundAttention((), UNREACHED) if is_unreached else find_attention(TensorflowAxisGraph(graph, inputs))
    if found.obstacle or not found.maps:
        raise no_attention(found.obstacle)
    axes = [images_axis(attention, attention.softmax.shape, images) for attention in found.maps]
    layouts = [
        MapLayout.of(attention, axis) for attention, axis in zip(found.maps, axes, strict=True) if axis is not None
    ]
    if len(layouts) < len(axes):
        raise no_attention(UNEVEN)
    return MapTensors([attention.softmax for attention in found.maps], layouts, found.links)


def _inner_graphs(graph: Any, outer: list[Any]) -> Iterator[Any]:
    """Yield the graphs of the functions that run as part of a graph's operations, at any depth."""
    for operation in graph.get_operations():
        for attribute in FUNCTION_ATTRIBUTES.get(operation.type, ()):
            inner = function_graph(operation, outer, attribute)
            if inner is not None:
                yield inner
                yield from _inner_graphs(inner, [*outer, inner])


def _has_attention(graph: Any) -> bool:
    found = find_attention(TensorflowAxisGraph(graph, graph.inputs))
    return bool(found.maps or found.obstacle)
