"""Attention maps in an ONNX model, and their gradients."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks import array_namespace as xp
from seewhy.frameworks.attention_maps import FoundAttention, find_attention
from seewhy.frameworks.layers import UNEVEN, no_attention, no_gradient_to_attention
from seewhy.frameworks.map_layout import MapLayout, images_axis, separate_images
from seewhy.frameworks.onnx.axis_graph import OnnxAxisGraph
from seewhy.frameworks.onnx.backward import backward
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.part import CountSource, Kind, Part, whole
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.types import Derivatives, FloatArray

FUSED = {"Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention", "DecoderMaskedMultiHeadAttention"}
"""Operators that compute attention in one step, without its maps."""

UNREACHED = "computes attention in the operator {0}, whose maps cannot be reached; export it without fusing operators"


class AttentionMaps(NamedTuple):
    """The attention maps of a model.

    Attributes:
        softmaxes: The values that are maps.
        layouts: Their layouts.
        shapes: The shape (H, Lq, Lk) of each map.
        links: As in `FoundAttention`.
    """

    softmaxes: list[str]
    layouts: list[MapLayout]
    shapes: tuple[tuple[int, ...], ...]
    links: tuple[bool, ...]


def attention_maps(graph: Graph, images: int) -> AttentionMaps:
    """Find the attention maps of a model.

    Args:
        graph: The model.
        images: The number of images, N.

    Raises:
        LayerError: The model computes no attention that can be captured.
    """
    fused = next((node.op_type for node in graph.nodes if node.op_type in FUSED), None)
    found = FoundAttention((), UNREACHED.format(fused)) if fused else find_attention(OnnxAxisGraph(graph))
    if found.obstacle or not found.maps:
        raise no_attention(found.obstacle)
    layouts, shapes = [], []
    for attention in found.maps:
        sizes = graph.sizes(attention.softmax, images)
        axis = images_axis(attention, graph.shape(attention.softmax) or (), images)
        if axis is None or sizes is None:
            raise no_attention(UNEVEN)
        layouts.append(MapLayout.of(attention, axis))
        laid_out = layouts[-1].map(np.broadcast_to(np.float32(0), sizes), xp).shape
        shapes.append(layouts[-1].shape(tuple(laid_out), images))
    return AttentionMaps([attention.softmax for attention in found.maps], layouts, tuple(shapes), found.links)


@final
class AttentionTap:
    """What is run to capture all attention maps of a graph.

    Args:
        graph: The model.
        maps: Its attention maps.
        outputs: The outputs that the objective reads.
        differentiated: Those of them that it depends on.
        derivatives: "gradients" or "none".
        sessions: Makes the sessions.

    Raises:
        MethodError: An operator between the maps and the outputs has no gradient here.
        NoGradientError: The outputs depend on none of the maps.
    """

    def __init__(
        self,
        graph: Graph,
        maps: AttentionMaps,
        outputs: Sequence[str],
        differentiated: Sequence[str],
        derivatives: Derivatives,
        sessions: Sessions,
    ) -> None:
        self._graph, self._maps = graph, maps
        self._reads: list[str] = []
        if derivatives == "gradients":
            self._compile_backward(differentiated, sessions)
        computed = [name for name in (*maps.softmaxes, *outputs, *self._reads) if name not in graph.inputs]
        self._forward = sessions.get(whole(graph, computed))

    def forward(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model, and return the values that are needed, by name."""
        return {**inputs, **self._forward(inputs)}

    def maps(self, values: Mapping[str, NDArray[Any]], images: int) -> tuple[FloatArray, ...]:
        """Return the maps, (N, H, Lq, Lk) each."""
        pairs = zip(self._maps.layouts, self._maps.softmaxes, strict=True)
        found = [np.asarray(layout.map(values[name], xp), np.float32) for layout, name in pairs]
        return separate_images(found, self._maps.layouts, images, xp)

    def gradients(
        self, values: Mapping[str, NDArray[Any]], seeds: Mapping[str, NDArray[Any]]
    ) -> tuple[FloatArray, ...]:
        """Return dy/dA of every map, (N, T, H, Lq, Lk) each; the arguments are those of `Tap.gradients`."""
        images, targets = next(iter(seeds.values())).shape[:2]
        reads = {name: values[name] for name in self._reads}
        by_target: list[list[NDArray[Any]]] = []
        for target in range(targets):
            given = {
                self._seeds[output]: np.ascontiguousarray(seed[:, target], dtype=self._graph.dtype(output))
                for output, seed in seeds.items()
            }
            found = self._backward({**reads, **given})
            by_target.append(
                [
                    np.zeros_like(values[softmax]) if gradient is None else found[gradient]
                    for softmax, gradient in zip(self._maps.softmaxes, self._gradients, strict=True)
                ]
            )
        pairs = zip(self._maps.layouts, zip(*by_target, strict=True), strict=True)
        laid_out = [np.asarray(layout.gradients(np.stack(each), xp), np.float32) for layout, each in pairs]
        return separate_images(laid_out, self._maps.layouts, images, xp, targets=True)

    def _compile_backward(self, outputs: Sequence[str], sessions: Sessions) -> None:
        graph = self._graph
        builder = GraphBuilder(graph.opset, [name for node in graph.nodes for name in node.output])
        self._seeds = {output: f"seewhy/seed/{number}" for number, output in enumerate(outputs)}
        builder.reserve(self._seeds.values())
        found = backward(graph, builder, self._seeds, self._maps.softmaxes)
        self._gradients = [found[softmax] for softmax in self._maps.softmaxes]
        computed = [gradient for gradient in self._gradients if gradient is not None]
        if not computed:
            raise no_gradient_to_attention()
        part = Part(
            graph,
            list(self._seeds.values()),
            computed,
            (),
            extra_nodes=builder.nodes,
            extra_initializers=builder.initializers,
            kinds={seed: Kind.of(graph, output) for output, seed in self._seeds.items()},
            count_source=CountSource(next(iter(self._seeds.values())), 0),
        )
        self._reads, self._backward = part.bypass, sessions.get(part)
