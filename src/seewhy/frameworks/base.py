"""What every framework does, in the same words."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import InputError, LayerError, did_you_mean
from seewhy.targets import Target
from seewhy.types import Capture, FloatArray, Namespace, Score, Tensor

AUTO = "auto"

Head = Literal["softmax", "sigmoid", "linear"]
"""What the network does last to its logits."""


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer while the network ran.

    Attributes:
        path: Names from the network down to the layer, joined by "/": "resnet50/conv5_block3_out".
        kind: The layer's class.
        shape: The output's shape without the batch: (*space, K). None where the output is not one tensor.
        is_pooling: The layer only pools.
        is_handed_on: The output is another layer's, handed on: a model around its last layer, dropout at rest.
    """

    path: str
    kind: str
    shape: tuple[int | None, ...] | None
    is_pooling: bool
    is_handed_on: bool

    @property
    def has_space(self) -> bool:
        """Whether there is more than one position to tell apart; unknown sizes count as many."""
        return self.shape is not None and len(self.shape) > 1 and any(size != 1 for size in self.shape[:-1])

    @property
    def is_candidate(self) -> bool:
        """Whether `layer="auto"` may take this layer; it takes the last call of which this is true."""
        return self.has_space and not self.is_pooling and not self.is_handed_on


class Framework(ABC):
    """A network and the way to run it, in one framework. Subclasses are final; one network, one instance."""

    name: str
    xp: Namespace

    @abstractmethod
    def layer_paths(self) -> tuple[str, ...]:
        """Return the path of every layer in the network, outer before inner."""

    @abstractmethod
    def path_of(self, layer: Any) -> str | None:
        """Return the path of a layer object; None if the network does not hold it."""

    @abstractmethod
    def calls(self, inputs: FloatArray) -> tuple[LayerCall, ...]:
        """Return the calls of all layers, in the order in which they return, for inputs of this shape."""

    @abstractmethod
    def predict(self, inputs: FloatArray) -> Tensor | None:
        """Return the probabilities (N, C); None where the outputs are not class scores."""

    @abstractmethod
    def capture(self, inputs: FloatArray, layer: str, target: Target, score: Score) -> Capture:
        """Run the network once with a tap on one layer. The network is afterwards what it was before.

        Args:
            inputs: (N, ...), checked by `check_inputs`.
            layer: A path from `layer_paths`, or "auto". Of a layer that is called more than once, the last call.
            target: What is asked, with every class as an index.
            score: Whether the target is given logits or probabilities.

        Raises:
            LayerError: The layer is not called, or its output is not one tensor with space.
            NoGradientError: The scores do not depend on the layer.
            NetworkError: The network failed.
            TargetError: The network's outputs do not allow the target.
        """

    @abstractmethod
    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        """Copy a tensor to a NumPy array."""

    @abstractmethod
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Return the shape (N, ...) the network was built for, None for sizes or shapes that are left open."""

    def check_inputs(self, inputs: Any) -> FloatArray:
        """Return `inputs` as float32 (N, ...), or raise InputError."""
        values = np.asarray(inputs)
        if values.dtype.kind not in "fiub":
            raise InputError(f"The input holds values of type {values.dtype}; expected numbers.")
        values = np.ascontiguousarray(values, dtype=np.float32)
        expected = self.input_shape()
        if expected is not None and not _fits(values.shape, expected):
            given, wanted = _shape(values.shape), _shape(expected)
            hint = " Add the batch axis: inputs[None]." if _fits((1, *values.shape), expected) else ""
            raise InputError(f"The input has shape {given}; the network expects {wanted}.{hint}")
        if len(values) == 0:
            raise InputError("The input is an empty batch; expected at least one image.")
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            raise InputError(f"The input holds NaN or infinite values, in image {int(np.argmin(finite))} of the batch.")
        return values

    def find_layer(self, layer: Any) -> str:
        """Return the path that a caller means by a path, a name, a layer object, or "auto" (which stays).

        Raises:
            LayerError: There is no such layer, or several of that name.
        """
        paths = self.layer_paths()
        if not isinstance(layer, str):
            path = self.path_of(layer)
            if path is None:
                raise LayerError(f"The layer {layer!r} is not part of the network. Give one of its layers, or a name.")
            return path
        if layer == AUTO or layer in paths:
            return layer
        return _only_path(layer, paths)


def no_candidate(calls: Iterable[LayerCall]) -> LayerError:
    """Explain why "auto" found nothing."""
    shapes = ", ".join(f"{call.path} {call.shape}" for call in calls if call.shape is not None)
    return LayerError(
        "layer='auto' found no layer to explain: every layer's output is one position wide, is pooled, or is "
        f"not one tensor. A heatmap needs a layer with space, such as a convolution. Outputs: {shapes or 'none'}."
    )


def _only_path(name: str, paths: tuple[str, ...]) -> str:
    """Find the one path that ends in `name`."""
    found = [path for path in paths if path.endswith("/" + name)]
    if len(found) > 1:
        raise LayerError(f"{len(found)} layers are called {name!r}; give one of their paths: {', '.join(found)}.")
    if not found:
        names = [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]
        raise LayerError(
            f"There is no layer {name!r} in the network.{did_you_mean(name, names)} Known: see `seewhy layers`."
        )
    return found[0]


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
