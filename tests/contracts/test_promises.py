"""What is left behind, which is nothing, and what threads may do, on every Keras backend."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.networks import (
    PAPER_GRADIENTS,
    PAPER_INPUT,
    Subclassed,
    block,
    nested,
    paper_sequential,
    predict,
    state,
)

import seewhy
from seewhy.errors import NetworkError


def failing(_):
    raise RuntimeError("the caller's own mistake")


def test_losses_are_not_noted():
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, activity_regularizer="l2")(image)
    network = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    inputs = np.ones((1, 4, 4, 1), np.float32)
    network(inputs)
    before = [float(ops.convert_to_numpy(loss)) for loss in network.losses]
    seewhy.Explainer(network).heatmaps(inputs)
    assert [float(ops.convert_to_numpy(loss)) for loss in network.losses] == before != []


@pytest.mark.parametrize("layer", ["auto", "base/first"])
def test_the_network_is_afterwards_what_it_was(layer):
    network = nested(block("base"))
    inputs = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    network.predict(inputs, verbose=0)
    explainer, before = seewhy.Explainer(network, layer=layer), state(network)
    said = predict(network, inputs)
    explainer.heatmaps(inputs, "top-2")
    assert state(network) == before
    with pytest.raises(RuntimeError, match="the caller's own mistake"):
        explainer.heatmaps(inputs, failing)
    assert state(network) == before
    np.testing.assert_array_equal(predict(network, inputs), said)


def test_a_network_that_fails_is_said_and_left_as_it_was():
    class Fails(Subclassed):
        is_broken = False

        def call(self, inputs):
            outputs = super().call(inputs)
            if self.is_broken:
                raise ValueError("broken on purpose")
            return outputs

    network = Fails()
    network(np.zeros((1, 8, 8, 3), np.float32))
    network.is_broken = True
    before = state(network)
    with pytest.raises(
        NetworkError, match=r"cannot run on an input of shape \((any|1), 8, 8, 3\): [\s\S]*\nbroken on purpose"
    ):
        seewhy.Explainer(network).heatmaps(np.ones((1, 8, 8, 3), np.float32))
    assert state(network) == before


def test_training_goes_on_and_later_explanations_see_the_new_weights():
    network = paper_sequential()
    explainer = seewhy.Explainer(network, layer="conv")
    first = explainer.heatmaps(PAPER_INPUT, 0)
    network.layers[-1].set_weights([2 * PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])
    np.testing.assert_allclose(explainer.heatmaps(PAPER_INPUT, 0).values, 2 * first.values, rtol=1e-6)


def test_threads_share_an_explainer():
    """Eight threads, two shapes, three kinds of targets, all at once and from the first call on."""
    network = nested(block("base"))
    random = np.random.default_rng(0)
    asked = [
        (random.random((2, 8, 8, 3)).astype(np.float32), targets)
        for targets in ("top-1", [0, 2], "top-3", [1], [[0], [2]], 2)
        for _ in range(4)
    ]
    alone = [seewhy.Explainer(network).heatmaps(inputs, targets).values for inputs, targets in asked]
    shared, barrier = seewhy.Explainer(network), threading.Barrier(8)

    def explain(case):
        if threads_waiting.acquire(blocking=False):
            barrier.wait(timeout=60)
        return shared.heatmaps(*case).values

    threads_waiting = threading.Semaphore(8)
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(explain, asked))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-9)


def test_two_explainers_of_one_network_trace_at_once():
    network = nested(block("base"))
    before, inputs = state(network), np.ones((1, 8, 8, 3), np.float32)
    with ThreadPoolExecutor(4) as threads:
        layers_ = ["base/first", "base/last", "base/last_relu", "auto"]
        found = list(threads.map(lambda layer: seewhy.Explainer(network, layer=layer).heatmaps(inputs).layer, layers_))
    assert found == ["base/first", "base/last", "base/last_relu", "base/last_relu"]
    assert state(network) == before
