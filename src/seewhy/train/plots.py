"""Images of a run: its history as curves, its confusion matrix as a table of colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seewhy.images.figure import new_figure, render
from seewhy.images.writing import image_writer, write_atomically
from seewhy.train.run import Row
from seewhy.types import IndexArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 30
"""Above so many classes a confusion matrix has no names and numbers: nobody could read them."""


def write_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    pixels = render(figure)
    write_atomically(path, image_writer(pixels, ".png"))


def draw_history(rows: Sequence[Row], held_out: str) -> "Figure":
    """Draw loss and accuracy by epoch, side by side, of the training images and of those held out."""
    figure = new_figure(9.0, 3.5)
    epochs = [row["epoch"] for row in rows]
    for position, name in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, position)
        axes.plot(epochs, [row[name] for row in rows], marker=".", label="training")
        axes.plot(epochs, [row[f"validation_{name}"] for row in rows], marker=".", label=held_out)
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def draw_confusion(matrix: IndexArray, names: Sequence[str]) -> "Figure":
    """Draw how many images of each class (rows) were taken for each class (columns)."""
    side = min(max(3.5, 0.55 * len(names) + 1.5), 14.0)
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    if len(names) <= MOST_NAMED:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        for row, column in np.ndindex(*matrix.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    return figure
