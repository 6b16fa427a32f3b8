"""The options `--method` and `--set`: methods and the values of their options."""

import ast
from collections.abc import Sequence

from seewhy import methods
from seewhy.errors import MethodError, OptionError, short_repr
from seewhy.methods import Method

MAX_VALUE_LENGTH = 1000
"""The maximum number of characters of an option's value."""


def parse_methods(names: str, settings: Sequence[str]) -> tuple[Method, ...]:
    """Return the methods, each with the settings that it has as options.

    Args:
        names: Names of methods, separated by commas.
        settings: NAME=VALUE, each an option of at least one of the methods.

    Raises:
        MethodError: A method is unknown.
        OptionError: A setting has another form, or is not an option of any of the methods.
    """
    selected = [methods.get(name.strip()) for name in names.split(",") if name.strip()]
    if not selected:
        methods.get(names)
    values = dict(map(_parse_setting, settings))
    known = {name: default for method in selected for name, default in method.options.items()}
    for name, value in values.items():
        if isinstance(known.get(name), float | int) and isinstance(value, str):
            raise OptionError(f"{name} is {short_repr(value)} in --set; expected a value such as {known[name]}.")
        if name not in known:
            options = f"the options {', '.join(sorted(known))}" if known else "no options"
            titles = ", ".join(method.name for method in selected)
            raise OptionError(f"Unknown option {short_repr(name)} in --set: {titles} has {options}.")
    return tuple(
        methods.get(method, **{name: value for name, value in values.items() if name in method.options})
        for method in selected
    )


def parse_method(name: str, settings: Sequence[str]) -> Method:
    """Return one method with its settings; the arguments are those of `parse_methods`.

    Raises:
        MethodError: The method is unknown, or there are several.
        OptionError: As for `parse_methods`.
    """
    selected = parse_methods(name, settings)
    if len(selected) > 1:
        raise MethodError(f"--method names {len(selected)} methods, {short_repr(name)}; expected one.")
    return selected[0]


def _parse_setting(setting: str) -> tuple[str, object]:
    """Parse NAME=VALUE, where the value is a Python literal, such as a number, or else a string."""
    name, equals, value = setting.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise OptionError(f"Cannot set {short_repr(setting)}; expected NAME=VALUE, such as masks=8000.")
    if len(value) > MAX_VALUE_LENGTH:
        raise OptionError(
            f"The value of {name.strip()!r} in --set has {len(value):,} characters; the limit is {MAX_VALUE_LENGTH:,}."
        )
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # as `ast.literal_eval` documents
        return name.strip(), value.strip()
