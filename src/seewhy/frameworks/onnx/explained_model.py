"""A model that computes its own heatmaps: trunk, head, gradients and method as nodes of one graph."""

import math
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np

from seewhy.errors import MethodError
from seewhy.frameworks.export_settings import ExplainedModel, ExportSettings
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import channels_last
from seewhy.frameworks.onnx.backward import model_names
from seewhy.frameworks.onnx.class_scores import ClassScores, with_class_scores
from seewhy.frameworks.onnx.export_graph import finished_model
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.head_gradients import HeadGradients
from seewhy.frameworks.onnx.node_arrays import NodeArray
from seewhy.frameworks.onnx.node_namespace import NodeNamespace
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.methods.gradcam import gradcam
from seewhy.types import Capture


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
    head = HeadGradients(scored, call, settings, builder, sessions)
    return _Composition(scored, head, settings, builder).model()


@final
@dataclass
class _Composition:
    scored: ClassScores
    head: HeadGradients
    settings: ExportSettings
    builder: GraphBuilder

    def model(self) -> ExplainedModel:
        """Return the model."""
        indices, scores = self._classes()
        heatmaps = self._heatmaps(indices, scores, NodeNamespace(self.builder)).full()
        outputs = {
            "scores": self.scored.scores,
            "probabilities": self.scored.probabilities,
            "heatmaps": self._enlarged(heatmaps.name),
            "classes": indices,
        }
        named = {name: value for name, value in outputs.items() if value is not None}
        proto = finished_model(self.scored, self.builder, named, heatmaps.shape, self.settings)
        values, path = {value for node in proto.graph.node for value in node.output}, self.head.call.path
        return ExplainedModel(
            model=proto,
            inputs=tuple(value.name for value in proto.graph.input),
            outputs=tuple(named),
            layer=path if path in values else "",
            activation=self.scored.activation,
            backward_passes=self.head.backward_passes,
        )

    def _classes(self) -> tuple[str | None, NodeArray]:
        """Return the classes (N, T) that are explained, None where they are the same for all images; and the scores."""
        classes, scores, images = self.settings.classes, self.scored.scores, self.head.layer_shape[0]
        if classes is None:
            return None, NodeArray.of(self.builder, scores, (images, self.scored.classes))
        if isinstance(classes, int):
            count = self.builder.integers(classes)
            values, indices = self.builder.ops("TopK", scores, count, outputs=2, axis=1)
            return indices, NodeArray.of(self.builder, values, (images, classes))
        gathered = self.builder.gather(scores, np.array(classes), 1)
        return None, NodeArray.of(self.builder, gathered, (images, len(classes)))

    def _heatmaps(self, indices: str | None, scores: NodeArray, xp: NodeNamespace) -> NodeArray:
        """Return the heatmaps (N, T, *space)."""
        gradients, activations = self.head.gradients(indices, xp), self._activations(xp)
        tokens, method = self.settings.tokens, self.settings.method
        if tokens is not None:
            activations, gradients = cast(
                "tuple[NodeArray, NodeArray]", (tokens.fold(activations, 1, xp), tokens.fold(gradients, 2, xp))
            )
        capture = Capture(
            activations=activations,
            gradients=gradients,
            scores=scores,
            indices=scores,
            outputs=scores,
            probabilities=None,
            layer=self.head.call.path,
            xp=xp,
        )
        heatmaps: Any = _cam(capture, self.head) if method.name == "cam" else method(capture)
        return heatmaps if self.settings.signed else xp.maximum(heatmaps, 0.0)

    def _activations(self, xp: NodeNamespace) -> NodeArray:
        """Return the layer, (N, *space, K), in float32."""
        graph, value = self.scored.graph, self.head.value
        name = value if graph.dtype(value) == np.float32 else self.builder.cast(value, np.float32)
        activations: NodeArray = channels_last(
            self.head.call, NodeArray.of(self.builder, name, graph.shape(value) or ()), xp
        )
        return activations

    def _enlarged(self, heatmaps: str) -> str:
        enlargement = self.settings.enlargement
        if enlargement is None:
            return heatmaps
        rows, columns = self.builder.constant(enlargement.rows), self.builder.constant(enlargement.columns.T)
        return self.builder.op("MatMul", self.builder.op("MatMul", rows, heatmaps), columns)


def _cam(capture: Capture, head: HeadGradients) -> NodeArray:
    """Return CAM, whose weights are those of the linear layer: Grad-CAM's times the number of positions."""
    if not head.is_of_linear_mean:
        raise MethodError(
            f"CAM is exported for a head of pooling and one linear layer, and that after {capture.layer!r} is another. "
            "Use hirescam, which takes any layer."
        )
    heatmaps: Any = gradcam(capture)
    positions = math.prod(size or 1 for size in heatmaps.shape[2:])
    weighted: NodeArray = heatmaps * float(positions)
    return weighted
