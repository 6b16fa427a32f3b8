"""The values of tensors of any framework, as other tools return them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import InputError


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Return an array of a tensor, also one that requires gradients or is on another device; or of a list of tensors.

    Raises:
        InputError: There is no array of it; the message begins with `what`.
    """
    try:
        return np.asarray([_on_cpu(each) for each in values] if isinstance(values, (list, tuple)) else _on_cpu(values))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{what}, a {type(values).__name__}, cannot become an array: {reason}.") from error


def as_list(values: Any) -> Any:
    """Return a list of an array or a tensor of class indices; anything else as it is."""
    is_tensor = hasattr(values, "shape") and hasattr(values, "dtype") and len(values.shape) > 0
    return as_array(values, "The classes").tolist() if is_tensor else values


def _on_cpu(values: Any) -> Any:
    """Return a PyTorch tensor without its gradients, in the memory of the processor; anything else as it is."""
    for name in ("detach", "cpu"):
        values = getattr(values, name)() if hasattr(values, name) else values
    return values
