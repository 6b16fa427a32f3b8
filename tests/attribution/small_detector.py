"""A small detector of filled squares and discs, trained here in seconds, and the pictures that it is trained on."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

SIDE, CELL, CLASSES = 64, 8, 2
GRID = SIDE // CELL


class SmallDetector(torch.nn.Module):
    """Convolutions with a stride of 8; each cell of the grid scores two classes, and places a box around its centre.

    Args:
        threshold: Detections below this score are left out.
        nearest: Of two detections of a class whose cells are at most so many cells apart, the surer one is kept.
    """

    def __init__(self, threshold: float = 0.3, nearest: int = 1) -> None:
        super().__init__()
        widths = (3, 16, 32, 32)
        steps = [
            torch.nn.Sequential(torch.nn.Conv2d(a, b, 3, stride=2, padding=1), torch.nn.ReLU())
            for a, b in itertools.pairwise(widths)
        ]
        self.backbone = torch.nn.Sequential(*steps, torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU())
        self.tower = torch.nn.Sequential(torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU())
        self.classes = torch.nn.Conv2d(32, CLASSES, 1)
        self.edges = torch.nn.Conv2d(32, 4, 1)
        self.threshold, self.nearest = threshold, nearest

    def maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the class logits (N, 2, 8, 8), and the distances of the boxes' edges from the cells' centres."""
        features = self.tower(self.backbone(images))
        return self.classes(features), torch.nn.functional.softplus(self.edges(features)) * CELL

    def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        logits, edges = self.maps(images)
        return [self._detections(*pair) for pair in zip(logits, edges, strict=True)]

    def _detections(self, logits: torch.Tensor, reach: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = logits.sigmoid()
        window = 2 * self.nearest + 1
        largest = torch.nn.functional.max_pool2d(scores[None], window, stride=1, padding=self.nearest)[0]
        found = torch.nonzero((scores == largest) & (scores > self.threshold))
        labels, rows, columns = found.T
        centres = torch.stack([columns, rows], dim=1) * CELL + CELL / 2
        left_top, right_bottom = reach[:, rows, columns].T.split(2, dim=1)
        boxes = torch.cat([centres - left_top, centres + right_bottom], dim=1)
        return {"boxes": boxes, "labels": labels, "scores": scores[labels, rows, columns]}


Shape = tuple[int, tuple[int, int, int, int]]
"""A class, and (left, top, right, bottom)."""


def picture(random: np.random.Generator) -> tuple[NDArray[np.float32], list[Shape]]:
    """Return a noisy picture (3, 64, 64) with two shapes of one class and one of the other, each in its own corner."""
    image = random.normal(0, 0.15, (3, SIDE, SIDE)).astype(np.float32)
    first = int(random.integers(CLASSES))
    corners = random.permutation(4)[:3]
    shapes = []
    for class_, corner in zip((first, first, 1 - first), corners, strict=True):
        radius = int(random.integers(7, 11))
        low, high = radius + 1, SIDE // 2 - radius - 1
        row, column = (int(random.integers(low, high + 1)) + SIDE // 2 * part for part in divmod(int(corner), 2))
        y, x = np.mgrid[:SIDE, :SIDE]
        rows, columns = np.abs(y + 0.5 - row), np.abs(x + 0.5 - column)
        inside = (rows < radius) & (columns < radius) if class_ == 0 else rows**2 + columns**2 < radius**2
        image[:, inside] += random.uniform(0.6, 1.2, (3, 1)).astype(np.float32)
        shapes.append((class_, (column - radius, row - radius, column + radius, row + radius)))
    return image, shapes


def trained_detector(steps: int = 500, seed: int = 0) -> SmallDetector:
    """Return a detector that finds most of the shapes."""
    torch.manual_seed(seed)
    random, model = np.random.default_rng(seed), SmallDetector()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        pictures = [picture(random) for _ in range(16)]
        wanted, edges, mask = _wanted([shapes for _, shapes in pictures])
        logits, found = model.maps(torch.tensor(np.stack([image for image, _ in pictures])))
        weight = 1 + 9 * wanted
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, weight=weight)
        loss = loss + 0.02 * ((found - edges).abs() * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def _wanted(batch: list[list[Shape]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    wanted = torch.zeros(len(batch), CLASSES, GRID, GRID)
    edges, mask = torch.zeros(len(batch), 4, GRID, GRID), torch.zeros(len(batch), 1, GRID, GRID)
    for image, shapes in enumerate(batch):
        for class_, (left, top, right, bottom) in shapes:
            row, column = (top + bottom) // 2 // CELL, (left + right) // 2 // CELL
            wanted[image, class_, row, column] = mask[image, 0, row, column] = 1
            x, y = column * CELL + CELL / 2, row * CELL + CELL / 2
            edges[image, :, row, column] = torch.tensor([x - left, y - top, right - x, bottom - y])
    return wanted, edges, mask
