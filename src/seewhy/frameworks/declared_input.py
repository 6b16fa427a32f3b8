"""How images become the input of a model that says so itself."""

from dataclasses import dataclass
from typing import Literal, final

Fit = Literal["letterbox", "centre", "whole"]
"""How an image is fitted into the input: made smaller until all of it fits, with grey beside it; its centre; or all of
it, without keeping the ratio of its sides."""


@final
@dataclass(frozen=True)
class DeclaredInput:
    """The input of a model that takes values in 0..1.

    Attributes:
        size: (h, w), in pixels.
        fit: How an image is fitted into it.
    """

    size: tuple[int, int]
    fit: Fit
