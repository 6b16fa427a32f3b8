"""Parsing targets: from whatever a caller gives to a `Target`."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError, did_you_mean, short_repr
from seewhy.plugins import call_plugin, find_plugins, load_plugin
from seewhy.targets.classes import Class, TopK
from seewhy.targets.functions import Function
from seewhy.targets.regression import Regression
from seewhy.targets.target import TOP_K, ClassFinder, Target, are_indices, is_index, parse_class, target_count_error
from seewhy.targets.target_lists import Combined, PerImage

TargetSpec = Union[int, str, Target, Callable[[Any], Any], NDArray[np.integer[Any]], Sequence["TargetSpec"]]  # noqa: UP007  # recursive
"""What a caller may give as targets: see `resolve`."""

OUTPUT = re.compile(r"output[ _-]?(\d{1,9})", re.IGNORECASE)
"""The spelling of one of the values that a model predicts, such as "output 0"."""

MAX_DIGITS = 9
"""The maximum number of digits of the k of "top-k"."""

PLUGIN = "plugin:"
"""What stands before the name of a target of another package, which could be the name of a class too."""

LISTS = (list, tuple, np.ndarray)


def resolve(targets: Any, find_class: ClassFinder) -> Target:
    """Convert whatever a caller may give as targets to a `Target` with every class as an index.

    Args:
        targets: "top-3"; a class index, name or wnid; "output 0"; a `Target`; a function of the outputs; a list of
            these, for every image; or a list of such lists, one for each image.
        find_class: Returns the index of a class, given as an index, name or wnid.

    Returns:
        The target.

    Raises:
        TargetError: `targets` is none of these, or names a class that is unknown or ambiguous.
    """
    return _parse(targets).resolve(find_class)


def _parse(targets: Any) -> Target:
    if isinstance(targets, Target):
        return targets
    if isinstance(targets, str):
        return _parse_text(targets)
    if is_index(targets):
        return Class((parse_class(targets),))
    if callable(targets):
        return Function(targets)
    if isinstance(targets, LISTS) and len(targets):
        return _parse_list(list(targets))
    raise TargetError(
        f"Unknown target {short_repr(targets)}. Expected 'top-3', a class index or name, a list of those, a list of "
        "lists (one for each image), a seewhy.targets object, or a function of the outputs."
    )


def _parse_text(text: str) -> Target:
    if top_k := re.fullmatch(TOP_K, text.strip()):
        if len(top_k[1]) > MAX_DIGITS:
            raise TargetError(f"{short_repr(text)} selects more classes than any model has.")
        return TopK(int(top_k[1]))
    if output := OUTPUT.fullmatch(text.strip()):
        return Regression(int(output[1]))
    if text.startswith(PLUGIN):
        return _plugin_target(text.removeprefix(PLUGIN))
    return Class((parse_class(text),))


def _plugin_target(name: str) -> Target:
    """Return the target that a plug-in makes.

    Raises:
        TargetError: There is no such plug-in, or it was skipped, or it makes something else.
    """
    make, known = load_plugin("seewhy.targets", name), list(find_plugins("seewhy.targets"))
    if make is None and name in known:
        raise TargetError(f"There is no target {PLUGIN}{name} to use: its plug-in was skipped, as the warning says.")
    if make is None:
        installed = f"Installed are {', '.join(known)}." if known else "No package with targets is installed."
        raise TargetError(f"There is no target {PLUGIN}{name} to use.{did_you_mean(name, known)} {installed}")
    target = call_plugin(make, f"The target {PLUGIN}{name}", TargetError)
    if not isinstance(target, Target):
        raise TargetError(f"The plug-in {name!r} makes {short_repr(target)}; expected a seewhy.targets.Target.")
    return target


def _parse_list(targets: list[Any]) -> Target:
    if are_indices(targets):
        return Class(tuple(targets))  # many classes in one step
    is_nested = [isinstance(target, LISTS) for target in targets]
    if all(is_nested):
        return _parse_per_image([list(row) for row in targets])
    if any(is_nested):
        raise TargetError(
            "Targets are either a list for all images, or a list of lists, one for each image; given a mixture of both."
        )
    if all(is_index(target) for target in targets):
        return Class(tuple(map(int, targets)))
    parts = tuple(_parse(target) for target in targets)
    if all(isinstance(part, Class) and not part.is_per_image for part in parts):
        return Class(tuple(name for part in parts if isinstance(part, Class) for name in part.classes))  # type: ignore[arg-type]
    return Combined(parts) if len(parts) > 1 else parts[0]


def _parse_per_image(rows: list[list[Any]]) -> Target:
    """Parse a list of targets for each image; if all are classes, to a single `Class`, which is faster."""
    if any(isinstance(target, LISTS) for row in rows for target in row):
        raise TargetError("Targets are nested too deeply; expected at most a list of lists, one for each image.")
    counts = {len(row) for row in rows}
    if 0 in counts:
        raise target_count_error(sorted(counts))
    targets = tuple(_parse_list(row) for row in rows)
    if all(isinstance(target, Class) and not target.is_per_image for target in targets):
        return Class(tuple(target.classes for target in targets if isinstance(target, Class)))  # type: ignore[arg-type]
    return PerImage(targets)
