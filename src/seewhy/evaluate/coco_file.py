"""Reading files in COCO's format without holding what they say besides boxes, such as the outlines of objects."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seewhy.errors import InputError
from seewhy.regular_files import read_regular_file

MAX_BYTES = 1_000_000_000
"""The maximum size of a file with boxes; that of COCO's training images has 450 MB."""

SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class CocoFile:
    """What is read of a file in COCO's format.

    Attributes:
        images: The name of each image's file, and its height and width as they are stated, by the image's id.
        annotations: The image's id, the box, and the category's id of each annotation, as they are stated.
        categories: The name of each category by its id.
    """

    images: Mapping[Any, tuple[str, Any, Any]]
    annotations: list[tuple[Any, Any, Any]]
    categories: Mapping[Any, str]


def read_coco_file(path: Path) -> CocoFile:
    """Read a file in COCO's format.

    Raises:
        InputError: The file cannot be read, is too large, or is not in this format.
    """
    keep: dict[str, Callable[[Any], Any]] = {
        "images": lambda each: (each["id"], (str(each["file_name"]), each.get("height"), each.get("width"))),
        "annotations": _annotation,
        "categories": lambda each: (each["id"], str(each["name"])),
    }
    try:
        text = read_regular_file(path, MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Cannot read the boxes in {path}: {reason}. Expected JSON in COCO's format, of the images of the study."
        ) from error
    try:
        found = _Reader(text).lists(keep)
        return CocoFile(dict(found["images"]), found["annotations"], dict(found.get("categories", ())))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"Cannot read the boxes in {path}: {error}. Expected JSON in COCO's format.") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path} is not in COCO's format: {error!r}. Expected an object with the lists images (id, file_name), "
            "annotations (image_id, bbox) and categories (id, name)."
        ) from error


def _annotation(each: Any) -> tuple[Any, Any, Any]:
    annotation = each["image_id"], each["bbox"], each.get("category_id")
    hash(annotation[::2])  # ids are keys; a list raises TypeError
    return annotation


class _Reader:
    """Reads a JSON object from the start to the end, and the elements of its lists one at a time."""

    def __init__(self, text: str) -> None:
        self._text, self._position = text, 0
        self._decode = json.JSONDecoder().raw_decode

    def lists(self, keep: Mapping[str, Callable[[Any], Any]]) -> dict[str, list[Any]]:
        """Return what is kept of each element of the lists with these names."""
        found: dict[str, list[Any]] = {}
        if self._next() != "{":
            raise TypeError(f"it holds {type(self._value()).__name__}")
        for _ in self._elements("}"):
            name = self._value()
            self._take(":")
            if name in keep and self._next() == "[":
                found[name] = [keep[name](self._value()) for _ in self._elements("]")]
            else:
                self._value()
        if self._next():
            raise json.JSONDecodeError("Extra data", self._text, self._position)
        return found

    def _elements(self, end: str) -> Iterator[None]:
        """Stop before each element of the list or the object that begins here, and after its end."""
        self._position += 1
        if self._next() != end:
            yield
            while self._next() == ",":
                self._take(",")
                yield
        self._take(end)

    def _next(self) -> str:
        """Skip space, and return the next character; empty at the end."""
        found = SPACE.match(self._text, self._position)
        self._position = found.end() if found else self._position
        return self._text[self._position : self._position + 1]

    def _take(self, character: str) -> None:
        if self._next() != character:
            raise json.JSONDecodeError(f"Expecting {character!r}", self._text, self._position)
        self._position += 1

    def _value(self) -> Any:
        self._next()
        value, self._position = self._decode(self._text, self._position)
        return value
