"""How overlays and figures are drawn: the conventions in which tutorials and papers differ."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypedDict, get_args

from seewhy.errors import OptionError, short_repr
from seewhy.images.default_style import DEFAULT_ALPHA, DEFAULT_COLORMAP
from seewhy.interpolation import Upsampling
from seewhy.representation import ShortRepr

Normalization = Literal["max", "range"]
Rescale = Literal["none", "max", "range"]


class StyleOptions(TypedDict, total=False):
    """The keyword arguments of the drawing functions: the attributes of `Style`."""

    alpha: float
    image_weight: float | None
    colormap: str
    normalization: Normalization
    upsampling: Upsampling
    rescale: Rescale
    colorbar: bool


@dataclass(frozen=True, repr=False)
class Style(ShortRepr):
    """How a heatmap is drawn on its image: `image_weight * image + alpha * colours`.

    Attributes:
        alpha: The weight of the colours, 0 to 1.
        image_weight: The weight of the image, 0 to 1. None means 1 - alpha, which keeps the overall brightness.
        colormap: The name of a colour map; with the extra `figures`, of any of matplotlib. "jet", which most papers and
            tutorials show, is misleading: its bright bands look like edges that the heatmap does not have. An unknown
            name raises OptionError when something is drawn.
        normalization: "max" divides a heatmap by its maximum (by its 99.5% quantile, for gradient methods at the
            input). "range" maps its minimum to 0 and its maximum to 1.
        upsampling: How a heatmap is resized to the image: "bilinear"; "bicubic" (Keys, a = -1/2), clipped to 0..1; or
            "nearest", which shows the layer's cells.
        rescale: How the sum is brought to 0..255. "none" clips it; "max" divides it by its maximum; "range" maps its
            minimum to 0 and its maximum to 255.
        colorbar: True draws a colour bar with raw values beside the heatmaps of a figure. An overlay alone becomes a
            figure where a file is written; `overlay` returns pixels of the image, which have none.

    Raises:
        OptionError: A value is out of range, or a name is unknown.
    """

    alpha: float = DEFAULT_ALPHA
    image_weight: float | None = None
    colormap: str = DEFAULT_COLORMAP
    normalization: Normalization = "max"
    upsampling: Upsampling = "bilinear"
    rescale: Rescale = "none"
    colorbar: bool = False

    def __post_init__(self) -> None:
        _check_weight("alpha", self.alpha, "the image alone", "the colours alone")
        if self.image_weight is not None:
            _check_weight("image_weight", self.image_weight, "no image", "the image unchanged")
        for name, names in (("normalization", Normalization), ("upsampling", Upsampling), ("rescale", Rescale)):
            check_name(name, getattr(self, name), get_args(names))
        if not isinstance(self.colorbar, bool):
            raise OptionError(f"colorbar is {short_repr(self.colorbar)}; expected True or False.")


def _check_weight(name: str, value: Any, at_zero: str, at_one: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:  # type: ignore[operator]
        raise OptionError(f"{name} is {short_repr(value)}; expected a number from 0 ({at_zero}) to 1 ({at_one}).")


def check_name(option: str, value: Any, names: tuple[str, ...]) -> None:
    """Raise OptionError if the value of an option is not one of the known names."""
    if not isinstance(value, str) or value not in names:
        raise OptionError(
            f"{option} is {short_repr(value)}; expected {', '.join(map(repr, names[:-1]))} or {names[-1]!r}."
        )
