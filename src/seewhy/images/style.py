"""How a saliency is drawn: the conventions in which tutorials and papers differ."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypedDict, get_args

from seewhy.errors import OptionError
from seewhy.images.geometry import Upsampling
from seewhy.images.overlay import Rescale

Normalization = Literal["max", "range"]


class StyleOptions(TypedDict, total=False):
    """What the drawing functions take by name: the attributes of `Style`."""

    alpha: float
    image_weight: float | None
    colormap: str
    normalization: Normalization
    upsampling: Upsampling
    rescale: Rescale


@dataclass(frozen=True)
class Style:
    """How a saliency is drawn upon its image: `image_weight * image + alpha * colours`.

    Attributes:
        alpha: How much the colours count, from 0 to 1.
        image_weight: How much the image counts, from 0 to 1; None for 1 - alpha, which neither brightens nor darkens.
        colormap: A matplotlib colour map's name; one that is unknown is an error where it is first drawn with.
        normalization: "max": a heatmap is divided by its maximum (of methods that show single pixels, by their 99.5%
            quantile). "range": its minimum becomes 0 and its maximum 1.
        upsampling: How a heatmap comes to the image's size: "bilinear"; "bicubic" (Keys, a = -1/2), cut off at 0 and
            1, which it overshoots; or "nearest", which shows the layer's cells.
        rescale: What becomes of a sum that does not fill 0..255 or leaves it. "none": it is cut off there. "max": it is
            divided by its maximum. "range": its minimum becomes 0 and its maximum 255.

    Raises:
        OptionError: A value is out of range, or a name unknown.
    """

    alpha: float = 0.4
    image_weight: float | None = None
    colormap: str = "jet"
    normalization: Normalization = "max"
    upsampling: Upsampling = "bilinear"
    rescale: Rescale = "none"

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha, "the image alone", "the colours alone")
        if self.image_weight is not None:
            _check_share("image_weight", self.image_weight, "no image", "the image as it is")
        for name, known in (("normalization", Normalization), ("upsampling", Upsampling), ("rescale", Rescale)):
            check_name(name, getattr(self, name), get_args(known))


def _check_share(name: str, value: Any, none: str, all_: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise OptionError(f"{name} is {value!r}; expected a number from 0 ({none}) to 1 ({all_}).")


def check_name(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise OptionError for a word that is not known."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} is {value!r}; expected {', '.join(map(repr, known[:-1]))} or {known[-1]!r}.")
