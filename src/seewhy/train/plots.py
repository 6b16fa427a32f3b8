"""Plots of a run: learning curves and the confusion matrix."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seewhy.images.figure import new_figure, render
from seewhy.images.writing import image_writer, write_atomically
from seewhy.train.run_folder import Row
from seewhy.types import IndexArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LABELLED_CLASSES = 30
"""A confusion matrix with more classes has no names and counts, which would be too small to read."""


def write_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, completely or not at all."""
    pixels = render(figure)
    write_atomically(path, image_writer(pixels, ".png"))


def draw_history(rows: Sequence[Row], evaluation_split: str) -> "Figure":
    """Draw loss and accuracy by epoch, side by side, for the training and the evaluation images.

    Args:
        rows: A row for each epoch.
        evaluation_split: The legend for the evaluation images: "test" or "validation".
    """
    figure = new_figure(9.0, 3.5)
    epochs = [row["epoch"] for row in rows]
    for position, name in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, position)
        axes.plot(epochs, [row[name] for row in rows], marker=".", label="training")
        axes.plot(epochs, [row[f"validation_{name}"] for row in rows], marker=".", label=evaluation_split)
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def draw_confusion_matrix(matrix: IndexArray, class_names: Sequence[str]) -> "Figure":
    """Draw the number of images by true class (rows) and predicted class (columns)."""
    side = min(max(3.5, 0.55 * len(class_names) + 1.5), 14.0)
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(class_names) <= MAX_LABELLED_CLASSES:
        axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right", parse_math=False)
        axes.set_yticks(range(len(class_names)), class_names, parse_math=False)
        for row, column in np.ndindex(*matrix.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    return figure
