"""The explanation of one sample of a model with several inputs: an explanation for each image among them."""

import json
import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, final

import numpy as np

from seewhy import timing
from seewhy.errors import OptionError, did_you_mean, short_repr
from seewhy.images.figure import IMAGE_SUFFIXES, VECTOR_SUFFIXES, Panel, draw_panels, figure_writer, render
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import image_writer, write_atomically
from seewhy.models import Prediction
from seewhy.representation import description, listed, shortened
from seewhy.results.explanation import Explanation
from seewhy.results.explanation_contents import explanation_arrays
from seewhy.results.figures import caption, overlay_panel
from seewhy.results.notebook_image import IMAGE_SIDE, MAX_TARGETS, figure_jpeg
from seewhy.results.target_result import TargetRef, TargetResult
from seewhy.timing import Phase
from seewhy.types import ImageArray
from seewhy.viewer.report import write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (*IMAGE_SUFFIXES, ".npz", ".json", ".html")


@final
@dataclass(frozen=True, eq=False, repr=False)
class MultiImageExplanation:
    """Where each image of a sample holds the evidence for each target, by the name of the image's input.

    `explanation["left"]` is the `Explanation` of one image, with overlay, mask, boxes and files of its own; `keys`,
    `values` and `items` are those of a dict. The heatmaps of all images are in the same units, those of the score, and
    are drawn on a scale of their own each; the title of each panel has its largest value.

    Attributes:
        explanations: The explanation of each image, by the name of its input, in the order of the model's inputs. All
            have the same targets and predictions.
        other_inputs: The inputs of the sample that are no images, by name, as they were given.
    """

    explanations: Mapping[str, Explanation]
    other_inputs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.explanations:
            raise OptionError("An explanation of several images is of one or more; given none.")

    def __repr__(self) -> str:
        images = ", ".join(f"{name} at {shortened(each.layer or 'the input')}" for name, each in self.items())
        targets = listed([caption(target) for target in self._first.targets])
        model = "" if self._first.model is None else f" of {shortened(self._first.model)}"
        return description(self, f"{self._first.method}{model} for {images}; targets: {targets}")

    def __getitem__(self, name: str) -> Explanation:
        if name not in self.explanations:
            names = list(self.explanations)
            raise OptionError(
                f"There is no image input {short_repr(name)}; the explanation has {listed(names)}."
                f"{did_you_mean(str(name), names)}"
            )
        return self.explanations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.explanations)

    def __len__(self) -> int:
        return len(self.explanations)

    def __contains__(self, name: object) -> bool:
        return name in self.explanations

    def keys(self) -> KeysView[str]:
        """Return the names of the image inputs."""
        return self.explanations.keys()

    def values(self) -> ValuesView[Explanation]:
        """Return the explanation of each image."""
        return self.explanations.values()

    def items(self) -> ItemsView[str, Explanation]:
        """Return the name and the explanation of each image."""
        return self.explanations.items()

    @property
    def targets(self) -> tuple[TargetResult, ...]:
        """The targets, with `has_evidence` where any image has evidence."""
        every = zip(*(each.targets for each in self.values()), strict=True)
        return tuple(replace(same[0], has_evidence=any(each.has_evidence for each in same)) for same in every)

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Every class, the most probable first; empty where the outputs are not class scores."""
        return self._first.predictions

    @property
    def model(self) -> str | None:
        """The classifier's name."""
        return self._first.model

    @property
    def method(self) -> str:
        """The method's name."""
        return self._first.method

    @property
    def layers(self) -> dict[str, str]:
        """The layer at which each image is explained, by input; a call of a shared layer has its number."""
        return {name: each.layer for name, each in self.items()}

    def find_target(self, target: TargetRef) -> int:
        """Return the position of one of `targets`, as `Explanation.find_target` does."""
        return self._first.find_target(target)

    def figure(self, *, target: TargetRef | None = None, **style: Unpack[StyleOptions]) -> "Figure":
        """Draw the overlays of all images side by side, a column for each, and a row for each target.

        Args:
            target: The only target that is drawn, by position or name; None draws all.
            **style: As for `Explanation.overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        positions = range(len(self._first.targets)) if target is None else [self.find_target(target)]
        drawn = Style(**style)
        panels = [_panel(name, each, position, drawn) for position in positions for name, each in self.items()]
        return draw_panels(panels, columns=len(self), colormap=drawn.colormap)

    @timing.phase(Phase.DRAWING)
    def pixels(self, *, target: TargetRef | None = None, **style: Unpack[StyleOptions]) -> ImageArray:
        """Draw the figure into pixels, uint8 (H, W, 3)."""
        return render(self.figure(target=target, **style))

    def save(
        self, path: str | os.PathLike[str], *, target: TargetRef | None = None, **style: Unpack[StyleOptions]
    ) -> Path:
        """Write the explanation in the format of the suffix. The file is written whole or not at all.

        Args:
            path: `.png`, `.jpg`, `.svg`, `.pdf`: the figure, all images side by side. `.npz`: the arrays of each image,
                such as `left/heatmaps`. `.json`: everything but the arrays. `.html`: an interactive report.
            target: As for `figure`.
            **style: As for `Explanation.overlay`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".html":
            return self.report(path)
        if suffix in VECTOR_SUFFIXES:
            with timing.phase(Phase.DRAWING):
                writer = figure_writer(self.figure(target=target, **style), suffix)
        elif suffix in IMAGE_SUFFIXES:
            writer = image_writer(self.pixels(target=target, **style), suffix)
        elif suffix == ".npz":
            arrays = {f"{name}/{key}": array for name, each in self.items() for key, array in _arrays(each)}
            writer = partial(np.savez_compressed, **arrays)
        elif suffix == ".json":
            content = (json.dumps(self.as_dict(), indent=2) + "\n").encode()
            writer = lambda file: file.write(content)  # noqa: E731
        else:
            raise OptionError(
                f"Cannot save an explanation of several images as {suffix or 'a file without suffix'!r}; expected "
                f"{', '.join(SUFFIXES)}. For other files save that of one image: explanation[{next(iter(self))!r}]."
            )
        write_atomically(path, writer, durable=suffix in (".npz", ".json"))
        return path

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a report of all images: one HTML file with the viewer in it, which a browser opens from the disk.

        Raises:
            OptionError: The suffix is not `.html` or `.htm`.
            OutputError: The file cannot be written.
        """
        return write_report([self], path)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON: what `Explanation.as_dict` returns, by input."""
        others = {name: np.asarray(value).tolist() for name, value in self.other_inputs.items()}
        return {"inputs": {name: each.as_dict() for name, each in self.items()}, "other_inputs": others}

    def _repr_jpeg_(self) -> bytes:
        small = {name: each.thumbnail(IMAGE_SIDE, MAX_TARGETS) for name, each in self.items()}
        return figure_jpeg(MultiImageExplanation(small).figure())

    @property
    def _first(self) -> Explanation:
        return next(iter(self.explanations.values()))


def _panel(name: str, explanation: Explanation, position: int, style: Style) -> Panel:
    """Return the overlay of one target on one image, titled with the input's name and the largest raw value."""
    target, largest = explanation.targets[position], float(explanation.heatmaps[position].max())
    peak = f", max {largest:.3g}" if target.has_evidence else ""
    return overlay_panel(explanation, position, style, f"{name}: {caption(target)}{peak}")


def _arrays(explanation: Explanation) -> list[tuple[str, Any]]:
    return list(explanation_arrays(explanation).items())
