"""The graph of an exported model: its nodes in order, its inputs and outputs with their names and types."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from seewhy.frameworks.export_settings import GREY, PIXELS, ExplainedModel, ExportSettings, PixelTransform
from seewhy.frameworks.onnx.class_scores import ClassScores
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.part import Part
from seewhy.frameworks.onnx.shapes import Shape

OUTPUTS = ("scores", "probabilities", "heatmaps", "classes")
"""The names of the outputs, in order."""

IMAGES = "images"
"""The name of the size of the batch."""


def finished_model(
    scored: ClassScores, builder: GraphBuilder, outputs: Mapping[str, str], heatmaps: Shape, settings: ExportSettings
) -> onnx.ModelProto:
    """Return the model with its outputs.

    Args:
        scored: The source with its scores.
        builder: Has emitted the nodes of the heatmaps.
        outputs: The value of each output.
        heatmaps: The shape of the heatmaps.
        settings: What is computed.
    """
    graph = scored.graph
    temporary = {name: f"seewhy/output/{name}" for name in outputs}
    last = [helper.make_node("Identity", [value], [temporary[name]]) for name, value in outputs.items()]
    part = Part(
        graph,
        list(graph.inputs),
        list(temporary.values()),
        graph.dependent,
        extra_nodes=[*builder.nodes, *last],
        extra_initializers=builder.initializers,
    )
    model = part.model()
    if settings.pixels is not None:
        _prepend_pixels(model, graph, settings.pixels)
    _rename(model.graph, {**_out_of_the_way(model.graph, outputs), **{temporary[name]: name for name in outputs}})
    images = _batch_size(graph)
    enlargement, space = settings.enlargement, heatmaps[2:]
    if enlargement is not None:
        space = (len(enlargement.rows), len(enlargement.columns))
    sizes: dict[str, Shape] = {
        "scores": (scored.classes,),
        "probabilities": (scored.classes,),
        "heatmaps": (heatmaps[1], *space),
        "classes": (heatmaps[1],),
    }
    del model.graph.output[:]
    for name in outputs:
        kind = onnx.TensorProto.INT64 if name == "classes" else onnx.TensorProto.FLOAT
        model.graph.output.append(helper.make_tensor_value_info(name, kind, [images, *sizes[name]]))
    _name_batches(model.graph, images)
    model.graph.name = "explained"
    return model


def with_metadata(model: onnx.ModelProto, metadata: Mapping[str, str], version: str) -> onnx.ModelProto:
    """Add metadata and the version of the program that wrote a model, and return it."""
    model.producer_name, model.producer_version = "seewhy", version
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model


def _batch_size(graph: Graph) -> int | str:
    """Return the number of images that a model takes, or the name of that size where it takes any."""
    shape = graph.shape(graph.inputs[0])
    return (shape[0] if shape else None) or IMAGES


def _name_batches(graph: onnx.GraphProto, images: int | str) -> None:
    """Give the size of the batch one name at all inputs, and drop the names of other sizes."""
    if isinstance(images, str):
        for value in graph.input:
            value.type.tensor_type.shape.dim[0].dim_param = images


def _out_of_the_way(graph: onnx.GraphProto, outputs: Mapping[str, str]) -> dict[str, str]:
    """Return new names for values of the source that are called as outputs are."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    return {name: _fresh(f"source/{name}", taken) for name in outputs if name in taken}


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _rename(inner, names)
    for named in (*graph.input, *graph.output, *graph.initializer):
        named.name = names.get(named.name, named.name)


def with_input_names(explained: ExplainedModel) -> ExplainedModel:
    """Return a model of another framework with plain names for its inputs: input; or input_1, input_2, ..."""
    graph, count = explained.model.graph, len(explained.inputs)
    if explained.inputs == (PIXELS,):
        return explained
    wanted = ["input"] if count == 1 else [f"input_{number}" for number in range(1, count + 1)]
    taken = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    new = tuple(_fresh(name, taken) for name in wanted)
    _rename(graph, dict(zip(explained.inputs, new, strict=True)))
    return replace(explained, inputs=new)


def _prepend_pixels(model: onnx.ModelProto, graph: Graph, pixels: PixelTransform) -> None:
    """Let a model take pixels, and compute its own input of them."""
    (value,) = model.graph.input
    taken = [name for node in model.graph.node for name in (*node.input, *node.output)]
    builder = GraphBuilder(graph.opset, [*taken, *(tensor.name for tensor in model.graph.initializer)], "seewhy/pixels")
    if PIXELS in {*taken, value.name}:
        _rename(model.graph, {PIXELS: _fresh(f"source/{PIXELS}", {*taken})})
    source = model.graph.input[0].name
    result = _transformed(builder, pixels)
    if graph.dtype(value.name) != np.float32:
        result = builder.cast(result, graph.dtype(graph.inputs[0]))
    nodes = [*builder.nodes, helper.make_node("Identity", [result], [source]), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(builder.initializers)
    info = helper.make_tensor_value_info(PIXELS, onnx.TensorProto.UINT8, [_batch_size(graph), *pixels.size, 3])
    model.graph.input[0].CopyFrom(info)


def _transformed(builder: GraphBuilder, pixels: PixelTransform) -> str:
    """Emit the transform of the pixels, and return its name."""
    value = builder.cast(PIXELS, np.float32)
    if pixels.is_grey:
        weights = builder.constant(np.array(GREY[:3], np.float32)[:, None])
        total = builder.add(builder.op("MatMul", value, weights), builder.constant(GREY[3] / 2, np.float32))
        value = builder.op("Floor", builder.div(total, builder.constant(GREY[3], np.float32)))
    value = _affine(builder, value, pixels)
    return builder.transpose(value, (0, 3, 1, 2)) if pixels.channels_first else value


def _affine(builder: GraphBuilder, value: str, pixels: PixelTransform) -> str:
    """Emit `value @ matrix + offset`; as a gather and a product per channel where no channel depends on two."""
    columns = [np.flatnonzero(column) for column in pixels.matrix.T]
    if all(len(column) == 1 for column in columns):
        order: Sequence[int] = [int(column[0]) for column in columns]
        if order != list(range(len(pixels.matrix))):
            value = builder.gather(value, np.array(order), 3)
        scale = np.array([pixels.matrix[row, channel] for channel, row in enumerate(order)], np.float32)
        value = value if np.all(scale == 1) else builder.mul(value, builder.constant(scale))
    else:
        value = builder.op("MatMul", value, builder.constant(pixels.matrix))
    return value if not pixels.offset.any() else builder.add(value, builder.constant(pixels.offset))
