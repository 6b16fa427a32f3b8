"""The device that a caller of `load` names."""

from seewhy.errors import OptionError
from seewhy.frameworks.device import Device, parse_device
from seewhy.types import Backend


def given_device(device: str | None, runtime: Backend | None) -> Device | None:
    """Return the device of a name; ONNX Runtime and OpenVINO run what is exported to them on the CPU only."""
    if device is None:
        return None
    where = parse_device(device)
    if runtime is not None and where not in (Device("cpu"), Device("cpu", 0)):
        raise OptionError(
            f"backend={runtime!r} runs an exported model on the CPU, and not on the device {where}. Leave out backend= "
            "or device=."
        )
    return where
