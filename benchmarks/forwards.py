"""Networks on every framework, and their bare forward pass as someone would write it who knows the framework.

A forward pass here takes a NumPy batch and gives a NumPy array, as an explanation does. Each framework is imported by
its own function only: one process measures one.
"""

import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import seewhy

Batch = NDArray[np.float32]
Forward = Callable[[], object]

FRAMEWORKS = ("keras-tensorflow", "keras-jax", "keras-torch", "torch", "torch-channels-last")
"""What can be measured. The last is native PyTorch with weights and batch laid out as (N, h, w, K) in memory."""


TORCHVISION_NAMES = {"MobileNetV2": "mobilenet_v2"}
"""Where torchvision's name is not Keras's in small letters."""


class Subject(NamedTuple):
    """What is measured: a network, a batch that it takes, and its bare forward pass on that batch."""

    network: Any
    batch: Batch
    forward: Forward


def subject(framework: str, network: str, pictures: int = 1, *, logits: bool = False) -> Subject:
    """Build a network with seeded random weights, and a random batch.

    Args:
        framework: One of `FRAMEWORKS`.
        network: As `keras.applications` spells it.
        pictures: How many are in the batch.
        logits: Leave out a final softmax, which some tools cannot see through; those of torchvision have none.
    """
    if framework.startswith("keras-"):
        backend = framework.removeprefix("keras-")
        os.environ["KERAS_BACKEND"] = backend
        built = _keras(network, logits)
        batch = _batch(pictures, tuple(built.input_shape[1:]))
        return Subject(built, batch, KERAS_FORWARDS[backend](built, batch))
    built, batch = _torch(network), _batch(pictures, (3, 224, 224))
    return Subject(*_torch_layout(built, batch, framework == "torch-channels-last"))


def _batch(pictures: int, shape: tuple[int, ...]) -> Batch:
    return np.random.default_rng(0).normal(size=(pictures, *shape)).astype(np.float32)


def _keras(name: str, logits: bool) -> Any:
    import keras

    if name == "EfficientNet-Lite0":
        return seewhy.load("efficientnet-lite0", weights=None).network
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(weights=None, classifier_activation=None if logits else "softmax")


def _torch(name: str) -> Any:
    """Build torchvision's network of Keras's name."""
    # By its path: one of the peers brings a package `tests` of its own.
    runpy.run_path(str(Path(__file__).parent.parent / "tests" / "torchvision_operators.py"))["declare_missing"]()
    if name == "EfficientNet-Lite0":
        return seewhy.load("efficientnet-lite0-torch", weights=None).network
    return seewhy.load(f"torchvision:{TORCHVISION_NAMES.get(name, name.lower())}", weights=None).network


def _torch_layout(network: Any, batch: Batch, channels_last: bool) -> Subject:
    """Lay out the weights; the batch follows them, in the bare forward pass as in SeeWhy."""
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)

    def forward() -> object:
        with torch.inference_mode():
            return network(torch.tensor(batch).to(memory_format=layout)).numpy()

    return Subject(network, batch, forward)


def _tensorflow_forward(network: Any, batch: Batch) -> Forward:
    import tensorflow as tf

    step = tf.function(lambda images: network(images, training=False), autograph=False)
    return lambda: step(tf.constant(batch)).numpy()


def _jax_forward(network: Any, batch: Batch) -> Forward:
    import jax

    step = jax.jit(lambda *state_and_images: network.stateless_call(*state_and_images, training=False)[0])

    def forward() -> object:
        # The weights' values are asked for anew, as SeeWhy does: a network may be trained between two calls.
        trainable = [each.value for each in network.trainable_variables]
        fixed = [each.value for each in network.non_trainable_variables]
        return np.asarray(step(trainable, fixed, batch))

    return forward


def _keras_torch_forward(network: Any, batch: Batch) -> Forward:
    import torch

    def forward() -> object:
        with torch.inference_mode():
            return network(torch.tensor(batch), training=False).numpy()

    return forward


KERAS_FORWARDS: dict[str, Callable[[Any, Batch], Forward]] = {
    "tensorflow": _tensorflow_forward,
    "jax": _jax_forward,
    "torch": _keras_torch_forward,
}
