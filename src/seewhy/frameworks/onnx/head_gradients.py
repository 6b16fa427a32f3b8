"""The gradients of a model's head as nodes of its graph.

Where the scores are linear in the layer, or in its mean over space, the gradients of all classes are constants. Any
other head has a backward pass for each target in the graph.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.frameworks.export_settings import MAX_BACKWARD_PASSES, ExportSettings
from seewhy.frameworks.layers import LayerCall, no_gradient
from seewhy.frameworks.layouts import channels_last, spatial_axes
from seewhy.frameworks.non_relu import GUIDED_RULES, NonReluActivation, check_activations
from seewhy.frameworks.onnx.backward import backward, model_names
from seewhy.frameworks.onnx.class_scores import ClassScores
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.guided import guided_rules
from seewhy.frameworks.onnx.mean_head import pooled_value
from seewhy.frameworks.onnx.node_arrays import NodeArray
from seewhy.frameworks.onnx.node_namespace import NodeNamespace
from seewhy.frameworks.onnx.operators.table import GRADIENTS
from seewhy.frameworks.onnx.part import CountSource, Kind, Part
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.frameworks.onnx.shapes import Shape

MAX_CONSTANTS = 2**24
"""The most values that the constant gradients of a linear head have in a file, 64 MB."""

SEED = "seewhy/seed"


class _Source(NamedTuple):
    """Where the backward pass ends.

    Attributes:
        value: The layer, or its mean or sum over space, if the scores depend on nothing else of it.
        divisor: The number of positions for a mean, 1 for a sum; None where the value is the layer.
    """

    value: str
    divisor: int | None


@final
@dataclass
class HeadGradients:
    """Emits the gradients of the targets by a layer.

    Attributes:
        scored: The model with its scores.
        call: The layer.
        settings: Which classes are explained, and how gradients flow.
        builder: Emits the nodes.
        sessions: Compute constant gradients.
        backward_passes: How many were emitted; 0 where the gradients are constants.
    """

    scored: ClassScores
    call: LayerCall
    settings: ExportSettings
    builder: GraphBuilder
    sessions: Sessions
    backward_passes: int = field(default=0, init=False)

    @property
    def target_count(self) -> int:
        """The number of targets T."""
        classes = self.settings.classes
        if isinstance(classes, int):
            return classes
        return self.scored.classes if classes is None else len(classes)

    @property
    def value(self) -> str:
        """The value of the layer."""
        return self.call.path or self.scored.graph.inputs[0]

    @property
    def is_of_linear_mean(self) -> bool:
        """Whether the head was found to be linear in the layer's mean over space."""
        return self.backward_passes == 0 and self._source.divisor is not None

    @cached_property
    def layer_shape(self) -> Shape:
        """The shape of the layer, (N, *space, K)."""
        shape = self.scored.graph.shape(self.value) or ()
        if self.call.images_second:
            return (shape[1], shape[0], *shape[2:])
        return (shape[0], *shape[2:], shape[1]) if self.call.channels_first else shape

    def gradients(self, indices: str | None, xp: NodeNamespace) -> NodeArray:
        """Return dy/dA of the targets, (N, T, *space, K).

        Args:
            indices: The classes (N, T) that are explained; None where they are the same for all images.
            xp: Emits what is computed of the gradients.

        Raises:
            MethodError: An operator of the head has no gradient.
            NoGradientError: The scores do not depend on the layer.
            TargetError: There are more targets than backward passes are put into a graph.
        """
        constants = self._constant_gradients()
        if constants is not None:
            return self._of_constants(constants, indices, xp)
        self.start_backward_passes()
        seeds = [self.seed(target, indices) for target in range(self.target_count)]
        return xp.stack([self._by_layer(self._backward(self.builder, seed), xp) for seed in seeds], axis=1)

    def start_backward_passes(self) -> None:
        """Note that each target takes a backward pass, or raise TargetError if they are too many."""
        if self.target_count > MAX_BACKWARD_PASSES:
            what = f"the layer {self.call.path!r} or its mean" if self.call.path else "what is explained"
            raise TargetError(
                f"The scores are not linear in {what}, so each target takes a backward pass in the exported model: at "
                f"most {MAX_BACKWARD_PASSES}, and {self.target_count} were requested. Give fewer, such as "
                "targets='top-5', or a list of classes."
            )
        self.backward_passes = self.target_count

    @cached_property
    def _source(self) -> _Source:
        graph = self.scored.graph
        space = spatial_axes(self.call, len(graph.shape(self.value) or ()))
        is_plain = self.settings.method.gradient_rule not in GUIDED_RULES
        pooled = pooled_value(graph, self.value, space, [self.scored.scores]) if is_plain else None
        return _Source(self.value, None) if pooled is None else _Source(pooled.value, pooled.divisor)

    def _backward(self, builder: GraphBuilder, seed: str) -> str:
        """Emit the gradient of the scores times a seed (N, C) by the source, and return its name."""
        rule, others, source = self.settings.method.gradient_rule, list[NonReluActivation](), self._source.value
        rules = guided_rules(others) if rule in GUIDED_RULES else GRADIENTS
        gradient = backward(self.scored.graph, builder, {self.scored.scores: seed}, [source], rules)[source]
        check_activations(others, rule)
        if gradient is None:
            raise no_gradient(self.call.path)
        return gradient

    def _constant_gradients(self) -> NDArray[np.float32] | None:
        """Return dy/dv (C, ...) of a head that is linear in the source v; None for any other head."""
        graph, classes, source = self.scored.graph, self.scored.classes, self._source.value
        images, *shape = graph.shape(source) or (0,)
        sizes = [size or 0 for size in shape]
        if graph.image_axis(source) != 0 or 0 in sizes or classes * int(np.prod(sizes)) > MAX_CONSTANTS:
            return None
        builder = GraphBuilder(graph.opset, [*model_names(graph), SEED])
        gradient = self._backward(builder, SEED)
        part = Part(
            graph,
            [SEED],
            [gradient],
            (),
            extra_nodes=builder.nodes,
            extra_initializers=builder.initializers,
            kinds={SEED: Kind(np.dtype(np.float32), 2)},
            count_source=CountSource(SEED, 0),
        )
        if part.bypass:
            return None  # it depends on what the model computes
        session, rows = self.sessions.get(part), images or classes
        seeds = np.eye(-(-classes // rows) * rows, classes, dtype=np.float32)
        found = [session({SEED: seeds[start : start + rows]})[gradient] for start in range(0, len(seeds), rows)]
        return np.concatenate(found).astype(np.float32)[:classes]

    def _of_constants(self, constants: NDArray[np.float32], indices: str | None, xp: NodeNamespace) -> NodeArray:
        """Return the constant gradients of the targets, (N or 1, T, *space, K)."""
        classes, shape = self.settings.classes, constants.shape[1:]
        if indices is not None:
            gathered = self.builder.op("Gather", self.builder.constant(constants), indices, axis=0)
            targets = NodeArray.of(self.builder, gathered, (self.layer_shape[0], self.target_count, *shape))
        else:
            chosen = constants if classes is None or isinstance(classes, int) else constants[list(classes)]
            targets = NodeArray.of(self.builder, self.builder.constant(chosen[None]), (1, *chosen.shape))
        if self._source.divisor is not None:
            return self._over_space(targets.reshaped((*targets.shape[:2], self.layer_shape[-1])))
        return xp.moveaxis(targets, 2, -1) if self.call.channels_first else targets

    def _by_layer(self, gradient: str, xp: NodeNamespace) -> NodeArray:
        """Return a gradient by the source as one by the layer, (N, *space, K)."""
        graph, source = self.scored.graph, self._source
        if graph.dtype(source.value) != np.float32:
            gradient = self.builder.cast(gradient, np.float32)
        found = NodeArray.of(self.builder, gradient, graph.shape(source.value) or ())
        if source.divisor is None:
            last: NodeArray = channels_last(self.call, found, xp)
            return last
        return self._over_space(found.reshaped((self.layer_shape[0], self.layer_shape[-1])))

    def _over_space(self, gradients: NodeArray) -> NodeArray:
        """Return gradients (..., K) by a mean over space as gradients by each position, (..., *space, K)."""
        divisor, space = self._source.divisor, self.layer_shape[1:-1]
        *first, channels = gradients.shape
        scaled = gradients / float(divisor) if divisor is not None and divisor > 1 else gradients
        return scaled.reshaped((*first, *(1 for _ in space), channels)).broadcast((*first, *space, channels))

    def seed(self, target: int, indices: str | None) -> str:
        """Return the derivatives of the score of a target by all scores, (N, C): 1 for its class, 0 for others."""
        builder, count, classes = self.builder, self.scored.classes, self.settings.classes
        if indices is None:
            chosen = classes[target] if isinstance(classes, tuple) else target
            row = builder.constant(np.eye(count, dtype=np.float32)[[chosen]])
            return builder.op("Expand", row, builder.op("Shape", self.scored.scores))
        column = builder.slice(indices, 1, target, target + 1)
        is_class = builder.op("Equal", column, builder.constant(np.arange(count)[None], np.int64))
        return builder.cast(is_class, np.float32)
