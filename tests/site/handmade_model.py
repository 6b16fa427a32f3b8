"""A small model that carries its explanation, made by hand: a convolution, pooling and a linear layer."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from seewhy import ClassNames, Preprocessing
from seewhy.site.manifest import SiteModel

SIZE = (16, 24)
CLASSES = 6
NAMES = ("cat", "dog", "fish", "bird", "crane", "crane")
CHANNELS, STRIDE = 4, 4
ROWS, COLUMNS = SIZE[0] // STRIDE, SIZE[1] // STRIDE


def handmade_model(*, top=None, **changes):
    """Return the model as a site has it; with `top`, it has only the heatmaps of so many most probable classes."""
    values = {
        "content": _graph(top).SerializeToString(),
        "name": "handmade",
        "method": "gradcam",
        "title": "Grad-CAM",
        "layer": "conv",
        "input_box": (0.0, 0.0, 1.0, 1.0),
        "preprocessing": Preprocessing(SIZE, crop=0.9, resample="bicubic"),
        "class_names": ClassNames(NAMES),
        "class_count": CLASSES,
        "top": top,
    }
    return SiteModel(**{**values, **changes})


def _graph(top):
    generator = np.random.default_rng(7)
    weights = {
        "scale": np.float32(255),
        "kernel": generator.normal(size=(CHANNELS, 3, STRIDE, STRIDE)).astype(np.float32),
        "matrix": generator.normal(size=(CLASSES, CHANNELS)).astype(np.float32),
        "weights": np.zeros((CLASSES, CHANNELS, 1, 1), np.float32),
    }
    weights["weights"][:, :, 0, 0] = weights["matrix"] / (ROWS * COLUMNS)
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["values", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["before"], strides=[STRIDE, STRIDE]),
        helper.make_node("Relu", ["before"], ["conv"]),
        helper.make_node("GlobalAveragePool", ["conv"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
        helper.make_node("Conv", ["conv", "weights"], ["all" if top else "heatmaps"]),
    ]
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", CLASSES]),
        helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, ["N", top or CLASSES, ROWS, COLUMNS]),
    ]
    if top:
        weights["count"] = np.array([top], np.int64)
        nodes += [
            helper.make_node("TopK", ["scores", "count"], ["best", "classes"]),
            helper.make_node("Squeeze", ["classes", "first_axis"], ["positions"]),
            helper.make_node("Gather", ["all", "positions"], ["heatmaps"], axis=1),
        ]
        weights["first_axis"] = np.array([0], np.int64)
        outputs.append(helper.make_tensor_value_info("classes", TensorProto.INT64, ["N", top]))
    graph = helper.make_graph(
        nodes,
        "handmade",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *SIZE, 3])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
