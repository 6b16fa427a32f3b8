"""The preprocessing of a model that says itself how images become its input."""

from collections.abc import Sequence

from seewhy.errors import ModelError
from seewhy.frameworks.declared_input import DeclaredInput
from seewhy.models.preprocessing import Preprocessing

BORDER = 114
"""The grey that models of Ultralytics see beside an image."""


def declared_preprocessing(declared: DeclaredInput | None, size: Sequence[int] | None) -> Preprocessing | None:
    """Return the preprocessing that a model declares; None where it declares none.

    Args:
        declared: What the model declares.
        size: (h, w) of the input, in pixels, that the caller gave; None for that of the model.

    Raises:
        ModelError: `size` is not that of an image.
    """
    if declared is None:
        return None
    sides = declared.size if size is None else tuple(size)
    if len(sides) != 2:
        raise ModelError(f"The input size is {sides}, and the model takes images; expected (height, width).")
    size = (sides[0], sides[1])
    if declared.fit == "centre":
        return Preprocessing(size=size, resize=min(size) if size[0] == size[1] else size, std=255.0)
    border = BORDER if declared.fit == "letterbox" else None
    return Preprocessing(size=size, letterbox=border, resample="linear", std=255.0)
