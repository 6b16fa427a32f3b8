"""Where the arrays of a model live: its framework, and the device of its weights."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seewhy.frameworks.base import Framework
from seewhy.types import FloatArray, NativeTensor


@dataclass(frozen=True)
class ArrayHome:
    """The framework whose arrays are made, and on which device. It holds no model, and can be pickled.

    Attributes:
        framework: "torch", "tensorflow" or "jax"; "numpy" for a model whose outputs are NumPy arrays.
        device: The device as the framework names it; empty for its default.
    """

    framework: str = "numpy"
    device: str = ""

    def array(self, values: FloatArray) -> NativeTensor:
        """Copy values to an array of the framework on the device."""
        make = _MAKERS.get(self.framework)
        return values if make is None else make(importlib.import_module(self.framework), values, self.device)


def array_home(framework: Framework, model: Any) -> ArrayHome:
    """Return where the arrays of a model live.

    Args:
        framework: Runs the model.
        model: The model, whose first weight says the device.
    """
    name = framework.name.removeprefix("keras-")
    if name not in _MAKERS:
        return ArrayHome()
    if name != "tensorflow":  # whose variables never move: Keras lists all of them to find the first
        return _found_home(framework, model, name)
    home: ArrayHome | None = framework.evidence.get("array home")
    if home is None:
        home = _found_home(framework, model, name)
        framework.evidence.add("array home", home)
    return home


def _found_home(framework: Framework, model: Any, name: str) -> ArrayHome:
    weights = (weight.value for weight in model.variables) if framework.name != name else model.parameters()
    weight = next(iter(weights), None)
    return ArrayHome(name, "" if weight is None else _DEVICES[name](weight))


def _torch_array(torch: Any, values: FloatArray, device: str) -> NativeTensor:
    return torch.tensor(values, device=device or None)


def _tensorflow_array(tensorflow: Any, values: FloatArray, device: str) -> NativeTensor:
    with tensorflow.device(device or None):
        return tensorflow.constant(values)


def _jax_array(jax: Any, values: FloatArray, device: str) -> NativeTensor:
    found = [each for each in jax.devices(device.partition(":")[0] or None) if device == _jax_name(each)]
    return jax.device_put(values, found[0] if found else None)


def _jax_name(device: Any) -> str:
    return f"{device.platform}:{device.id}"


_MAKERS: Mapping[str, Callable[[Any, FloatArray, str], NativeTensor]] = {
    "torch": _torch_array,
    "tensorflow": _tensorflow_array,
    "jax": _jax_array,
}

_DEVICES: Mapping[str, Callable[[Any], str]] = {
    "torch": lambda weight: str(weight.device),
    "tensorflow": lambda weight: str(weight.device),
    "jax": lambda weight: _jax_name(min(weight.devices(), key=lambda device: device.id)),
}
