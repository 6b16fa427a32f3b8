"""The where-test of prompts: does the peak of a prompt's heatmap lie on the shape that it names?

Small models that compare images with texts, see `examples/words_and_shapes.py`, are trained on images of two coloured
shapes, and the twelve texts that may be true of them. On 100 images that they have not seen, both true prompts are
explained by the default method and by others. A peak counts if it lies in the box of its own shape; the two shapes of
an image often share their colour, or their kind.

    python -m benchmarks.where_prompts           half a minute of training for each model
    python -m benchmarks.where_prompts --record  keeps the table in docs/measured.json, for the documentation
    python -m benchmarks.where_prompts --check   exits with 1 where the default of the CNN misses its goal
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from benchmarks.interleaved import machine
from benchmarks.record import record_results
from benchmarks.results import Row, publish

import seewhy
from seewhy.interpolation import resize
from seewhy.targets import Prompt

sys.path.append(str(Path(__file__).parent.parent / "examples"))
from words_and_shapes import PROMPTS, classifier, draw, train  # after the path is set

IMAGES, SEED = 100, 7

STEPS = {"CNN": 400, "ViT": 600}

METHODS = {"CNN": ("auto", "rise"), "ViT": ("auto", "gradient_rollout", "rise")}
"""The methods by image tower: the default, and what tells the shapes apart better where that is a transformer."""

GOAL = 0.95
"""The share of peaks in the box of their own shape that the default of the convolutional tower must reach."""

OPTIONS = {"rise": {"masks": 500}}


def peaks_in_boxes(heatmaps: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """Return whether each peak lies in its box, bool (N, T).

    Args:
        heatmaps: (N, T, h, w), of any resolution.
        boxes: (N, T, 4) in pixels: top, left, bottom, right.
        side: The height and width of the images, in pixels.
    """
    peaks = resize(heatmaps, (side, side)).reshape(*heatmaps.shape[:2], -1).argmax(-1)
    rows, columns = peaks // side, peaks % side
    top, left, bottom, right = np.moveaxis(boxes, -1, 0)
    return (top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)


def measure(image_tower: str) -> Iterator[Row]:
    """Train a model, and yield a row of the table for each method."""
    start = time.monotonic()
    model = train(image_tower, STEPS[image_tower])
    print(f"{image_tower}: trained in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    images, prompts, boxes = draw(IMAGES, SEED)
    inputs = torch.tensor(images).permute(0, 3, 1, 2) * 2 - 1
    given = classifier(model)
    best = seewhy.Explainer(given.with_prompts(PROMPTS), "gradient_x_input").heatmaps(inputs, "top-2").indices
    is_found = [set(row) == set(true) for row, true in zip(best.tolist(), prompts.tolist(), strict=True)]
    targets = [[Prompt(PROMPTS[number]) for number in row] for row in prompts]
    for name in METHODS[image_tower]:
        method = seewhy.methods.get(name, **OPTIONS.get(name, {}))
        heatmaps = seewhy.Explainer(given, method).heatmaps(inputs, targets, batch_size=128)
        inside = peaks_in_boxes(heatmaps.values, boxes, images.shape[1])
        yield {
            "image tower": image_tower,
            "method": f"auto: {heatmaps.method}" if name == "auto" else name,
            "both true texts are the two best": f"{np.mean(is_found):.2f}",
            "peak in the box of its own shape": f"{inside.mean():.2f}",
            "in that of the other": f"{peaks_in_boxes(heatmaps.values, boxes[:, ::-1], images.shape[1]).mean():.2f}",
        }


def main() -> None:
    """Run the where-test of prompts."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where_prompts", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--record", action="store_true", help="keep the table in docs/measured.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 where the goal is missed")
    parser.add_argument("--models", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME")
    given = parser.parse_args()
    warnings.simplefilter("ignore", seewhy.errors.SeewhyWarning)  # of methods that are named for a transformer
    rows = [row for name in given.models for row in measure(name)]
    publish(
        "where_prompts",
        f"Share of heatmaps of prompts whose peak lies on the shape, of two in each of {IMAGES} images",
        rows,
        rows,
        machine("torch"),
    )
    if given.record:
        record_results(["where_prompts"])
    default = next((row for row in rows if row["image tower"] == "CNN"), None)
    is_missed = default is not None and float(default["peak in the box of its own shape"]) < GOAL
    print(f"The goal of the convolutional tower's default, {GOAL:.0%}, is {'missed' if is_missed else 'reached'}.")
    sys.exit(1 if given.check and is_missed else 0)


if __name__ == "__main__":
    main()
