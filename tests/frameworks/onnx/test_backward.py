"""Gradients of graphs of several operators, and what is said where there is none."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.frameworks.onnx.gradient_runs import run, with_gradient
from torch.nn import functional as F  # noqa: N812  # its usual name

from seewhy.errors import MethodError
from seewhy.frameworks.onnx.backward import backward, backward_reads, without_gradient
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.shapes import ValueInfo

RANDOM = np.random.default_rng(7)


def normal(*shape):
    return RANDOM.normal(size=shape)


class Weights:
    """Random weights, as constants of an ONNX graph and as tensors of torch."""

    def __init__(self, build):
        self.build = build
        self.tensors = []

    def __call__(self, *shape):
        array = normal(*shape) / np.sqrt(shape[-1])
        self.tensors.append(torch.from_numpy(array))
        return self.build.constant(array)


def model_of(build, outputs, inputs, opset):
    """Return a model of the nodes of a builder."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N" if size is None else size for size in shape])
        for name, shape in inputs.items()
    ]
    empty = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(build.nodes, "graph", infos, empty, build.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def graph_of(write, opset=17, **inputs):
    """Return the graph that a function writes into a builder, and its output."""
    build = GraphBuilder(opset, prefix="model")
    output = write(build, *inputs)
    return Graph(model_of(build, [output], inputs, opset), inputs), output


def attention(build, weights):
    """Return the output of a small transformer block, with LayerNormalization, GELU, and a head for token 0."""
    norm = build.op("LayerNormalization", "x", weights(8), weights(8))
    qkv = build.reshape(build.add(build.op("MatMul", norm, weights(8, 24)), weights(24)), (None, 5, 3, 2, 4))
    q, k, v = (build.gather(build.transpose(qkv, (2, 0, 3, 1, 4)), np.array(index), 0) for index in range(3))
    scores = build.mul(build.op("MatMul", q, build.transpose(k, (0, 1, 3, 2))), build.constant(0.5))
    mixed = build.op("MatMul", build.op("Softmax", scores, axis=-1), v)
    joined = build.op("MatMul", build.reshape(build.transpose(mixed, (0, 2, 1, 3)), (None, 5, 8)), weights(8, 8))
    x = build.add("x", joined)
    hidden = build.op("MatMul", build.op("LayerNormalization", x, weights(8), weights(8)), weights(8, 16))
    erf = build.add(build.op("Erf", build.div(hidden, build.constant(np.sqrt(2)))), build.constant(1.0))
    gelu = build.mul(build.mul(hidden, erf), build.constant(0.5))
    x = build.add(x, build.op("MatMul", gelu, weights(16, 8)))
    token = build.squeeze(build.slice(x, 1, 0, 1), [1])
    return build.op("Gemm", token, weights(3, 8), weights(3), transB=1)


def torch_attention(x, w):
    q, k, v = (F.layer_norm(x, (8,), w[0], w[1]) @ w[2] + w[3]).reshape(-1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v).permute(0, 2, 1, 3).reshape(-1, 5, 8)
    x = x + mixed @ w[4]
    x = x + F.gelu(F.layer_norm(x, (8,), w[5], w[6]) @ w[7]) @ w[8]
    return F.linear(x[:, 0], w[9], w[10])


def squeeze_and_excite(build, weights):
    """Return the output of a convolution, a squeeze-and-excite block around a bypass, pooling, and a linear layer."""
    x = build.op("Relu", build.op("Add", "x", weights(6, 1, 1)))
    pooled = build.reduce_mean(x, [2, 3])
    gate = build.op("Relu", build.op("MatMul", weights(2, 6), build.reshape(pooled, (None, 6, 1))))
    gate = build.reshape(build.op("Sigmoid", build.op("MatMul", weights(6, 2), gate)), (None, 6, 1, 1))
    scaled = build.add(build.mul(x, gate), "x")
    flat = build.op("Flatten", build.op("ReduceMean", scaled, axes=[2, 3]), axis=1)
    return build.op("Gemm", flat, weights(6, 3))


def torch_squeeze_and_excite(x, w):
    y = F.relu(x + w[0])
    gate = torch.sigmoid(w[2] @ F.relu(w[1] @ y.mean((2, 3))[..., None]))[..., None]
    return (y * gate + x).mean((2, 3)) @ w[3]


def concatenation(build, weights):
    """Return the output of a head that splits channels, uses two of three parts, and concatenates and slices them."""
    first, _, last = build.ops("Split", "x", build.integers(1, 2, 3), outputs=3, axis=1)
    joined = build.op("Concat", build.op("Tanh", last), first, "x", axis=1)
    cropped = build.slice(build.slice(joined, 2, 1, 4), 1, 2, 8)
    return build.op("MatMul", build.op("ReduceMax", cropped, axes=[2, 3], keepdims=0), weights(6, 3))


def torch_concatenation(x, w):
    return torch.cat([x[:, 3:].tanh(), x[:, :1], x], 1)[:, 2:8, 1:4].amax((2, 3)) @ w[0]


@pytest.mark.parametrize(
    ("write", "function", "shape"),
    [
        (attention, torch_attention, (5, 8)),
        (squeeze_and_excite, torch_squeeze_and_excite, (6, 4, 5)),
        (concatenation, torch_concatenation, (6, 5, 5)),
    ],
)
def test_compositions(write, function, shape):
    build = GraphBuilder(17, prefix="model")
    weights = Weights(build)
    output = write(build, weights)
    model = model_of(build, [output], {"x": (None, *shape)}, 17)
    joined, gradients = with_gradient(model, {"x": (None, *shape)}, {output: None}, ["x"])
    onnx.checker.check_model(joined)
    x = torch.from_numpy(normal(2, *shape)).requires_grad_()
    wanted = function(x, weights.tensors)
    seed = normal(*wanted.shape)
    (expected,) = torch.autograd.grad(wanted, x, torch.from_numpy(seed))
    found = run(joined, {"x": x.detach().numpy(), f"seed_{output}": seed})
    np.testing.assert_allclose(found[output], wanted.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(found[gradients["x"]], expected.numpy(), atol=1e-6)


def test_nodes_off_the_path_are_not_emitted():
    def write(build, x, other):
        kept = build.mul(x, build.op("Exp", other))
        build.op("Sin", x)  # nothing reads it
        return build.add(kept, build.op("Cos", build.constant(1.0)))

    graph, y = graph_of(write, x=(None, 3), other=(None, 3))
    builder = GraphBuilder(17)
    assert backward(graph, builder, {y: "seed"}, ["x", "nothing"]) == {
        "x": builder.nodes[-1].output[0],
        "nothing": None,
    }
    assert [node.op_type for node in builder.nodes] == ["Mul"]
    assert backward_reads(graph, builder, {y: "seed"}) == (graph.nodes[0].output[0],)


def test_gradients_of_two_sources_and_of_a_value_read_twice():
    def write(build, x):
        twice = build.add(x, x)
        return build.mul(build.mul(twice, twice), x)  # 4 x^3

    graph, y = graph_of(write, x=(2,))
    middle = graph.nodes[0].output[0]
    joined, gradients = with_gradient(graph.model, {"x": (2,)}, {y: None}, ["x", middle])
    found = run(joined, {"x": np.array([1.0, 2]), f"seed_{y}": np.array([1.0, 10])})
    np.testing.assert_allclose(found[gradients["x"]], [12, 480])  # also what reaches y through the other source
    np.testing.assert_allclose(found[gradients[middle]], [4, 160])  # 2 t x


def test_steps_end_the_path():
    def write(build, x):
        mask = build.cast(build.op("Greater", x, build.constant(0.5)), np.float64)
        whole = build.cast(build.cast(build.op("Floor", x), np.int64), np.float64)
        return build.add(build.mul(x, mask), whole)

    graph, y = graph_of(write, x=(3,))
    joined, gradients = with_gradient(graph.model, {"x": (3,)}, {y: None}, ["x"])
    found = run(joined, {"x": np.array([0.2, 0.7, 3.5]), f"seed_{y}": np.array([1.0, 2, 3])})
    np.testing.assert_allclose(found[gradients["x"]], [0, 2, 3])
    steps, y = graph_of(lambda build, x: build.cast(build.op("ArgMax", x), np.float64), x=(3,))
    assert backward(steps, GraphBuilder(17), {y: "seed"}, ["x"]) == {"x": None}


def test_all_operators_without_a_rule_are_named():
    def write(build, x):
        rounded = build.op("Acosh", build.op("Mul", build.op("Acosh", x), build.op("Asinh", x)))
        return build.op("Gather", rounded, build.op("ArgMax", x, keepdims=0, axis=1))

    graph, y = graph_of(write, x=(3, 4, 4))
    assert [*without_gradient(graph, [y], ["x"])] == ["Gather", "Acosh", "Asinh"]
    with pytest.raises(MethodError) as raised:
        backward(graph, GraphBuilder(17), {y: "seed"}, ["x"])
    assert str(raised.value) == (
        "No gradient can be computed through these operators of the ONNX model: "
        "Gather ('model/Gather_5': its indices are not constant); Acosh ('model/Acosh_3': it has no gradient rule); "
        "Asinh ('model/Asinh_1': it has no gradient rule). "
        "Choose a layer after them, or a method that needs no gradient, such as eigencam, recipro_cam, scorecam, "
        "occlusion or rise."
    )
    assert without_gradient(graph, [y], [graph.nodes[3].output[0]]).keys() == {"Gather"}


@pytest.mark.parametrize(
    ("reason", "write"),
    [
        ("training mode", lambda b, x: b.op("Dropout", x, b.constant(0.5), b.constant(True))),
        ("starts are not constant", lambda b, x: b.op("Slice", x, b.op("Shape", x), b.integers(1, 1, 1))),
        ("size of 'x' along axis 0 is unknown", lambda b, x: b.slice(x, 0, 0, 1)),
        ("size of 'x' along axis 0 is unknown", lambda b, x: b.op("ReduceMean", x, axes=[0])),
        ("size of 'x' along axis 0 is unknown", lambda b, x: b.op("Concat", x, x, axis=0)),
        ("mode is 'reflect'", lambda b, x: b.op("Pad", x, b.integers(0, 0, -1, 0, 0, 1), mode="reflect")),
        ("shape of .* is unknown", lambda b, x: b.add(x, b.constant(np.zeros((4, 3, 4))))),
        ("a label twice", lambda b, x: b.op("Einsum", b.constant(np.ones((3, 3))), x, equation="aa,bac->bc")),
        ("sums over an ellipsis", lambda b, x: b.op("Einsum", x, equation="...a->a")),
        ("model computes its input 1", lambda b, x: b.op("InstanceNormalization", x, *norm(b, x))),
        ("model computes its input 1", lambda b, x: b.op("Conv", b.constant(np.ones((1, 3, 4))), kernel(b, x))),
    ],
)
def test_what_a_rule_does_not_handle_is_refused(reason, write):
    graph, y = graph_of(write, opset=17, x=(None, 3, 4))
    with pytest.raises(MethodError, match=reason):
        backward(graph, GraphBuilder(17), {y: "seed"}, ["x"])


def norm(build, x):
    """Scale and bias that depend on x."""
    scale = build.op("ReduceSum", x, build.integers(0, 2), keepdims=0)
    return scale, scale


def kernel(build, x):
    """A kernel that depends on x."""
    return build.op("ReduceSum", x, build.integers(0), keepdims=1)


def test_names_of_the_model_are_not_taken():
    graph, y = graph_of(lambda build, x: build.op("Neg", x), x=(3,))
    graph.nodes[0].output[0] = "seewhy/Neg_0"
    renamed = Graph(graph.model, {"x": (3,)})
    assert backward(renamed, GraphBuilder(17), {"seewhy/Neg_0": "seed"}, ["x"]) == {"x": "seewhy/Neg_1"}
    assert y != "seewhy/Neg_0"


def test_constant_nodes_are_constants():
    indices = helper.make_node("Constant", [], ["i"], value=numpy_helper.from_array(np.array([1, 0])))
    node = helper.make_node("Gather", ["x", "i"], ["y"], axis=1)
    info = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [2, 2])
    graph = helper.make_graph([indices, node], "graph", [info], [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    joined, gradients = with_gradient(model, {"x": (2, 2)}, {"y": None}, ["x"])
    found = run(joined, {"x": np.zeros((2, 2)), "seed_y": np.array([[1.0, 2], [3, 4]])})
    np.testing.assert_allclose(found[gradients["x"]], [[2, 1], [4, 3]])


def test_a_slice_that_starts_where_a_shape_says_is_differentiated():
    def write(build, x):
        height = build.op("Gather", build.op("Shape", x), build.integers(1))
        return build.op("Slice", x, build.op("Div", height, build.integers(2)), height, build.integers(1))

    graph, y = graph_of(write, x=(None, 4))
    joined, gradients = with_gradient(
        graph.model, {"x": (None, 4)}, {y: ValueInfo(np.dtype(np.float64), (None, 2))}, ["x"]
    )
    found = run(joined, {"x": np.zeros((3, 4)), f"seed_{y}": np.array([[1.0, 2]] * 3)})
    np.testing.assert_allclose(found[gradients["x"]], [[0, 0, 1, 2]] * 3)
    by_count, y = graph_of(
        lambda build, x: build.op("Slice", x, build.op("Shape", x), build.integers(9, 9)), x=(None, 4)
    )
    with pytest.raises(MethodError, match="its starts are not constant"):
        backward(by_count, GraphBuilder(17), {y: "seed"}, ["x"])
