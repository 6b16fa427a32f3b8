"""Arguments nobody should give, and models that fail in their own ways: a message of ours, on every Keras backend."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.sample_models import PAPER_GRADCAM, PAPER_INPUT, Subclassed, paper_sequential

import seewhy
from seewhy.errors import InputError, MethodError, ModelError, ModelRunError, OptionError, TargetError
from seewhy.frameworks import framework_for
from seewhy.targets import Class, TopK


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (lambda: TopK("3"), r"TopK takes a number of classes, such as TopK\(3\); given '3'"),
        (lambda: Class(5), r"Class takes a tuple of classes; given 5\. Give Class\(\(5,\)\)"),
        (lambda: Class("cat"), r"Class takes a tuple of classes; given 'cat'"),
        (lambda: Class((1.5,)), "A class is an index, a name or a wnid; given 1.5"),
        (lambda: Class(((1,), 2)), "Class takes classes for all images, or a tuple for each"),
        (lambda: 2**40, f"There is no class {2**40}: class indices are 32-bit integers"),
        (lambda: -(2**40), f"There is no class {-(2**40)}: class indices are 32-bit integers"),
        (
            lambda: Class((("top-1",), (0,))),
            "'top-1' is not a class and cannot be part of a Class",
        ),
    ],
)
def test_targets(targets, message):
    with pytest.raises(TargetError, match=message):
        seewhy.Explainer(paper_sequential()).heatmaps(np.repeat(PAPER_INPUT, 2, axis=0), targets())


def test_options():
    with pytest.raises(MethodError, match=r"Unknown method None\. Give one name; .* Known: auto, gradcam"):
        seewhy.Explainer(paper_sequential(), method=None)
    with pytest.raises(ModelError, match="Cannot load None; expected a name or a path"):
        seewhy.load(None)
    with pytest.raises(OptionError, match="alpha is 'x'; expected a number from 0"):
        seewhy.Style(alpha="x")
    with pytest.raises(OptionError, match="batch_size is '2'; expected 1 or more"):
        seewhy.Explainer(paper_sequential()).explain([], batch_size="2")


def test_inputs_of_different_shapes():
    with pytest.raises(InputError, match=r"The input is no array: .*Every image of a batch has the same shape"):
        seewhy.Explainer(paper_sequential()).heatmaps([[[[1], [2]], [[3]]]])


@dataclass
class Weighted:
    """A function of the outputs that has no hash, as no dataclass has."""

    weight: float

    def __call__(self, outputs):
        return self.weight * outputs[:, 0]


def test_functions_without_a_hash():
    explainer = seewhy.Explainer(paper_sequential())
    for weight in (1.0, 3.0):
        found = explainer.heatmaps(PAPER_INPUT, Weighted(weight)).values
        np.testing.assert_allclose(found, weight * PAPER_GRADCAM[None, :1], rtol=1e-5)
    selected = Weighted(1.0)
    keys = [seewhy.targets.Function(each).key for each in (selected, selected, Weighted(1.0))]
    assert keys[0] == keys[1] != keys[2]
    assert hash(keys[0]) == hash(keys[1])


def test_the_call_that_was_asked_for_is_named():
    image = keras.Input((2, 2, 1))
    shared = layers.Conv2D(1, 1, name="shared")
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(shared(shared(image)))))
    named = [seewhy.Explainer(model, layer=layer).heatmaps(PAPER_INPUT, 0).layer for layer in ("shared", "shared#1")]
    assert named == ["shared", "shared#1"]


class Failing(Subclassed):
    failure: Exception | None = None

    def call(self, inputs):
        if self.failure is not None:
            raise self.failure
        return super().call(inputs)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (KeyError("mask"), r"KeyError: [\s\S]*mask"),
        (AttributeError("no such thing"), "no such thing"),
        (IndexError("out of range"), "out of range"),
        (ZeroDivisionError("by nothing"), "by nothing"),
    ],
)
def test_errors_of_the_model(failure, message):
    model, inputs = Failing(), np.ones((1, 8, 8, 3), np.float32)
    model(inputs)
    model.failure = failure
    with pytest.raises(ModelRunError, match=rf"cannot run on an input of shape .*: [\s\S]*{message}") as caught:
        framework_for(model).calls(inputs)
    assert isinstance(caught.value.__cause__, type(failure))


@pytest.mark.parametrize("bug", [AttributeError("a bug"), RuntimeError("a bug")])
def test_a_bug_in_the_recorder_is_not_reported_as_the_models(bug, monkeypatch):
    """`calls` raises it as it is; so does a capture, whose tap is a recorder of the same kind on TensorFlow and JAX."""

    def broken(*_):
        raise bug

    monkeypatch.setattr("seewhy.frameworks.keras.calls.KerasRecorder.add_call", broken)
    with pytest.raises(type(bug), match=r"^a bug$") as caught:
        framework_for(paper_sequential()).calls(PAPER_INPUT)
    assert caught.value is bug


def test_errors_of_an_operation_inside():
    class Reshapes(Subclassed):
        sizes = (-1,)

        def call(self, inputs):
            ops.reshape(inputs, self.sizes)
            return super().call(inputs)

    model, inputs = Reshapes(), np.ones((1, 8, 8, 3), np.float32)
    model(inputs)
    model.sizes = (7, 7)
    with pytest.raises(ModelRunError, match="cannot run on an input of shape"):
        framework_for(model).calls(inputs)
