"""Images that an explainer explains, and explains again after something changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from seewhy.errors import OptionError
from seewhy.evaluate.heatmap_stack import heatmap_stack
from seewhy.evaluate.model_scores import ImagesLike, RunningModel, image_list, running_model
from seewhy.explainer import BATCH_SIZE, Explainer
from seewhy.frameworks.structures import InputBatch, only_leaf
from seewhy.results.heatmaps import Heatmaps
from seewhy.targets import Target, TargetSpec
from seewhy.types import DoubleArray, FloatArray

EXPLAINED_AT_ONCE = BATCH_SIZE


@final
@dataclass(frozen=True)
class ExplainedImages:
    """A batch of images with their heatmaps.

    Attributes:
        inputs: The images as the model takes them.
        heatmaps: What the explainer made of them.
        target: What is explained; classes that were chosen by the scores of these images are fixed.
        explainer: The explainer.
        model: Runs the model.
    """

    inputs: InputBatch
    heatmaps: Heatmaps
    target: Target
    explainer: Explainer
    model: RunningModel

    @property
    def pixels(self) -> FloatArray:
        """(n, h, w, C), channels last."""
        values: FloatArray = only_leaf(self.inputs)
        return np.moveaxis(values, 1, -1) if self.model.framework.channels_first else values

    @property
    def shape(self) -> tuple[int, int]:
        """(n, T)."""
        images, targets = self.heatmaps.values.shape[:2]
        return images, targets

    def as_inputs(self, pixels: FloatArray) -> InputBatch:
        """Return pixels (n, h, w, C) as the model takes them."""
        framework = self.model.framework
        return framework.check_inputs(np.moveaxis(pixels, -1, 1) if framework.channels_first else pixels)

    def explain(self, pixels: FloatArray, explainer: Explainer | None = None) -> Heatmaps:
        """Explain other pixels (n, h, w, C) for the same targets."""
        chosen = self.explainer if explainer is None else explainer
        return chosen.heatmaps(self.as_inputs(pixels), self.target, batch_size=self.model.batch_size)

    def on_input(self, heatmaps: Heatmaps) -> DoubleArray:
        """Return heatmaps of this batch resized to the model's input, (n, T, h, w), NaN for a map of zeros."""
        height, width = self.pixels.shape[1:3]
        stack = heatmap_stack(heatmaps)
        return np.stack([stack.on_input(image, (height, width)) for image in range(len(stack))])


def check_explainer(explainer: Explainer) -> Explainer:
    """Return an explainer as it is, or raise OptionError for anything else."""
    if not isinstance(explainer, Explainer):
        raise OptionError(
            f"This metric makes heatmaps itself, and needs a seewhy.Explainer; given a {type(explainer).__name__}. "
            "Give seewhy.Explainer(model, method)."
        )
    return explainer


def explained_batches(
    explainer: Explainer, images: ImagesLike, targets: TargetSpec, *, batch_size: int
) -> Iterator[ExplainedImages]:
    """Explain images in batches, of which one is in memory at a time.

    Raises:
        SeewhyError: As for `Explainer.explain`.
    """
    explainer = check_explainer(explainer)
    model = running_model(explainer, score=explainer.score, batch_size=batch_size)
    all_images: Any = image_list(images)
    target = model.objective(targets).target
    target.check_images(len(all_images))
    for start in range(0, len(all_images), batch_size):
        stop = start + batch_size
        inputs = model.inputs(all_images[start:stop])
        own = target.slice_images(start, stop)
        heatmaps = explainer.heatmaps(inputs, own, batch_size=batch_size)
        own = own.with_classes(heatmaps.indices) if own.is_classes else own
        yield ExplainedImages(inputs, heatmaps, own, explainer, model)
