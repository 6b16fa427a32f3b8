"""Plug-ins: methods, targets and models of other packages, found by their entry points when they are used."""

import functools
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from seewhy.errors import SeewhyError, warn

Group = Literal["seewhy.methods", "seewhy.targets", "seewhy.models"]


@functools.cache
def find_plugins(group: Group) -> Mapping[str, EntryPoint]:
    """Return the entry points of the installed packages by their names; nothing is imported.

    Of packages that have plug-ins of one name, that of the first is taken, and a warning names the other.
    """
    found: dict[str, EntryPoint] = {}
    for each in entry_points(group=group):
        first = found.setdefault(each.name, each)
        if first.value != each.value:
            warn(f"The plug-in {each.name!r}{_package(each)} is skipped: that{_package(first)} has the same name.")
    return found


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
    package = _package(entry)
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of others, which may fail in any way
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


def call_plugin(function: Callable[..., Any], what: str, error_type: type[SeewhyError], *arguments: Any) -> Any:
    """Return what the function of a plug-in returns.

    Args:
        function: The function.
        what: What it makes, for the message of an error.
        error_type: The error to raise where it fails in a way of its own.
        *arguments: Its arguments.

    Raises:
        SeewhyError: The function raised it, or failed otherwise.
    """
    try:
        return function(*arguments)
    except SeewhyError:
        raise
    except (Exception, SystemExit) as error:  # code of others, which may fail in any way
        raise error_type(f"{what} cannot be made: its plug-in failed. {_text_of(error)}") from error


def _package(entry: EntryPoint) -> str:
    return f" of the package {entry.dist.name}" if entry.dist is not None else ""


def _text_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
