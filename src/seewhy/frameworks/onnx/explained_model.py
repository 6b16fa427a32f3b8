"""A model that computes its own heatmaps: the trunk, the backward pass and the method as nodes of one graph.

Where the scores are linear in the layer, or in its mean over space, the gradients of all classes are constants, and the
heatmaps of all are one product. Any other head has a backward pass for each target in the graph.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import MethodError, TargetError
from seewhy.frameworks.export_settings import MAX_BACKWARD_PASSES, ExplainedModel, ExportSettings
from seewhy.frameworks.layers import LayerCall, no_gradient
from seewhy.frameworks.layouts import channels_last, spatial_axes
from seewhy.frameworks.non_relu import GUIDED_RULES, NonReluActivation, check_activations
from seewhy.frameworks.onnx.backward import backward, model_names
from seewhy.frameworks.onnx.class_scores import ClassScores, with_class_scores
from seewhy.frameworks.onnx.export_graph import finished_model
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.guided import guided_rules
from seewhy.frameworks.onnx.mean_head import pooled_value
from seewhy.frameworks.onnx.node_arrays import NodeArray
from seewhy.frameworks.onnx.node_namespace import NodeNamespace
from seewhy.frameworks.onnx.operators.table import GRADIENTS
from seewhy.frameworks.onnx.part import CountSource, Part
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.methods.gradcam import gradcam
from seewhy.types import Capture

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


def explained_model(
    graph: Graph, call: LayerCall, output: str, settings: ExportSettings, sessions: Sessions
) -> ExplainedModel:
    """Return a model that computes its scores and heatmaps.

    Args:
        graph: The model, for the size of input for which it is exported.
        call: The layer that is explained.
        output: The output with the class scores.
        settings: What is computed.
        sessions: Run parts of the model.

    Raises:
        MethodError: The method cannot be computed inside a graph, or an operator of the head has no gradient.
        ModelError: The output is not class scores.
        TargetError: There are more targets than backward passes are put into a graph.
        NoGradientError: The scores do not depend on the layer.
    """
    builder = GraphBuilder(graph.opset, model_names(graph))
    scored = with_class_scores(graph, output, settings.score, builder)
    return _Composition(scored, call, settings, builder, sessions).model()


@final
@dataclass
class _Composition:
    scored: ClassScores
    call: LayerCall
    settings: ExportSettings
    builder: GraphBuilder
    sessions: Sessions
    backward_passes: int = 0

    def model(self) -> ExplainedModel:
        """Return the model."""
        xp = NodeNamespace(self.builder)
        indices, chosen = self._classes()
        gradients, positions = self._gradients(indices, xp), self._layer(self.scored.graph, xp)
        heatmaps = self._heatmaps(positions, gradients, chosen, xp)
        outputs = {
            "scores": self.scored.scores,
            "probabilities": self.scored.probabilities,
            "heatmaps": self._enlarged(heatmaps),
            "classes": indices if isinstance(self.settings.classes, int) else None,
        }
        named = {name: value for name, value in outputs.items() if value is not None}
        proto = finished_model(self.scored, self.builder, named, heatmaps.shape, self.settings)
        inputs = tuple(value.name for value in proto.graph.input)
        names = tuple(value.name for value in proto.graph.output)
        values = {value for node in proto.graph.node for value in node.output}
        layer = self.call.path if self.call.path in values else ""
        return ExplainedModel(proto, inputs, names, layer, self.scored.activation, self.backward_passes)

    @property
    def _target_count(self) -> int:
        classes = self.settings.classes
        if isinstance(classes, int):
            return classes
        return self.scored.classes if classes is None else len(classes)

    def _classes(self) -> tuple[str | None, NodeArray]:
        """Return the classes of the most probable targets (N, T), if it is those, and the scores (N, T) of all."""
        classes, scored = self.settings.classes, self.scored
        scores = NodeArray.of(self.builder, scored.scores, (None, scored.classes))
        if classes is None:
            return None, scores
        if isinstance(classes, int):
            count = self.builder.integers(classes)
            values, indices = self.builder.ops("TopK", scored.scores, count, outputs=2, axis=1)
            return indices, NodeArray.of(self.builder, values, (None, classes))
        gathered = self.builder.gather(scored.scores, np.array(classes), 1)
        return None, NodeArray.of(self.builder, gathered, (None, len(classes)))

    def _gradients(self, indices: str | None, xp: NodeNamespace) -> NodeArray:
        """Return dy/dA of the targets, (N, T, *space, K)."""
        source = self._source()
        constants = self._constant_gradients(source)
        if constants is not None:
            return self._of_constants(constants, indices, source, xp)
        self._check_count()
        targets = range(self._target_count)
        self.backward_passes = len(targets)
        gradients = [self._backward(self.builder, self._seed(target, indices), source) for target in targets]
        return xp.stack([self._as_layer(gradient, source, xp) for gradient in gradients], axis=1)

    def _source(self) -> _Source:
        graph, value = self.scored.graph, self._value
        space = spatial_axes(self.call, len(graph.shape(value) or ()))
        is_plain = self.settings.method.gradient_rule not in GUIDED_RULES
        pooled = pooled_value(graph, value, space, [self.scored.scores]) if is_plain else None
        return _Source(value, None) if pooled is None else _Source(pooled.value, pooled.divisor)

    @property
    def _value(self) -> str:
        return self.call.path or self.scored.graph.inputs[0]

    def _backward(self, builder: GraphBuilder, seed: str, source: _Source) -> str:
        """Emit the gradient of the scores times a seed (N, C), and return its name."""
        rule, others = self.settings.method.gradient_rule, list[NonReluActivation]()
        rules = guided_rules(others) if rule in GUIDED_RULES else GRADIENTS
        gradient = backward(self.scored.graph, builder, {self.scored.scores: seed}, [source.value], rules)[source.value]
        check_activations(others, rule)
        if gradient is None:
            raise no_gradient(self.call.path)
        return gradient

    def _constant_gradients(self, source: _Source) -> NDArray[np.float32] | None:
        """Return dy/dv (C, ...) of a head that is linear in the source v; None for any other head."""
        graph, classes = self.scored.graph, self.scored.classes
        shape = graph.shape(source.value) or ()
        if graph.image_axis(source.value) != 0 or None in shape[1:]:
            return None
        if classes * int(np.prod([size or 1 for size in shape[1:]])) > MAX_CONSTANTS:
            return None
        builder = GraphBuilder(graph.opset, [*model_names(graph), SEED])
        gradient = self._backward(builder, SEED, source)
        part = Part(
            graph,
            [SEED],
            [gradient],
            (),
            extra_nodes=builder.nodes,
            extra_initializers=builder.initializers,
            types={SEED: np.dtype(np.float32)},
            count_source=CountSource(SEED, 0),
        )
        if part.bypass:
            return None  # it depends on what the model computes
        found = self.sessions.get(part)({SEED: np.eye(classes, dtype=np.float32)})[gradient]
        return np.asarray(found, np.float32)

    def _of_constants(
        self, constants: NDArray[np.float32], indices: str | None, source: _Source, xp: NodeNamespace
    ) -> NodeArray:
        classes, shape = self.settings.classes, constants.shape
        if isinstance(classes, tuple):
            constants = constants[list(classes)]
        value = self.builder.constant(constants)
        if indices is None:
            stacked = NodeArray.of(self.builder, value, (1, *constants.shape))
            stacked = NodeArray.of(self.builder, self.builder.unsqueeze(value, [0]), stacked.shape)
        else:
            gathered = self.builder.op("Gather", value, indices, axis=0)
            stacked = NodeArray.of(self.builder, gathered, (None, self._target_count, *shape[1:]))
        return self._as_layer_of_targets(stacked, source, xp)

    def _as_layer(self, gradient: str, source: _Source, xp: NodeNamespace) -> NodeArray:
        """Return a gradient by the source as one by the layer, (N, *space, K)."""
        shape = self.scored.graph.shape(source.value) or ()
        if self.scored.graph.dtype(source.value) != np.float32:
            gradient = self.builder.cast(gradient, np.float32)
        found = NodeArray.of(self.builder, gradient, shape)
        if source.divisor is None:
            return channels_last(self.call, found, xp)  # type: ignore[no-any-return]
        return self._over_space(found.reshaped((None, self._channels)), source.divisor)

    def _as_layer_of_targets(self, gradients: NodeArray, source: _Source, xp: NodeNamespace) -> NodeArray:
        """Return gradients (N, T, ...) by the source as ones by the layer, (N, T, *space, K)."""
        images, targets = gradients.shape[:2]
        if source.divisor is not None:
            flat = gradients.reshaped((images, targets, self._channels))
            return self._over_space(flat, source.divisor)
        return xp.moveaxis(gradients, 2, -1) if self.call.channels_first else gradients

    def _over_space(self, gradients: NodeArray, divisor: int) -> NodeArray:
        """Return gradients (..., K) by a mean over space as gradients by each position, (..., *space, K)."""
        space = self._layer_shape()[1:-1]
        *first, channels = gradients.shape
        scaled = gradients / float(divisor) if divisor != 1 else gradients
        return scaled.reshaped((*first, *(1 for _ in space), channels)).broadcast((*first, *space, channels))

    @property
    def _channels(self) -> int:
        channels = self._layer_shape()[-1]
        assert channels is not None  # noqa: S101  # of a value with a known shape
        return channels

    def _layer_shape(self) -> tuple[int | None, ...]:
        """Return the shape of the layer, (N, *space, K)."""
        shape = list(self.scored.graph.shape(self._value) or ())
        if self.call.images_second:
            return (shape[1], shape[0], *shape[2:])
        return (shape[0], *shape[2:], shape[1]) if self.call.channels_first else tuple(shape)

    def _layer(self, graph: Graph, xp: NodeNamespace) -> NodeArray:
        """Return the layer, (N, *space, K), in float32."""
        value = self._value
        name = value if graph.dtype(value) == np.float32 else self.builder.cast(value, np.float32)
        return channels_last(self.call, NodeArray.of(self.builder, name, graph.shape(value) or ()), xp)  # type: ignore[no-any-return]

    def _seed(self, target: int, indices: str | None) -> str:
        """Return the derivatives of the score of a target by all scores, (N, C): 1 for its class, 0 for others."""
        builder, classes = self.builder, self.scored.classes
        if indices is None:
            chosen = target if self.settings.classes is None else self.settings.classes[target]  # type: ignore[index]
            row = builder.constant(np.eye(classes, dtype=np.float32)[chosen][None])
            return builder.op("Expand", row, builder.op("Shape", self.scored.scores))
        column = builder.slice(indices, 1, target, target + 1)
        return builder.cast(
            builder.op("Equal", column, builder.constant(np.arange(classes)[None], np.int64)), np.float32
        )

    def _check_count(self) -> None:
        if self._target_count > MAX_BACKWARD_PASSES:
            raise TargetError(
                f"The scores are not linear in the layer {self.call.path!r} or its mean, so each target takes a "
                f"backward pass in the exported model: at most {MAX_BACKWARD_PASSES}, and {self._target_count} were "
                "asked for. Give fewer, such as targets='top-5', or a list of classes."
            )

    def _heatmaps(
        self, activations: NodeArray, gradients: NodeArray, scores: NodeArray, xp: NodeNamespace
    ) -> NodeArray:
        """Return the heatmaps (N, T, *space)."""
        tokens, method = self.settings.tokens, self.settings.method
        if tokens is not None:
            activations, gradients = tokens.fold(activations, 1, xp), tokens.fold(gradients, 2, xp)  # type: ignore[assignment]
        capture = Capture(
            activations=activations,
            gradients=gradients,
            scores=scores,
            indices=scores,
            outputs=scores,
            probabilities=None,
            layer=self.call.path,
            xp=xp,
        )
        make = partial(self._cam, xp=xp) if method.name == "cam" else method
        heatmaps: Any = make(capture)
        return heatmaps if self.settings.signed else xp.maximum(heatmaps, 0.0)

    def _cam(self, capture: Capture, xp: NodeNamespace) -> NodeArray:
        """Return CAM, whose weights are those of the linear layer, where Grad-CAM's are divided by the positions."""
        if self.backward_passes or self._source().divisor is None:
            raise MethodError(
                f"CAM is exported for a head of pooling and one linear layer, and that after {capture.layer!r} is "
                "another. Use hirescam, which takes any layer."
            )
        heatmaps: NodeArray = gradcam(capture)  # type: ignore[assignment]  # an array of nodes
        return heatmaps * float(math.prod(size or 1 for size in heatmaps.shape[2:]))

    def _enlarged(self, heatmaps: NodeArray) -> str:
        enlargement = self.settings.enlargement
        if enlargement is None:
            return heatmaps.full().name
        rows, columns = (self.builder.constant(each) for each in (enlargement.rows, enlargement.columns.T))
        return self.builder.op("MatMul", self.builder.op("MatMul", rows, heatmaps.full().name), columns)
