"""Short representations of objects: one line of at most 300 characters, whatever the object holds."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

MAX_LENGTH = 300
"""The number of characters of a representation."""

MAX_TEXT = 60
"""The number of characters of a text in it, such as a class name or a path."""

MAX_ITEMS = 3
"""The number of items of a sequence in it."""


SHOWN_ITEMS = 5
"""The number of items that a `ShortTuple` shows: as many as there usually are targets and shown predictions."""


class ShortRepr:
    """Gives a dataclass that is declared with `repr=False` a short representation: the call that makes it.

    Arrays are shown as their type and shape, sequences by their first items and their length, functions by name.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        fields = (field.name for field in dataclasses.fields(self) if field.repr)  # type: ignore[arg-type]
        return call_repr(type(self).__name__, {name: getattr(self, name) for name in fields})


class ShortTuple(tuple[T, ...]):
    """A tuple that represents itself by its first items and its length."""

    __slots__ = ()

    def __repr__(self) -> str:
        texts = [_item_text(each) for each in self[: SHOWN_ITEMS + 1]]
        shown = texts if len(self) <= SHOWN_ITEMS + 1 else [*texts[:SHOWN_ITEMS], f"... {len(self):,} in all"]
        return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"


def call_repr(name: str, arguments: Mapping[str, Any]) -> str:
    """Return an object as the call that makes it: `TopK(k=3)`."""
    return _within(f"{name}({', '.join(f'{key}={value_text(value)}' for key, value in arguments.items())}", ")")


def description(instance: object, text: str) -> str:
    """Return an object by its class and a text: `<Heatmaps of 2 images, ...>`."""
    return _within(f"<{type(instance).__name__} {one_line(text)}", ">")


def value_text(value: Any) -> str:
    """Return a value as it is shown within a representation."""
    if isinstance(value, str):
        return repr(shortened(value))
    if not isinstance(value, (list, tuple, Mapping)) or hasattr(value, "_fields"):  # named tuples have a name to show
        return _atom_text(value)
    if isinstance(value, Mapping):
        items = [f"{key!r}: {value_text(each)}" for key, each in list(value.items())[: MAX_ITEMS + 1]]
        return "{" + ", ".join(_few(items, len(value))) + "}"
    return _sequence_text(value)


def listed(texts: Sequence[str]) -> str:
    """Return the first of several texts, and how many there are where not all are shown."""
    return ", ".join(_few([shortened(text) for text in texts[: MAX_ITEMS + 1]], len(texts)))


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 image`, `2 images`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def shape_text(array: Any) -> str:
    """Return the type and the shape of an array: `float32 (2, 7, 7)`."""
    shape = tuple(array.shape) if isinstance(array.shape, tuple) else array.shape
    return f"{str(getattr(array.dtype, 'name', array.dtype)).rpartition('.')[2]} {shape}"


def shortened(text: str, length: int = MAX_TEXT) -> str:
    """Return a text, with its middle left out if it is long: the end of a path tells more than its middle."""
    if len(text) <= length:
        return text
    head = (length - 3) // 2
    return f"{text[:head]}...{text[head + 3 - length :]}"


def one_line(text: str) -> str:
    r"""Return a text without line breaks, and with what cannot be printed as an escape such as `\x1b`."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode("ascii")
        for each in " ".join(text.split())
    )


def _atom_text(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype") and value.shape != ():
        return shape_text(value)
    if isinstance(value, functools.partial):
        return f"{_atom_text(value.func)} with {', '.join(value.keywords) or 'arguments'}"
    if callable(value) and hasattr(value, "__qualname__"):
        return shortened(value.__qualname__)
    return shortened(one_line(repr(value)), 2 * MAX_TEXT)


def _item_text(value: Any) -> str:
    """Return an object as it represents itself, and a text or a plain tuple shortened."""
    is_plain = isinstance(value, (str, list, tuple, Mapping)) and not hasattr(value, "_fields")
    return value_text(value) if is_plain else repr(value)


def _sequence_text(value: list[Any] | tuple[Any, ...]) -> str:
    items = _few([value_text(each) for each in value[: MAX_ITEMS + 1]], len(value))
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _few(texts: list[str], count: int) -> list[str]:
    """Return all texts, or the first ones and how many there are; one more than the first ones is not left out."""
    return texts if count <= MAX_ITEMS + 1 else [*texts[:MAX_ITEMS], f"... {count:,} in all"]


def _within(text: str, end: str) -> str:
    limit = MAX_LENGTH - len(end)
    return (text if len(text) <= limit else f"{text[: limit - 3]}...") + end
