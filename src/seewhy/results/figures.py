"""Figures of an explanation: titled panels of its image, heatmaps and overlays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from seewhy import timing
from seewhy.images.figure import Bars, Panel, draw_panels, render
from seewhy.images.geometry import Placement
from seewhy.images.overlay import heatmap_image
from seewhy.images.style import Normalization, Style
from seewhy.models import Prediction
from seewhy.results.target_result import TargetResult
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureKind = Literal["overlay", "panels", "grid", "probabilities"]
GRID_COLUMNS = 3
MAX_PROBABILITIES = 10
"""How many classes have a bar in a figure of probabilities."""


class Drawable(Protocol):
    """What a figure draws: the part of an `Explanation` that it reads."""

    @property
    def image(self) -> ImageArray:
        """uint8 (H, W, 3)."""

    @property
    def targets(self) -> Sequence[TargetResult]:
        """The targets."""

    @property
    def predictions(self) -> Sequence[Prediction]:
        """Every class, the most probable first."""

    @property
    def placement(self) -> Placement:
        """Where on the image the model's input lies."""

    @property
    def title(self) -> str:
        """The method's title."""

    def normalize(self, normalization: Normalization) -> FloatArray:
        """Return each heatmap normalized to 0..1 by itself, float32 (T, u, v)."""

    def normalized_heatmap(self, target: int, style: Style) -> FloatArray:
        """Return the normalized heatmap of one target at the image's size, float32 (H, W)."""

    def draw(self, target: int, style: Style) -> ImageArray:
        """Return the overlay of one target, uint8 (H, W, 3)."""


def panels(explanation: Drawable, target: int, style: Style) -> "Figure":
    """Draw one target in four panels: the image, the raw heatmap, the heatmap on the image, the overlay."""
    heatmap = explanation.normalized_heatmap(target, style)
    row = [
        Panel("Original", explanation.image),
        Panel(f"Raw {explanation.title}", explanation.normalize(style.normalization)[target]),
        Panel(
            f"Normalized {explanation.title}",
            heatmap_image(heatmap, explanation.placement.covered, style.colormap),
        ),
        Panel(f"Applied {explanation.title}", explanation.draw(target, style)),
    ]
    return draw_panels(row, columns=4, colormap=style.colormap, title=caption(explanation.targets[target]))


def grid(explanation: Drawable, style: Style) -> "Figure":
    """Draw the titled overlays of all targets in a grid of up to three columns."""
    overlays = overlay_panels(explanation, style)
    columns = 2 if len(overlays) == 4 else min(GRID_COLUMNS, len(overlays))
    return draw_panels(overlays, columns=columns, colormap=style.colormap)


def probabilities(explanation: Drawable, target: int, style: Style) -> "Figure":
    """Draw the image, the overlay of one target, and the probabilities of the top classes as bars."""
    predictions = explanation.predictions[:MAX_PROBABILITIES]
    target_class = explanation.targets[target].index
    bars = Bars(
        [prediction.probability for prediction in predictions],
        [prediction.name for prediction in predictions],
        highlighted=[position for position, prediction in enumerate(predictions) if prediction.index == target_class],
    )
    row = [
        Panel("Original", explanation.image),
        Panel(caption(explanation.targets[target]), explanation.draw(target, style)),
        Panel("Probabilities", bars),
    ]
    return draw_panels(row, columns=3, colormap=style.colormap)


@timing.phase(Phase.DRAWING)
def frames(explanation: Drawable, style: Style) -> list[ImageArray]:
    """Draw the titled overlay of each target as the frames of an animation, all of one size."""
    return [
        render(draw_panels([panel], columns=1, colormap=style.colormap)) for panel in overlay_panels(explanation, style)
    ]


def overlay_panels(explanation: Drawable, style: Style, prefix: str = "") -> list[Panel]:
    """Return a panel with the overlay of each target, titled with `prefix` and the target's caption."""
    return [
        Panel(prefix + caption(target), explanation.draw(index, style))
        for index, target in enumerate(explanation.targets)
    ]


def caption(target: TargetResult) -> str:
    """Return a target's caption: its class, name and probability, and a note if it has no evidence."""
    if target.probability is None:
        probability = ""
    else:
        probability = " <0.1%" if target.probability < 0.001 else f" {target.probability:.1%}"
    index = "" if target.index < 0 or target.name == str(target.index) else f"{target.index}, "
    evidence = "" if target.has_evidence else "\n(no evidence)"
    return f"{index}{target.name}{probability}{evidence}"
