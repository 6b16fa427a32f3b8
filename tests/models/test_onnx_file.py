"""Loading `.onnx` files that may be anyone's: what is refused and in which words, bombs, and weights in other files."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import seewhy  # noqa: E402
from seewhy.errors import MissingExtraError, ModelError, OptionError, WeightsError, install_command  # noqa: E402
from seewhy.models import file_inspection, model_file, onnx_external_data, onnx_inspector, registry  # noqa: E402
from seewhy.models.file_inspection import ONNX_PROGRAM, SINGLE_THREAD  # noqa: E402
from seewhy.models.onnx_file import load_model  # noqa: E402
from seewhy.models.onnx_memory import clear_output_shapes, fill_input_shapes, is_bounded  # noqa: E402
from seewhy.models.overrides import Overrides  # noqa: E402

FLOAT = TensorProto.FLOAT
RELU = helper.make_node("Relu", ["x"], ["y"])
KERNEL = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
DATA = KERNEL.tobytes()


def model_of(nodes=(RELU,), weights=None, *, shape=(1, 3, 8, 8), opset=17, ir_version=8, functions=(), domains=()):
    """Return a model from the input x to the output y."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", opset), *domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, functions=functions)


def nodes_of(*operators):
    """Return a chain of operators, each an operator's type and its other inputs, from x to y."""
    values = ["x", *(f"v{index}" for index in range(1, len(operators))), "y"]
    return [
        helper.make_node(kind, [values[index], *others], [values[index + 1]], **attributes)
        for index, (kind, others, attributes) in enumerate(operators)
    ]


def of_size(*size):
    """Return nodes that add the sum of a tensor of a size to the input, and the weights that they need."""
    made = helper.make_node("ConstantOfShape", ["size"], ["made"])
    return [made, helper.make_node("ReduceSum", ["made"], ["sum"], keepdims=0), add("sum")], {"size": np.array(size)}


def add(value):
    return helper.make_node("Add", ["x", value], ["y"])


def written(folder, model, name="model.onnx"):
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def changed(model, change):
    change(model)
    return model


def with_output_type(kind):
    value = helper.make_tensor_value_info("y", FLOAT, None).type
    return lambda model: model.graph.output[0].type.CopyFrom(kind(value))


CUSTOM = helper.make_node("Fancy", ["x"], ["y"], name="fancy1", domain="mine")
INNER = helper.make_graph([helper.make_node("Fancy", ["x"], ["z"], domain="mine")], "inner", [], [])
IF = helper.make_node("If", ["c"], ["y"], then_branch=INNER, else_branch=INNER)
TOP_K = [
    helper.make_node("TopK", ["x", "k"], ["best", "where"], name="top"),
    helper.make_node("Cast", ["where"], ["cast"], to=FLOAT),
    helper.make_node("Concat", ["best", "cast"], ["y"], axis=1),
]
NMS = helper.make_node("NonMaxSuppression", ["x", "x"], ["boxes"])
REPLACED = helper.make_function("", "Relu", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [])
TEXT = helper.make_tensor("t", TensorProto.STRING, [1], [b"cat"])
SPARSE = helper.make_sparse_tensor(
    helper.make_tensor("s", FLOAT, [1], [1.0]), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [4]
)

REFUSED = {
    "empty": (b"", WeightsError, "is empty; expected an ONNX model"),
    "text": (b"not a model at all", WeightsError, "is damaged or not an ONNX model"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", WeightsError, "a pointer of Git LFS.*git lfs pull"),
    "truncated": (
        model_of(nodes_of(("Conv", ["w"], {})), {"w": KERNEL}).SerializeToString()[:-40],
        WeightsError,
        "cannot be parsed",
    ),
    "no graph": (helper.make_model(helper.make_graph([], "g", [], [])), WeightsError, "contains no graph"),
    "no outputs": (changed(model_of(), lambda m: m.graph.ClearField("output")), WeightsError, "has no outputs"),
    "no inputs": (changed(model_of(), lambda m: m.graph.ClearField("input")), WeightsError, "has no inputs"),
    "no opset": (changed(model_of(), lambda m: m.ClearField("opset_import")), WeightsError, "does not name its opset"),
    "new opset": (model_of(opset=999), ModelError, r"has opset 999, and onnx .* knows opsets up to \d+. Upgrade it"),
    "new IR": (model_of(ir_version=999), ModelError, "has IR version 999, and onnx .* knows IR versions up to"),
    "old": (model_of([helper.make_node("Loop", ["x"], ["y"])], opset=1), ModelError, "opset 1, and cannot be conv.*13"),
    "custom": (
        model_of([CUSTOM], domains=[("mine", 1)]),
        ModelError,
        r"'Fancy' \(node 'fancy1'\) of the domain 'mine', which ONNX Runtime does not have",
    ),
    "custom inside": (model_of([IF], domains=[("mine", 1)]), ModelError, "'Fancy' of the domain 'mine'"),
    "reads": (
        model_of([helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")], domains=[("com.microsoft", 1)]),
        ModelError,
        "'EPContext', which reads another file or runs code",
    ),
    "replaced": (model_of(functions=[REPLACED]), ModelError, "replaces the operator 'Relu' of ONNX"),
    "subgraph": (
        model_of([helper.make_node("If", ["x"], ["y"], then_branch=helper.make_graph([RELU], "g", [], []))]),
        ModelError,
        "'If', an operator with a graph of its own.*dynamo=True.*onnxslim",
    ),
    "suppression": (model_of([RELU, NMS]), ModelError, r"non-maximum suppression.*export\(format='onnx', nms=False\)"),
    "top k": (model_of(TOP_K, {"k": np.array([2])}), ModelError, r"ends in 'TopK' \(node 'top'\).*end2end=False"),
    "sequence": (
        model_of([helper.make_node("SequenceConstruct", ["x"], ["y"])]),
        ModelError,
        "'SequenceConstruct', which makes sequences",
    ),
    "sequence out": (
        changed(model_of(), with_output_type(helper.make_sequence_type_proto)),
        ModelError,
        "has outputs that are no tensors: 'y' has the type sequence",
    ),
    "optional out": (
        changed(model_of(), with_output_type(helper.make_optional_type_proto)),
        ModelError,
        "'y' has the type optional",
    ),
    "text in": (
        changed(model_of(), lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING)),
        ModelError,
        "has inputs of type string, 'x'; expected numbers",
    ),
    "sparse": (
        changed(model_of(), lambda m: m.graph.sparse_initializer.append(SPARSE)),
        ModelError,
        "contains sparse tensors",
    ),
    "two weights": (
        changed(model_of(weights={"w": KERNEL}), lambda m: m.graph.initializer.append(m.graph.initializer[0])),
        ModelError,
        "two of its weights have the name 'w'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case, tmp_path):
    content, error, message = REFUSED[case]
    path = written(tmp_path, content)
    with pytest.raises(error, match=message) as raised:
        load_model(path, trust=True)
    assert str(path) in str(raised.value)
    assert raised.type is error


def inspected(monkeypatch, folder, model):
    """Return the report on a model, without limits of memory: only for models that need little."""
    monkeypatch.setattr(onnx_inspector, "limit_memory", lambda *_: None)
    return onnx_inspector._report(written(folder, model))


MAX = helper.make_node("ReduceMax", ["x"], ["max"], keepdims=0)
VALUES = [
    MAX,
    helper.make_node("Cast", ["max"], ["whole"], to=TensorProto.INT64),
    helper.make_node("Unsqueeze", ["whole", "axis"], ["size"]),
    *of_size(1)[0],
]

INVALID = {
    "cycle": (
        model_of([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), add("b")]),
        "not a valid ONNX model: Nodes in a graph must be topologically sorted",
    ),
    "two values": (model_of([RELU, RELU]), "not a valid ONNX model: Graph must be in single static assignment"),
    "two models": (model_of().SerializeToString() * 2, "two of its inputs have the name 'x'"),
    "unknown": (model_of([helper.make_node("Relo", ["x"], ["y"])]), "No Op registered for Relo"),
    "text": (changed(model_of(), lambda m: m.graph.initializer.append(TEXT)), "'t' of type string; expected numbers"),
    "short": (
        changed(model_of(weights={"w": KERNEL}), lambda m: m.graph.initializer[0].dims.__setitem__(0, 5)),
        r"'w' of shape \[5, 3, 3, 3\] has 432 bytes; expected 540",
    ),
    "values": (model_of(VALUES, {"axis": np.array([0])}), "'ConstantOfShape' makes a tensor whose size depends on the"),
    "runs on no size": (
        model_of(
            nodes_of(("Tile", ["t"], {}), ("Reshape", ["s"], {})),
            {"s": np.array([7, 11]), "t": np.array([1, 1, 1, 2])},
            shape=(1, 3, "h", "w"),
        ),
        "ONNX Runtime .* cannot run it on one image of zeros, .*Export it with inputs of fixed size",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_the_inspection_finds(case, tmp_path, monkeypatch):
    content, message = INVALID[case]
    report = inspected(monkeypatch, tmp_path, content)
    assert report.get("error") == "ModelError"
    with pytest.raises(ModelError, match=message):
        raise ModelError(report["message"])


def test_what_the_inspection_accepts(tmp_path, monkeypatch):
    convolution = nodes_of(("Conv", ["w"], {"kernel_shape": [3, 3]}), ("Clip", ["", "m"], {}), ("Flatten", [], {}))
    assert inspected(monkeypatch, tmp_path, model_of(convolution, {"w": KERNEL, "m": np.float32(6)})) == {}
    # Sizes that are open, of which 28 is one that the model takes; run, as it makes a tensor from nothing.
    nodes, weights = of_size(4)
    nodes[-1] = helper.make_node("Add", ["flat", "sum"], ["z"])
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), *nodes, helper.make_node("MatMul", ["z", "w"], ["y"])]
    weights["w"] = np.ones((28 * 28, 2), np.float32)
    assert inspected(monkeypatch, tmp_path, model_of(nodes, weights, shape=("n", 1, "h", "w"))) == {}


BOMBS = {
    "ConstantOfShape": of_size(2**40),
    "1 GB": of_size(2**28),
    "too many for 64 bits": of_size(2**62, 4),
    "Expand": (nodes_of(("Expand", ["s"], {}), ("ReduceSum", [], {"keepdims": 1})), {"s": np.array([2**35, 3, 8, 8])}),
    "Tile": (
        nodes_of(*3 * [("Tile", ["s"], {})], ("ReduceSum", [], {"keepdims": 1})),
        {"s": np.array([1, 1, 1000, 100])},
    ),
    "Resize": (nodes_of(("Resize", ["", "s"], {})), {"s": np.array([1, 1, 1e6, 1e6], np.float32)}),
    "MatMul": (
        [helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("ReduceSum", ["c"], ["d"]), add("d")],
        {"a": np.ones((60_000, 1), np.float32), "b": np.ones((1, 60_000), np.float32)},
    ),
}


def test_small_files_that_would_fill_the_memory(tmp_path):
    """All of them in one process, which is limited as it is when a file is loaded."""
    paths = [written(tmp_path, model_of(*BOMBS[name]), f"{index}.onnx") for index, name in enumerate(BOMBS)]
    paths.append(written(tmp_path, model_of(shape=(1, 3, 10**6, 10**6)), "input.onnx"))
    paths.append(written(tmp_path, model_of(nodes_of(("Tile", ["s"], {})), {"s": np.array([1, 1, 2, 2])}), "good.onnx"))
    program = ONNX_PROGRAM.replace(
        "import main\nmain()",
        "import *\nfrom seewhy.models.onnx_inspector import _report\n"
        "limit_process(resource.RLIMIT_DATA, 2**40, 60)\n"
        "print(json.dumps([_report(Path(path)) for path in json.load(sys.stdin)]))",
    )
    models = Path(file_inspection.__file__).parent
    finished = subprocess.run(
        [sys.executable, "-I", "-c", program, str(models.parent), str(models)],
        input=json.dumps(list(map(str, paths))),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **SINGLE_THREAD},
    )
    assert finished.returncode == 0, finished.stderr
    *bombs, good = json.loads(finished.stdout)
    assert good == {}
    for name, report in zip([*BOMBS, "input"], bombs, strict=True):
        assert re.search(r"in 1,02\d MB of memory, far more than its weights", report.get("message", "")), name


def bounded(model, max_bytes=10**6):
    fill_input_shapes(model.graph)
    clear_output_shapes(model.graph)
    return is_bounded(model, {tensor.name: len(tensor.raw_data) for tensor in model.graph.initializer}, max_bytes)


def test_how_much_memory_a_graph_needs_at_most():
    convolution = model_of(nodes_of(("Conv", ["w"], {}), ("Relu", [], {})), {"w": KERNEL}, shape=("n", 3, 8, 8))
    inputs, kernel, outputs = 3 * 8 * 8 * 4, KERNEL.nbytes, 4 * 6 * 6 * 4
    assert bounded(convolution, inputs + kernel + 3 * outputs)  # read and written by Conv, then by Relu
    assert not bounded(convolution, inputs + kernel + 3 * outputs - 1)
    nodes, weights = of_size(10**12)
    lying = model_of(nodes, weights)
    lying.graph.value_info.append(helper.make_tensor_value_info("made", FLOAT, [1]))
    assert not bounded(lying)
    outer = model_of([helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])])
    outer.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", FLOAT, [1000, 1]))
    outer.graph.value_info.append(helper.make_tensor_value_info("t", FLOAT, [1, 1]))
    assert not bounded(outer, 4_015_999)  # 1000 x 1000 values, whatever it says of them
    assert bounded(outer, 4_016_000)


def external(folder, content=DATA, **fields):
    """Write a model whose kernel is in another file."""
    model = model_of(nodes_of(("Conv", ["w"], {})), {"w": KERNEL})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    fields = {"location": "weights.bin", **fields}
    for key, value in fields.items():
        tensor.external_data.add(key=key, value=str(value))
    if content is not None:
        (folder / "weights.bin").write_bytes(content)
    return written(folder, model), model


def test_weights_in_another_file(tmp_path):
    path, _ = external(tmp_path, b"1234" + DATA, offset=4, length=KERNEL.nbytes)
    model = load_model(path, trust=False)
    tensor = model.proto.graph.initializer[0]
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), KERNEL)
    assert not tensor.external_data
    session = onnxruntime.InferenceSession(model.proto.SerializeToString())
    (found,) = session.run(None, {"x": np.ones((1, 3, 8, 8), np.float32)})
    np.testing.assert_allclose(found[0, :, 0, 0], KERNEL.sum(axis=(1, 2, 3)))


@pytest.mark.parametrize(
    ("content", "fields", "error", "message"),
    [
        (None, {}, WeightsError, "needs the file weights.bin, which has its weights and is missing"),
        (b"", {}, WeightsError, "has 0 bytes, and model.onnx has weights in it up to 432"),
        (DATA, {"offset": 1}, WeightsError, "has 432 bytes, and .* up to 433"),
        (DATA, {"length": 400}, ModelError, r"'w' have 400 bytes .* shape \[4, 3, 3, 3\] has 432"),
        (DATA, {"offset": -1}, ModelError, "have the offset '-1'; expected a number of bytes"),
        (DATA, {"length": "9" * 30}, ModelError, "have the length"),
        (None, {"location": "/etc/passwd"}, ModelError, "names weights in '/etc/passwd'; expected a file in its own f"),
        (None, {"location": "../weights.bin"}, ModelError, "names weights in '../weights.bin'"),
        (None, {"location": "a/../../b"}, ModelError, "names weights in"),
        (None, {"location": "C:\\weights.bin"}, ModelError, "names weights in"),
        (None, {"location": ""}, ModelError, "names weights in ''"),
        (None, {"location": "."}, ModelError, "names weights in '.'"),
        (None, {"location": "link"}, ModelError, r"a link out of the folder of the model. Copy .*\(cp -L\)"),
        (None, {"location": "linked/weights.bin"}, ModelError, "a link out of the folder of the model"),
        (None, {"location": "fifo"}, ModelError, "fifo, with the weights of model.onnx, is not read: it is a FIFO"),
        (None, {"location": "folder"}, WeightsError, "Cannot read .*folder, with the weights of model.onnx"),
    ],
)
def test_weights_in_files_that_are_not_read(tmp_path, content, fields, error, message):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside, inside / "folder"):
        folder.mkdir()
    (outside / "weights.bin").write_bytes(DATA)
    (inside / "link").symlink_to(outside / "weights.bin")
    (inside / "linked").symlink_to(outside)
    os.mkfifo(inside / "fifo")
    path, _ = external(inside, content, **fields)
    with pytest.raises(error, match=message) as raised:
        load_model(path, trust=True)
    assert raised.type is error


def test_weights_that_share_their_data_do_not_fill_the_memory(tmp_path, monkeypatch):
    path, model = external(tmp_path)
    tied = copy.deepcopy(model)
    for index in range(3):
        tied.graph.initializer.append(model.graph.initializer[0])
        tied.graph.initializer[-1].name = f"w{index}"
    monkeypatch.setattr(onnx_external_data, "FREE_BYTES", 0)
    load_model(written(tmp_path, tied, "tied.onnx"), trust=True)
    tied.graph.initializer.append(model.graph.initializer[0])
    tied.graph.initializer[-1].name = "one more"
    with pytest.raises(ModelError, match="would fill the memory with 2,160 bytes from files of 432"):
        load_model(written(tmp_path, tied, "tied.onnx"), trust=True)
    monkeypatch.setattr(onnx_external_data, "MAX_MODEL_SIZE", 500)
    with pytest.raises(ModelError, match="ONNX models with more than 2 GB are not supported"):
        load_model(path, trust=True)


def test_functions_are_inlined_and_old_models_are_converted(tmp_path):
    body = [helper.make_node("Relu", ["a"], ["c"]), helper.make_node("Neg", ["c"], ["b"])]
    function = helper.make_function("mine", "Fancy", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    model = load_model(written(tmp_path, model_of([CUSTOM], functions=[function], domains=[("mine", 1)])), trust=True)
    assert [node.op_type for node in model.proto.graph.node] == ["Relu", "Neg"]
    old = model_of([helper.make_node("Clip", ["x"], ["y"], min=1.0, max=2.0)], opset=9, ir_version=4)
    old.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, (1, 3, 8, 8)))
    model = load_model(written(tmp_path, old), trust=True)
    assert model.proto.opset_import[0].version == 13
    session = onnxruntime.InferenceSession(model.proto.SerializeToString())
    (found,) = session.run(None, {"x": np.linspace(0, 3, 192, dtype=np.float32).reshape(1, 3, 8, 8)})
    assert (found.min(), found.max()) == (1, 2)


def test_a_model_and_its_options(tmp_path):
    proto = model_of()
    helper.set_model_props(proto, {"task": "classify"})
    model = seewhy.OnnxModel(proto, name="cats", providers=["CUDAExecutionProvider", "CPUExecutionProvider"], threads=2)
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301  # our own
        assert repr(each) == (
            "OnnxModel(name='cats', providers=['CUDAExecutionProvider', 'CPUExecutionProvider'], threads=2)"
        )
        assert each.proto == proto
        assert each.metadata == {"task": "classify"}
        assert each.has_fixed_size
    assert not seewhy.OnnxModel(model_of(shape=(1, 3, "h", 8))).has_fixed_size
    for options in ({"providers": []}, {"providers": "CPUExecutionProvider"}, {"threads": 0}, {"threads": True}):
        with pytest.raises(OptionError, match=f"{next(iter(options))} is .*; expected a"):
            seewhy.OnnxModel(proto, **options)
    with pytest.raises(ModelError, match=r"given 'model.onnx'; expected an onnx.ModelProto"):
        seewhy.OnnxModel("model.onnx")
    with pytest.raises(ModelError, match="'w' of the ONNX model are in another file, and were not read"):
        seewhy.OnnxModel(external(tmp_path)[1])


def test_onnx_files_are_a_kind_of_file(tmp_path):
    path = written(tmp_path, model_of())
    assert model_file.find_model(str(tmp_path)) == path
    for source in (path, str(path)):
        assert registry.check(source, "imagenet", None, Overrides()).kind.syntax == "a path to an .onnx file"
    with pytest.raises(ModelError, match=r"There is no file .*mode.onnx. Did you mean 'model.onnx'"):
        seewhy.load(tmp_path / "mode.onnx")
    with pytest.raises(ModelError, match=r"asks for other weights, and .* comes with its own"):
        seewhy.load(path, weights="other.h5")
    (tmp_path / "model.txt").touch()
    with pytest.raises(OptionError, match=r"providers and threads are for .onnx files"):
        seewhy.load_onnx(written(tmp_path, b"", "model.keras"))
    with pytest.raises(ModelError, match=r"contains 2 models \(model.keras, model.onnx\)"):
        seewhy.load(tmp_path)


def test_what_is_missing(tmp_path, monkeypatch):
    path = written(tmp_path, model_of())
    monkeypatch.setattr(onnx, "__version__", "1.20.1")
    with pytest.raises(MissingExtraError, match=r"For model.onnx, onnx 1.21 or newer is not installed"):
        load_model(path, trust=True)
    for module in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError) as raised:
            load_model(path, trust=True)
        assert str(raised.value) == f"For model.onnx, {module} is not installed. Install it with: " + install_command(
            "onnx"
        )


@pytest.mark.parametrize("operator", ["Dropout", "BatchNormalization"])
def test_operators_in_training_mode_are_refused(operator):
    """Their results are random, or depend on the other images."""
    one, image = numpy_helper.from_array(np.ones(3, np.float32), "one"), ["N", 3, 8, 8]
    if operator == "Dropout":
        constants = [
            numpy_helper.from_array(np.array(0.5, np.float32), "ratio"),
            numpy_helper.from_array(np.array(True), "yes"),
        ]
        node = helper.make_node("Dropout", ["x", "ratio", "yes"], ["y"])
    else:
        constants = [one]
        node = helper.make_node("BatchNormalization", ["x", *["one"] * 4], ["y", "m", "v"], training_mode=1)
    graph = helper.make_graph(
        [node],
        "test",
        [helper.make_tensor_value_info("x", FLOAT, image)],
        [helper.make_tensor_value_info("y", FLOAT, image)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match=r"exported in training mode.*after model.eval"):
        seewhy.OnnxModel(model)
