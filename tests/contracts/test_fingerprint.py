"""The fingerprint of a model: the same for an equal model, another for other weights or another configuration."""

import numpy as np
import pytest
import torch

import seewhy
from seewhy.frameworks import framework_for

keras = pytest.importorskip("keras")


def keras_model(stride=1, shift=0.0):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3, strides=stride, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
    model.weights[0].assign(model.weights[0] + shift)
    return model


def torch_model(stride=1, shift=0.0):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3, stride=stride), torch.nn.BatchNorm2d(2))
    with torch.no_grad():
        model[0].weight += shift
    return model


def onnx_model(stride=1, shift=0.0):
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.full((2, 3, 3, 3), 0.5 + shift, np.float32), "weights")
    node = onnx.helper.make_node("Conv", ["image", "weights"], ["maps"], strides=[stride, stride])
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels, None, None])
        for name, channels in (("image", 3), ("maps", 2))
    ]
    graph = onnx.helper.make_graph([node], "graph", values[:1], values[1:], [weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("build", [keras_model, torch_model, onnx_model])
def test_it_tells_weights_and_configuration(build):
    first = framework_for(build()).fingerprint()
    assert framework_for(build()).fingerprint() == first
    others = {framework_for(build(stride=2)).fingerprint(), framework_for(build(shift=1e-6)).fingerprint()}
    assert len(others | {first}) == 3


def test_preprocessing_and_class_names_belong_to_a_classifier():
    def of(**options):
        return seewhy.Classifier(torch_model(), **options).fingerprint()

    sizes = [seewhy.Preprocessing(size=(8, side)) for side in (8, 9)]
    found = {of(), of(preprocess=sizes[0]), of(preprocess=sizes[1]), of(class_names=["a", "b"]), of(input_size=(8, 8))}
    assert len(found) == 5
    assert of(preprocess=seewhy.Preprocessing(size=(8, 8))) == of(preprocess=sizes[0])
