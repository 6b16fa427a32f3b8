"""The parts of the Keras framework that all backends share."""

import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from seewhy.errors import InputError, ModelError
from seewhy.frameworks.base import Framework
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.frameworks.keras.attention_free import is_free_of_attention
from seewhy.frameworks.keras.calls import (
    POOLING,
    layers_by_path,
    recording_calls,
    rematerialized_operations,
    structure,
)
from seewhy.frameworks.keras.configuration import configuration
from seewhy.frameworks.keras.kernels import kernels_of, replaced_kernels
from seewhy.frameworks.keras.layouts import declared_channels_first
from seewhy.frameworks.keras.operations import axes_order, keras_layers
from seewhy.frameworks.keras.private_api import input_structure
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.frameworks.precision import check_precision
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import (
    InputBatch,
    InputSpec,
    check_arrays,
    check_names,
    leaves,
    map_tree,
    message_of,
    only_leaf,
    shape_key,
)
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
        check_precision(precision, (layer.compute_dtype for layer in keras_layers(self._layers) if layer.weights))
        self._precision = precision
        self.batch_size = _batch_size(self._symbolic_inputs())

    def explaining(self, inputs: InputBatch) -> AbstractContextManager[None]:
        """Look up the layers once before each run of the model's code, and not again for what earlier runs have shown.

        What is compiled runs none of that code: only a trace does, and every run on PyTorch.
        """
        return self._model_layers.held()

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def path_of(self, layer: object) -> str | None:
        return next((path for path, candidate in self._layers.items() if candidate is layer), None)

    def kernels(self) -> Kernels:
        return kernels_of({"": self._model, **self._layers})

    @contextmanager
    def with_kernels(self, kernels: Kernels) -> Iterator[Framework]:
        with replaced_kernels({"": self._model, **self._layers}, kernels):
            yield self

    def fingerprint(self) -> str:
        arrays = map(keras.ops.convert_to_numpy, self._model.weights)
        weights = ((str(number), np.asarray(array)) for number, array in enumerate(arrays))
        return fingerprint(map(configuration, self._layers.values()), weights)

    def input_shape(self) -> Any:
        """Return the shape that Keras records; None for a subclassed model."""
        inputs = self._symbolic_inputs()
        return None if inputs is None else map_tree(_shape_of, only_leaf(inputs))

    def input_types(self) -> Any:
        symbolic = self._symbolic_inputs()
        return None if symbolic is None else map_tree(_type_of, only_leaf(symbolic))

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as (N, ...) in the structure that the model takes; whole numbers where it declares them."""
        symbolic = self._symbolic_inputs()
        if symbolic is None:
            return check_arrays(inputs, None)
        names = [tensor.name for tensor in symbolic] if _is_flat_list(symbolic) else []
        if isinstance(inputs, Mapping) and len(names) > 1 and set(names) == set(inputs):
            inputs = [inputs[name] for name in names]  # Keras takes the inputs of a list by their names too
        elif isinstance(inputs, Mapping) and len(names) > 1:
            check_names(inputs, names)
            missing = [name for name in names if name not in inputs]
            raise InputError(
                f"The inputs lack {', '.join(map(repr, missing))}; the model takes {', '.join(map(repr, names))}."
            )
        checked = check_arrays(inputs, map_tree(_shape_of, symbolic), self.declared_inputs())
        floats = iter("float" in keras.backend.standardize_dtype(tensor.dtype) for tensor in leaves(symbolic))
        return map_tree(lambda array: array.astype(np.float32, copy=False) if next(floats) else array, checked)

    def declared_inputs(self) -> tuple[str, ...]:
        symbolic = self._symbolic_inputs()
        if symbolic is None:
            return ()
        is_flat = isinstance(symbolic, dict) and len(symbolic) == len(leaves(symbolic))
        return tuple(symbolic) if is_flat else tuple(tensor.name for tensor in leaves(symbolic))

    def _recording(self, layers: Mapping[str, Any], recorder: Recorder) -> AbstractContextManager[None]:
        """Let a recorder observe the calls of `layers`, by path, and let the model run without rematerialization."""
        others = self._model_layers.now().by_path.values()  # of this run, which may have been noted by now
        return recording_calls(layers, recorder, rematerialized_operations([self._model, *others]))

    def _symbolic_inputs(self) -> Any:
        """Return the symbolic inputs of the model in the structure that it takes; None for a subclassed model."""
        return None if getattr(self._model, "inputs", None) is None else input_structure(self._model)

    @property
    def channels_first(self) -> bool:
        """Whether the channels of the input come first: of an image its only axis of size 3 tells, or the first layer.

        A volume may well have three slices, so that of other inputs the first layer alone tells.
        """
        shape = self.input_shape()
        return isinstance(shape, tuple) and self._has_channels_first(shape)

    def is_channels_first(self, name: str, shape: tuple[int | None, ...]) -> bool:
        return self._has_channels_first(shape)

    def _has_channels_first(self, shape: tuple[int | None, ...]) -> bool:
        if not 3 <= len(shape) <= 5:
            return False
        rank = len(shape)
        if rank == 4 and (shape[1] == 3) != (shape[3] == 3):
            return bool(shape[1] == 3)
        axes = list(range(1, rank))  # of the input, in the order of the axes of what reaches the layer
        for layer in self._layers.values():
            order = axes_order(layer, rank)
            if order is not None:
                axes = [axes[axis - 1] for axis in order[1:]] if len(order) == rank and order[0] == 0 else axes
            elif isinstance(layer, LAID_OUT) and (is_first := declared_channels_first(layer, rank)) is not None:
                return axes[0 if is_first else -1] == 1
        return False

    @property
    def _is_free_of_attention(self) -> bool:
        """Whether the model certainly computes no attention, which saves a run of it to find out."""
        return is_free_of_attention(self._model, self._layers.values())

    @property
    def _has_float16(self) -> bool:
        """Whether a layer computes in float16, as under the policy "mixed_float16"."""
        return "float16" in {layer.compute_dtype for layer in (self._model, *keras_layers(self._layers))}

    @property
    def _layers(self) -> dict[str, Any]:
        """The layers and operations that the model has now, by path."""
        return self._model_layers.for_run().by_path

    def _shape_key(self, inputs: InputBatch) -> Hashable:
        """Return a key for what is compiled for these layers and inputs of this shape, with any number of images."""
        return (self._model_layers.for_run().version, shape_key(inputs))

    def _input_call(self, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        """Return one of the model's inputs, treated as the output of a first layer."""
        is_first = self.has_channels_first(inputs, layer.leaf)
        return replace(INPUT_CALL, execution=layer.leaf + 1, channels_first=is_first)

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return isinstance(self.input_shape(), tuple) and _begins_with_convolution(self._model)


def _shape_of(tensor: Any) -> tuple[int | None, ...]:
    """Return the shape (N, ...) of a symbolic input, with any number of images."""
    return (None, *tensor.shape[1:])


def _type_of(tensor: Any) -> np.dtype[Any]:
    """Return the type of a symbolic input; float32 for one that NumPy does not have, such as bfloat16."""
    name = keras.backend.standardize_dtype(tensor.dtype)
    return np.dtype(np.float32 if "float" in name else name)


def _batch_size(symbolic: Any) -> int | None:
    """Return the number of images that all inputs were built for; None for any number.

    Raises:
        ModelError: The inputs were built for different numbers of images.
    """
    sizes = sorted({tensor.shape[0] for tensor in leaves(symbolic) if tensor is not None} - {None})
    if len(sizes) > 1:
        raise ModelError(
            f"The inputs of the model were built for different numbers of images: {sizes}. Build it with inputs of "
            "one batch size, or of any: keras.Input(shape)."
        )
    return sizes[0] if sizes else None


def _is_flat_list(structure: Any) -> bool:
    return isinstance(structure, (list, tuple)) and not any(isinstance(item, (list, tuple, dict)) for item in structure)


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
