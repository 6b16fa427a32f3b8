"""The explanation of one image."""

import base64
import json
import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from PIL import Image

from seewhy import timing
from seewhy.errors import OptionError
from seewhy.images.animation import ANIMATION_SUFFIXES, animation_writer
from seewhy.images.bounding_boxes import BoundingBox
from seewhy.images.figure import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from seewhy.images.figure import VECTOR_SUFFIXES, figure_writer, render
from seewhy.images.geometry import Placement
from seewhy.images.overlay import outlined, placed_overlay
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import image_writer, write_atomically
from seewhy.representation import ShortTuple, description, listed, shortened
from seewhy.results import figures
from seewhy.results.evidence_boxes import at_least, check_threshold, evidence_boxes
from seewhy.results.explained_targets import SHOWN_PREDICTIONS as SHOWN_PREDICTIONS
from seewhy.results.explained_targets import ExplainedTargets
from seewhy.results.explanation_contents import explanation_arrays
from seewhy.results.figures import FigureKind, caption
from seewhy.results.notebook_image import IMAGE_BYTES, IMAGE_SIDE, MAX_TARGETS, notebook_image
from seewhy.results.target_result import TargetRef, on_resized_image
from seewhy.timing import Phase
from seewhy.types import BoolArray, FloatArray, ImageArray
from seewhy.viewer.notebook import inline_html
from seewhy.viewer.photos import jpeg_within
from seewhy.viewer.report import write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (*IMAGE_SUFFIXES, *ANIMATION_SUFFIXES, ".npz", ".json", ".html")
DEFAULT_STYLE = Style()


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(ExplainedTargets):
    """Where one image holds the evidence for each target.

    Attributes:
        image: The image, uint8 (H, W, 3).
        heatmaps: float32 (T, u, v), at the layer's resolution, in the method's units, which for most methods are score
            units.
        targets: One `TargetResult` for each heatmap.
        predictions: Every class, the most probable first; empty where the outputs are not class scores.
        layer: The path of the layer in the model.
        method: The method's name.
        title: The method's title, as in figures.
        method_reason: Why `method="auto"` chose the method; empty where the caller named it.
        placement: Where on the image the model's input lies, and where on that input the heatmaps.
        ids: The wnid of each class by its index, where known.
        model: The classifier's name.
        source: The path that the image was read from; None for an image in memory.
        peak_quantile: The quantile of a heatmap that becomes 1 when it is normalized; 1.0 for its maximum.
        aliases: All names of each target's class, among them its wnid and its synonyms; empty where they are unknown.
    """

    image: ImageArray
    placement: Placement

    @property
    def noun(self) -> str:
        """What was explained: "image"."""
        return "image"

    def __repr__(self) -> str:
        height, width = self.placement.image_size
        image = f"an image of {height} x {width}" if self.source is None else shortened(self.source)
        model = "" if self.model is None else f" of {shortened(self.model)}"
        targets = listed([caption(target) for target in self.targets])
        return description(
            self,
            f"of {image}: {self.method} at {shortened(self.layer)}{model}, heatmaps {self.heatmaps.shape}; "
            f"targets: {targets}",
        )

    @property
    def normalized_heatmaps(self) -> FloatArray:
        """float32 (T, H, W): the heatmaps at the image's size, each normalized to 0..1; 0 outside the model's input.

        Negative values of signed heatmaps become 0.
        """
        return self.placement.place(self.normalize())

    def normalized_heatmap(self, target: TargetRef = 0, style: Style = DEFAULT_STYLE) -> FloatArray:
        """Return the normalized heatmap of one target at the size of the image, float32 (H, W) in 0..1."""
        position = self.find_target(target)
        return self.placement.place(self.normalize(style.normalization)[position], style.upsampling)

    def draw(self, target: TargetRef, style: Style) -> ImageArray:
        """Do as `overlay`, with a `Style` instead of options."""
        position = self.find_target(target)
        heatmap = self.normalize(style.normalization)[position]
        drawn = placed_overlay(self.image, heatmap, self.placement, style)
        box = self.targets[position].box
        return drawn if box is None else outlined(drawn, box)

    def overlay(self, target: TargetRef = 0, **style: Unpack[StyleOptions]) -> ImageArray:
        """Blend the normalized heatmap of one target into the image.

        Args:
            target: The position of one of `targets`, or its name: "tiger cat".
            **style: The attributes of `Style`, such as `alpha=0.6` or `colormap="inferno"`.

        Returns:
            uint8 (H, W, 3). Outside the model's input the image is unchanged. A detection has a frame along its box.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        return self.draw(target, Style(**style))

    def mask(self, threshold: float = 0.15, target: TargetRef = 0) -> BoolArray:
        """Return the pixels whose normalized heatmap is at least a share of its maximum.

        Args:
            threshold: That share, in 0..1; 15% in section 3.2 of the Grad-CAM paper, on localization.
            target: As for `overlay`.

        Returns:
            bool (H, W). Pixels without evidence are False, whatever the threshold.

        Raises:
            OptionError: An argument is out of range.
        """
        check_threshold(threshold)
        heatmap = self.normalized_heatmap(target)
        return at_least(heatmap, threshold)

    def boxes(self, threshold: float | None = None, target: TargetRef = 0) -> list[BoundingBox]:
        """Return the bounding boxes of the regions with the strongest evidence, largest region first.

        The regions are the connected components of `mask`. The first box is the one by which the Grad-CAM paper
        localizes a class (section 3.2). Pixels that touch at an edge or a corner are connected (8-connectivity).

        Gradients by pixels, such as those of integrated_gradients, smoothgrad and guided_gradcam, are speckled. Their
        heatmap is smoothed first, with a Gaussian whose standard deviation is 4% of each side, and its median, the
        level of the background, is subtracted.

        Args:
            threshold: The share of the maximum, in 0..1, at which a region ends; None for 15%, and for 50% where the
                heatmap is smoothed first.
            target: As for `overlay`.

        Returns:
            (top, left, bottom, right) per box, in pixels of the image, such that `image[top:bottom, left:right]` is the
            box; an empty list without evidence.

        Raises:
            OptionError: An argument is out of range.
        """
        if threshold is not None:
            check_threshold(threshold)
        heatmap = self.heatmaps[self.find_target(target)]
        return evidence_boxes(heatmap, self.placement, self.peak_quantile, threshold)

    def figure(
        self, kind: FigureKind | None = None, *, target: TargetRef = 0, **style: Unpack[StyleOptions]
    ) -> "Figure":
        """Draw a matplotlib figure.

        Args:
            kind: "overlay": the overlay of one target with its name. "panels": the image, the raw heatmap, the
                normalized heatmap and the overlay of one target, side by side. "grid": the overlays of all targets.
                "probabilities": the image, the overlay of one target, and the most probable classes as bars. None:
                panels for one target, a grid for several.
            target: The target that is shown, of kinds that show one: as for `overlay`.
            **style: As for `overlay`.

        Raises:
            OptionError: An argument is out of range, or the colour map is unknown.
        """
        position = self.find_target(target)
        kind = kind or ("panels" if len(self.targets) == 1 else "grid")
        if kind == "overlay":
            return figures.single(self, position, Style(**style))
        if kind == "panels":
            return figures.panels(self, position, Style(**style))
        if kind == "grid":
            return figures.grid(self, Style(**style))
        if kind == "probabilities":
            if not self.predictions:
                raise OptionError("There are no probabilities to draw: the model's outputs are not class scores.")
            return figures.probabilities(self, position, Style(**style))
        raise OptionError(f"Unknown figure {kind!r}; expected 'overlay', 'panels', 'grid' or 'probabilities'.")

    @timing.phase(Phase.DRAWING)
    def pixels(
        self, kind: FigureKind | None = None, *, target: TargetRef = 0, **style: Unpack[StyleOptions]
    ) -> ImageArray:
        """Draw a figure, or the overlay alone at the image's own size, into pixels, uint8 (H, W, 3).

        `kind` None is the overlay for one target and the grid for several; the other arguments are those of `figure`.
        """
        kind = kind or self._file_kind
        if kind == "overlay" and not style.get("colorbar", False):
            return self.overlay(target, **style)
        return render(self.figure(kind, target=target, **style))

    def save(
        self,
        path: str | os.PathLike[str],
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        seconds: float = 1.0,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the explanation in the format of the suffix. The file is written whole or not at all.

        Arrays, JSON and reports are on the disk when this returns; images can be drawn again from them.

        Args:
            path: `.png`, `.jpg`: what `pixels` draws. `.svg`, `.pdf`: the same as a figure, in which texts and heatmap
                cells stay sharp at any size. `.gif`, `.webp`: an animation of the overlays of all targets. `.npz`: the
                arrays. `.json`: everything but the arrays. `.html`: an interactive report.
            kind: As for `pixels`; the other arguments likewise.
            target: As for `overlay`.
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
        if suffix in VECTOR_SUFFIXES:
            with timing.phase(Phase.DRAWING):
                writer = figure_writer(self.figure(kind or self._file_kind, target=target, **style), suffix)
        elif suffix in IMAGE_SUFFIXES:
            writer = image_writer(self.pixels(kind, target=target, **style), suffix)
        elif suffix in ANIMATION_SUFFIXES:
            writer = animation_writer(figures.frames(self, Style(**style)), suffix, seconds)
        elif suffix == ".npz":
            writer = partial(np.savez_compressed, **explanation_arrays(self))
        elif suffix == ".json":
            content = (json.dumps(self.as_dict(), indent=2) + "\n").encode()
            writer = lambda file: file.write(content)  # noqa: E731
        elif suffix == ".html":
            return self.report(path)
        else:
            raise OptionError(f"Cannot save as {suffix or 'a file without suffix'!r}; expected {', '.join(SUFFIXES)}.")
        write_atomically(path, writer, durable=suffix in (".npz", ".json"))
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

    def show(self) -> None:
        """Show the explanation in the notebook, or elsewhere in the system's image viewer."""
        if _in_notebook():
            from IPython.display import display

            display(self)
        else:
            Image.fromarray(self.pixels()).show(title=self.source)

    def thumbnail(self, side: int, targets: int) -> "Explanation":
        """Return an explanation of a copy of the image that is at most `side` pixels long, and of the first targets."""
        photo = Image.fromarray(self.image)
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        rows, columns = self.placement.image_size
        return replace(
            self,
            image=np.asarray(photo),
            placement=self.placement.resized(photo.height, photo.width),
            heatmaps=self.heatmaps[:targets],
            targets=ShortTuple(
                on_resized_image(target, photo.height / rows, photo.width / columns)
                for target in self.targets[:targets]
            ),
            aliases=self.aliases[:targets],
        )

    def _repr_html_(self) -> str:
        return inline_html(self, self._notebook_image())

    def _notebook_image(self) -> ImageArray:
        # On the whole image, drawing and blending would take much longer than is worth while for a small one.
        return notebook_image(self.thumbnail(IMAGE_SIDE, MAX_TARGETS), len(self.targets))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return what a notebook shows: HTML, or an image where that is not supported, both from one drawing."""
        image = self._notebook_image()
        jpeg = base64.b64encode(jpeg_within(image, IMAGE_SIDE, IMAGE_BYTES)).decode("ascii")
        return {"text/html": inline_html(self, image), "image/jpeg": jpeg}

    @property
    def _file_kind(self) -> FigureKind:
        return "overlay" if len(self.targets) == 1 else "grid"


def _in_notebook() -> bool:
    """Whether a notebook's kernel is running this: IPython in a terminal cannot show an image."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None
