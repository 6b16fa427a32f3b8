"""The devices of PyTorch."""

import torch

from seewhy.errors import ModelRunError
from seewhy.frameworks.device import Device, absent_device

ACCELERATORS = ("cuda", "mps", "xpu")
"""What "gpu" stands for: the first of these that is there."""


def torch_device(device: Device) -> torch.device:
    """Return a device as PyTorch has it.

    Raises:
        OptionError: PyTorch does not find it.
    """
    counts = _counts()
    kind = next((name for name in ACCELERATORS if counts[name]), "gpu") if device.kind == "gpu" else device.kind
    if device.position >= counts.get(kind, 0):
        raise absent_device(device, "PyTorch", _names(counts))
    return torch.device(kind) if device.number is None else torch.device(kind, device.number)


def move_module(module: torch.nn.Module, device: Device) -> None:
    """Move the weights of a module to a device.

    Raises:
        OptionError: PyTorch does not find the device.
        ModelRunError: Its memory is too small.
    """
    where = torch_device(device)
    try:
        module.to(where)
    except torch.OutOfMemoryError as error:
        raise ModelRunError(f"The model does not fit into the memory of the device {where}: {error}") from error


def _counts() -> dict[str, int]:
    """Return the number of devices of each kind."""
    return {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
    }


def _names(counts: dict[str, int]) -> list[str]:
    return [kind if count == 1 else f"{kind}:{number}" for kind, count in counts.items() for number in range(count)]
