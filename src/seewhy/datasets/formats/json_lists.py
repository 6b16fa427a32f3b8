"""Writing JSON item by item: a file of a million items is never in memory."""

import json
import math
from collections.abc import Iterable
from typing import Any, BinaryIO


def write_list(file: BinaryIO, items: Iterable[Any]) -> None:
    """Write a JSON array, an item in each line."""
    file.write(b"[")
    for number, item in enumerate(items):
        file.write(b",\n" if number else b"\n")
        file.write(as_json(item))
    file.write(b"\n]")


def as_json(value: Any) -> bytes:
    """Return a value as JSON, in ASCII."""
    return json.dumps(value, allow_nan=False).encode("ascii")


def as_number(value: float | None) -> float | None:
    """Return a float32 with the digits that it has; None for what JSON has no number for."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None
