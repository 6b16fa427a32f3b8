"""Plug-ins: methods, targets and models of other packages, found by their entry points when they are used."""

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from seewhy.errors import warn

Group = Literal["seewhy.methods", "seewhy.targets", "seewhy.models"]


@functools.cache
def find_plugins(group: Group) -> Mapping[str, EntryPoint]:
    """Return the entry points of the installed packages by their names; nothing is imported."""
    return {each.name: each for each in entry_points(group=group)}


def load_plugin(group: Group, name: str, kind: type[Any] | None = None) -> Any | None:
    """Import a plug-in. What fails, or is not what it should be, is named in a warning, and skipped.

    Args:
        group: The group of entry points.
        name: The name of the entry point.
        kind: What the plug-in has to be; None for a function.

    Returns:
        What the entry point names; None where there is no such plug-in, or where it is skipped.
    """
    entry = find_plugins(group).get(name)
    if entry is None:
        return None
    package = f" of the package {entry.dist.name}" if entry.dist is not None else ""
    try:
        loaded = entry.load()
    except Exception as error:  # noqa: BLE001  # code of others, which may fail in any way
        warn(f"The plug-in {name!r}{package} is skipped: {entry.value} cannot be imported. {_text_of(error)}")
        return None
    if not (callable(loaded) if kind is None else isinstance(loaded, kind)):
        expected = "a function" if kind is None else f"a seewhy {kind.__name__}"
        warn(
            f"The plug-in {name!r}{package} is skipped: {entry.value} is an object of type {type(loaded).__name__}; "
            f"expected {expected}."
        )
        return None
    return loaded


def _text_of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
