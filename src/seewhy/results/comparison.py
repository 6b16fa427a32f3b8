"""Several explanations side by side: of several methods, models or images."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from seewhy import methods as all_methods
from seewhy import timing
from seewhy.errors import MethodError, OptionError
from seewhy.explainer import Explainer
from seewhy.images.figure import draw_panels, render
from seewhy.images.reading import ImageLike, read
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import image_writer, write_atomically
from seewhy.models import Classifier
from seewhy.results.explanation import IMAGE_SUFFIXES, Explanation
from seewhy.results.figures import overlay_panels
from seewhy.timing import Phase
from seewhy.types import ImageArray, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS_IN_A_LINE = 4
"""How many explanations stand side by side where each has only one target."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Explanations of the same number of targets each, to be seen together.

    Attributes:
        explanations: Of several methods, models or images.
    """

    explanations: tuple[Explanation, ...]

    def __post_init__(self) -> None:
        if not all(isinstance(each, Explanation) for each in self.explanations) or not self.explanations:
            raise OptionError(f"A comparison is of one or more explanations; given {self.explanations!r}.")
        counts = [len(each.targets) for each in self.explanations]
        if len(set(counts)) != 1:
            raise OptionError(f"Explanations that are compared have as many targets each; given {counts}.")

    @property
    def labels(self) -> tuple[str, ...]:
        """What tells each explanation from the others: its image, model, method, or several of those."""
        return _distinct(
            [
                (Path(each.source).name if each.source else "", each.model or "", each.title)
                for each in self.explanations
            ]
        )

    def figure(self, **style: Unpack[StyleOptions]) -> "Figure":
        """Draw the overlays in a grid: a row for each explanation, a column for each target.

        The explanations stand side by side where there is only one target.

        Args:
            **style: As for `Explanation.overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        made = Style(**style)
        panels = [
            panel
            for each, label in zip(self.explanations, self.labels, strict=True)
            for panel in overlay_panels(each, made, prefix=f"{label}: " if label else "")
        ]
        targets = len(self.explanations[0].targets)
        columns = min(PANELS_IN_A_LINE, len(panels)) if targets == 1 else targets
        return draw_panels(panels, columns=columns, colormap=made.colormap)

    @timing.phase(Phase.DRAWING)
    def pixels(self, **style: Unpack[StyleOptions]) -> ImageArray:
        """Draw the figure into pixels, uint8 (H, W, 3)."""
        return render(self.figure(**style))

    def save(self, path: str | os.PathLike[str], **style: Unpack[StyleOptions]) -> Path:
        """Write the figure as `.png` or `.jpg`, whole or not at all, and return the path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise OptionError(
                f"Cannot save a comparison as {path.suffix or 'a file without suffix'!r}; expected "
                f"{', '.join(IMAGE_SUFFIXES)}."
            )
        pixels = self.pixels(**style)
        write_atomically(path, image_writer(pixels, path.suffix.lower()))
        return path


def compare(
    models: Any,
    images: ImageLike | Sequence[ImageLike],
    methods: str | all_methods.Method | Sequence[str | all_methods.Method] = "gradcam",
    targets: Any = "top-1",
    layer: Any = "auto",
    score: Score = "logit",
) -> Comparison:
    """Explain images by several methods, or with several models.

    Args:
        models: A `Classifier`, or a model with a size of its own; or a list of those.
        images: A path, a PIL image or a uint8 array (H, W, 3); or a list of those.
        methods: The name of a method, or one with options of your own, from `seewhy.methods.get`; or a list of those.
        targets: As for `Explainer.explain`; the other arguments as for `Explainer`.

    Returns:
        The explanations of every image by every model and method, in this order.

    Raises:
        SeewhyError: What was asked cannot be done; the message says why.
    """
    every = [_listed(each) for each in (images, models, methods)]
    for name, given, values in zip(("images", "models", "methods"), (images, models, methods), every, strict=True):
        if not values:
            error = MethodError if name == "methods" else OptionError
            raise error(f"compare was given no {name}: {given!r}. Give one, or a list.")
    shown = [image if isinstance(image, (str, os.PathLike)) else read(image) for image in every[0]]
    explainers = [
        Explainer(classifier, method, layer, score)
        for classifier, method in itertools.product(map(_classifier, every[1]), every[2])
    ]
    return Comparison(
        tuple(explainer.explain([image], targets)[0] for image, explainer in itertools.product(shown, explainers))
    )


def _listed(value: Any) -> list[Any]:
    is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 4)
    return list(value) if is_list else [value]


def _classifier(model: Any) -> Classifier:
    return model if isinstance(model, Classifier) else Classifier(model)


def _distinct(labels: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Keep of each label the parts in which the labels differ; of a single one, the last."""
    if len(labels) == 1:
        return (labels[0][-1],)
    differ = [len(set(parts)) > 1 for parts in zip(*labels, strict=True)]
    return tuple(
        ", ".join(part for part, is_kept in zip(label, differ, strict=True) if is_kept and part) for label in labels
    )
