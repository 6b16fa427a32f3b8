"""From whatever a caller gives as targets to a target."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.classes import Class, TopK
from seewhy.targets.combined import Combined, PerImage
from seewhy.targets.functions import Function
from seewhy.targets.target import TOP_K, ClassFinder, Target, is_index, plain

TargetSpec = Union[int, str, Target, Callable[[Any], Any], NDArray[np.integer[Any]], Sequence["TargetSpec"]]
"""What a caller may give as targets: see `resolve`."""

LISTS = (list, tuple, np.ndarray)


def resolve(spec: Any, find: ClassFinder) -> Target:
    """Turn whatever a caller may give as targets into a Target with every class as an index.

    Args:
        spec: "top-3"; an index, a class name or a wnid; a Target; a function of the outputs; a list of those, asked
            of every image; a list of such lists, one for each image.
        find: Finds a class by index, name or wnid.

    Raises:
        TargetError: `spec` is none of these, or names a class that is unknown or ambiguous.
    """
    return _parse(spec).resolved(find)


def _parse(spec: Any) -> Target:
    if isinstance(spec, Target):
        return spec
    if isinstance(spec, str) and (top := re.fullmatch(TOP_K, spec.strip())):
        return TopK(int(top[1]))
    if isinstance(spec, str) or is_index(spec):
        return Class((plain(spec),))
    if callable(spec):
        return Function(spec)
    if isinstance(spec, LISTS) and len(spec):
        return _parse_list(list(spec))
    raise TargetError(
        f"Cannot ask for {spec!r}. A target is 'top-3', a class index or name, a list of those, a list of lists "
        "(one for each image), a seewhy.targets object, or a function of the outputs."
    )


def _parse_list(specs: list[Any]) -> Target:
    nested = [isinstance(spec, LISTS) for spec in specs]
    if all(nested):
        return _each_image([list(spec) for spec in specs])
    if any(nested):
        raise TargetError("Targets are a list for all images, or a list of lists, one for each image; not both.")
    parts = tuple(_parse(spec) for spec in specs)
    if all(isinstance(part, Class) and not part.is_per_image for part in parts):
        return Class(tuple(name for part in parts if isinstance(part, Class) for name in part.classes))  # type: ignore[arg-type]
    return Combined(parts) if len(parts) > 1 else parts[0]


def _each_image(specs: list[list[Any]]) -> Target:
    """Read a list of targets for each image; where all are classes, they are one target that is quicker to ask."""
    if any(isinstance(each, LISTS) for spec in specs for each in spec):
        raise TargetError("Targets are a list of lists, one for each image, and no deeper.")
    counts = {len(spec) for spec in specs}
    if 0 in counts:
        raise TargetError(f"Every image needs the same number of targets, at least one; given {sorted(counts)}.")
    targets = tuple(_parse_list(spec) for spec in specs)
    if all(isinstance(target, Class) and not target.is_per_image for target in targets):
        return Class(tuple(target.classes for target in targets if isinstance(target, Class)))  # type: ignore[arg-type]
    return PerImage(targets)
