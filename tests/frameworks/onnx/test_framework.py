"""ONNX models against the PyTorch modules that they were exported from."""

import io
import warnings
from collections import OrderedDict

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tests.contracts import in_onnx, in_torch, reference
from torch import nn

import seewhy
from seewhy.errors import LayerError, MethodError, ModelError, ModelRunError, OptionError, TargetError
from seewhy.targets import AllOutputs, Counterfactual, Difference, Embedding, Function, Region

IMAGES = in_torch.given(reference.images(3))
TARGETS = {
    "classes": [2, 0],
    "top": "top-2",
    "difference": [Difference(0, 1)],
    "against": [Counterfactual(2)],
    "several kinds": [1, Difference(1, 2)],
    "embedding": [Embedding(np.arange(1.0, 5.0))],
}


def close(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=tolerance * np.abs(wanted.values).max())
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=tolerance * np.abs(wanted.scores).max())


def agree(model, method, layer, targets, inputs=IMAGES, tolerance=1e-5, **options):
    """Compare an exported module with the module itself."""
    exported = in_onnx.exported(model, inputs.shape[1:])
    close(
        seewhy.Explainer(exported, method, layer, signed=True, **options).heatmaps(inputs, targets),
        seewhy.Explainer(model, method, layer, signed=True, **options).heatmaps(inputs, targets),
        tolerance,
    )


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_targets_of_every_kind(targets):
    agree(in_torch.plain(), "hirescam", "features", targets)


@pytest.mark.parametrize(
    "method", ["gradcam", "gradcam++", "layercam", "finercam", "scorecam", "recipro_cam", "saliency", "guided_gradcam"]
)
def test_methods_of_every_family(method):
    agree(in_torch.plain(), method, "features", [2, 0])


def test_probabilities():
    agree(in_torch.plain(scale=0.1), "gradcam", "features", [2, 0], tolerance=1e-4, score="probability")


@pytest.mark.parametrize("what", ["mean", "mean, axes kept", "maximum", "all"])
def test_many_classes(what):
    """More classes than are run at once: in one product, or in chunks."""
    torch.manual_seed(0)
    agree(in_torch.reading(what, 40), "hirescam", "features", list(range(40)))


class Reader(nn.Module):
    """A head of the operators that heads are made of: attention, normalization, gates, slices and a skip connection."""

    def __init__(self):
        super().__init__()
        self.features, self.norm = nn.Conv2d(3, 8, 3), nn.LayerNorm(8)
        self.query, self.gate, self.dense = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, image):
        tokens = self.features(image).flatten(2).transpose(1, 2)
        query = self.query(self.norm(tokens))
        mixed = torch.softmax(query @ tokens.transpose(1, 2) / 3, -1) @ tokens + tokens[:, :1]
        gated = nn.functional.gelu(mixed) * torch.sigmoid(self.gate(mixed)) + nn.functional.silu(query)
        return self.dense(torch.cat([gated[:, ::2], nn.functional.hardswish(gated[:, 1::2])], 1).amax(1))


@pytest.mark.parametrize("method", ["gradcam", "saliency", "ablationcam"])
def test_a_head_with_attention_and_values_that_bypass_the_layer(method):
    torch.manual_seed(0)
    agree(Reader().eval(), method, "features", [2, 0])


@pytest.mark.parametrize("method", ["gradcam", "ablationcam"])
def test_tokens_before_images(method):
    agree(in_torch.sequence_first(), method, "norm", [1, 3], tokens=seewhy.TokenGrid((2, 2)))


def test_a_class_token():
    """A few runs, in which "auto" finds the layer and the grid, of a model whose shapes depend on those of others."""
    model = in_torch.class_token()
    found = seewhy.Explainer(in_onnx.class_token(), "gradcam").heatmaps(IMAGES, [1])
    assert found.layer == in_onnx.path_of_block(0)
    close(found, seewhy.Explainer(model, "gradcam", found.layer).heatmaps(IMAGES, [1]))


def test_half_precision():
    agree(in_torch.in_type("float16"), "gradcam", "features", [2, 0], tolerance=5e-3)


def test_a_region_of_a_segmentation():
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("features", nn.Conv2d(3, 6, 3))
    model.add_module("classes", nn.Conv2d(6, 4, 1))
    mask = np.zeros((10, 8), bool)
    mask[2:5, 3:] = True
    agree(model, "gradcam", "features", [Region(mask, 2)])


class Steps(nn.Module):
    """A recogniser of sequences: each column of the image is a step, with scores of its own."""

    def __init__(self):
        super().__init__()
        self.features, self.scores = nn.Conv2d(3, 6, (12, 3), padding=(0, 1)), nn.Linear(6, 4)

    def forward(self, image):
        return self.scores(torch.relu(self.features(image)).squeeze(2).transpose(1, 2)).softmax(-1)


FOREGROUND = {"features": nn.Conv2d(3, 6, 3), "relu": nn.ReLU(), "scores": nn.Conv2d(6, 1, 1), "ending": nn.Sigmoid()}


@pytest.mark.parametrize(
    ("model", "targets"),
    [(nn.Sequential(OrderedDict(FOREGROUND)), [1, 0]), (Steps(), "top-2")],
    ids=["foreground", "sequence"],
)
def test_classes_of_pixels_and_of_steps(model, targets):
    """Several at once; a foreground in one channel has two classes; an image may have others than the next one."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    found = seewhy.Explainer(model, layer="features").heatmaps(IMAGES, targets)
    assert np.abs(found.values).reshape(3, 2, -1).max(axis=2).min() > 0
    agree(model, "hirescam", "features", targets)


def test_functions_of_one_and_of_all_outputs():
    """Their derivatives are differences, of a function that is given NumPy's arrays."""
    for output, target in (
        ("answer", Function(lambda y: y[:, 1] * np.tanh(y[:, 0]) + (y**2).sum(1))),
        (None, AllOutputs(lambda outputs: outputs["answer"][:, 0] * outputs["pixels"].mean(1))),
    ):
        inputs = [IMAGES, IMAGES[::-1].copy()]
        found = seewhy.Explainer(in_onnx.several(dict), "hirescam", "features", output=output).heatmaps(inputs, target)
        as_torch = target if output is None else Function(lambda y: y[:, 1] * y[:, 0].tanh() + (y**2).sum(1))
        wanted = seewhy.Explainer(in_torch.several(dict), "hirescam", "features", output=output)
        close(found, wanted.heatmaps(inputs, as_torch), 1e-4)


def test_a_function_of_too_many_values():
    torch.manual_seed(0)
    model = in_onnx.exported(nn.Sequential(nn.Conv2d(3, 60, 1)), IMAGES.shape[1:])
    with pytest.raises(TargetError, match=r"function of 7,200 values.* Give a class, a Region"):
        seewhy.Explainer(model, layer="output").heatmaps(IMAGES, lambda y: y.mean((1, 2, 3)))


def test_a_batch_of_one_size():
    model = in_torch.plain()
    exported = in_onnx.plain()
    exported.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    for method in ("gradcam", "occlusion"):
        found = seewhy.Explainer(exported, method, "features").heatmaps(IMAGES, [2, 0])
        close(found, seewhy.Explainer(model, method, "features").heatmaps(IMAGES, [2, 0]))


def test_what_is_no_layer_and_no_option():
    model = in_onnx.plain()
    with pytest.raises(LayerError, match=r"There is no layer 'featurs' in the model\. Did you mean 'features'"):
        seewhy.Explainer(model, layer="featurs")
    with pytest.raises(OptionError, match="precision='bfloat16' is not for ONNX models"):
        seewhy.Explainer(model, precision="bfloat16")
    with pytest.raises(LayerError, match="cannot be explained"):
        seewhy.Explainer(model, layer="dense").heatmaps(IMAGES, [1])


def test_operators_without_a_gradient():
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], name="convolution"),
        helper.make_node("CumSum", ["maps", "axis"], ["sums"], name="sums"),
        helper.make_node("Det", ["sums"], ["determinants"], name="det"),
    ]
    kernel = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "kernel")
    axis = numpy_helper.from_array(np.array(3), "axis")
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 6, 6])],
        [helper.make_tensor_value_info("determinants", TensorProto.FLOAT, None)],
        [kernel, axis],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    images = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    with pytest.raises(MethodError, match=r"through these operators.*Det \('det'.*such as eigencam"):
        seewhy.Explainer(model, layer="maps").heatmaps(images, [0])
    assert seewhy.Explainer(model, "ablationcam", layer="maps").heatmaps(images, [0]).values.shape == (2, 1, 6, 6)


def test_a_model_that_fails_while_it_runs():
    model = in_onnx.plain()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "rows"
    with pytest.raises(ModelRunError, match=r"cannot run on an input of shape \(3, 3, 9, 10\)"):
        seewhy.Explainer(model, layer="features").heatmaps(IMAGES[:, :, :9], [1])


def test_an_operator_that_is_not_implemented_for_a_type():
    with pytest.raises(
        ModelRunError, match=r"cannot run on an input of shape \(3, 3, 12, 10\).*implementation for Conv"
    ):
        seewhy.Explainer(in_onnx.in_type("float64"), layer="features").heatmaps(IMAGES, [1])


def test_a_damaged_graph():
    model = in_onnx.plain()
    model.graph.node[1].output[0] = "image"
    with pytest.raises(ModelError):
        seewhy.Explainer(model)
    assert isinstance(model, onnx.ModelProto)


class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4 * 10 * 8, 3)

    def forward(self, image):
        return self.dense(torch.relu(self.features(image)).reshape(1, -1))


def test_a_number_of_images_that_is_fixed_inside():
    """The inputs are declared for any number."""
    torch.manual_seed(0)
    model = Traced().eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"image": {0: "images"}}
        torch.onnx.export(
            model, torch.zeros(1, *IMAGES.shape[1:]), file, input_names=["image"], dynamic_axes=axes, dynamo=False
        )
    found = seewhy.Explainer(onnx.load_from_string(file.getvalue()), "hirescam", signed=True).heatmaps(IMAGES, [1])
    wanted = [seewhy.Explainer(model, "hirescam", "features", signed=True).heatmaps(IMAGES[:1], [1])]
    assert found.values.shape[0] == len(IMAGES)
    np.testing.assert_allclose(found.scores[:1], wanted[0].scores, rtol=1e-5)


def test_gradients_through_rounding_to_few_bits():
    model = in_onnx.plain()
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")]
    )
    position = next(i for i, node in enumerate(model.graph.node) if "features" in node.output)
    for node in model.graph.node:
        node.input[:] = ["rounded" if name == "features" else name for name in node.input]
    for name, given, output in (("QuantizeLinear", "features", "few"), ("DequantizeLinear", "few", "rounded")):
        position += 1
        model.graph.node.insert(position, helper.make_node(name, [given, "scale", "zero"], [output], name=f"{output}?"))
    with pytest.raises(MethodError, match=r"QuantizeLinear \('few\?': it rounds to 8 bits or fewer\). Choose a layer"):
        seewhy.Explainer(model, "gradcam", "features").heatmaps(IMAGES, [1])
    assert seewhy.Explainer(model, "eigencam", "features").heatmaps(IMAGES, [1]).values.max() > 0
