"""Images with the heatmaps that are evaluated on them, resized to the model's input."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from seewhy.errors import InputError, TargetError
from seewhy.evaluate.heatmap_stack import CHANNELS_HINT, HeatmapsLike, HeatmapStack, heatmap_stack, is_defined
from seewhy.evaluate.model_scores import (
    ImagesLike,
    ModelLike,
    Perturbation,
    ScoredImages,
    image_list,
    running_model,
    scored_batches,
)
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray, Score


@final
@dataclass(frozen=True)
class EvaluatedMap:
    """One heatmap with its image.

    Attributes:
        image: The position of the image in its batch.
        target: The position of the target.
        heatmap: (h, w), at the size of the model's input.
        pixels: (h, w, C), the image, channels last, as the model takes it.
        score: The score of the image for the target.
    """

    image: int
    target: int
    heatmap: DoubleArray
    pixels: FloatArray
    score: float


@final
@dataclass(frozen=True)
class EvaluatedBatch:
    """A batch of images and the heatmaps on them that a metric is defined for.

    Attributes:
        images: The images, with what scores perturbations of them.
        maps: The heatmaps that are finite and differ from place to place.
        shape: (n, T).
    """

    images: ScoredImages
    maps: tuple[EvaluatedMap, ...]
    shape: tuple[int, int]

    def score(self, perturb: Callable[[EvaluatedMap], Iterable[FloatArray]], count: int) -> DoubleArray:
        """Score perturbations of each map's image, `count` for each map, and return (maps, count)."""
        scores = self.images.score(
            Perturbation(each.image, each.target, pixels) for each in self.maps for pixels in perturb(each)
        )
        return scores.reshape(len(self.maps), count)

    def values(self, values: DoubleArray) -> DoubleArray:
        """Return values of the maps (maps, ...) as an array (n, T, ...), NaN where no map is defined."""
        result = np.full((*self.shape, *values.shape[1:]), np.nan)
        for each, value in zip(self.maps, values, strict=True):
            result[each.image, each.target] = value
        return result


def evaluated_batches(
    classifier: ModelLike,
    images: ImagesLike,
    heatmaps: HeatmapsLike,
    targets: TargetSpec | None,
    *,
    score: Score,
    batch_size: int,
) -> Iterator[EvaluatedBatch]:
    """Yield images in batches, scored, with their heatmaps resized to the model's input.

    Raises:
        InputError, TargetError: The heatmaps do not fit the images or the targets.
    """
    model = running_model(classifier, score=score, batch_size=batch_size)
    all_images = image_list(images)
    stack = heatmap_stack(heatmaps, len(all_images))
    for batch in scored_batches(model, all_images, _targets(targets, stack)):
        if batch.scores.shape[1] != stack.target_count:
            hint = _hint(stack, len(all_images), batch.scores.shape[1])
            raise InputError(
                f"There are {stack.target_count} heatmaps for each image and {batch.scores.shape[1]} targets; expected "
                f"one heatmap for each target, (N, T, u, v).{hint}"
            )
        yield EvaluatedBatch(batch, tuple(_defined_maps(batch, stack)), batch.scores.shape)


def _hint(stack: HeatmapStack, images: int, targets: int) -> str:
    """Return what was probably meant where the numbers of heatmaps and targets differ."""
    if stack.target_count == 1 and targets == images:
        return " A list of classes is that of every image; one class for each image is [[282], [967]]."
    return CHANNELS_HINT if stack.classes is None and stack.target_count == 3 else ""


def _defined_maps(batch: ScoredImages, stack: HeatmapStack) -> Iterator[EvaluatedMap]:
    for image in range(len(batch)):
        for target, heatmap in enumerate(stack.on_input(batch.start + image, batch.size)):
            if is_defined(heatmap):
                score = float(batch.scores[image, target])
                yield EvaluatedMap(image, target, heatmap, batch.pixels[image], score)


def _targets(targets: TargetSpec | None, stack: HeatmapStack) -> TargetSpec:
    """Return the targets; where none are given those that the heatmaps name, or the top class."""
    if targets is not None:
        return targets
    if stack.classes is None:
        return "top-1"
    if any(index < 0 for row in stack.classes for index in row):
        raise TargetError(
            "These heatmaps explain targets that are not classes. Give what they explain: targets=..., as it was given "
            "to the explainer."
        )
    return [list(row) for row in stack.classes]
