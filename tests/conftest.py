"""What many tests share: the example pictures, the default network, and networks small enough to check on paper."""

from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def lite0():
    """EfficientNet-Lite0 with its real weights."""
    import seewhy

    return seewhy.load("efficientnet-lite0")


@pytest.fixture(scope="session")
def lite0_explainer(lite0):
    import seewhy

    return seewhy.Explainer(lite0)


# The paper network. Input x, 2x2. One 1x1 convolution gives A^1 = x and A^2 = 3 - x. A dense layer over the
# flattened maps gives two logits, so that dy^c/dA is the dense layer's own weights, written here as maps.
PAPER_INPUT = np.array([[1, 2], [3, 4]], dtype=np.float32).reshape(1, 2, 2, 1)
PAPER_ACTIVATIONS = np.stack([[[1, 2], [3, 4]], [[2, 1], [0, -1]]], axis=-1).astype(np.float32)
PAPER_GRADIENTS = np.array(
    [
        [[[1, 2], [0, 1]], [[-8, 0], [4, 0]]],  # class 0: of A^1, of A^2; the means are 1 and -1
        [[[-1, -1], [-1, -1]], [[0, 0], [0, 0]]],  # class 1
    ],
    dtype=np.float32,
).transpose(0, 2, 3, 1)  # (class, u, v, channel)
PAPER_LOGITS = np.array([1 - 16 + 4 + 0 + 0 + 0 + 4 - 0, -(1 + 2 + 3 + 4)], dtype=np.float32)
PAPER_GRADCAM = np.array([[[0, 1], [3, 5]], [[0, 0], [0, 0]]], dtype=np.float32)  # ReLU(1 A^1 - 1 A^2); ReLU(-A^1)
PAPER_HIRESCAM = np.array([[[0, 4], [0, 4]], [[0, 0], [0, 0]]], dtype=np.float32)  # ReLU([[1-16, 4], [0, 4]])


def paper_layers(activation=None):
    """Return the paper network's layers, with its weights ready to be set by `set_paper_weights`."""
    import keras

    return [
        keras.layers.Conv2D(2, 1, name="conv"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(2, activation=activation, name="dense"),
    ]


def set_paper_weights(convolution, dense) -> None:
    convolution.set_weights([np.array([1, -1], dtype=np.float32).reshape(1, 1, 1, 2), np.array([0, 3], np.float32)])
    dense.set_weights([PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])


@pytest.fixture
def paper_network():
    import keras

    convolution, flatten, dense = paper_layers("softmax")
    network = keras.Sequential([keras.Input((2, 2, 1)), convolution, flatten, dense], name="paper")
    set_paper_weights(convolution, dense)
    return network
