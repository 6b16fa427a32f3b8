"""Every method by its name."""

from dataclasses import replace
from functools import partial
from typing import Any

from seewhy.errors import MethodError, OptionError, did_you_mean
from seewhy.methods.gradcam import gradcam
from seewhy.methods.hirescam import hirescam
from seewhy.methods.method import Method, options

METHODS = {
    method.name: method
    for method in (
        Method(
            name="gradcam",
            title="Grad-CAM",
            paper="1610.02391",
            summary="channels weighted by their mean gradient; the usual choice",
            cost="T head backwards",
            function=gradcam,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            paper="2011.08891",
            summary="each activation times its own gradient; shows only places the score rises with",
            cost="T head backwards",
            function=hirescam,
        ),
    )
}


def get(method: str | Method, **given: Any) -> Method:
    """Find a method by its name, and set its options.

    Args:
        method: A name that `seewhy methods` lists; or a method, which is returned with these options.
        **given: Options of that method, such as `masks=8000` of "rise".

    Raises:
        MethodError: There is no such method.
        OptionError: It has no such option.
    """
    if isinstance(method, Method):
        found = method
    elif isinstance(method, str) and method in METHODS:
        found = METHODS[method]
    else:
        near = did_you_mean(method, METHODS) if isinstance(method, str) else ""
        raise MethodError(f"Unknown method {method!r}.{near} Known: {', '.join(METHODS)}.")
    if not given:
        return found
    known = options(found.function)
    for name in given:
        if name not in known:
            listed = ", ".join(f"{each}={default!r}" for each, default in known.items()) or "none"
            raise OptionError(f"The method {found.name!r} has no option {name!r}. Its options: {listed}.")
    return replace(found, function=partial(found.function, **given))
