"""What comes out: heatmaps of a batch, and the explanation of one image."""

import io
import json
import numbers
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack, get_args

import numpy as np
from PIL import Image

from seewhy import timing
from seewhy.errors import OptionError
from seewhy.images.animation import ANIMATION_SUFFIXES, animation_writer
from seewhy.images.bounding_boxes import BoundingBox, bounding_boxes
from seewhy.images.figure import render
from seewhy.images.geometry import Placement
from seewhy.images.normalization import normalize
from seewhy.images.overlay import overlay
from seewhy.images.style import Normalization, Style, StyleOptions, check_name
from seewhy.images.writing import image_writer, write_atomically
from seewhy.models import Prediction
from seewhy.results import figures
from seewhy.results.figures import FigureKind
from seewhy.timing import Phase
from seewhy.types import BoolArray, FloatArray, ImageArray, IndexArray
from seewhy.viewer.notebook import inline_html
from seewhy.viewer.report import write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SUFFIXES = (*IMAGE_SUFFIXES, *ANIMATION_SUFFIXES, ".npz", ".json", ".html")
SHOWN_PREDICTIONS = 5
DEFAULT_STYLE = Style()


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """The heatmaps of a batch: N images, T targets each, at the layer's resolution.

    Attributes:
        values: float32 (N, T, *space), in the method's units, which for most are the score's; 0 where nothing speaks
            for the target, or negative where that was asked for. Not normalised, so they compare across images,
            targets and models' runs; but of several layers fused, 0..1.
        indices: (N, T), the class of each target; -1 for a target that is no class.
        scores: float32 (N, T), what was explained: logits, or probabilities where asked for.
        outputs: (N, ...), the output that was asked; all that the model returned where no one output was.
        probabilities: float32 (N, C), or None where the outputs are not class scores. A single sigmoid unit is two
            classes; plain logits are taken for a softmax's.
        layer: The path of the layer in the model; of several, their paths, with commas.
        method: The method's name.
        names: What each target of each image is called, N times T.
    """

    values: FloatArray
    indices: IndexArray
    scores: FloatArray
    outputs: Any
    probabilities: FloatArray | None
    layer: str
    method: str
    names: tuple[tuple[str, ...], ...] = ()

    @property
    def has_evidence(self) -> BoolArray:
        """(N, T): whether anything at all speaks for the target."""
        return np.asarray(self.values.reshape(*self.values.shape[:2], -1).max(axis=2) > 0)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class TargetResult:
    """One target of one image.

    Attributes:
        index: The class; -1 for a target that is no class.
        name: The class's name; of a target that is no class what it asks, such as "cat rather than dog", or "target 1".
        score: What was explained, in the model's units: a logit, unless probabilities were asked for.
        probability: In 0..1; None for a target that is no class.
        has_evidence: False if nothing in the image speaks for the target; its heatmap is all zeros.
    """

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which parts of one image speak for each target.

    Attributes:
        image: The image, uint8 (H, W, 3).
        heatmaps: float32 (T, u, v), raw, in the method's units, which for most are the score's.
        targets: One `TargetResult` for each heatmap.
        predictions: Every class, the most probable first; empty where the outputs are not class scores.
        layer: The path of the layer in the model.
        method: The method's name.
        title: The method's name as figures write it.
        placement: Where on the image the model's input lies.
        ids: The wnid of each class by its index, where known.
        model: What the classifier is called.
        source: The path the image was read from, where it was.
        peak: Which quantile of a heatmap becomes 1 in its saliency; 1.0 for its maximum.
    """

    image: ImageArray
    heatmaps: FloatArray
    targets: tuple[TargetResult, ...]
    predictions: tuple[Prediction, ...]
    layer: str
    method: str
    title: str
    placement: Placement
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    model: str | None = None
    source: str | None = None
    peak_quantile: float = 1.0

    @property
    def normalized_heatmaps(self) -> FloatArray:
        """float32 (T, H, W): the heatmaps on the image, each scaled to 0..1; 0 outside what the model saw.

        What speaks against a target, in signed heatmaps, is not shown.
        """
        return self.placement.place(self.normalize())

    def normalize(self, normalization: Normalization = "max") -> FloatArray:
        """Return the heatmaps scaled to 0..1, each by itself, float32 (T, u, v); what speaks against a target is 0.

        Args:
            normalization: As `Style` has it.

        Raises:
            OptionError: It is none of those.
        """
        check_name("normalization", normalization, get_args(Normalization))
        return normalize(self.heatmaps, self.peak_quantile, normalization)

    def normalized_heatmap(self, target: int = 0, style: Style = DEFAULT_STYLE) -> FloatArray:
        """Return the saliency of one target, float32 (H, W) in 0..1, normalised and enlarged as `style` says."""
        self._check_target(target)
        return self.placement.place(self.normalize(style.normalization)[target], style.upsampling)

    def draw(self, target: int, style: Style) -> ImageArray:
        """Do as `overlay`, with a look that is made already."""
        return overlay(self.image, self.normalized_heatmap(target, style), self.placement.covered, style)

    def overlay(self, target: int = 0, **style: Unpack[StyleOptions]) -> ImageArray:
        """Blend the saliency of one target into the image.

        Args:
            target: Which of `targets`, counted from 0.
            **style: The attributes of `Style`, such as `alpha=0.6` or `colormap="viridis"`.

        Returns:
            uint8 (H, W, 3). Where the model saw nothing of the image, the image is as it was.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        return self.draw(target, Style(**style))

    def mask(self, threshold: float = 0.15, target: int = 0) -> BoolArray:
        """Return where a target is: the pixels with at least a share of the highest saliency.

        Args:
            threshold: That share, in 0..1. Section 3.2 of the Grad-CAM paper, on localization, takes 15%.
            target: Which of `targets`, counted from 0.

        Returns:
            bool (H, W). Pixels that nothing speaks for are never part of it, so without evidence it is all False.

        Raises:
            OptionError: An argument is out of range.
        """
        _check_threshold(threshold)
        heatmap = self.normalized_heatmap(target)
        return np.asarray((heatmap > 0) & (heatmap >= threshold * heatmap.max()))

    def boxes(self, threshold: float = 0.15, target: int = 0) -> list[BoundingBox]:
        """Return boxes round the connected parts of `mask`, that of the largest part first.

        The first is the one by which the Grad-CAM paper localizes a class (section 3.2). Pixels that touch at an edge
        or a corner are connected.

        Args:
            threshold: As for `mask`.
            target: As for `mask`.

        Returns:
            (top, left, bottom, right) each, in pixels of the image, so that `image[top:bottom, left:right]` is what
            the box holds; an empty list without evidence.

        Raises:
            OptionError: An argument is out of range.
        """
        return bounding_boxes(self.mask(threshold, target))

    def figure(self, kind: FigureKind | None = None, *, target: int = 0, **style: Unpack[StyleOptions]) -> "Figure":
        """Draw a matplotlib figure.

        Args:
            kind: "panels": the image, the raw map, the map on the image's size and the overlay of one target, side
                by side. "grid": the overlays of all targets. "probabilities": the image, the overlay of one target,
                and the most probable classes as bars. None: panels for one target, a grid for several.
            target: Which of `targets` the panels show, counted from 0.
            **style: As for `overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        self._check_target(target)
        kind = kind or ("panels" if len(self.targets) == 1 else "grid")
        if kind == "panels":
            return figures.panels(self, target, Style(**style))
        if kind == "grid":
            return figures.grid(self, Style(**style))
        if kind == "probabilities":
            if not self.predictions:
                raise OptionError("There are no probabilities to draw: the model's outputs are not class scores.")
            return figures.probabilities(self, target, Style(**style))
        raise OptionError(f"Unknown figure {kind!r}; expected 'panels', 'grid' or 'probabilities'.")

    @timing.phase(Phase.DRAWING)
    def pixels(self, kind: FigureKind | None = None, *, target: int = 0, **style: Unpack[StyleOptions]) -> ImageArray:
        """Draw a figure, or the overlay alone at the image's own size, into pixels, uint8 (H, W, 3).

        `kind` None is the overlay for one target and the grid for several; the other arguments are those of `figure`.
        """
        kind = kind or ("overlay" if len(self.targets) == 1 else "grid")
        if kind == "overlay":
            return self.overlay(target, **style)
        return render(self.figure(kind, target=target, **style))

    def save(
        self,
        path: str | os.PathLike[str],
        kind: FigureKind | None = None,
        *,
        target: int = 0,
        seconds: float = 1.0,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the explanation as its suffix says, whole or not at all.

        Args:
            path: `.png`, `.jpg`: what `pixels` draws. `.gif`, `.webp`: the overlays of all targets, one after the
                other. `.npz`: the arrays. `.json`: everything but the arrays. `.html`: a report, in which whoever reads
                it chooses the look.
            kind: As for `pixels`; the other arguments likewise.
            target: As for `figure`.
            seconds: How long an animation shows each target.
            **style: As for `overlay`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or an argument is out of range.
            OutputError: The file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            writer = image_writer(self.pixels(kind, target=target, **style), suffix)
        elif suffix in ANIMATION_SUFFIXES:
            writer = animation_writer(figures.frames(self, Style(**style)), suffix, seconds)
        elif suffix == ".npz":
            writer = partial(np.savez_compressed, **self._arrays())
        elif suffix == ".json":
            content = (json.dumps(self.as_dict(), indent=2) + "\n").encode()
            writer = partial(_write_bytes, content)
        elif suffix == ".html":
            return self.report(path)
        else:
            raise OptionError(f"Cannot save as {suffix or 'a file without suffix'!r}; expected {', '.join(SUFFIXES)}.")
        write_atomically(path, writer)
        return path

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a report: one HTML file with the viewer in it, which a browser opens from the disk.

        `seewhy.viewer.report.write_report` makes one of several explanations.

        Args:
            path: `.html` or `.htm`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        return write_report([self], path)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON; of the predictions the most probable."""
        return {
            "image": self.source,
            "predictions": [
                {"index": each.index, "wnid": self._wnid(each.index), **each._asdict()}
                for each in self.predictions[:SHOWN_PREDICTIONS]
            ],
            "targets": [vars(each) for each in self.targets],
            "model": self.model,
            "layer": self.layer,
            "method": self.method,
        }

    def show(self) -> None:
        """Show the image: in the notebook, or else in the system's viewer."""
        if _in_notebook():
            from IPython.display import display

            display(self)
        else:
            Image.fromarray(self.pixels()).show(title=self.source)

    def _repr_html_(self) -> str:
        return inline_html(self)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        image_writer(self.pixels(), ".png")(file)
        return file.getvalue()

    def _arrays(self) -> dict[str, Any]:
        return {
            "heatmaps": self.heatmaps,
            "indices": np.array([each.index for each in self.targets]),
            "names": np.array([each.name for each in self.targets]),
            "scores": np.array([each.score for each in self.targets], dtype=np.float32),
            "image_size": np.array(self.placement.image_size),
            "box": np.array(self.placement.box),
        }

    def _wnid(self, index: int) -> str | None:
        return self.ids[index] if self.ids is not None else None

    def _check_target(self, target: Any) -> None:
        if (
            isinstance(target, bool)
            or not isinstance(target, numbers.Integral)
            or not 0 <= int(target) < len(self.targets)
        ):
            raise OptionError(
                f"There is no target {target!r}: the explanation has targets 0 to {len(self.targets) - 1}."
            )


def _write_bytes(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _check_threshold(threshold: Any) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, numbers.Real) or not 0 <= float(threshold) <= 1:
        raise OptionError(f"threshold is {threshold!r}; expected a number from 0 to 1.")


def _in_notebook() -> bool:
    """Whether a notebook's kernel is running this: IPython in a terminal cannot show an image."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
