"""What is TensorFlow's own about the tap; what holds on every backend is in tests/contracts."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from tests.contracts.capturing import capture
from tests.sample_models import (
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    Counting,
    Subclassed,
    paper_layers,
    set_paper_weights,
)

import seewhy
from seewhy.errors import LayerError, ModelRunError, TargetError
from seewhy.frameworks import compiled


class EndsInTensorFlow(keras.Model):
    """A subclassed model that calls TensorFlow's own softmax."""

    def __init__(self):
        super().__init__()
        self.convolution, self.flatten, self.dense = paper_layers()

    def call(self, inputs):
        return tf.nn.softmax(self.dense(self.flatten(self.convolution(inputs))))


def subclassed():
    model = EndsInTensorFlow()
    model(PAPER_INPUT)
    set_paper_weights(model.convolution, model.dense)
    return model


def test_tensorflow_s_own_softmax_is_bypassed_too():
    captured = capture(subclassed())
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)


class Hides(Subclassed):
    """Runs its blocks inside a tf.function of its own, whose tensors nobody outside can hold."""

    @tf.function
    def run(self, inputs):
        return self.blocks[0](inputs)

    def call(self, inputs):
        return self.head(self.gap(self.run(inputs)))


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")  # Keras cannot build what it cannot see either
def test_a_layer_inside_a_function_of_the_model_s_own():
    model = Hides()
    model(np.zeros((1, 8, 8, 3), np.float32))
    inputs = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    explainer = seewhy.Explainer(model, layer="block_1")
    with pytest.raises(LayerError, match=r"'block_1' runs inside .* under tf.config.run_functions_eagerly\(True\)"):
        explainer.heatmaps(inputs)
    with pytest.raises(LayerError, match=r"is not called when it runs. Layers inside a tf.function"):
        explainer.heatmaps(inputs)
    with pytest.raises(LayerError, match=r"layer='auto' (found no layer to explain|cannot tell)"):
        seewhy.Explainer(model).heatmaps(
            inputs
        )  # TensorFlow has compiled the function by now: its layer is not called again
    tf.config.run_functions_eagerly(True)
    try:
        advised = explainer.heatmaps(inputs, [0, 1, 2])
    finally:
        tf.config.run_functions_eagerly(False)
    model.run = model.blocks[0]
    np.testing.assert_array_equal(
        advised.values, seewhy.Explainer(model, layer="block_1").heatmaps(inputs, [0, 1, 2]).values
    )


class HidesTheLast(Subclassed):
    """Its first block is in the model's own graph, its last in a tf.function."""

    @tf.function
    def run(self, inputs):
        return self.blocks[1](inputs)

    def call(self, inputs):
        return self.head(self.gap(self.run(self.blocks[0](inputs))))


@pytest.mark.filterwarnings("ignore:.build..:UserWarning")
def test_auto_does_not_fall_back_on_a_layer_before_a_hidden_one():
    model, inputs = HidesTheLast(), np.ones((1, 8, 8, 3), np.float32)
    model(inputs)
    with pytest.raises(LayerError, match="layer='auto' cannot tell which layer is the last: after 'block_1'"):
        seewhy.Explainer(model).heatmaps(inputs)
    assert seewhy.Explainer(model, layer="block_1").heatmaps(inputs).layer == "block_1"


def test_a_step_is_compiled_once_for_each_shape_and_kind_of_target():
    model = Counting()
    model(np.zeros((1, 8, 8, 3), np.float32))
    explainer = seewhy.Explainer(model)
    model.runs = 0
    for targets in (0, 1, [2, 0], [0, 1, 2], "bird", [[0], [1], [2]]):
        if targets != "bird":
            explainer.heatmaps(np.ones((3, 8, 8, 3), np.float32), targets)
    explainer.heatmaps(np.ones((5, 8, 8, 3), np.float32), 1)
    # Classes, their number and the batch's size are free; before, one trace tells whether the model attends.
    assert model.runs == 2
    explainer.heatmaps(np.ones((1, 8, 8, 3), np.float32), "top-1")
    assert model.runs == 3
    explainer.heatmaps(np.ones((1, 16, 12, 3), np.float32), "top-1")
    assert model.runs == 5


def test_graphs_of_many_shapes_are_dropped(monkeypatch):
    """A dropped graph is freed, and a shape that was dropped is explained as before."""
    monkeypatch.setattr(compiled, "MAX_COMPILED", 3)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, name="features"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    explainer = seewhy.Explainer(model, layer="features")
    heatmaps, graphs = {}, []
    for side in (8, 9, 10, 11, 12, 13, 8):
        found = explainer.heatmaps(np.full((1, side, side, 3), 0.5, np.float32), 1).values
        np.testing.assert_array_equal(heatmaps.setdefault(side, found), found)
        for entry in explainer.framework._compiled._entries.values():
            graph = getattr(entry, "function", None)
            if graph is not None and all(reference() is not entry.function for reference in graphs):
                graphs.append(weakref.ref(entry.function))
        del entry, graph
    gc.collect()
    assert len(explainer.framework._compiled) == 3
    assert len(graphs) > 3
    assert sum(reference() is not None for reference in graphs) <= 3


def test_another_thread_may_use_the_model_meanwhile():
    """The tap observes its own thread only: a prediction that runs while a trace is open does not disturb it."""

    class Slow(Subclassed):
        def call(self, inputs):
            if tf.executing_eagerly() or not is_watched.is_set():
                return super().call(inputs)
            tracing.set()
            assert predicted.wait(timeout=60)
            return super().call(inputs)

    is_watched, tracing, predicted = threading.Event(), threading.Event(), threading.Event()
    model = Slow()
    inputs = np.ones((1, 8, 8, 3), np.float32)
    expected = model(inputs).numpy()
    is_watched.set()

    def predict():
        assert tracing.wait(timeout=60)
        found = model(inputs).numpy()
        predicted.set()
        return found

    with ThreadPoolExecutor(1) as thread:
        prediction = thread.submit(predict)
        heatmaps = seewhy.Explainer(model).heatmaps(inputs)
        np.testing.assert_array_equal(prediction.result(), expected)
    np.testing.assert_allclose(heatmaps.outputs, expected, rtol=1e-6)


class BatchOfTwo(Subclassed):
    """A model that has the size of its batch built in."""

    def call(self, inputs):
        return super().call(keras.ops.reshape(inputs, (2, *inputs.shape[1:])))


def test_an_error_in_the_graph_does_not_list_the_files_of_seewhy():
    model = BatchOfTwo()
    inputs = np.random.default_rng(0).random((3, *PAPER_INPUT.shape[1:])).astype(np.float32)
    model(inputs[:2])
    with pytest.raises(ModelRunError, match=r"cannot run on an input of shape \(3, ") as caught:
        seewhy.Explainer(model).heatmaps(inputs, [0])
    assert "File" not in str(caught.value)
    for internal in ("Graph execution error", "function_node", "PartitionedCall", "Op:"):
        assert internal not in str(caught.value)


class UnknownClasses(Subclassed):
    """A model whose number of classes is not known while it is traced."""

    def call(self, inputs):
        outputs = super().call(inputs)
        return tf.reshape(outputs, (tf.shape(outputs)[0], -1))


def test_an_unknown_number_of_classes_is_refused():
    model = UnknownClasses()
    model(PAPER_INPUT)
    with pytest.raises(TargetError, match=r"number of classes is not known.*instead of -1"):
        seewhy.Explainer(model).heatmaps(PAPER_INPUT, [0])
