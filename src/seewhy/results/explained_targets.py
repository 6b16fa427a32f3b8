"""What the explanation of an image, a volume, a signal or a video says, wherever its heatmaps lie."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, get_args

from seewhy.images.figure import ColorScale
from seewhy.images.normalization import normalize, normalized_range
from seewhy.images.style import Normalization, Style, check_name
from seewhy.models import Prediction
from seewhy.results.explanation_contents import explanation_facts
from seewhy.results.target_result import TargetRef, TargetResult, find_target
from seewhy.types import FloatArray

SHOWN_PREDICTIONS = 5
DEFAULT_STYLE = Style()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ExplainedTargets(ABC):
    """The heatmaps of one image, volume, signal or video, their targets, and how they were made.

    Attributes:
        heatmaps: float32 (T, *space), at the layer's resolution, in the method's units, which for most methods are
            score units.
        targets: One `TargetResult` for each heatmap.
        predictions: Every class, the most probable first; empty where the outputs are not class scores.
        layer: The path of the layer in the model.
        method: The method's name.
        title: The method's title, as in figures.
        ids: The wnid of each class by its index, where known.
        model: The classifier's name.
        source: The path that was read; None for what was in memory.
        peak_quantile: The quantile of a heatmap that becomes 1 when it is normalized; 1.0 for its maximum.
        aliases: All names of each target's class, among them its wnid and its synonyms; empty where they are unknown.
        method_reason: Why `method="auto"` chose the method; empty where the caller named it.
    """

    heatmaps: FloatArray
    targets: tuple[TargetResult, ...]
    predictions: tuple[Prediction, ...]
    layer: str
    method: str
    title: str
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    model: str | None = None
    source: str | None = None
    peak_quantile: float = 1.0
    aliases: tuple[tuple[str, ...], ...] = ()
    method_reason: str = ""

    @property
    @abstractmethod
    def noun(self) -> str:
        """What was explained: "image", "volume", "video" or "signal"."""

    def normalize(self, normalization: Normalization = "max") -> FloatArray:
        """Return each heatmap normalized to 0..1 by itself, float32 (T, *space); negative values become 0.

        Args:
            normalization: As in `Style`.

        Raises:
            OptionError: The normalization is unknown.
        """
        check_name("normalization", normalization, get_args(Normalization))
        return normalize(self.heatmaps, self.peak_quantile, normalization)

    def find_target(self, target: TargetRef) -> int:
        """Return the position of one of `targets`.

        Args:
            target: Its position; or a name of its class, as all functions with a target take it: "tiger cat".

        Raises:
            OptionError: There is no such target, or several have that name.
        """
        return find_target(target, self.targets, self.aliases)

    def color_scale(self, target: TargetRef = 0, style: Style = DEFAULT_STYLE) -> ColorScale | None:
        """Return the raw values that have the first and the last colour; None for a heatmap without a span."""
        heatmap = self.heatmaps[self.find_target(target)]
        low, high = normalized_range(heatmap, self.peak_quantile, style.normalization)
        return ColorScale(low, high) if high > low else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON, with the most probable predictions."""
        return explanation_facts(self, self.ids, SHOWN_PREDICTIONS)
