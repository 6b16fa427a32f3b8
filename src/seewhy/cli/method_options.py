"""Which methods the command line was asked for, and their options."""

import ast
from collections.abc import Sequence
from typing import Any

from seewhy import methods
from seewhy.errors import OptionError
from seewhy.methods import Method


def chosen(names: str, settings: Sequence[str]) -> tuple[Method, ...]:
    """Find the methods, and give each the settings that it knows.

    Args:
        names: Names of methods, with commas between.
        settings: NAME=VALUE, each an option of at least one of the methods.

    Raises:
        MethodError: A method is unknown.
        OptionError: None of the methods has an option of that name, or a setting is not of that form.
    """
    found = [methods.get(name.strip()) for name in names.split(",") if name.strip()]
    if not found:
        methods.get(names)
    given = dict(map(_parse, settings))
    known = {name for method in found for name in method.options}
    for name in given:
        if name not in known:
            listed = f"options: {', '.join(sorted(known))}" if known else "no options"
            titles = ", ".join(method.name for method in found)
            raise OptionError(f"There is no option {name!r} to set: {titles} has {listed}.")
    return tuple(
        methods.get(method, **{name: value for name, value in given.items() if name in method.options})
        for method in found
    )


def _parse(setting: str) -> tuple[str, Any]:
    """Read NAME=VALUE, where the value is a number, a word, or whatever else Python writes as a literal."""
    name, equals, value = setting.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise OptionError(f"Cannot set {setting!r}; expected NAME=VALUE, such as masks=8000.")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value.strip()
