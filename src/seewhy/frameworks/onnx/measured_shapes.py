"""Shapes that cannot be inferred, found by running the model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.part import Part
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.frameworks.onnx.shapes import COUNTS, ValueInfo, joined


def measure_values(
    graph: Graph, inputs: Mapping[str, NDArray[Any]], sessions: Sessions, batch_size: int | None
) -> dict[str, ValueInfo]:
    """Return what runs of the model show of the values whose shapes are not known.

    Args:
        graph: The model.
        inputs: A batch; its images are repeated as often as is needed.
        sessions: Makes the session.
        batch_size: The number of images that the model takes; None for any.
    """
    shape_names = {name: f"seewhy/shape/{number}" for number, name in enumerate(graph.unknown)}
    nodes = [helper.make_node("Shape", [name], [shape_names[name]]) for name in graph.unknown]
    part = Part(graph, graph.inputs, list(shape_names.values()), graph.dependent, extra_nodes=nodes)
    session = sessions.get(part)
    counts = COUNTS if batch_size is None else (batch_size, batch_size)
    first, second = (
        session({name: np.resize(array, (count, *array.shape[1:])) for name, array in inputs.items()})
        for count in counts
    )
    return {
        name: ValueInfo(
            graph.dtype(name),
            *joined(_shape(first[shape_names[name]]), _shape(second[shape_names[name]]), batch_size is not None),
        )
        for name in graph.unknown
    }


def _shape(sizes: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in sizes)
