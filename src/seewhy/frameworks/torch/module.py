"""What a PyTorch module says without being run: its layers, inputs and weights."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

from seewhy.frameworks.base import Framework
from seewhy.frameworks.declared_input import DeclaredInput
from seewhy.frameworks.device import Device
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.frameworks.precision import check_precision
from seewhy.frameworks.prompts import TextTower
from seewhy.frameworks.structures import (
    InputBatch,
    InputSpec,
    check_arrays,
    check_input_count,
    is_float,
    leaf_names,
    leaves,
    map_arrays,
)
from seewhy.frameworks.torch import array_namespace as xp
from seewhy.frameworks.torch import hugging_face, ultralytics
from seewhy.frameworks.torch.calls import Structure, modules_by_path, unwrap
from seewhy.frameworks.torch.device import move_module
from seewhy.frameworks.torch.forward_parameters import ForwardParameters
from seewhy.frameworks.torch.kernels import kernels_of, replaced_kernels
from seewhy.frameworks.torch.private_api import own_tensors
from seewhy.frameworks.torch.tensors import first_float_tensor, to_array, to_bytes
from seewhy.frameworks.torch.two_towers import find_towers
from seewhy.frameworks.torch.weights_version import WeightsVersion
from seewhy.types import NativeTensor, Precision

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


class TorchModule(Framework):
    """A native PyTorch module: the part of `Torch` that runs nothing."""

    name = "torch"
    channels_first = True
    xp = xp

    def __init__(self, model: torch.nn.Module, precision: Precision = "float32") -> None:
        self._model = unwrap(model)
        check_precision(precision, map(_type_name, self._model.parameters()))
        self._precision = precision
        self._structure = Structure(self._model)
        self._model_layers = ModelLayers(lambda: modules_by_path(self._model), self._structure)
        self._parameters = ForwardParameters(self._model)
        self._weights_version = WeightsVersion()
        self._towers = find_towers(self._model)

    def fingerprint(self) -> str:
        states = (pair for pair in self._model.state_dict().items() if isinstance(pair[1], torch.Tensor))
        modules = (
            [path, type(module).__qualname__, module.extra_repr()] for path, module in self._model.named_modules()
        )
        return fingerprint(modules, ((name, to_bytes(value)) for name, value in states))

    def explaining(self, inputs: InputBatch) -> AbstractContextManager[None]:
        """Look up the layers once before each run of the model, and not again for what earlier runs have shown."""
        return self._model_layers.held()

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._model_layers.for_run().by_path)

    def path_of(self, layer: object) -> str | None:
        return next(
            (path for path, module in self._model_layers.for_run().by_path.items() if module is unwrap(layer)), None
        )

    def input_shape(self) -> None:
        """Return None: a module does not declare its input's shape."""

    def spatial_axes(self) -> int | None:
        """Return the number of axes that the first convolution moves along: a module declares no input shape."""
        first = self._first_convolution()
        return None if first is None else len(first.kernel_size)

    def input_channels(self) -> int | None:
        """Return the number of channels of the first convolution: a module declares no input shape."""
        first = self._first_convolution()
        return None if first is None else first.in_channels

    def _first_convolution(self) -> torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d | None:
        return next((layer for layer in self._model.modules() if isinstance(layer, CONVOLUTIONS)), None)

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as float32 (N, ...); among several inputs, whole numbers and booleans as they are.

        A list or tuple of arrays becomes the model's positional arguments, a dict its keyword arguments.
        """
        if (most := self._parameters.most_inputs()) is not None:
            check_input_count(inputs, most)
        checked = check_arrays(map_arrays(to_array, inputs), None, self._parameters.all_names())
        if self._towers is not None:
            self._towers.check_images(checked)
        else:
            hugging_face.check_takes_images(self._model, list(self._parameters.now()), checked)
        return checked

    def declared_size(self) -> tuple[int, int] | None:
        return hugging_face.declared_size(self._model) if self._towers is None else self._towers.image_size

    def declared_input(self) -> DeclaredInput | None:
        return ultralytics.declared_input(self._model)

    def declared_labels(self) -> Mapping[Any, Any] | None:
        if self._towers is not None:
            return None
        return hugging_face.declared_labels(self._model) or ultralytics.declared_labels(self._model)

    def declared_inputs(self) -> tuple[str, ...]:
        return self._parameters.names()

    def input_names(self, inputs: InputBatch) -> tuple[str, ...]:
        return leaf_names(inputs, self._parameters.all_names()[: len(leaves(inputs))])

    def input_count(self) -> int:
        return 1 if self._towers is not None else max(1, len(self._parameters.required()))

    def arranged(self, sample: Any) -> Any:
        return self._parameters.arranged(sample)

    def text_tower(self) -> TextTower | None:
        return self._towers

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        array: NDArray[Any] = to_array(tensor)
        return array

    def move_to(self, device: Device) -> None:
        move_module(self._model, device)

    def kernels(self) -> Kernels:
        return kernels_of({"": self._model, **self._model_layers.for_run().by_path})

    @contextmanager
    def with_kernels(self, kernels: Kernels) -> Iterator[Framework]:
        with replaced_kernels({"": self._model, **self._model_layers.for_run().by_path}, kernels):
            yield self

    def weights_version(self) -> Hashable:
        layers = self._model_layers.for_run()
        tensors = own_tensors((self._model, *layers.by_path.values()))
        return (layers.version, self._weights_version(tensors))

    def _to_tensor(self, array: NDArray[Any]) -> NativeTensor:
        """Copy an array to the model's device and memory format, and floating-point numbers to its type."""
        like = kernel = None
        for weights in self._model.parameters():
            like = weights if like is None and weights.is_floating_point() else like
            kernel = weights if kernel is None and weights.ndim == 4 else kernel
            if like is not None and (kernel is not None or array.ndim != 4):
                break
        if like is None:
            like = first_float_tensor(self._model.buffers())
        if like is None:
            return torch.tensor(array, device="cpu")
        if not is_float(array):
            return torch.tensor(array, device=like.device)
        tensor = torch.tensor(array, dtype=like.dtype, device=like.device)
        if kernel is None or tensor.ndim != 4 or kernel.is_contiguous():
            return tensor
        is_last = kernel.is_contiguous(memory_format=torch.channels_last)
        return tensor.contiguous(memory_format=torch.channels_last) if is_last else tensor


def _type_name(tensor: NativeTensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
