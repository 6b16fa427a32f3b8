"""The device on which a model runs, by the name that `seewhy.load(device=...)` takes."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from seewhy.errors import OptionError, did_you_mean, short_repr

KINDS = ("cpu", "cuda", "gpu", "mps", "tpu", "xpu")
"""What a device is: "gpu" is the first kind of accelerator that a framework finds, and the others are one kind each."""

PROVIDER = re.compile(r"[A-Za-z]{1,40}ExecutionProvider")
"""The name of an execution provider of ONNX Runtime."""

FrameworkName = Literal["torch", "keras", "keras-tensorflow", "keras-jax", "keras-torch", "onnx"]
"""What a model is written in; "keras" where the backend is whichever Keras is set to."""


class Device(NamedTuple):
    """A device, such as "cpu" or "cuda:1".

    Attributes:
        kind: One of `KINDS`, or the name of an execution provider of ONNX Runtime.
        number: The number of the device among those of its kind; None for the first.
    """

    kind: str
    number: int | None = None

    def __str__(self) -> str:
        return self.kind if self.number is None else f"{self.kind}:{self.number}"

    @property
    def position(self) -> int:
        """The number of the device among those of its kind."""
        return self.number or 0


def parse_device(text: str) -> Device:
    """Return the device that a text names: "cpu", "cuda:1", "GPU:0" or "/GPU:0", as the frameworks write them.

    Raises:
        OptionError: It is not the name of a device.
    """
    if isinstance(text, str) and PROVIDER.fullmatch(text):
        return Device(text)
    match = re.fullmatch(r"/?(?:device:)?([a-z]{1,20})(?::(\d{1,3}))?", text.lower()) if isinstance(text, str) else None
    if match is None or match[1] not in KINDS:
        near = did_you_mean(text, KINDS) if isinstance(text, str) else ""
        raise OptionError(
            f"Unknown device {short_repr(text)}.{near} Expected one of {', '.join(KINDS)}, with a number where there "
            "are several, such as cuda:1; or, for an ONNX model, the name of an execution provider."
        )
    return Device(match[1], None if match[2] is None else int(match[2]))


def absent_device(device: Device, framework: str, found: Iterable[str], hint: str = "") -> OptionError:
    """Return the error for a device that a framework does not find.

    Args:
        device: The device.
        framework: The framework, as a reader knows it.
        found: The names of the devices that it finds.
        hint: What else helps.
    """
    return OptionError(
        f"There is no device {device}: {framework} finds {', '.join(found)} on this machine. Give one of these, or "
        f"leave out device=.{hint}"
    )
