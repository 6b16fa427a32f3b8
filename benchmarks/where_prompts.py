"""The where-test of prompts: does the peak of a prompt's heatmap lie on the shape that it names?

Small models that compare images with texts, see `examples/words_and_shapes.py`, are trained on images of two coloured
shapes, and the twelve texts that may be true of them. On 100 images that they have not seen, both true prompts are
explained by what an Explainer does that is told neither a method nor a layer. A peak counts if it lies in the box of
its own shape; the two shapes of an image often share their colour, or their kind.

    python -m benchmarks.where_prompts           half a minute of training for each model
    python -m benchmarks.where_prompts --record  keeps the table in docs/measured.json, for the documentation
    python -m benchmarks.where_prompts --check   exits with 1 where a model misses its goal
"""

import argparse
import sys
import time
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

GOALS = {"CNN": 0.95, "ViT": 0.85}
"""The share of peaks in the box of their own shape that each image tower must reach, as in `benchmarks.where`."""

STEPS = {"CNN": 400, "ViT": 700}


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


def measure(image_tower: str) -> Row:
    """Train a model, and return its row of the table."""
    start = time.monotonic()
    model = train(image_tower, STEPS[image_tower])
    print(f"{image_tower}: trained in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    images, prompts, boxes = draw(IMAGES, SEED)
    inputs = torch.tensor(images).permute(0, 3, 1, 2) * 2 - 1
    given = classifier(model)
    best = seewhy.Explainer(given.with_prompts(PROMPTS), "gradcam").heatmaps(inputs, "top-2").indices
    targets = [[Prompt(PROMPTS[number]) for number in row] for row in prompts]
    heatmaps = seewhy.Explainer(given).heatmaps(inputs, targets)
    inside = peaks_in_boxes(heatmaps.values, boxes, images.shape[1])
    is_found = [set(row) == set(true) for row, true in zip(best.tolist(), prompts.tolist(), strict=True)]
    return {
        "image tower": image_tower,
        "method": heatmaps.method,
        "both prompts are the two best": f"{np.mean(is_found):.2f}",
        "peak in the box of its own shape": f"{inside.mean():.2f}",
        "both peaks": f"{inside.all(1).mean():.2f}",
        "goal": f"{GOALS[image_tower]:.2f}",
    }


def main() -> None:
    """Run the where-test of prompts."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where_prompts", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--record", action="store_true", help="keep the table in docs/measured.json")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a model misses its goal")
    parser.add_argument("--models", nargs="+", choices=list(GOALS), default=list(GOALS), metavar="NAME")
    given = parser.parse_args()
    rows = [measure(name) for name in given.models]
    publish(
        "where-prompts",
        f"Share of heatmaps of prompts whose peak lies on the shape, of two in each of {IMAGES} images",
        rows,
        rows,
        machine("torch"),
    )
    if given.record:
        record_results(["where-prompts"])
    missed = [row for row in rows if float(row["peak in the box of its own shape"]) < float(row["goal"])]
    print("\n".join(f"{row['image tower']} misses its goal." for row in missed) or "Every model reaches its goal.")
    sys.exit(1 if given.check and missed else 0)


if __name__ == "__main__":
    main()
