"""The grid pointing game (Böhle, Fritz and Schiele, CVPR 2021)."""

from itertools import pairwise
from typing import Any

import numpy as np

from seewhy.errors import TargetError
from seewhy.evaluate.explained_images import EXPLAINED_AT_ONCE, check_explainer
from seewhy.evaluate.heatmap_stack import heatmap_stack
from seewhy.evaluate.model_scores import ImagesLike, RunningModel, image_list, running_model
from seewhy.explainer import Explainer
from seewhy.frameworks.structures import only_leaf
from seewhy.interpolation import interpolate
from seewhy.methods.checks import fraction, integer
from seewhy.targets import TargetSpec
from seewhy.types import DoubleArray, FloatArray, IndexArray


def grid_pointing_game(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    grid: int = 2,
    min_confidence: float = 0.5,
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> DoubleArray:
    """Return the share of a heatmap's energy that lies on its own image in a mosaic of several.

    The paper's localisation metric: images of different classes, each classified with confidence, become one input, and
    the class of each is explained. With the heatmap L of the mosaic for the class of image i, without negative values:

        localisation_i = sum_{p in image i} L_p / sum_p L_p

    No annotation is needed. Higher is better; chance is 1 / grid^2. The mosaic has the size of the model's input, and
    the images are shrunk; the paper enlarges the input instead, which many models do not allow.

    Args:
        explainer: Makes the heatmaps.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        targets: One class for each image: "top-1", or a list with one class in a list for each image.
        grid: The number of images along each side of a mosaic; 3 in the paper.
        min_confidence: The probability of its class that a image needs to be part of a mosaic.
        batch_size: How many images, or perturbations of an image, run at once.
        seed: The seed of the order in which images are put together.

    Returns:
        float64 (N, 1) in 0..1; NaN for an image that is part of no mosaic, since the model is not sure of it or there
        are not enough images of other classes, and for a heatmap without positive values.

    Raises:
        TargetError: There are several targets for each image, or they are not classes.
        SeewhyError: As for `Explainer.explain`.

    Reference:
        Böhle, Fritz and Schiele, CVPR 2021, arXiv 2104.00032, which introduces CoDA-Nets.
    """
    cells = integer("grid", grid, least=2) ** 2
    model = running_model(check_explainer(explainer), score="probability", batch_size=batch_size)
    all_images = image_list(images)
    classes, confidences = _classify(model, all_images, targets)
    confident = np.flatnonzero(confidences >= fraction("min_confidence", min_confidence))
    values = np.full((len(all_images), 1), np.nan)
    mosaics = arrange(classes, confident, cells, seed)
    per_batch = max(1, batch_size // cells)
    for start in range(0, len(mosaics), per_batch):
        batch = mosaics[start : start + per_batch]
        inputs = np.stack([_mosaic(_pixels(model, [all_images[image] for image in row]), grid) for row in batch])
        own = np.moveaxis(inputs, -1, 1) if model.framework.channels_first else inputs
        heatmaps = explainer.heatmaps(own, [classes[row].tolist() for row in batch], batch_size=batch_size)
        stack = heatmap_stack(heatmaps)
        for position, row in enumerate(batch):
            maps = stack.on_input(position, inputs.shape[1:3])
            values[row, 0] = [_share_of_cell(heatmap, cell, grid) for cell, heatmap in enumerate(maps)]
    return values


def arrange(classes: IndexArray, confident: Any, cells: int, seed: int) -> list[Any]:
    """Return the images of each mosaic, `cells` of different classes each; every image is in one mosaic or none.

    The classes with the most images left are taken first, so that few images are left over.
    """
    random = np.random.default_rng(seed)
    groups: dict[int, list[int]] = {}
    for image in random.permutation(confident):
        groups.setdefault(int(classes[image]), []).append(int(image))
    mosaics = []
    while len(groups) >= cells:
        chosen = sorted(groups, key=lambda each: -len(groups[each]))[:cells]
        mosaics.append(np.array(random.permutation([groups[each].pop() for each in chosen])))
        groups = {each: left for each, left in groups.items() if left}
    return mosaics


def _classify(model: RunningModel, images: Any, targets: TargetSpec) -> tuple[IndexArray, DoubleArray]:
    """Return the class (N,) of each image and its probability."""
    objective = model.objective(targets)
    objective.target.check_images(len(images))
    classes, scores = [], []
    for start in range(0, len(images), model.batch_size):
        stop = start + model.batch_size
        inputs = model.inputs(images[start:stop])
        target = objective.target.slice_images(start, stop)
        own, indices = model.scores(inputs, type(objective)(target, "probability", objective.output))
        if indices.shape[1] != 1 or (indices < 0).any():
            raise TargetError(
                "The grid pointing game needs one class for each image, such as 'top-1', or a list with one class for "
                f"each image; given {indices.shape[1]} targets."
            )
        classes.append(indices[:, 0])
        scores.append(own[:, 0])
    return np.concatenate(classes), np.concatenate(scores)


def _pixels(model: RunningModel, images: Any) -> FloatArray:
    """Return images (n, h, w, C) as the model takes them, with channels last."""
    is_array = isinstance(images[0], np.ndarray) and images[0].dtype.kind == "f"
    values: FloatArray = only_leaf(model.inputs(np.stack(images) if is_array else images))
    return np.moveaxis(values, 1, -1) if model.framework.channels_first else values


def _mosaic(pixels: FloatArray, grid: int) -> FloatArray:
    """Return images (grid^2, h, w, C) as one image of their size, row by row."""
    height, width = pixels.shape[1:3]
    rows, columns = _edges(height, grid), _edges(width, grid)
    mosaic = np.empty(pixels.shape[1:], dtype=np.float32)
    for cell, image in enumerate(pixels):
        (top, bottom), (left, right) = rows[cell // grid], columns[cell % grid]
        weights = [_area_weights(height, bottom - top), _area_weights(width, right - left)]
        mosaic[top:bottom, left:right] = np.moveaxis(interpolate(np.moveaxis(image, -1, 0), weights), 0, -1)
    return mosaic


def _edges(pixels: int, grid: int) -> list[tuple[int, int]]:
    """Return where each of the parts of an axis begins and ends."""
    edges = [round(pixels * part / grid) for part in range(grid + 1)]
    return list(pairwise(edges))


def _area_weights(pixels: int, smaller: int) -> FloatArray:
    """Return the weights of averaging over areas along one axis, (smaller, pixels); rows sum to 1."""
    edges = np.arange(smaller + 1) * pixels / smaller
    left, right = edges[:-1, None], edges[1:, None]
    overlap = np.clip(np.minimum(right, np.arange(pixels) + 1) - np.maximum(left, np.arange(pixels)), 0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True), dtype=np.float32)


def _share_of_cell(heatmap: DoubleArray, cell: int, grid: int) -> float:
    energies = np.maximum(heatmap, 0)
    (top, bottom), (left, right) = _edges(len(heatmap), grid)[cell // grid], _edges(heatmap.shape[1], grid)[cell % grid]
    total = energies.sum()
    return float(energies[top:bottom, left:right].sum() / total) if total > 0 else float("nan")


def mosaic_explanations(**_: object) -> int:
    """Return the explanations of an image and target: one, which the images of a mosaic share."""
    return 1
