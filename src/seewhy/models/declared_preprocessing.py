"""The preprocessing of a model that says itself how images become its input."""

from seewhy.frameworks.declared_input import DeclaredInput
from seewhy.models.preprocessing import Preprocessing

BORDER = 114
"""The grey that models of Ultralytics see beside an image."""


def declared_preprocessing(declared: DeclaredInput | None, size: tuple[int, int] | None) -> Preprocessing | None:
    """Return the preprocessing that a model declares; None where it declares none.

    Args:
        declared: What the model declares.
        size: (h, w) of the input, in pixels, that the caller gave; None for that of the model.
    """
    if declared is None:
        return None
    size = size or declared.size
    if declared.fit == "centre":
        return Preprocessing(size=size, resize=min(size) if size[0] == size[1] else size, std=255.0)
    border = BORDER if declared.fit == "letterbox" else None
    return Preprocessing(size=size, letterbox=border, resample="linear", std=255.0)
