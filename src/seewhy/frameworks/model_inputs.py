"""What a model takes: the names, shapes, types and arrangement of its inputs."""

from abc import ABC, abstractmethod
from typing import Any

from seewhy.frameworks.declared_input import DeclaredInput
from seewhy.frameworks.sample_arrangement import arranged
from seewhy.frameworks.structures import InputBatch, InputSpec, check_arrays, leaf_names, leaf_shapes, leaves


class ModelInputs(ABC):
    """The inputs of a model, of which it may have several: the part of a `Framework` that runs nothing."""

    @property
    @abstractmethod
    def channels_first(self) -> bool:
        """Whether the model takes images as (N, 3, h, w)."""

    @abstractmethod
    def input_shape(self) -> Any:
        """Return the shape (N, ...) that the model was built for, with None for unknown sizes; None if it is unknown.

        For a model with several inputs, this is a structure of shapes, with lists and dicts. One input is one shape,
        also where the model takes it in a list or dict.
        """

    def spatial_axes(self) -> int | None:
        """Return the number of spatial axes of the model's one input: 2 for images; None where it is unknown."""
        shape = self.input_shape()
        return len(shape) - 2 if isinstance(shape, tuple) and len(shape) > 2 else None

    def input_channels(self) -> int | None:
        """Return the number of channels of the model's one input; None where it is unknown."""
        shape = self.input_shape()
        channels = (shape[1] if self.channels_first else shape[-1]) if isinstance(shape, tuple) else None
        return channels if isinstance(channels, int) else None

    def input_types(self) -> Any:
        """Return the type of each input, a `numpy.dtype`, in the structure of `input_shape`; None if it is unknown."""
        return None

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as (N, ...) in the structure that the model takes, or raise InputError.

        Images are float32; whole numbers and booleans keep their type among several inputs, see `InputBatch`.
        """
        return check_arrays(inputs, self.input_shape(), self.declared_inputs())

    def image_size(self, inputs: InputBatch, leaf: int = 0) -> tuple[int, int]:
        """Return (h, w) of a batch of images, in pixels; of several inputs, that of the one at position `leaf`."""
        shape = leaves(inputs)[leaf].shape
        height, width = shape[2:] if self.has_channels_first(inputs, leaf) else shape[1:3]
        return height, width

    def has_channels_first(self, inputs: InputBatch, leaf: int) -> bool:
        """Whether the input at position `leaf` is an image with channels first, (N, 3, h, w)."""
        arrays = leaves(inputs)
        if len(arrays) == 1:
            return self.channels_first
        return self.is_channels_first(self.input_names(inputs)[leaf], arrays[leaf].shape)

    def is_channels_first(self, name: str, shape: tuple[int | None, ...]) -> bool:
        """Whether one of several inputs is an image with channels first, by its name and its shape (N, ...)."""
        return self.channels_first

    def arranged(self, sample: Any) -> Any:
        """Return values that are given by name or in order in the structure that the model takes.

        Args:
            sample: Lists and dicts of values.

        Raises:
            InputError: A name is unknown, a value is missing, or there are too many.
        """
        return arranged(sample, self.input_shape(), self.declared_inputs())

    def declared_inputs(self) -> tuple[str, ...]:
        """Return the names of the inputs that the model declares, in the order of `leaves`; empty where it does not."""
        return ()

    def input_count(self) -> int:
        """Return how many inputs the model has to be given, as far as it declares that; else 1."""
        shape = self.input_shape()
        return 1 if shape is None else len(leaf_shapes(shape))

    def input_names(self, inputs: InputBatch) -> tuple[str, ...]:
        """Return a name for each input, in the order of `leaves`; "input" for the only one."""
        return leaf_names(inputs, self.declared_inputs())

    def declared_size(self) -> tuple[int, int] | None:
        """Return (h, w) of the images, in pixels, where the model says so beside its input's shape; None otherwise."""
        return None

    def declared_input(self) -> DeclaredInput | None:
        """Return how images become the model's input, where the model says so itself; None otherwise."""
        return None
