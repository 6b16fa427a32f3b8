"""The parts of the Keras framework that all backends share."""

import re
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from seewhy.frameworks.base import Framework, check_precision
from seewhy.frameworks.keras.calls import POOLING, layers_by_path, structure
from seewhy.frameworks.keras.layouts import declared_channels_first
from seewhy.frameworks.keras.private_api import input_structure
from seewhy.frameworks.layers import INPUT_CALL, LayerCall
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.frameworks.structures import InputBatch, InputSpec, leaves, map_leaves, message_of, shape_key
from seewhy.types import Precision

CONVOLUTIONS = tuple(kind for name, kind in vars(keras.layers).items() if "Conv" in name and isinstance(kind, type))

LAID_OUT = (*CONVOLUTIONS, *POOLING, keras.layers.BatchNormalization)
"""Layers that declare the layout of their input."""

UNSCALING = (keras.layers.InputLayer, keras.layers.ZeroPadding2D, keras.layers.RandomFlip, keras.layers.RandomRotation)
"""Layers that do not scale the values of an image."""


class KerasFramework(Framework):
    """A Keras model on any backend."""

    xp = keras.ops

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        self._model = model
        self._model_layers = ModelLayers(lambda: layers_by_path(model), lambda: structure(model))
        check_precision(precision, (layer.compute_dtype for layer in self._layers.values() if layer.weights))
        self._precision = precision

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: object) -> str | None:
        return next((path for path, candidate in self._layers.items() if candidate is layer), None)

    def input_shape(self) -> Any:
        """Return the shape that Keras records; None for a subclassed model."""
        if getattr(self._model, "inputs", None) is None:
            return None
        return map_leaves(lambda tensor: tuple(tensor.shape), input_structure(self._model))

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as (N, ...) in the structure that the model takes; whole numbers where it declares them."""
        checked = super().check_inputs(inputs)
        if getattr(self._model, "inputs", None) is None:
            return checked
        declared = leaves(map_leaves(lambda tensor: tensor.dtype, input_structure(self._model)))
        if isinstance(checked, dict):
            declared = [input_structure(self._model)[name].dtype for name in checked]
        floats = iter("float" in keras.backend.standardize_dtype(dtype) for dtype in declared)
        return map_leaves(lambda array: array.astype(np.float32, copy=False) if next(floats) else array, checked)

    @property
    def channels_first(self) -> bool:
        """Whether the input is an image with channels first: its only axis of size 3 tells, or else the first layer."""
        shape = self.input_shape()
        if not isinstance(shape, tuple) or len(shape) != 4:
            return False
        if (shape[1] == 3) != (shape[3] == 3):
            return bool(shape[1] == 3)
        axes = [1, 2, 3]  # of the input, in the order of the axes of what reaches the layer
        for layer in self._layers.values():
            if isinstance(layer, keras.layers.Permute):
                axes = [axes[dim - 1] for dim in layer.dims] if len(layer.dims) == 3 else axes
            elif isinstance(layer, LAID_OUT) and (is_first := declared_channels_first(layer, 4)) is not None:
                return axes[0 if is_first else -1] == 1
        return False

    @property
    def _has_float16(self) -> bool:
        """Whether a layer computes in float16, as under the policy "mixed_float16"."""
        return "float16" in {layer.compute_dtype for layer in (self._model, *self._layers.values())}

    @property
    def _layers(self) -> dict[str, Any]:
        """The layers that the model has now, by path."""
        return self._model_layers.now().by_path

    def _shape_key(self, inputs: InputBatch) -> Hashable:
        """Return a key for what is compiled for these layers and inputs of this shape, with any number of images."""
        return (self._model_layers.now().version, shape_key(inputs))

    @property
    def _input_call(self) -> LayerCall:
        """The model's input, treated as the output of a first layer."""
        return replace(INPUT_CALL, channels_first=self.channels_first)

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return isinstance(self.input_shape(), tuple) and _begins_with_convolution(self._model)


def _begins_with_convolution(model: Any) -> bool:
    """Whether no layer before the first convolution scales the values.

    False for a subclassed model too, whose `call` may do anything.
    """
    if not type(model).__module__.startswith("keras."):
        return False
    # A functional model also lists operations that are not layers, such as a division by 255.
    operations = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", [])
    first = next((operation for operation in operations if not isinstance(operation, UNSCALING)), None)
    return isinstance(first, CONVOLUTIONS) or (isinstance(first, keras.Model) and _begins_with_convolution(first))


def plain_message(error: Exception) -> str:
    """Return an exception's message without the terminal colours that Keras adds."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message_of(error))
