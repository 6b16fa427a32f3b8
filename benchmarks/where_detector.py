"""The where-test of detectors: does the peak of each detection's heatmap lie in its own box?

A detector with a feature pyramid of two levels is trained on squares and discs, small and large, two of one class in
every image. On images that it has not seen, the share of detections is counted whose peak lies in their own box; and,
of the two of one class, the share whose heatmap is higher in their own box than in the other's.

    python -m benchmarks.where_detector           two minutes on two cores
    python -m benchmarks.where_detector --check   exits with 1 where the default misses its goal
"""

import argparse
import itertools
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.interleaved import machine
from benchmarks.results import Row, publish
from numpy.typing import NDArray

import seewhy
from seewhy.errors import SeewhyWarning
from seewhy.frameworks.torch.detectors.suppression import surest_apart
from seewhy.targets import Detection

SIDE, CLASSES, STRIDES, SMALLEST_LARGE = 96, 2, (8, 16), 13
STEPS, BATCH, CASES, SLOW_CASES = 500, 16, 100, 20
GOAL = 0.95
D_RISE = seewhy.methods.get("rise", masks=600, grid=8)
METHODS = {
    "default": None,
    "hirescam at backbone": "hirescam",
    "gradcam at backbone": "gradcam",
    "rise (D-RISE)": D_RISE,
}

Box = tuple[int, int, int, int]
Shape = tuple[int, Box]
"""A class, and (left, top, right, bottom)."""


class PyramidDetector(torch.nn.Module):
    """Cells of two levels, with strides of 8 and 16, score two classes and place a box around their centre."""

    def __init__(self, threshold: float = 0.3) -> None:
        super().__init__()
        self.backbone = torch.nn.Sequential(_block(3, 16), _block(16, 32), _block(32, 32))
        self.deeper = _block(32, 48)
        self.lateral = torch.nn.ModuleList([torch.nn.Conv2d(32, 32, 1), torch.nn.Conv2d(48, 32, 1)])
        self.tower = torch.nn.Sequential(torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU())
        self.classes, self.edges = torch.nn.Conv2d(32, CLASSES, 1), torch.nn.Conv2d(32, 4, 1)
        self.threshold = threshold

    def levels(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return for each level the class logits (N, 2, h, w), and the distances of edges from centres in pixels."""
        fine = self.backbone(images)
        coarse = self.lateral[1](self.deeper(fine))
        joined = self.lateral[0](fine) + torch.nn.functional.interpolate(coarse, scale_factor=2)
        towers = [self.tower(joined), self.tower(coarse)]
        softplus = torch.nn.functional.softplus
        return [
            (self.classes(tower), softplus(self.edges(tower)) * stride)
            for tower, stride in zip(towers, STRIDES, strict=True)
        ]

    def candidates(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return boxes (N, A, 4) and class probabilities (N, A, 2) of all cells."""
        boxes, logits = [], []
        for (level, edges), stride in zip(self.levels(images), STRIDES, strict=True):
            rows, columns = level.shape[2:]
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centres = torch.stack([x, y, x, y]) * stride + stride / 2
            boxes.append((centres + edges * torch.tensor([-1.0, -1, 1, 1])[:, None, None]).flatten(2))
            logits.append(level.flatten(2))
        return torch.cat(boxes, dim=2).transpose(1, 2), torch.cat(logits, dim=2).transpose(1, 2).sigmoid()

    def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        return [self._detections(*pair) for pair in zip(*self.candidates(images), strict=True)]

    def _detections(self, boxes: torch.Tensor, probabilities: torch.Tensor) -> dict[str, torch.Tensor]:
        scores, labels = probabilities.max(dim=1)
        kept = surest_apart(boxes.detach(), labels, scores.detach(), 0.5)
        kept = kept[scores[kept] > self.threshold]
        return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


def _block(before: int, after: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.ReLU())


def picture(random: np.random.Generator) -> tuple[NDArray[np.float32], list[Shape]]:
    """Return a noisy picture (3, 96, 96), and two shapes of one class and one of the other that do not touch."""
    image = random.normal(0, 0.15, (3, SIDE, SIDE)).astype(np.float32)
    first, shapes = int(random.integers(CLASSES)), list[Shape]()
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for class_ in (first, first, 1 - first):
        radius, row, column = _free_place(random, [box for _, box in shapes])
        rows, columns = np.abs(y - row), np.abs(x - column)
        inside = (rows < radius) & (columns < radius) if class_ == 0 else rows**2 + columns**2 < radius**2
        image[:, inside] += random.uniform(0.6, 1.2, (3, 1)).astype(np.float32)
        shapes.append((class_, (column - radius, row - radius, column + radius, row + radius)))
    return image, shapes


def _free_place(random: np.random.Generator, taken: list[Box]) -> tuple[int, int, int]:
    """Return a radius, a row and a column; small shapes and large ones are as frequent."""
    while True:
        radius = int(random.integers(6, 10) if random.random() < 0.5 else random.integers(14, 20))
        row, column = (int(random.integers(radius + 1, SIDE - radius)) for _ in range(2))
        gaps = [
            max(left - column, column - right, top - row, row - bottom) - radius for left, top, right, bottom in taken
        ]
        if all(gap > 2 for gap in gaps):
            return radius, row, column


def train(seed: int) -> PyramidDetector:
    """Return a detector that finds most of the shapes."""
    torch.manual_seed(seed)
    random, model = np.random.default_rng(seed), PyramidDetector()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        pictures = [picture(random) for _ in range(BATCH)]
        loss = torch.zeros(())
        levels = model.levels(torch.tensor(np.stack([image for image, _ in pictures])))
        for level, (logits, edges) in enumerate(levels):
            wanted, distances, mask = _wanted([shapes for _, shapes in pictures], level)
            weight = 1 + 9 * wanted
            loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, weight=weight)
            loss = loss + 0.02 * ((edges - distances).abs() * mask).sum() / mask.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def _wanted(batch: list[list[Shape]], level: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a level should say: small shapes are found by the first, and large ones by the second."""
    stride = STRIDES[level]
    cells = SIDE // stride
    wanted, edges = torch.zeros(len(batch), CLASSES, cells, cells), torch.zeros(len(batch), 4, cells, cells)
    mask = torch.zeros(len(batch), 1, cells, cells)
    for image, shapes in enumerate(batch):
        for class_, (left, top, right, bottom) in shapes:
            if ((right - left) // 2 >= SMALLEST_LARGE) != (level == 1):
                continue
            row, column = (top + bottom) // 2 // stride, (left + right) // 2 // stride
            wanted[image, class_, row, column] = mask[image, 0, row, column] = 1
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            edges[image, :, row, column] = torch.tensor([x - left, y - top, right - x, bottom - y])
    return wanted, edges, mask


class Case(NamedTuple):
    """An image, and the class of which it has two detections."""

    image: NDArray[np.float32]
    class_: int


def cases(model: PyramidDetector, count: int) -> Iterator[Case]:
    """Yield images in which the detector finds both shapes of the class that there is twice."""
    random = np.random.default_rng(1000)
    while count > 0:
        image, shapes = picture(random)
        with torch.no_grad():
            (found,) = model(torch.tensor(image[None]))
        if int((found["labels"] == shapes[0][0]).sum()) == 2:
            count -= 1
            yield Case(image, shapes[0][0])


class Counts(NamedTuple):
    """Of the detections of some images: how many there are, and of how many the heatmap is where it should be."""

    detections: int
    inside: int
    on_own: int
    share: float


def count(explainer: seewhy.Explainer, images: list[Case]) -> Counts:
    """Count peaks in their own box, and heatmaps that are higher in their own box than in that of their twin."""
    inside = on_own = 0
    shares = []
    for image, class_ in images:
        targets = [Detection(class_=class_, rank=rank) for rank in (1, 2)]
        heatmaps = explainer.heatmaps(image[None], targets, batch_size=64)
        assert heatmaps.boxes is not None  # noqa: S101  # the model is a detector
        rows, columns = heatmaps.values.shape[2:]
        y, x = ((np.arange(cells) + 0.5) / cells for cells in (rows, columns))
        own = [_inside(box, y, x) for box in heatmaps.boxes[0]]
        for number, heatmap in enumerate(heatmaps.values[0]):
            inside += bool(own[number].flat[heatmap.argmax()])
            on_own += bool(heatmap[own[number]].max(initial=0) > heatmap[own[1 - number]].max(initial=0))
            shares.append(heatmap[own[number]].sum() / max(heatmap.sum(), 1e-12))
    return Counts(2 * len(images), inside, on_own, float(np.mean(shares)))


def _inside(box: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    return ((top <= y) & (y <= bottom))[:, None] & ((left <= x) & (x <= right))[None]


def d_rise_agreement(model: PyramidDetector, images: list[Case]) -> list[float]:
    """Return the correlations of maps by overlap times score with those by D-RISE's similarity of class vectors."""
    from seewhy.methods.rise import _RandomMasks

    options = dict(D_RISE.options)
    correlations = []
    for image, class_ in images:
        heatmaps = seewhy.Explainer(model, D_RISE).heatmaps(image[None], [Detection(class_=class_)], batch_size=64)
        assert heatmaps.boxes is not None  # noqa: S101  # the model is a detector
        target = heatmaps.boxes[0, 0] * SIDE
        with torch.no_grad():
            boxes, vectors = model.candidates(torch.tensor(image[None]))
            own = vectors[0, int((boxes[0] - torch.tensor(target)).abs().sum(dim=1).argmin())]
            masks = np.stack(list(_RandomMasks((SIDE, SIDE), options["masks"], (options["grid"],) * 2, 0.5, 0)))
            weights = [_similarity(model, image * mask, target, own) for mask in masks]
        expected = np.tensordot(np.array(weights) - np.mean(weights), masks, axes=1)
        correlations.append(float(np.corrcoef(expected.ravel(), heatmaps.values[0, 0].ravel())[0, 1]))
    return correlations


def _similarity(model: PyramidDetector, image: NDArray[Any], target: NDArray[Any], vector: torch.Tensor) -> float:
    """Return the largest overlap times cosine of class vectors times score, of all candidates: eq. 3 of D-RISE."""
    boxes, vectors = (part[0] for part in model.candidates(torch.tensor(image[None].astype(np.float32))))
    wanted = torch.tensor(target)
    extents = (torch.minimum(boxes[:, 2:], wanted[2:]) - torch.maximum(boxes[:, :2], wanted[:2])).clamp(min=0)
    shared = extents.prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (wanted[2:] - wanted[:2]).prod()
    cosine = torch.nn.functional.cosine_similarity(vectors, vector[None], dim=1)
    return float((shared / (areas - shared) * cosine * vectors.max(dim=1).values).max())


def rows_of(model: PyramidDetector) -> Iterator[tuple[str, Counts]]:
    """Yield what was counted for each method."""
    images = list(cases(model, CASES // 2))
    for name, method in METHODS.items():
        layer = "backbone" if name.endswith("backbone") else "auto"
        explainer = seewhy.Explainer(model, method or "auto", layer)
        yield name, count(explainer, images[: SLOW_CASES // 2] if method is D_RISE else images)


def main() -> None:
    """Train detectors, and count."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where_detector", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where the default misses its goal")
    parser.add_argument("--seeds", type=int, default=3, help="how many detectors are trained")
    given = parser.parse_args()
    warnings.simplefilter("ignore", SeewhyWarning)
    models = [train(seed) for seed in range(given.seeds)]
    found = [dict(rows_of(model)) for model in models]
    agreement = list(itertools.chain(*(d_rise_agreement(model, list(cases(model, 3))) for model in models)))
    rows: list[Row] = [
        {
            "method": name,
            "detections": ", ".join(str(counts[name].detections) for counts in found),
            "peak in its own box": ", ".join(str(counts[name].inside) for counts in found),
            "higher in its own box than in its twin's": ", ".join(str(counts[name].on_own) for counts in found),
            "share of the positive values in the box": ", ".join(f"{counts[name].share:.2f}" for counts in found),
        }
        for name in METHODS
    ]
    title = f"Heatmaps of detections of a detector with a feature pyramid, trained with {given.seeds} seeds"
    measured = {"counts": [{name: counts._asdict() for name, counts in each.items()} for each in found]}
    publish("where-detector", title, rows, measured | {"d_rise_correlations": agreement}, machine("torch"))
    print(f"D-RISE with class vectors correlates with rise here by {min(agreement):.3f} to {max(agreement):.3f}.")
    misses = [counts["default"] for counts in found if counts["default"].inside < GOAL * counts["default"].detections]
    sys.exit(1 if given.check and misses else 0)


if __name__ == "__main__":
    main()
