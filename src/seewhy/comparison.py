"""Several methods side by side, on one picture."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seewhy import methods as all_methods
from seewhy.errors import MethodError, OptionError
from seewhy.explainer import Explainer
from seewhy.explanation import PICTURE_SUFFIXES, Explanation, caption
from seewhy.images.figure import Panel, draw_panels, render
from seewhy.images.reading import ImageLike, read
from seewhy.images.writing import picture_writer, write_atomically
from seewhy.models import Classifier
from seewhy.types import ImageArray, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_IN_A_LINE = 4
"""How many methods stand side by side where there is only one target."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What several methods say of the same picture and targets.

    Attributes:
        explanations: One for each method.
    """

    explanations: tuple[Explanation, ...]

    def figure(self, *, alpha: float = 0.4, colormap: str = "jet") -> "Figure":
        """Draw the overlays in a grid: a row for each method, a column for each target.

        The methods stand side by side where there is only one target.

        Args:
            alpha: From 0, the picture alone, to 1, the colours alone.
            colormap: A matplotlib colour map's name.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        panels = [
            Panel(f"{each.title}: {caption(target)}", each.overlay(position, alpha=alpha, colormap=colormap))
            for each in self.explanations
            for position, target in enumerate(each.targets)
        ]
        targets = len(self.explanations[0].targets)
        columns = min(PANELS_IN_A_LINE, len(panels)) if targets == 1 else targets
        return draw_panels(panels, columns=columns, colormap=colormap)

    def pixels(self, *, alpha: float = 0.4, colormap: str = "jet") -> ImageArray:
        """Draw the figure into pixels, uint8 (H, W, 3)."""
        return render(self.figure(alpha=alpha, colormap=colormap))

    def save(self, path: str | os.PathLike[str], *, alpha: float = 0.4, colormap: str = "jet") -> Path:
        """Write the figure as `.png` or `.jpg`, whole or not at all, and return the path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise OptionError(
                f"Cannot save a comparison as {path.suffix or 'a file without suffix'!r}; expected "
                f"{', '.join(PICTURE_SUFFIXES)}."
            )
        pixels = self.pixels(alpha=alpha, colormap=colormap)
        write_atomically(path, picture_writer(pixels, path.suffix.lower()))
        return path


def compare(
    network: Any,
    image: ImageLike,
    methods: Sequence[str | all_methods.Method],
    targets: Any = "top-1",
    layer: Any = "auto",
    score: Score = "logit",
) -> Comparison:
    """Explain one picture by several methods.

    Args:
        network: A `Classifier`, or a network with a size of its own.
        image: A path, a PIL image or a uint8 array (H, W, 3).
        methods: Their names; or methods with options of your own, from `seewhy.methods.get`.
        targets: As for `Explainer.explain`; the other arguments as for `Explainer`.

    Raises:
        SeewhyError: What was asked cannot be done; the message says why.
    """
    if isinstance(methods, str) or not methods:
        raise MethodError(
            f"compare takes a list of methods; given {methods!r}. Known: {', '.join(all_methods.METHODS)}."
        )
    classifier = network if isinstance(network, Classifier) else Classifier(network)
    pixels = image if isinstance(image, (str, os.PathLike)) else read(image)
    explainers = [Explainer(classifier, method, layer, score) for method in methods]
    return Comparison(tuple(explainer.explain([pixels], targets)[0] for explainer in explainers))
