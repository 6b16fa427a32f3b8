"""Finding a method by its name, and the default that stands for one."""

from typing import Any

from seewhy.errors import MethodError, did_you_mean, warn
from seewhy.methods.method import Method
from seewhy.methods.table import METHODS
from seewhy.plugins import find_plugins, load_plugin
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
        method: A name that `seewhy methods` lists; "auto", for the method that suits the model; the name of a method of
            another package, see "Write a plug-in"; or a method.
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
        found = plugin_method(method) if is_name else None
        if found is not None:
            return found.with_options(options)
        plugins = find_plugins("seewhy.methods")
        if is_name and method in plugins:
            raise MethodError(f"Unknown method {method!r}: its plug-in was skipped, as the warning says.")
        known |= dict.fromkeys(plugins, AUTO)  # for their names
        suggestion = did_you_mean(method, known) if is_name else " Give one name; seewhy.compare takes several."
        raise MethodError(f"Unknown method {method!r}.{suggestion} Known: {', '.join(known)}.")
    return known[method].with_options(options)


def plugin_method(name: str) -> Method | None:
    """Return the method of another package by its name; None where there is none, or it is skipped with a warning."""
    found: Method | None = load_plugin("seewhy.methods", name, Method)
    if found is not None and found.name != name:
        warn(f"The plug-in {name!r} is skipped: its method has the name {found.name!r}. Give both the same name.")
        return None
    return found


def installed() -> dict[str, Method]:
    """Return the methods of SeeWhy and of other packages by their names."""
    others: dict[str, Method | None] = {}
    for name in find_plugins("seewhy.methods"):
        if name in METHODS or name == AUTO.name:
            warn(f"The plug-in {name!r} is skipped: a method of SeeWhy has this name.")
        else:
            others[name] = plugin_method(name)
    return {**METHODS, **{name: method for name, method in others.items() if method is not None}}
