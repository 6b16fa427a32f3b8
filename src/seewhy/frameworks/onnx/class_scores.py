"""A model whose class scores and probabilities are values of its graph, as `Outputs` reads them from its outputs."""

from dataclasses import dataclass
from typing import final

import numpy as np
import onnx

from seewhy.errors import ModelError
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.logits import bypass_final_activation
from seewhy.types import FinalActivation, Score

SUM_TOLERANCE = 1e-3
"""How far the sum of outputs that are probabilities already may be from 1."""


@final
@dataclass(frozen=True)
class ClassScores:
    """A model with its scores as values.

    Attributes:
        graph: The model, with the nodes that compute the scores.
        scores: The scores (N, C) that are explained, in float32.
        probabilities: The probabilities (N, C); None where there is one class only.
        activation: The final activation.
        classes: The number of classes C.
    """

    graph: Graph
    scores: str
    probabilities: str | None
    activation: FinalActivation
    classes: int


def with_class_scores(graph: Graph, output: str, score: Score, builder: GraphBuilder) -> ClassScores:
    """Add the nodes that compute scores and probabilities from an output of a model.

    Raises:
        ModelError: The output is not one score for each class.
    """
    shape = graph.shape(output)
    if shape is None or len(shape) != 2 or not shape[1]:
        known = "of unknown shape" if shape is None else f"of the shape {shape}"
        raise ModelError(
            f"An exported model explains scores of classes, (N, C), and the output {output!r} is {known}. Give the "
            "output with the class scores: seewhy.Explainer(..., output=...)."
        )
    activation, logits = bypass_final_activation(graph, output)
    if graph.shape(logits) != shape:
        logits = builder.reshape(logits, shape)
    if graph.dtype(output) != np.float32:
        logits = builder.cast(logits, np.float32)
    if activation == "sigmoid" and shape[1] == 1:
        logits = builder.op("Concat", builder.op("Neg", logits), logits, axis=1)  # one unit, two classes
    classes = 2 if activation == "sigmoid" and shape[1] == 1 else shape[1]
    probabilities = _probabilities(logits, activation, classes, builder)
    scores = logits if score == "logit" else probabilities
    if scores is None:
        raise ModelError(
            "The model has one output without a final activation, and no probabilities; explain its logit."
        )
    added = _with_nodes(graph, builder)
    return ClassScores(added, scores, probabilities, activation, classes)


def _probabilities(logits: str, activation: FinalActivation, classes: int, builder: GraphBuilder) -> str | None:
    if activation == "sigmoid":
        return builder.op("Sigmoid", logits)
    softmax = builder.op("Softmax", logits, axis=1)
    if activation == "softmax":
        return softmax
    if classes == 1:
        return None
    if activation == "logits":
        return softmax
    total, least = builder.reduce_sum(logits, [1]), builder.reduce("ReduceMin", 18, logits, [1])
    distance = builder.op("Abs", builder.sub(total, builder.constant(1.0, np.float32)))
    is_whole = builder.op("Less", distance, builder.constant(SUM_TOLERANCE, np.float32))
    is_negative = builder.op("Less", least, builder.constant(0.0, np.float32))
    is_probability = builder.op("And", is_whole, builder.op("Not", is_negative))
    return builder.op("Where", is_probability, logits, softmax)


def _with_nodes(graph: Graph, builder: GraphBuilder) -> Graph:
    """Return a model with the nodes of a builder, which then has none."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    model.graph.node.extend(builder.nodes)
    model.graph.initializer.extend(builder.initializers)
    builder.start_anew()
    return graph.with_model(model)
