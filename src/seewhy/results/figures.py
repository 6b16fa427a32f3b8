"""An explanation as a figure: titled panels of the image, its maps and its overlays."""

from typing import TYPE_CHECKING, Literal

from seewhy import timing
from seewhy.images.figure import Bars, Panel, draw_panels, render
from seewhy.images.overlay import heatmap_image
from seewhy.images.style import Style
from seewhy.timing import Phase
from seewhy.types import ImageArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seewhy.results.explanation import Explanation, TargetResult

FigureKind = Literal["overlay", "panels", "grid", "probabilities"]
FIGURE_KINDS: tuple[FigureKind, ...] = ("overlay", "panels", "grid", "probabilities")
GRID_COLUMNS = 3
SHOWN_PROBABILITIES = 10


def panels(explanation: "Explanation", target: int, style: Style) -> "Figure":
    """Draw the four steps of one target: the image, the raw map, the map on the image's size, the overlay."""
    heatmap = explanation.normalized_heatmap(target, style)
    steps = [
        Panel("Original", explanation.image),
        Panel(f"Raw {explanation.title}", explanation.normalize(style.normalization)[target]),
        Panel(
            f"Normalized {explanation.title}",
            heatmap_image(heatmap, explanation.placement.covered, style.colormap),
        ),
        Panel(f"Applied {explanation.title}", explanation.draw(target, style)),
    ]
    return draw_panels(steps, columns=4, colormap=style.colormap, title=caption(explanation.targets[target]))


def grid(explanation: "Explanation", style: Style) -> "Figure":
    """Draw the overlays of all targets, titled, in three columns."""
    overlays = overlay_panels(explanation, style)
    columns = 2 if len(overlays) == 4 else min(GRID_COLUMNS, len(overlays))
    return draw_panels(overlays, columns=columns, colormap=style.colormap)


def probabilities(explanation: "Explanation", target: int, style: Style) -> "Figure":
    """Draw the image, the overlay of one target, and the most probable classes as bars."""
    shown = explanation.predictions[:SHOWN_PROBABILITIES]
    asked = explanation.targets[target].index
    bars = Bars(
        [each.probability for each in shown],
        [each.name for each in shown],
        marked=[position for position, each in enumerate(shown) if each.index == asked],
    )
    side_by_side = [
        Panel("Original", explanation.image),
        Panel(caption(explanation.targets[target]), explanation.draw(target, style)),
        Panel("Probabilities", bars),
    ]
    return draw_panels(side_by_side, columns=3, colormap=style.colormap)


@timing.phase(Phase.DRAWING)
def frames(explanation: "Explanation", style: Style) -> list[ImageArray]:
    """Draw the overlay of each target, titled, as images of one size."""
    return [
        render(draw_panels([panel], columns=1, colormap=style.colormap)) for panel in overlay_panels(explanation, style)
    ]


def overlay_panels(explanation: "Explanation", style: Style, before: str = "") -> list[Panel]:
    """Return the overlay of each target under what it is called, with something more before the name."""
    return [
        Panel(before + caption(target), explanation.draw(position, style))
        for position, target in enumerate(explanation.targets)
    ]


def caption(target: "TargetResult") -> str:
    """Return what stands above a target's image."""
    if target.probability is None:
        probability = ""
    else:
        probability = " <0.1%" if target.probability < 0.001 else f" {target.probability:.1%}"
    index = "" if target.index < 0 or target.name == str(target.index) else f"{target.index}, "
    evidence = "" if target.has_evidence else "\n(nothing speaks for it)"
    return f"{index}{target.name}{probability}{evidence}"
