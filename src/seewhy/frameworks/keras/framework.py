"""What Keras models have in common on every backend."""

import re
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks.base import Framework, check_precision
from seewhy.frameworks.keras.calls import layers_by_path
from seewhy.frameworks.keras.restore import input_structure
from seewhy.frameworks.layers import INPUT_CALL, LayerCall
from seewhy.frameworks.structures import Inputs, map_leaves, message_of
from seewhy.types import Precision, Tensor

CONVOLUTIONS = tuple(kind for name, kind in vars(keras.layers).items() if "Conv" in name and isinstance(kind, type))

UNSCALING = (keras.layers.InputLayer, keras.layers.ZeroPadding2D, keras.layers.RandomFlip, keras.layers.RandomRotation)
"""Layers that leave the values of an image what they are."""


class KerasFramework(Framework):
    """A Keras model, on whichever backend."""

    xp = keras.ops

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        self._model = model
        self._layers = layers_by_path(model)
        check_precision(precision, (each.compute_dtype for each in self._layers.values() if each.weights))
        self._precision = precision

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: object) -> str | None:
        return next((path for path, known in self._layers.items() if known is layer), None)

    def input_shape(self) -> Any:
        """Return what Keras knows: nothing, for a subclassed model."""
        if getattr(self._model, "inputs", None) is None:
            return None
        return map_leaves(lambda tensor: tuple(tensor.shape), input_structure(self._model))

    @property
    def channels_first(self) -> bool:
        """Whether the one axis of size 3 of the input, which is an image's, is the first."""
        shape = self.input_shape()
        return isinstance(shape, tuple) and len(shape) == 4 and shape[1] == 3 and shape[3] != 3

    @property
    def _input_call(self) -> LayerCall:
        """What goes into the model, as if it were the output of a first layer."""
        return replace(INPUT_CALL, channels_first=self.channels_first)

    def is_unscaled(self, inputs: Inputs) -> bool:
        return isinstance(self.input_shape(), tuple) and _begins_with_convolution(self._model)

    def _channels_last(self, call: LayerCall, tensor: Tensor) -> Tensor:
        """Return a call's output (N, *space, K), however the layer lays it out."""
        return keras.ops.moveaxis(tensor, 1, -1) if call.channels_first else tensor

    def _laid_out(self, call: LayerCall, perturbations: NDArray[Any]) -> NDArray[Any]:
        """Return perturbations (M, *space, K) as the layer itself lays out its output."""
        return np.moveaxis(perturbations, -1, 1) if call.channels_first else perturbations

    def _targets_second(self, call: LayerCall, gradients: Tensor) -> Tensor:
        """Return gradients (T, N, ...), laid out as the call's output, as (N, T, *space, K)."""
        gradients = keras.ops.swapaxes(gradients, 0, 1)
        return keras.ops.moveaxis(gradients, 2, -1) if call.channels_first else gradients


def _begins_with_convolution(model: Any) -> bool:
    """Whether only layers that leave values as they are come before the first convolution.

    False for a subclassed model too: what its own `call` does cannot be told.
    """
    if not type(model).__module__.startswith("keras."):
        return False
    # A functional model lists also operations that are no layers, such as a division by 255.
    operations = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", [])
    first = next((each for each in operations if not isinstance(each, UNSCALING)), None)
    return isinstance(first, CONVOLUTIONS) or (isinstance(first, keras.Model) and _begins_with_convolution(first))


def plain_message(error: Exception) -> str:
    """Return a message without the terminal colours that Keras puts into it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message_of(error))
