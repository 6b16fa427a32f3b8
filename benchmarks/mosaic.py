"""Crops of the four example photos, of which `seewhy evaluate` makes mosaics for the grid pointing game.

    python -m benchmarks.mosaic FOLDER                 12 crops of each photo, with labels
    seewhy evaluate FOLDER/images --labels FOLDER/labels.csv --metrics grid_pointing_game --min-confidence 0.2

A crop has 80% to 100% of each side of its photo, and half of the crops are mirrored.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
SMALLEST = 0.8

PHOTOS = {"tiger cat": "cat.png", "espresso": "coffee.png", "daisy": "flower.jpg", "missile": "rocket.jpg"}
"""By the class that EfficientNet-Lite0 predicts for it."""


def write_crops(folder: Path, count: int, seed: int = 0) -> None:
    """Write crops of each photo, and their labels."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = [("image", "label")]
    for label, photo in PHOTOS.items():
        image = Image.open(EXAMPLES / photo).convert("RGB")
        for number in range(count):
            name = f"{label.replace(' ', '_')}-{number:03}.png"
            _crop(image, random).save(folder / "images" / name)
            rows.append((name, label))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
    scale = random.uniform(SMALLEST, 1)
    width, height = (int(side * scale) for side in image.size)
    left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.integers(2) else crop


def main() -> None:
    """Read the command line and write the crops."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=12, help="of each photo")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_crops(arguments.folder, arguments.crops, arguments.seed)


if __name__ == "__main__":
    main()
