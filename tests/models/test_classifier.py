"""What a `Classifier` reads from its model."""

import keras
import numpy as np
import pytest

from seewhy import Classifier, Explainer, Preprocessing
from seewhy.errors import ModelError, OptionError

IMAGE = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)


def model(*shape):
    """A model for tests of the input shape."""
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten()])


@pytest.mark.parametrize(
    ("shape", "size", "channels_first"),
    [((3, 6, 5), (6, 5), True), ((6, 5, 3), (6, 5), False), ((3, 6, 3), (3, 6), False), ((3, 6, None), None, True)],
)
def test_the_channel_axis_is_read_from_the_input_shape(shape, size, channels_first):
    classifier = Classifier(model(*shape), input_size=None if size else (6, 5))
    assert classifier.input_size == (size or (6, 5))
    inputs = classifier.preprocess([IMAGE])
    expected = (1, 3, *classifier.input_size) if channels_first else (1, *classifier.input_size, 3)
    assert inputs.shape == expected
    if classifier.input_size == (6, 5):
        last = inputs.values[0].transpose(1, 2, 0) if channels_first else inputs.values[0]
        np.testing.assert_array_equal(last, IMAGE)


def test_channels_first_with_a_given_preprocessing():
    preprocessing = Preprocessing(size=(6, 5), mean=(0, 10, 20))
    inputs = Classifier(model(3, 6, 5), preprocess=preprocessing).preprocess([IMAGE])
    np.testing.assert_array_equal(inputs.values[0, 2], IMAGE[:, :, 2].astype(float) - 20)


def test_a_replaced_part_leaves_what_runs_the_model():
    given = Classifier(model(6, 5, 3), class_names=["a"] * 90, backend="onnx", sample_rate=8000)
    for other in (given.replace(class_names=["b"] * 90), given.replace(preprocess=np.negative), given.replace()):
        assert (other.backend, other.sample_rate, other.name) == ("onnx", 8000, given.name)
        assert Explainer(other, layer="auto").framework.name == f"{given.framework.name} on onnx"
    assert Explainer(other, backend="openvino").framework.name == f"{given.framework.name} on openvino"


@pytest.mark.parametrize("shape", [(None, None, 3), (3, None, None), (7,)])
def test_an_unknown_input_size_is_an_error(shape):
    with pytest.raises(ModelError, match=r"The input size of the model .* is unknown"):
        assert Classifier(model(*shape)).input_size is None


@pytest.mark.parametrize("preprocess", ["caffe", {"mean": 1}])
def test_preprocessing_is_a_function_or_settings(preprocess):
    with pytest.raises(OptionError, match=r"preprocess is .*expected a seewhy\.Preprocessing, or a function"):
        Classifier(model(3, 6, 5), preprocess=preprocess)
