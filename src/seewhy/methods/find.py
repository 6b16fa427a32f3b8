"""Finding a method by its name, and the default that stands for one."""

from typing import Any

from seewhy.errors import MethodError, did_you_mean
from seewhy.methods.method import Method
from seewhy.methods.table import METHODS
from seewhy.types import Capture, Tensor


def _not_chosen(capture: Capture) -> Tensor:
    raise TypeError(f'No method was chosen for the capture of {capture.layer!r}: "auto" only stands for one.')


AUTO = Method(
    name="auto",
    title="Automatic",
    paper="",
    summary="legrad_rollout for vision transformers, integrated_gradients for attention in windows, else gradcam",
    cost="that of the chosen method",
    function=_not_chosen,
    family="gradient",
    level="layer",
)
"""The default: stands for the method that suits the model, which is chosen when the model runs."""


def get(method: str | Method, **options: Any) -> Method:
    """Return a method by its name, with its options set.

    Args:
        method: A name that `seewhy methods` lists; "auto", for the method that suits the model; or a method.
        **options: Options of the method, such as `masks=8000` for "rise".

    Raises:
        MethodError: The method is unknown.
        OptionError: The method has no such option, or the option cannot have that value, whatever the image is.
    """
    if isinstance(method, Method):
        return method.with_options(options)
    known = {AUTO.name: AUTO, **METHODS}
    if not isinstance(method, str) or method not in known:
        is_name = isinstance(method, str)
        suggestion = did_you_mean(method, known) if is_name else " Give one name; seewhy.compare takes several."
        raise MethodError(f"Unknown method {method!r}.{suggestion} Known: {', '.join(known)}.")
    return known[method].with_options(options)
