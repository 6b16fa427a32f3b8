"""Figures of an explanation: titled panels of its image, heatmaps and overlays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from seewhy import timing
from seewhy.images.figure import Bars, ColorScale, Panel, draw_panels, render
from seewhy.images.geometry import Placement
from seewhy.images.overlay import heatmap_image
from seewhy.images.style import Normalization, Style
from seewhy.images.text import printable
from seewhy.models import Prediction
from seewhy.representation import one_line, shortened
from seewhy.results.target_result import TargetResult
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureKind = Literal["overlay", "panels", "grid", "probabilities"]
GRID_COLUMNS = 3
MAX_PROBABILITIES = 10
"""How many classes have a bar in a figure of probabilities."""


MAX_NAME = 80
"""How many characters of a name, such as a long prompt, a title has: three lines of a panel."""

MAX_LABEL = 30
"""How many the label of a bar has, which is one line."""


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

    def color_scale(self, target: int, style: Style) -> ColorScale | None:
        """Return the raw values that have the first and the last colour."""


def single(explanation: Drawable, target: int, style: Style) -> "Figure":
    """Draw the titled overlay of one target."""
    return draw_panels([overlay_panel(explanation, target, style)], columns=1, colormap=style.colormap)


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
        overlay_panel(explanation, target, style, f"Applied {explanation.title}"),
    ]
    return draw_panels(row, columns=4, colormap=style.colormap, title=caption(explanation.targets[target]))


def grid(explanation: Drawable, style: Style, title: str | None = None) -> "Figure":
    """Draw the titled overlays of all targets in a grid of up to three columns, below a title if there is one."""
    overlays = overlay_panels(explanation, style)
    columns = 2 if len(overlays) == 4 else min(GRID_COLUMNS, len(overlays))
    return draw_panels(overlays, columns=columns, colormap=style.colormap, title=title)


def probabilities(explanation: Drawable, target: int, style: Style) -> "Figure":
    """Draw the image, the overlay of one target, and the probabilities of the top classes as bars."""
    predictions = explanation.predictions[:MAX_PROBABILITIES]
    target_class = explanation.targets[target].index
    bars = Bars(
        [prediction.probability for prediction in predictions],
        [_drawn(prediction.name, MAX_LABEL) for prediction in predictions],
        highlighted=[position for position, prediction in enumerate(predictions) if prediction.index == target_class],
    )
    row = [
        Panel("Original", explanation.image),
        overlay_panel(explanation, target, style),
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
        overlay_panel(explanation, position, style, prefix + caption(target))
        for position, target in enumerate(explanation.targets)
    ]


def overlay_panel(explanation: Drawable, target: int, style: Style, title: str | None = None) -> Panel:
    """Return a panel with the overlay of one target, and a colour bar if the style has one."""
    scale = explanation.color_scale(target, style) if style.colorbar else None
    title = caption(explanation.targets[target]) if title is None else title
    return Panel(title, explanation.draw(target, style), scale)


def caption(target: TargetResult) -> str:
    """Return a target's caption: its class, name and probability, and a note if it has no evidence."""
    if target.probability is None:
        probability = ""
    else:
        probability = " <0.1%" if target.probability < 0.001 else f" {target.probability:.1%}"
    index = "" if target.index < 0 or target.name == str(target.index) else f"{target.index}, "
    evidence = "" if target.has_evidence else "\n(no evidence)"
    return f"{index}{_drawn(target.name)}{probability}{evidence}"


def _drawn(name: str, length: int = MAX_NAME) -> str:
    """Return a name as it is drawn: in one line, and with its middle left out if it is long."""
    return shortened(one_line(printable(name)), length)
