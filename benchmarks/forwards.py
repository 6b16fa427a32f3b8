"""Models on every framework, and their bare forward pass as someone would write it who knows the framework.

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
from seewhy.models import efficientnet_lite0_backends

Batch = NDArray[np.float32]
Run = Callable[[Batch], object]

FRAMEWORKS = {
    "torch": "PyTorch",
    "torch-channels-last": "PyTorch, channels last",
    "keras-tensorflow": "Keras/TensorFlow",
    "keras-jax": "Keras/JAX",
    "keras-torch": "Keras/PyTorch",
}
"""What can be measured, as tables call it. Of the second, weights and batch are laid out (N, h, w, K) in memory."""

TORCHVISION_NAMES = {"MobileNetV2": "mobilenet_v2"}
"""Where torchvision's name is not Keras's in small letters."""


class Subject(NamedTuple):
    """What is measured: a model, a batch that it takes, and its bare forward pass on any batch."""

    model: Any
    batch: Batch
    run: Run

    def forward(self) -> object:
        """Run the model on the batch."""
        return self.run(self.batch)

    def with_batch(self, images: int = 1, side: int | None = None) -> "Subject":
        """Return the same model with another random batch.

        Args:
            images: How many.
            side: The height and width of each, in pixels; by default as they are.
        """
        shape = tuple(side if side and length > 3 else length for length in self.batch.shape[1:])
        return self._replace(batch=_batch(images, shape))


def subject(framework: str, model: str, images: int = 1, *, logits: bool = False, any_size: bool = False) -> Subject:
    """Build a model with seeded random weights, and a random batch.

    Args:
        framework: One of `FRAMEWORKS`.
        model: As `keras.applications` spells it.
        images: How many are in the batch.
        logits: Leave out a final softmax, which some tools cannot see through; those of torchvision have none.
        any_size: Let the model take images of any size, as those of torchvision do.
    """
    if framework.startswith("keras-"):
        backend = framework.removeprefix("keras-")
        os.environ["KERAS_BACKEND"] = backend
        built = _keras_of_any_size(model) if any_size else _keras(model, logits)
        shape = tuple(length or 224 for length in built.input_shape[1:])
        return Subject(built, _batch(images, shape), KERAS_RUNS[backend](built))
    channels_last = framework == "torch-channels-last"
    built = _torch(model, channels_last=channels_last)
    return Subject(built, _batch(images, (3, 224, 224)), _torch_run(built, channels_last=channels_last))


def _batch(images: int, shape: tuple[int, ...]) -> Batch:
    return np.random.default_rng(0).normal(size=(images, *shape)).astype(np.float32)


def _keras(name: str, logits: bool) -> Any:
    import keras

    if name == "EfficientNet-Lite0":
        return efficientnet_lite0_backends.build(False, efficientnet_lite0_backends.KERAS).model
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(weights=None, classifier_activation=None if logits else "softmax")


def _keras_of_any_size(name: str) -> Any:
    """Build a model that ends in the mean of its maps and a dense layer, as most do."""
    import keras

    keras.utils.set_random_seed(0)
    base = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(None, None, 3)
    )
    return keras.Model(base.input, keras.layers.Dense(1000, activation="softmax")(base.output))


def _torch(name: str, *, channels_last: bool) -> Any:
    """Build torchvision's model of Keras's name."""
    import torch

    # By its path: one of the peers brings a package `tests` of its own.
    runpy.run_path(str(Path(__file__).parent.parent / "tests" / "torchvision_operators.py"))["declare_missing"]()
    source = f"torchvision:{TORCHVISION_NAMES.get(name, name.lower())}"
    model = seewhy.load("efficientnet-lite0-torch" if name == "EfficientNet-Lite0" else source, weights=None).model
    return model.to(memory_format=torch.channels_last) if channels_last else model


def _torch_run(model: Any, *, channels_last: bool) -> Run:
    """Return the forward pass; the batch follows the layout of the weights, as it does in SeeWhy."""
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format

    def run(batch: Batch) -> object:
        with torch.inference_mode():
            return model(torch.tensor(batch).to(memory_format=layout)).numpy()

    return run


def _tensorflow_run(model: Any) -> Run:
    import tensorflow as tf

    step = tf.function(lambda images: model(images, training=False), autograph=False)
    return lambda batch: step(tf.constant(batch)).numpy()


def _jax_run(model: Any) -> Run:
    import jax

    step = jax.jit(lambda *state_and_images: model.stateless_call(*state_and_images, training=False)[0])

    def run(batch: Batch) -> object:
        # The weights' values are asked for anew, as SeeWhy does: a model may be trained between two calls.
        trainable = [each.value for each in model.trainable_variables]
        fixed = [each.value for each in model.non_trainable_variables]
        return np.asarray(step(trainable, fixed, batch))

    return run


def _keras_torch_run(model: Any) -> Run:
    import torch

    def run(batch: Batch) -> object:
        with torch.inference_mode():
            return model(torch.tensor(batch), training=False).numpy()

    return run


KERAS_RUNS: dict[str, Callable[[Any], Run]] = {
    "tensorflow": _tensorflow_run,
    "jax": _jax_run,
    "torch": _keras_torch_run,
}
